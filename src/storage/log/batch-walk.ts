/**
 * Walking batches in a file: the only code that decides what is a batch and what is damage. Used by readers, recovery,
 * the building of indexes, log compaction and `leveret check`.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import { countRecords } from '../../model/run.js'
import {
  type BatchHeader,
  batchBytes,
  HEADER_BYTES,
  isIntact,
  PLACE_AT,
  readHeader,
  readHeaderOfAnyPlace,
  type SegmentPlace,
} from './batch-format.js'
import { readFull } from './file-io.js'
import type { ReadFile } from './file-system.js'

/** Size of the reads of a scan. */
const SCAN_BYTES = 1024 * 1024
/** What a device writes at once. */
const SECTOR_BYTES = 512
/** Its tag and its length. */
const RECORD_BYTES_MIN = 2
/** Zeros are as likely as anything in less of a sector than this. */
const PIECE_BYTES_MIN = 32

/**
 * What stands at a position: a whole batch, the end of what was given, a batch of which `needed` bytes must be there
 * to tell, zeros as in space set aside, or something that no append has written.
 */
export type Found =
  | { readonly kind: 'batch'; readonly header: BatchHeader }
  | { readonly kind: 'short'; readonly needed: number }
  | { readonly kind: 'end' | 'zeros' | 'bad' }

const END = { kind: 'end' } as const
const ZEROS = { kind: 'zeros' } as const
const BAD = { kind: 'bad' } as const

/** What begins at `at` in `buffer[0, end)`, which is `position` in the segment. The checksum of a batch is verified. */
export function batchAt(buffer: Buffer, at: number, end: number, place: SegmentPlace, position: number): Found {
  const available = end - at
  if (available <= 0) return END
  if (available < HEADER_BYTES) return { kind: 'short', needed: HEADER_BYTES }
  const header = readHeader(buffer, at, place, position)
  if (header === null) return isZero(buffer, at, at + HEADER_BYTES) ? ZEROS : BAD
  const needed = batchBytes(header)
  if (needed > available) return { kind: 'short', needed }
  return isIntact(buffer, at, header) ? { kind: 'batch', header } : BAD
}

export function isZero(buffer: Buffer, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (buffer[index] !== 0) return false
  return true
}

/** Where a scan stopped and why: everything walked, nothing but zeros from there on, or damage. */
export interface ScanEnd {
  readonly position: number
  readonly kind: 'end' | 'zeros' | 'bad'
}

/** Told of each batch; `buffer` holds it whole at `at` during the call. True goes on, false ends the scan behind it. */
export type Visit = (header: BatchHeader, position: number, buffer: Buffer, at: number) => boolean

/** Walk the batches of `file[from, to)` until the first that is not whole and right. */
export async function scanBatches(
  file: ReadFile,
  place: SegmentPlace,
  from: number,
  to: number,
  visit: Visit,
): Promise<ScanEnd> {
  let position = from
  let buffer = Buffer.allocUnsafeSlow(Math.min(SCAN_BYTES, Math.max(0, to - from)))
  while (position < to) {
    const filled = await readFull(file, buffer.subarray(0, Math.min(buffer.length, to - position)), position)
    let at = 0
    let found = batchAt(buffer, 0, filled, place, position)
    while (found.kind === 'batch') {
      const goOn = visit(found.header, position + at, buffer, at)
      at += batchBytes(found.header)
      if (!goOn) return { position: position + at, kind: 'end' }
      found = batchAt(buffer, at, filled, place, position + at)
    }
    position += at
    if (found.kind === 'short') {
      // The rest of the file is shorter than this batch says it is.
      const isCutOff = at === 0 && filled < Math.min(buffer.length, to - position)
      if (position + found.needed > to || isCutOff) return { position, kind: 'bad' }
      if (found.needed > buffer.length) buffer = Buffer.allocUnsafeSlow(found.needed)
    } else if (found.kind !== 'end') return { position, kind: found.kind }
    else if (filled === 0) break
  }
  return { position, kind: 'end' }
}

/** The next whole batch of this place that begins at or behind `from`: behind damage, or null if there is none. */
export async function findBatch(
  file: ReadFile,
  place: SegmentPlace,
  from: number,
  to: number,
): Promise<{ position: number; header: BatchHeader } | null> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(SCAN_BYTES, Math.max(0, to - from)))
  let position = from
  while (to - position >= HEADER_BYTES) {
    const filled = await readFull(file, buffer.subarray(0, Math.min(buffer.length, to - position)), position)
    const window = buffer.subarray(0, filled)
    for (let hit = window.indexOf(place.bytes, PLACE_AT); hit >= 0; hit = window.indexOf(place.bytes, hit + 1)) {
      const candidate = position + hit - PLACE_AT
      const header = await intactBatch(file, place, candidate, to)
      if (header !== null) return { position: candidate, header }
    }
    if (filled < HEADER_BYTES) return null
    // A place that lies across the border of two windows is whole in the next one.
    position += filled - HEADER_BYTES + 1
  }
  return null
}

/** The header of the whole batch at `position`, or null. */
export async function intactBatch(
  file: ReadFile,
  place: SegmentPlace,
  position: number,
  to: number,
): Promise<BatchHeader | null> {
  const whole = await readBatch(file, position, to, (fixed) => readHeader(fixed, 0, place, position))
  return whole !== null && isIntact(whole.content, 0, whole.header) ? whole.header : null
}

/** A batch that was damaged after it had been written. `end` is one beyond the last offset that it may have had. */
export interface Harmed {
  readonly baseOffset: Offset
  readonly end: Offset
  readonly bytes: number
}

/**
 * The batch at `position`, if it was written whole and has been damaged since: its checksum is wrong, all of it is
 * there, and no sector of it is missing, as one would be of a write that power cut short.
 */
export async function harmedBatch(
  file: ReadFile,
  place: SegmentPlace,
  position: number,
  to: number,
): Promise<Harmed | null> {
  const whole = await readBatch(file, position, to, (fixed) => readHeader(fixed, 0, place, position))
  if (whole === null) return null
  for (let at = 0; at < whole.content.length; ) {
    const end = Math.min(whole.content.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES))
    if (end - at >= PIECE_BYTES_MIN && isZero(whole.content, at, end)) return null
    at = end
  }
  const { header, content } = whole
  const { baseOffset, count, headerBytes, bodyBytes } = header
  // Either may be what is damaged; no record has less than two bytes.
  const told = count * RECORD_BYTES_MIN <= bodyBytes ? count : 0
  const records = Math.max(told, countRecords(content.subarray(headerBytes)))
  return records <= 0 ? null : { baseOffset, end: toOffset(baseOffset + records), bytes: batchBytes(header) }
}

/** Whether a whole batch stands at `position` that was written to another place. */
export async function isElsewheres(
  file: ReadFile,
  place: SegmentPlace,
  position: number,
  to: number,
): Promise<boolean> {
  const whole = await readBatch(file, position, to, (fixed) => readHeaderOfAnyPlace(fixed, 0))
  return (
    whole !== null && readHeader(whole.content, 0, place, position) === null && isIntact(whole.content, 0, whole.header)
  )
}

/** The bytes of a batch as far as its header tells, if all of them are there. */
async function readBatch(
  file: ReadFile,
  position: number,
  to: number,
  read: (fixed: Buffer) => BatchHeader | null,
): Promise<{ header: BatchHeader; content: Buffer } | null> {
  const fixed = Buffer.allocUnsafe(HEADER_BYTES)
  if (position + HEADER_BYTES > to || (await readFull(file, fixed, position)) < HEADER_BYTES) return null
  const header = read(fixed)
  if (header === null || position + batchBytes(header) > to) return null
  const content = Buffer.allocUnsafe(batchBytes(header))
  return (await readFull(file, content, position)) < content.length ? null : { header, content }
}

/** Whether `file[from, to)` is nothing but zeros: space set aside, as opposed to a torn write. */
export async function isZeroTail(file: ReadFile, from: number, to: number): Promise<boolean> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(SCAN_BYTES, Math.max(0, to - from)))
  for (let position = from; position < to; ) {
    const filled = await readFull(file, buffer.subarray(0, Math.min(buffer.length, to - position)), position)
    if (filled === 0) return true
    if (!isZero(buffer, 0, filled)) return false
    position += filled
  }
  return true
}
