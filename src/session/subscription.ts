/**
 * One subscription of a connection: its readers, one a partition, and the credit that commits give back.
 */
import type { PartitionReader, ReaderListener } from '../broker/partition-reader.js'
import { PartitionNotFoundError } from '../common/errors.js'
import type { CommitFrame } from '../protocol/frames.js'
import { InFlight } from './in-flight.js'

/** Told when a subscription may have something to deliver. */
export interface SubscriptionOwner {
  ready(subscription: Subscription): void
}

/** What a group assigns to a subscription, and what its commits are for then. */
export interface SubscriptionPlace {
  readonly topic: string
  readonly group: string
  readonly mode: 'cursor' | 'partitioned'
  /** Why it ended; null while it has its seat, or left it. */
  readonly reason: Error | null
  /** Null when there is nothing to wait for. */
  commit(frame: CommitFrame): Promise<void> | null
  /** Give the seat back. */
  leave(): void
}

export class Subscription implements ReaderListener {
  readonly id: number
  readonly topic: string
  readonly window: number
  readonly #owner: SubscriptionOwner
  /** Where its partitions come from, if a group assigns them. */
  place: SubscriptionPlace | null = null
  readers: readonly PartitionReader[] = []
  /** In the owner's queue of subscriptions to look at. */
  isQueued = false
  /** Closed, and nothing more is sent; kept while records are in flight, so that their commits are understood. */
  isEnded = false
  /** Partitions that it has and that no reader was opened for yet. */
  opening = 0
  /** Where the next round over the partitions begins. */
  #turn = 0
  /** By partition; none for those that it does not have. */
  #inFlight: (InFlight | undefined)[] = []

  constructor(id: number, topic: string, window: number, owner: SubscriptionOwner) {
    this.id = id
    this.topic = topic
    this.window = window
    this.#owner = owner
  }

  open(readers: readonly PartitionReader[]): void {
    this.readers = readers
    this.#inFlight = readers.map(() => new InFlight())
  }

  grown(reader: PartitionReader): void {
    this.begin(reader.partition)
    this.add(reader)
    this.#owner.ready(this)
  }

  /** It gets a partition; its reader follows. What was in flight of it counts no more. */
  begin(partition: number): void {
    this.opening++
    this.#inFlight[partition] = new InFlight()
  }

  add(reader: PartitionReader): void {
    this.opening--
    this.readers = [...this.readers, reader]
  }

  /** A partition is taken from it: what was in flight, which gives credit back at once. Null if it did not have it. */
  letGo(partition: number): InFlight | null {
    const inFlight = this.#inFlight[partition]
    if (inFlight === undefined) return null
    this.#inFlight[partition] = undefined
    const readers = this.readers.filter((reader) => reader.partition !== partition)
    if (readers.length === this.readers.length) this.opening--
    this.readers = readers
    return inFlight
  }

  inFlightOf(partition: number): InFlight | null {
    return this.#inFlight[partition] ?? null
  }

  readable(_reader: PartitionReader): void {
    this.#owner.ready(this)
  }

  /** Records that may still be sent. */
  get credit(): number {
    let credit = this.window
    for (const inFlight of this.#inFlight) if (inFlight !== undefined) credit -= inFlight.count
    return credit
  }

  /** Everything that was sent is committed. */
  get isDone(): boolean {
    return this.credit === this.window
  }

  /** The reader whose turn it is, so that no partition keeps the others waiting. */
  nextReader(): PartitionReader {
    const reader = this.readers[this.#turn % this.readers.length] as PartitionReader
    this.#turn = (this.#turn + 1) % this.readers.length
    return reader
  }

  delivered(partition: number, baseOffset: number, records: number): void {
    this.#inFlight[partition]?.add(baseOffset, records)
  }

  /** Throws PartitionNotFoundError. */
  commit(partition: number, offset: number | null, offsets: readonly number[]): void {
    const inFlight = this.inFlightOf(partition)
    if (inFlight === null) {
      throw new PartitionNotFoundError(`subscription ${this.id} has no partition ${partition}`, { topic: this.topic })
    }
    inFlight.commit(offset, offsets)
  }

  close(): void {
    this.isEnded = true
    for (const reader of this.readers) reader.close()
    this.readers = []
  }
}
