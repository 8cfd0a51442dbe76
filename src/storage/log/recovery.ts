/**
 * Finding the end of a partition's log after a stop that was not clean. Only the end of the newest segment is walked: from
 * the last index entry on, which says that everything before it was synced. An unfinished write at the end is put aside
 * and cut; damage with whole batches behind it stays where it is, and readers are told.
 */

import { LeveretError } from '../../common/errors.js'
import { type Offset, toOffset } from '../../model/offset.js'
import { type BatchHeader, batchEnd, FLAG_COMPACTED, FLAG_END, type Place, type SegmentPlace } from './batch-format.js'
import { findBatch, harmedBatch, intactBatch, isElsewheres, isZeroTail, scanBatches } from './batch-walk.js'
import { keepAside, readFile, readFull, writeAll } from './file-io.js'
import { segmentFile } from './file-names.js'
import type { FileSystem, RawFile } from './file-system.js'
import { decodeEntry, INDEX_ENTRY_BYTES, type IndexEntry, indexSeed } from './offset-index.js'

/** Offsets that stand in the log no more. */
export interface Gap {
  readonly from: Offset
  readonly to: Offset
}

export interface Recovered {
  /** Size of the segment: whole batches. */
  readonly position: number
  readonly end: Offset
  readonly lastTimestampMs: number
  /** The log reached this offset once, as far as the index file tells. */
  readonly witnessed: Offset
  /** Good entries at the beginning of the index file, and the position of the last one, or -1. */
  readonly indexed: number
  readonly indexedPosition: number
  /** What the walk found, for the index. */
  readonly found: readonly IndexEntry[]
  readonly gaps: readonly Gap[]
  /** Its index says that it has ended: another segment was begun behind it. */
  readonly isEnded: boolean
  /** Bytes of an unfinished write that were cut; 0 is none. */
  readonly cutBytes: number
}

/**
 * Find the end of the segment `base` and cut what is unfinished behind it. Syncs what it keeps. Throws LVT_DATA_DAMAGED
 * for the file of another partition, before it changes anything.
 */
export async function recoverTail(
  fs: FileSystem,
  place: Place,
  directory: string,
  base: Offset,
  file: RawFile,
): Promise<Recovered> {
  const size = file.size()
  const trusted = await lastGoodEntry(fs, place, directory, base, file, size)
  const walk = await walkTail(file, place.segment(base), trusted.entry, size)
  if (walk.position === 0 && (await isElsewheres(file, place.segment(base), 0, size))) {
    const message = `${segmentFile(directory, base, 'log')} holds records of another partition; nothing was changed`
    throw new LeveretError('LVT_DATA_DAMAGED', message)
  }
  const cutBytes = await cutTorn(fs, directory, base, file, walk.position, size)
  // A page that could not be written once may look clean in the cache: what is kept is written again, then synced.
  await rewrite(file, trusted.entry?.position ?? 0, walk.position)
  await file.sync()
  const { count: indexed, witnessed, isEnded } = trusted
  return { ...walk, witnessed, indexed, indexedPosition: trusted.entry?.position ?? -1, isEnded, cutBytes }
}

async function lastGoodEntry(
  fs: FileSystem,
  place: Place,
  directory: string,
  base: Offset,
  file: RawFile,
  size: number,
): Promise<{ entry: IndexEntry | null; count: number; witnessed: Offset; isEnded: boolean }> {
  const content = readFile(fs, segmentFile(directory, base, 'index'))
  const seed = indexSeed(place, base)
  const total = content === null ? 0 : Math.floor(content.length / INDEX_ENTRY_BYTES)
  let witnessed = base
  let isEnded = false
  for (let index = total - 1; index >= 0; index--) {
    const decoded = decodeEntry(content as Buffer, index * INDEX_ENTRY_BYTES, seed)
    if (decoded === null) continue
    witnessed = toOffset(Math.max(witnessed, decoded.entry.offset))
    if (decoded.isEnd) isEnded = true
    if (decoded.isEnd) continue
    const header = await intactBatch(file, place.segment(base), decoded.entry.position, size)
    if (header !== null && header.baseOffset === decoded.entry.offset) {
      return { entry: decoded.entry, count: index + 1, witnessed, isEnded }
    }
  }
  return { entry: null, count: 0, witnessed, isEnded }
}

async function walkTail(
  file: RawFile,
  place: SegmentPlace,
  from: IndexEntry | null,
  size: number,
): Promise<Pick<Recovered, 'position' | 'end' | 'lastTimestampMs' | 'found' | 'gaps'>> {
  const found: IndexEntry[] = []
  const gaps: Gap[] = []
  let end = from?.offset ?? place.base
  let lastTimestampMs = 0
  const visit = (header: BatchHeader, position: number) => {
    const { baseOffset: offset, timestampMs } = header
    const isSuperseded = (header.flags & (FLAG_COMPACTED | FLAG_END)) !== 0
    if (offset > end && !isSuperseded) gaps.push({ from: end, to: offset })
    if (offset >= end && position !== from?.position) found.push({ position, offset, timestampMs })
    if (batchEnd(header) > end) end = batchEnd(header)
    lastTimestampMs = Math.max(lastTimestampMs, timestampMs)
    return true
  }
  let position = from?.position ?? 0
  while (position < size) {
    const stop = await scanBatches(file, place, position, size, visit)
    position = stop.position
    if (stop.kind === 'end') break
    if (stop.kind === 'zeros' && (await isZeroTail(file, position, size))) break
    const next = await findBatch(file, place, position + 1, size)
    const harmed = next === null ? await harmedBatch(file, place, position, size) : null
    if (harmed !== null && harmed.baseOffset === end) {
      // It may have been acknowledged: it stays where it is, and its offsets are not given again.
      gaps.push({ from: end, to: harmed.end })
      end = harmed.end
      position += harmed.bytes
      continue
    }
    // Older batches behind damage are leftovers of a write that was given up.
    if (next === null || next.header.baseOffset < end) break
    position = next.position
  }
  return { position, end, lastTimestampMs, found, gaps }
}

/** Nothing is deleted that cannot be explained: the bytes of a torn write are kept beside the segment. */
export async function cutTorn(
  fs: FileSystem,
  directory: string,
  base: Offset,
  file: RawFile,
  position: number,
  size: number,
): Promise<number> {
  if (position >= size) return 0
  let cutBytes = 0
  if (!(await isZeroTail(file, position, size))) {
    const torn = Buffer.alloc(size - position)
    const bytes = await readFull(file, torn, position)
    cutBytes = withoutZeros(torn.subarray(0, bytes)).length
    await keepAside(fs, `${segmentFile(directory, base, 'log')}.torn-${position}`, torn.subarray(0, cutBytes))
  }
  file.truncate(position)
  return cutBytes
}

async function rewrite(file: RawFile, from: number, to: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(1024 * 1024, to - from))
  for (let position = from; position < to; ) {
    const bytes = await readFull(file, buffer.subarray(0, Math.min(buffer.length, to - position)), position)
    if (bytes === 0) return
    await writeAll(file, [buffer.subarray(0, bytes)], position)
    position += bytes
  }
}

function withoutZeros(content: Buffer): Buffer {
  let end = content.length
  while (end > 0 && content[end - 1] === 0) end--
  return content.subarray(0, end)
}
