/**
 * The segments of one partition, oldest first: which one holds an offset, and what is removed or replaced.
 */
import type { Offset } from '../../model/offset.js'
import type { Segment } from './segment.js'

export class SegmentList {
  readonly #segments: Segment[] = []

  get all(): readonly Segment[] {
    return this.#segments
  }

  get last(): Segment | null {
    return this.#segments.at(-1) ?? null
  }

  get first(): Segment | null {
    return this.#segments[0] ?? null
  }

  get firstBase(): Offset | null {
    return this.#segments[0]?.base ?? null
  }

  /** Bytes of all whole batches. */
  get bytes(): number {
    let bytes = 0
    for (const { size } of this.#segments) bytes += size
    return bytes
  }

  push(segment: Segment): void {
    this.#segments.push(segment)
  }

  /** The segment whose range the offset is in, or null below the first one. */
  holding(offset: Offset): Segment | null {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#segments[middle] as Segment).base <= offset) low = middle + 1
      else high = middle
    }
    return this.#segments[low - 1] ?? null
  }

  after(segment: Segment): Segment | null {
    const index = this.#segments.indexOf(segment)
    return index < 0 ? null : (this.#segments[index + 1] ?? null)
  }

  /** Take the oldest one out. */
  shift(): Segment | null {
    return this.#segments.shift() ?? null
  }

  /** Put `replacement` where `replaced` stand, which are neighbours. */
  replace(replaced: readonly Segment[], replacement: Segment): void {
    const [first] = replaced
    if (first === undefined) return
    this.#segments.splice(this.#segments.indexOf(first), replaced.length, replacement)
  }
}
