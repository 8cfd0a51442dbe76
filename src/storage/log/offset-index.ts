/**
 * The sparse index of one segment: about every 4 KiB the offset, the position and the time of a batch. It only saves
 * walking: whatever it says is checked against the log, and a damaged one is built anew.
 *
 * File: entries of 24 bytes, little endian, in order.
 *    0  u32  CRC-32 of the place, the segment's base offset and the bytes behind it
 *    4  u32  position of the batch in the segment
 *    8  u64  its base offset
 *   16  u64  its timestamp
 * The last entry of a sealed segment says where it ends instead: size, end offset and newest timestamp; its checksum
 * has all bits turned.
 */
import { crc32 } from 'node:zlib'
import { type Offset, toOffset } from '../../model/offset.js'
import { type Place, readU64, writeU64 } from './batch-format.js'

export const INDEX_INTERVAL_BYTES = 4096
export const INDEX_ENTRY_BYTES = 24

export interface IndexEntry {
  readonly position: number
  readonly offset: Offset
  readonly timestampMs: number
}

/** Where a sealed segment ends: `position` is its size, `offset` one beyond its last record. */
export type SegmentEnd = IndexEntry

export class OffsetIndex {
  readonly #positions: number[] = []
  readonly #offsets: number[] = []
  readonly #timestamps: number[] = []
  /** Set when the segment is sealed. */
  end: SegmentEnd | null = null

  get length(): number {
    return this.#positions.length
  }

  get last(): IndexEntry | null {
    return this.length === 0 ? null : this.at(this.length - 1)
  }

  at(index: number): IndexEntry {
    return {
      position: this.#positions[index] as number,
      offset: toOffset(this.#offsets[index] as number),
      timestampMs: this.#timestamps[index] as number,
    }
  }

  push({ position, offset, timestampMs }: IndexEntry): void {
    this.#positions.push(position)
    this.#offsets.push(offset)
    this.#timestamps.push(timestampMs)
  }

  /** Whether a batch at this position gets an entry of its own. */
  isDue(position: number): boolean {
    return this.length === 0 || position - (this.#positions.at(-1) as number) >= INDEX_INTERVAL_BYTES
  }

  /** Where to start walking to find `offset`: the last entry that is not beyond it, else the start. */
  positionOf(offset: number): number {
    return this.#positions[below(this.#offsets, offset + 1) - 1] ?? 0
  }

  /** Where to start walking to find the first batch that is not older than `timestampMs`. */
  positionOfTime(timestampMs: number): number {
    return this.#positions[below(this.#timestamps, timestampMs) - 1] ?? 0
  }

  /** Where to start walking to find the first batch at or behind `position`. */
  positionBefore(position: number): number {
    return this.#positions[below(this.#positions, position + 1) - 1] ?? 0
  }
}

/** How many numbers of the rising list are below `limit`. */
function below(rising: readonly number[], limit: number): number {
  let low = 0
  let high = rising.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rising[middle] as number) < limit) low = middle + 1
    else high = middle
  }
  return low
}

/** Seed of the checksums of one segment's index. */
export function indexSeed(place: Place, base: Offset): number {
  return crc32(String(base), crc32(place.bytes))
}

export function encodeEntry(target: Buffer, at: number, seed: number, entry: IndexEntry, isEnd: boolean): void {
  target.writeUInt32LE(entry.position, at + 4)
  writeU64(target, at + 8, entry.offset)
  writeU64(target, at + 16, entry.timestampMs)
  const sum = entrySum(target, at, seed)
  target.writeUInt32LE(isEnd ? ~sum >>> 0 : sum, at)
}

/** The entry at `at`, or null if it is damaged. */
export function decodeEntry(
  source: Buffer,
  at: number,
  seed: number,
): { readonly entry: IndexEntry; readonly isEnd: boolean } | null {
  const stored = source.readUInt32LE(at)
  const sum = entrySum(source, at, seed)
  if (stored !== sum && stored !== ~sum >>> 0) return null
  const entry = {
    position: source.readUInt32LE(at + 4),
    offset: toOffset(readU64(source, at + 8)),
    timestampMs: readU64(source, at + 16),
  }
  return { entry, isEnd: stored !== sum }
}

function entrySum(source: Buffer, at: number, seed: number): number {
  return crc32(source.subarray(at + 4, at + INDEX_ENTRY_BYTES), seed)
}

/** The index in a file's content, or null if any of it is damaged, out of order, or beyond the segment's `size`. */
export function decodeIndex(content: Buffer, seed: number, size: number): OffsetIndex | null {
  if (content.length % INDEX_ENTRY_BYTES !== 0) return null
  const index = new OffsetIndex()
  let position = -1
  for (let at = 0; at < content.length; at += INDEX_ENTRY_BYTES) {
    const found = decodeEntry(content, at, seed)
    if (found === null || index.end !== null || found.entry.position > size) return null
    if (found.entry.position <= position && !found.isEnd) return null
    position = found.entry.position
    if (found.isEnd) index.end = found.entry
    else index.push(found.entry)
  }
  return index
}
