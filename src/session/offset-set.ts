/**
 * Offsets of one partition, as bits: what a member of a group was sent comes and goes in ranges, record by record only
 * where it is acked so, and may have any gaps.
 */
import type { OffsetRange } from '../broker/group-member.js'

const WORD = 32
/** Words of 64 bytes stay on the heap of the engine, beside their object. */
const CHUNK_WORDS = 16
const CHUNK = WORD * CHUNK_WORDS

interface Chunk {
  readonly words: Int32Array
  size: number
}

export class OffsetSet {
  size = 0
  /** By the offset of their first bit over CHUNK; none is empty. */
  readonly #chunks = new Map<number, Chunk>()
  /** One that was emptied, for the next that is needed: a window that moves on needs one after the other. */
  #spare: Chunk | null = null

  /** Take in [from, to). */
  add(from: number, to: number): void {
    for (let offset = from; offset < to; ) {
      const number = Math.floor(offset / CHUNK)
      const end = Math.min(to, (number + 1) * CHUNK)
      let chunk = this.#chunks.get(number)
      if (chunk === undefined) {
        chunk = this.#spare ?? { words: new Int32Array(CHUNK_WORDS), size: 0 }
        this.#spare = null
        this.#chunks.set(number, chunk)
      }
      const before = chunk.size
      flip(chunk, offset % CHUNK, end - offset, true)
      this.size += chunk.size - before
      offset = end
    }
  }

  /** Let go of what it has of [from, to). */
  delete(from: number, to: number): void {
    for (let offset = from; offset < to; ) {
      const number = Math.floor(offset / CHUNK)
      const end = Math.min(to, (number + 1) * CHUNK)
      const chunk = this.#chunks.get(number)
      if (chunk !== undefined) {
        const before = chunk.size
        flip(chunk, offset % CHUNK, end - offset, false)
        this.size += chunk.size - before
        if (chunk.size === 0) {
          this.#chunks.delete(number)
          this.#spare = chunk
        }
      }
      offset = end
    }
  }

  /** What it has up to `last`, itself included, in order. */
  upTo(last: number): OffsetRange[] {
    const ranges: { from: number; to: number }[] = []
    for (const number of Array.from(this.#chunks.keys()).sort((a, b) => a - b)) {
      const first = number * CHUNK
      const { words } = this.#chunks.get(number) as Chunk
      for (let bit = 0; bit < CHUNK && first + bit <= last; bit++) {
        if (((words[bit >> 5] as number) & (1 << (bit & 31))) !== 0) extend(ranges, first + bit)
      }
    }
    return ranges
  }
}

/** As few ranges as say it; in any order that the offsets come in, each of them once. */
export function rangesOf(offsets: readonly number[]): OffsetRange[] {
  const ranges: { from: number; to: number }[] = []
  let last = Number.NEGATIVE_INFINITY
  for (const offset of offsets) {
    if (offset < last) return rangesOf(offsets.toSorted((a, b) => a - b))
    last = offset
    extend(ranges, offset)
  }
  return ranges
}

/** What lies in either; each of them in order. */
export function joined(some: readonly OffsetRange[], others: readonly OffsetRange[]): OffsetRange[] {
  const ranges: { from: number; to: number }[] = []
  for (const { from, to } of [...some, ...others].sort((a, b) => a.from - b.from)) {
    const last = ranges[ranges.length - 1]
    if (last === undefined || from > last.to) ranges.push({ from, to })
    else last.to = Math.max(last.to, to)
  }
  return ranges
}

/** `offset` does not lie before what the ranges hold. */
function extend(ranges: { from: number; to: number }[], offset: number): void {
  const last = ranges[ranges.length - 1]
  if (last === undefined || offset > last.to) ranges.push({ from: offset, to: offset + 1 })
  else if (offset === last.to) last.to = offset + 1
}

/** Set or clear the bits [from, from + count) of a chunk. */
function flip(chunk: Chunk, from: number, count: number, isIn: boolean): void {
  const { words } = chunk
  let left = count
  let bit = from
  while (left > 0) {
    const index = bit >> 5
    const low = bit & 31
    const bits = Math.min(left, WORD - low)
    const mask = bits === WORD ? -1 : ((1 << bits) - 1) << low
    const old = words[index] as number
    const now = isIn ? old | mask : old & ~mask
    words[index] = now
    chunk.size += ones(now) - ones(old)
    bit += bits
    left -= bits
  }
}

/** How many bits of a 32-bit number are set. */
function ones(word: number): number {
  let v = word - ((word >>> 1) & 0x5555_5555)
  v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
