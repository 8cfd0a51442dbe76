/**
 * What was consumed and not yet committed, so that commits are few: one a partition for many records. Called by
 * subscription.ts.
 */

export class CommitLedger {
  #partition = -1
  #offset = -1
  #others: Map<number, number> | null = null
  #records = 0

  /** Records consumed since the last commit. */
  get records(): number {
    return this.#records
  }

  /** Everything up to `offset` is consumed, `records` of it since the last call. Offsets never go back. */
  consumed(partition: number, offset: number, records: number): void {
    if (partition !== this.#partition) this.#change(partition)
    this.#offset = offset
    this.#records += records
  }

  /** Hand out what is to be committed, and start anew. */
  take(commit: (partition: number, offset: number) => void): void {
    if (this.#others !== null) for (const [partition, offset] of this.#others) commit(partition, offset)
    if (this.#partition >= 0) commit(this.#partition, this.#offset)
    this.clear()
  }

  clear(): void {
    this.#partition = -1
    this.#others = null
    this.#records = 0
  }

  #change(partition: number): void {
    if (this.#partition >= 0) {
      this.#others ??= new Map()
      this.#others.set(this.#partition, this.#offset)
    }
    this.#others?.delete(partition)
    this.#partition = partition
  }
}
