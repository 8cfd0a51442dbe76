/**
 * One bit for each offset of a window that moves up: which records are due, which have news for the log. A ring, so
 * that moving costs nothing; 32 offsets a step, so that a search over a wide window stays cheap.
 */

/** Offsets that share a word; the capacity of a ring is a multiple of it. */
export const WORD = 32

export class RingBits {
  readonly #words: Int32Array
  readonly #mask: number

  /** `capacity`: a power of two, at least WORD; no two offsets in use lie further apart. */
  constructor(capacity: number) {
    this.#words = new Int32Array(capacity / WORD)
    this.#mask = capacity - 1
  }

  has(offset: number): boolean {
    return ((this.#words[(offset & this.#mask) >>> 5] as number) & (1 << (offset & 31))) !== 0
  }

  set(offset: number): void {
    const at = (offset & this.#mask) >>> 5
    this.#words[at] = (this.#words[at] as number) | (1 << (offset & 31))
  }

  clear(offset: number): void {
    const at = (offset & this.#mask) >>> 5
    this.#words[at] = (this.#words[at] as number) & ~(1 << (offset & 31))
  }

  clearRange(from: number, to: number): void {
    let offset = from
    while (offset < to) {
      if ((offset & 31) === 0 && to - offset >= WORD) {
        this.#words[(offset & this.#mask) >>> 5] = 0
        offset += WORD
      } else {
        this.clear(offset++)
      }
    }
  }

  /** The lowest offset in [from, to) whose bit is set, or `to`. */
  next(from: number, to: number): number {
    let offset = from
    while (offset < to) {
      const word = (this.#words[(offset & this.#mask) >>> 5] as number) >>> (offset & 31)
      if (word !== 0) return Math.min(to, offset + 31 - Math.clz32(word & -word))
      offset += WORD - (offset & 31)
    }
    return to
  }
}
