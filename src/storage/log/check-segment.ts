/**
 * Walks one segment from its first byte to its last: every batch whole, in its place, behind the one before it, no older,
 * and with as many records as it says. Damage is stepped over as readers do it. Changes nothing.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import { countRecords } from '../../model/run.js'
import {
  type BatchHeader,
  batchBytes,
  batchEnd,
  FLAG_COMPACTED,
  FLAG_END,
  FLAG_SEALED,
  HEADER_BYTES,
  type Place,
  type SegmentPlace,
  sealedFacts,
} from './batch-format.js'
import { findBatch, harmedBatch, isElsewheres, isZeroTail, scanBatches } from './batch-walk.js'
import type { CheckContext, Found } from './check-context.js'
import type { IndexCheck } from './check-index.js'
import { GROUP_LOG } from './file-names.js'
import type { ReadFile } from './file-system.js'
import { keyIdText, SEAL_BYTES, sealedKeyId, UnsealError } from './keyring.js'

/** Which partition, for findings. */
export interface CheckedPartition {
  readonly topic: string
  readonly partition: number
  readonly place: Place
  /** Where offsets end that were set aside for records that are not kept: what is missing before it was never there. */
  readonly reservedEnd: number
  /** Segments that begin here or below are leftovers: the topic kept nothing for a time. -1 if it never did. */
  readonly droppedFrom: number
  /** It had segments once. */
  readonly hasBegun: boolean
  /** Records below are dropped. Known when the checkpoint is read. */
  logStart: number
}

/** How far the log of a partition goes, as far as it was walked. */
export interface LogEnd {
  offset: Offset
  timestampMs: number
}

export interface SegmentFile {
  readonly base: Offset
  readonly file: ReadFile
  /** For findings. */
  readonly name: string
  readonly size: number
  /** Base offset of the segment behind it, or null for the one that takes appends. */
  readonly nextBase: Offset | null
  /** Everything before this position, and every record below this offset, was synced once: it is no unfinished write. */
  readonly synced: { readonly position: number; readonly end: Offset }
}

export class SegmentWalk {
  /** Position behind the last whole batch. */
  whole = 0
  /** Something that is no batch, and not only zeros, lies behind it in the segment that takes appends. */
  isTorn = false
  readonly #context: CheckContext
  readonly #of: CheckedPartition
  readonly #segment: SegmentFile
  readonly #place: SegmentPlace
  readonly #index: IndexCheck | null
  readonly #end: LogEnd

  /** `end` is where the log ended before this segment; it is moved on. */
  constructor(
    context: CheckContext,
    of: CheckedPartition,
    segment: SegmentFile,
    index: IndexCheck | null,
    end: LogEnd,
  ) {
    this.#context = context
    this.#of = of
    this.#segment = segment
    this.#place = of.place.segment(segment.base)
    this.#index = index
    this.#end = end
  }

  /** Throws the system's error. */
  async run(): Promise<void> {
    const { file, size } = this.#segment
    const visit = (header: BatchHeader, position: number, buffer: Buffer, at: number) => {
      this.#visit(header, position, buffer, at)
      return true
    }
    for (let position = 0; position < size; ) {
      const stop = await scanBatches(file, this.#place, position, size, visit)
      if (stop.kind === 'end') return
      const next = await findBatch(file, this.#place, stop.position + 1, size)
      // Behind the end of the log older batches are leftovers of a write that was given up.
      if (next === null || (this.#segment.nextBase === null && next.header.baseOffset < this.#end.offset)) {
        const harmed = next === null ? await this.#harmedAt(stop.position) : 0
        if (harmed === 0) return await this.#atEnd(stop.position)
        position = stop.position + harmed
        continue
      }
      this.#damaged(stop.position, next.position, next.header)
      position = next.position
    }
  }

  #visit(header: BatchHeader, position: number, buffer: Buffer, at: number): void {
    const end = this.#end
    const { baseOffset, timestampMs, count, flags } = header
    const bytes = batchBytes(header)
    if (baseOffset > end.offset && (flags & (FLAG_COMPACTED | FLAG_END)) === 0) {
      this.#add(missing(end.offset, baseOffset, this.#of.reservedEnd), position)
    }
    if (baseOffset < end.offset && count > 0) {
      const offsets = { from: baseOffset, to: Math.min(end.offset, batchEnd(header)) }
      this.#add({ severity: 'damage', kind: 'order', offsets, message: 'stand in the log twice' }, position, bytes)
    } else this.#index?.visit(header, position)
    if (timestampMs < end.timestampMs) {
      const offsets = { from: baseOffset, to: batchEnd(header) }
      const message = `are older, by ${end.timestampMs - timestampMs} ms, than what stands before them`
      this.#add({ severity: 'damage', kind: 'order', offsets, message }, position, bytes)
    }
    this.#checkBody(header, position, buffer, at)
    end.offset = toOffset(Math.max(end.offset, batchEnd(header)))
    end.timestampMs = Math.max(end.timestampMs, timestampMs)
    this.whole = position + bytes
    const { totals } = this.#context
    totals.batches++
    if (this.#of.partition !== GROUP_LOG) totals.records += count
    totals.bytes += bytes
    this.#context.walked(bytes)
  }

  #checkBody(header: BatchHeader, position: number, buffer: Buffer, at: number): void {
    const { baseOffset, count, flags } = header
    const body = buffer.subarray(at + header.headerBytes, at + batchBytes(header))
    const opened = (flags & FLAG_SEALED) === 0 ? body : this.#open(header, position, buffer, at, body)
    // What groups remember is no run of records.
    if (opened === null || this.#of.partition === GROUP_LOG) return
    const records = countRecords(opened)
    if (records === count) return
    const offsets = { from: baseOffset, to: batchEnd(header) }
    const found = records < 0 ? 'something else than records' : `${records} records`
    const message = `a batch says that it has ${count} records and has ${found}`
    this.#add({ severity: 'damage', kind: 'corrupt', offsets, message }, position, batchBytes(header))
  }

  /** Null if it does not open, which was noted. */
  #open(header: BatchHeader, position: number, buffer: Buffer, at: number, body: Buffer): Buffer | null {
    const { keyring, unopened } = this.#context
    const extension = buffer.subarray(at + HEADER_BYTES, at + Math.min(header.headerBytes, HEADER_BYTES + SEAL_BYTES))
    let message = 'the seal of a batch is damaged'
    if (extension.length === SEAL_BYTES) {
      const id = sealedKeyId(extension)
      if (keyring?.has(id) !== true) {
        unopened.set(id, (unopened.get(id) ?? 0) + 1)
        return null
      }
      try {
        return keyring.open(extension, body, sealedFacts(buffer, at))
      } catch (error) {
        if (!(error instanceof UnsealError)) throw error
        message = `${error.message} (key ${keyIdText(id)})`
      }
    }
    const offsets = { from: header.baseOffset, to: batchEnd(header) }
    this.#add({ severity: 'damage', kind: 'sealed', offsets, message }, position, batchBytes(header))
    return null
  }

  /** Bytes that are no batch, with a whole one behind them. */
  #damaged(from: number, to: number, next: BatchHeader): void {
    const { baseOffset, flags } = next
    const isLess = (flags & (FLAG_COMPACTED | FLAG_END)) !== 0 ? '; some of the offsets may have been superseded' : ''
    const offsets = baseOffset > this.#end.offset ? { from: this.#end.offset, to: baseOffset } : null
    this.#corrupt(from, to, offsets, isLess)
    this.#end.offset = toOffset(Math.max(this.#end.offset, baseOffset))
  }

  /** Bytes of a batch that was written whole and was damaged since, and is noted; 0 if it is none. */
  async #harmedAt(position: number): Promise<number> {
    const { file, size } = this.#segment
    if (position === 0 && (await isElsewheres(file, this.#place, 0, size))) {
      const message = 'the records are those of another partition'
      this.#add({ severity: 'damage', kind: 'misplaced', offsets: null, message }, 0, size)
      return size
    }
    const harmed = await harmedBatch(file, this.#place, position, size)
    if (harmed === null || harmed.baseOffset !== this.#end.offset) return 0
    const { baseOffset: from, end: to, bytes } = harmed
    this.#corrupt(position, position + bytes, { from, to }, '')
    this.#end.offset = to
    this.whole = position + bytes
    return bytes
  }

  /** No whole batch comes any more. */
  async #atEnd(position: number): Promise<void> {
    const { file, size, nextBase, synced } = this.#segment
    const { offset } = this.#end
    const isZeros = await isZeroTail(file, position, size)
    if (nextBase !== null && isZeros && nextBase <= offset) {
      // Space set aside that a crash kept from being given back.
    } else if (nextBase !== null) {
      const offsets = nextBase > offset ? { from: offset, to: nextBase } : null
      this.#corrupt(position, size, offsets, '')
      this.#end.offset = toOffset(Math.max(offset, nextBase))
    } else if (offset < synced.end) {
      this.#corrupt(position, size, { from: offset, to: synced.end }, ', which were synced')
      this.#end.offset = synced.end
    } else if (position < synced.position) {
      this.#corrupt(position, size, null, `, which were synced; records from offset ${offset} on cannot be read`)
    } else this.isTorn = !isZeros
    this.#context.walked(size - position)
  }

  #corrupt(from: number, to: number, offsets: Found['offsets'], more: string): void {
    const message = `${to - from} bytes are damaged${more}`
    this.#add({ severity: 'damage', kind: 'corrupt', offsets: offsets ?? null, message }, from, to - from)
  }

  #add(found: Omit<Found, 'file'>, position: number, bytes: number | null = null): void {
    const { topic, partition } = this.#of
    const { logStart } = this.#of
    this.#context.add({ ...aboutKept(found, logStart), topic, partition, file: this.#segment.name, position, bytes })
  }
}

/** What happened to records that are dropped is no damage: their segments go in any order, if there is no power meanwhile. */
export function aboutKept(found: Omit<Found, 'file'>, logStart: number): Omit<Found, 'file'> {
  if (found.severity !== 'damage' || (found.offsets?.to ?? Number.POSITIVE_INFINITY) > logStart) return found
  return { ...found, severity: 'note', message: `${found.message}; they were dropped already` }
}

/** Offsets `from` to `to` stand nowhere. */
export function missing(from: number, to: number, reservedEnd: number): Omit<Found, 'file'> {
  const offsets = { from, to }
  if (to === reservedEnd) {
    const message = 'were set aside for records that are not kept'
    return { severity: 'note', kind: 'missing', offsets, message }
  }
  return { severity: 'damage', kind: 'missing', offsets, message: 'stand nowhere' }
}
