/**
 * Indexes in memory, bounded in entries over all partitions: the one that was used least recently is let go of and read
 * again when it is needed.
 */

export interface Indexed {
  /** Entries held in memory. */
  readonly indexEntries: number
  dropIndex(): void
}

export class IndexCache {
  readonly #entriesMax: number
  readonly #held = new Map<Indexed, number>()
  #entries = 0

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax
  }

  get entries(): number {
    return this.#entries
  }

  /** The owner's index was used, and has grown perhaps. */
  touch(owner: Indexed): void {
    this.#entries += owner.indexEntries - (this.#held.get(owner) ?? 0)
    this.#held.delete(owner)
    this.#held.set(owner, owner.indexEntries)
    for (const [oldest] of this.#held) {
      if (this.#entries <= this.#entriesMax || oldest === owner) return
      this.remove(oldest)
      oldest.dropIndex()
    }
  }

  remove(owner: Indexed): void {
    this.#entries -= this.#held.get(owner) ?? 0
    this.#held.delete(owner)
  }
}
