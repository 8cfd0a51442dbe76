/**
 * One subscription of a connection: its readers, one a partition, and the credit that commits give back.
 */
import type { PartitionReader, ReaderListener } from '../broker/partition-reader.js'
import { PartitionNotFoundError } from '../common/errors.js'
import { InFlight } from './in-flight.js'

/** Told when a subscription may have something to deliver. */
export interface SubscriptionOwner {
  ready(subscription: Subscription): void
}

export class Subscription implements ReaderListener {
  readonly id: number
  readonly topic: string
  readonly window: number
  readonly #owner: SubscriptionOwner
  readers: readonly PartitionReader[] = []
  /** In the owner's queue of subscriptions to look at. */
  isQueued = false
  /** Closed, and nothing more is sent; kept while records are in flight, so that their commits are understood. */
  isEnded = false
  /** Where the next round over the partitions begins. */
  #turn = 0
  #inFlight: InFlight[] = []

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
    this.readers = [...this.readers, reader]
    this.#inFlight.push(new InFlight())
    this.#owner.ready(this)
  }

  readable(_reader: PartitionReader): void {
    this.#owner.ready(this)
  }

  /** Records that may still be sent. */
  get credit(): number {
    let credit = this.window
    for (const inFlight of this.#inFlight) credit -= inFlight.count
    return credit
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
    const inFlight = this.#inFlight[partition]
    if (inFlight === undefined) {
      throw new PartitionNotFoundError(`subscription ${this.id} has no partition ${partition}`, { topic: this.topic })
    }
    if (offset !== null) inFlight.commitUpTo(offset)
    for (const single of offsets) inFlight.commitOne(single)
  }

  close(): void {
    this.isEnded = true
    for (const reader of this.readers) reader.close()
    this.readers = []
  }
}
