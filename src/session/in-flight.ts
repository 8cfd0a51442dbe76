/**
 * What one subscription has been sent of one partition and has not committed. Bounded by the subscription's window.
 * Ranges that touch are one range, so a reader that commits in order costs one entry whatever its window.
 */

interface Range {
  from: number
  /** Exclusive. */
  to: number
}

export class InFlight {
  readonly #ranges: Range[] = []
  /** Committed one by one, above the oldest uncommitted record. */
  #singles: Set<number> | null = null
  count = 0
  /** One beyond the last record that was sent; -1 before the first. */
  #end = -1

  add(baseOffset: number, records: number): void {
    this.count += records
    this.#end = baseOffset + records
    const last = this.#ranges.at(-1)
    if (last !== undefined && last.to === baseOffset) last.to += records
    else this.#ranges.push({ from: baseOffset, to: baseOffset + records })
  }

  /** Everything up to `offset`, and single ones. */
  commit(offset: number | null, offsets: readonly number[]): void {
    if (offset !== null) this.commitUpTo(offset)
    for (const single of offsets) this.commitOne(single)
  }

  /** Commit everything up to `offset`, itself included. */
  commitUpTo(offset: number): void {
    const to = offset + 1
    let freed = 0
    for (let range = this.#ranges[0]; range !== undefined && range.from < to; range = this.#ranges[0]) {
      const end = Math.min(range.to, to)
      freed += end - range.from
      range.from = end
      if (range.from < range.to) break
      this.#ranges.shift()
    }
    this.count -= freed - this.#dropSinglesBelow(to)
    this.#advance()
  }

  /** Everything below was sent and committed, or was never to be sent; null while nothing was sent. */
  get position(): number | null {
    return this.#end < 0 ? null : (this.#ranges[0]?.from ?? this.#end)
  }

  /** Commit one record; what is not in flight is passed over. */
  commitOne(offset: number): void {
    if (this.#singles?.has(offset) === true || !this.#isInFlight(offset)) return
    this.#singles ??= new Set()
    this.#singles.add(offset)
    this.count--
    this.#advance()
  }

  /** Let go of the front of the ranges as far as it was committed one by one. */
  #advance(): void {
    const singles = this.#singles
    for (let range = this.#ranges[0]; range !== undefined && singles?.delete(range.from); range = this.#ranges[0]) {
      range.from++
      if (range.from === range.to) this.#ranges.shift()
    }
  }

  #isInFlight(offset: number): boolean {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ranges[middle] as Range).to <= offset) low = middle + 1
      else high = middle
    }
    const range = this.#ranges[low]
    return range !== undefined && range.from <= offset
  }

  #dropSinglesBelow(to: number): number {
    if (this.#singles === null) return 0
    let dropped = 0
    for (const offset of this.#singles) if (offset < to && this.#singles.delete(offset)) dropped++
    return dropped
  }
}
