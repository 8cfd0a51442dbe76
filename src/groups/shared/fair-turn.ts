/**
 * Whose turn it is among members that ask for records: each one that asks is next once before another is next twice,
 * however much it asks for. Constant time: members that ask for nothing are not looked at.
 */

export class FairTurn {
  /** Members with demand, the next one first. */
  readonly #demand = new Map<number, number>()
  #total = 0

  /** Records that all members together ask for. */
  get total(): number {
    return this.#total
  }

  /** Members that ask for something. */
  get waiting(): number {
    return this.#demand.size
  }

  /** From now on the member asks for so many records, none included. Its place in the queue stays. */
  ask(member: number, records: number): void {
    this.#total += records - (this.#demand.get(member) ?? 0)
    if (records > 0) this.#demand.set(member, records)
    else this.#demand.delete(member)
  }

  asks(member: number): boolean {
    return this.#demand.has(member)
  }

  /** Who is next, or null when nobody asks. It stays next until it is served or asks for nothing. */
  next(): number | null {
    for (const member of this.#demand.keys()) return member
    return null
  }

  /** How many of `available` records the next member gets, so that the others get as many: at least one, never more than it asks for. */
  shareOf(available: number): number {
    const member = this.next()
    if (member === null || available < 1) return 0
    return Math.min(this.#demand.get(member) ?? 0, Math.ceil(available / this.#demand.size))
  }

  /** The member got so many records, or had its turn in vain with none: it goes to the end of the queue. */
  served(member: number, records: number): void {
    const left = (this.#demand.get(member) ?? 0) - records
    this.ask(member, 0)
    this.ask(member, Math.max(0, left))
  }
}
