/**
 * What a member of a shared group has consumed and not acked yet, record by record: what comes again comes out of order, so
 * that "everything up to here" would say too much. Called by subscription.ts.
 */

export class GroupAcks {
  /** By partition, in the order they were consumed. */
  readonly #consumed = new Map<number, number[]>()
  /** By partition: the user has said something of them, and nothing more is to be said. */
  readonly #settled = new Map<number, Set<number>>()

  /** Records [from, to) are consumed. */
  consumed(partition: number, from: number, to: number): void {
    const offsets = this.#consumed.get(partition) ?? []
    this.#consumed.set(partition, offsets)
    const settled = this.#settled.get(partition)
    for (let offset = from; offset < to; offset++) if (settled?.delete(offset) !== true) offsets.push(offset)
  }

  /** The user says it of a record that is handed out and not consumed yet. */
  settled(partition: number, offset: number): void {
    const settled = this.#settled.get(partition) ?? new Set()
    this.#settled.set(partition, settled)
    settled.add(offset)
  }

  /** Hand out what is to be acked, and start anew. */
  take(ack: (partition: number, offsets: readonly number[]) => void): void {
    for (const [partition, offsets] of this.#consumed) if (offsets.length > 0) ack(partition, offsets)
    this.#consumed.clear()
  }

  /** The connection is lost, and the member with it. */
  clear(): void {
    this.#consumed.clear()
    this.#settled.clear()
  }
}
