/**
 * Where one group reads its channel: a reader that begins behind what was sent last, and is begun anew when the group could not
 * take what was read. Idle ones wait for the broker to say that there is more.
 */
import type { Broker } from '../../../broker/broker.js'
import type { PartitionReader, ReaderListener } from '../../../broker/partition-reader.js'
import { TopicNotFoundError } from '../../../common/errors.js'
import type { DeliveryGroup } from './subscription.js'

export interface FeedOwner {
  readonly broker: Broker
  readonly channel: string
  /** False when it was deleted under those who read it. */
  readonly isThere: boolean
  /** There may be something to read. */
  awake(feed: Feed): void
  /** Its channel cannot be read for now. */
  unreadable(feed: Feed, error: unknown): void
}

export class Feed implements ReaderListener {
  readonly group: DeliveryGroup
  readonly #owner: FeedOwner
  #reader: PartitionReader | null = null
  #isOpening = false
  isClosed = false
  /** Among those that the owner looks at in its turn. */
  isAwake = false
  /** Its inbox has much to take already. */
  isHeld = false

  constructor(group: DeliveryGroup, owner: FeedOwner) {
    this.group = group
    this.#owner = owner
  }

  /** Null until it is open, which the owner is told. */
  reader(): PartitionReader | null {
    if (this.#reader === null && !this.#isOpening && !this.isClosed) void this.#open()
    // What the limits of the store have dropped while the group took nothing is passed over.
    this.#reader?.skipTrimmed()
    return this.#reader
  }

  /** What was read and not taken is read again. */
  rewind(): void {
    this.#reader?.close()
    this.#reader = null
  }

  close(): void {
    this.isClosed = true
    this.rewind()
  }

  readable(): void {
    if (!this.isClosed) this.#owner.awake(this)
  }

  grown(reader: PartitionReader): void {
    reader.close()
  }

  async #open(): Promise<void> {
    const { broker, channel } = this.#owner
    this.#isOpening = true
    try {
      // Reading would make it anew.
      if (!this.#owner.isThere) throw new TopicNotFoundError(channel)
      const [reader] = await broker.subscribe(channel, { kind: 'offset', offset: this.group.lastSent }, null, this)
      if (this.isClosed) reader?.close()
      else this.#reader = reader ?? null
    } catch (error) {
      if (!this.isClosed) this.#owner.unreadable(this, error)
      return
    } finally {
      this.#isOpening = false
    }
    if (!this.isClosed) this.#owner.awake(this)
  }
}
