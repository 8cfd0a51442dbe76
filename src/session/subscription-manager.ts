/**
 * All subscriptions of one connection: fair between them, within each one's credit, and never more than the socket
 * wants. Pulls from readers; nothing is buffered for a subscriber that has no credit or does not read.
 */
import type { Broker } from '../broker/broker.js'
import type { PartitionReader } from '../broker/partition-reader.js'
import type { Clock } from '../common/clock.js'
import {
  InvalidArgumentError,
  LeveretError,
  SubscriptionExistsError,
  SubscriptionLimitError,
  SubscriptionNotFoundError,
  UnsupportedError,
} from '../common/errors.js'
import type { Turn, TurnTask } from '../common/turn.js'
import { DELIVERY_HEADER_BYTES_MAX, encodeServerFrame, putDeliveryHeader } from '../protocol/encode-server.js'
import type { CommitFrame, EndedReason, SubscribeFrame } from '../protocol/frames.js'
import type { Connection } from '../transport/connection.js'
import { Subscription, type SubscriptionOwner } from './subscription.js'

/** Bodies up to this are copied next to their header: one small write is cheaper than two buffers. */
const COPIED_BYTES_MAX = 4096

export interface SubscriptionLimits {
  readonly subscriptionsMax: number
  readonly windowMax: number
  readonly deliveryBytesMax: number
  readonly outboxBytesMax: number
}

export interface SubscriptionPeers {
  readonly broker: Broker
  readonly clock: Clock
  readonly turn: Turn
  readonly connection: Connection
  readonly limits: SubscriptionLimits
  /** End the whole connection: a topic that disconnects slow consumers was overrun. */
  readonly disconnect: (error: LeveretError) => void
}

export class SubscriptionManager implements SubscriptionOwner, TurnTask {
  readonly #peers: SubscriptionPeers
  readonly #subscriptions = new Map<number, Subscription>()
  /** Subscriptions to look at, in turn. */
  #queue: Subscription[] = []
  #isScheduled = false
  #isClosed = false

  constructor(peers: SubscriptionPeers) {
    this.#peers = peers
  }

  get size(): number {
    return this.#subscriptions.size
  }

  /** Resolves when the subscription is open; `start` then lets it deliver. Throws typed errors. */
  async subscribe(frame: SubscribeFrame): Promise<() => void> {
    const { broker, limits } = this.#peers
    this.#refuse(frame)
    const subscription = new Subscription(frame.subscription, frame.topic, frame.window, this)
    // Reserved before the broker is asked, so that the number cannot be taken twice.
    this.#subscriptions.set(frame.subscription, subscription)
    if (this.#subscriptions.size > limits.subscriptionsMax) {
      this.#subscriptions.delete(frame.subscription)
      throw new SubscriptionLimitError(`a connection has at most ${limits.subscriptionsMax} subscriptions`)
    }
    try {
      subscription.open(await broker.subscribe(frame.topic, frame.start, frame.untilOffset, subscription))
    } catch (error) {
      this.#subscriptions.delete(frame.subscription)
      throw error
    }
    if (this.#isClosed) subscription.close()
    return () => this.ready(subscription)
  }

  /** Throws SubscriptionNotFoundError. */
  unsubscribe(id: number): void {
    this.#require(id).close()
    this.#subscriptions.delete(id)
  }

  /** Give credit back. Throws SubscriptionNotFoundError, PartitionNotFoundError, UnsupportedError. */
  commit(frame: CommitFrame): void {
    const subscription = this.#require(frame.subscription)
    if (frame.outcome !== 'ack') throw new UnsupportedError(`a cursor knows no outcome "${frame.outcome}", only acks`)
    subscription.commit(frame.partition, frame.offset, frame.offsets)
    if (subscription.isEnded) this.#forgetIfDone(subscription)
    else this.ready(subscription)
  }

  ready(subscription: Subscription): void {
    if (subscription.isQueued || subscription.isEnded || this.#isClosed) return
    subscription.isQueued = true
    this.#queue.push(subscription)
    this.#schedule()
  }

  /** The socket takes more. */
  drained(): void {
    if (this.#queue.length > 0) this.#schedule()
  }

  /** Deliver what there is to deliver, one batch from each subscription in turn. */
  runTurn(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    const { connection, limits, clock } = this.#peers
    const queue = this.#queue
    const nowMs = clock.monotonic()
    let looked = 0
    while (looked < queue.length && !connection.isBlocked && connection.unsentBytes < limits.outboxBytesMax) {
      const subscription = queue[looked++] as Subscription
      subscription.isQueued = false
      if (this.#deliver(subscription, nowMs) && !subscription.isQueued) {
        subscription.isQueued = true
        queue.push(subscription)
      }
    }
    // A slow consumer was disconnected on the way: Closing was the last word.
    if (this.#isClosed) return
    this.#queue = looked === queue.length ? [] : queue.slice(looked)
    connection.flushSoon()
  }

  close(): void {
    this.#isClosed = true
    for (const subscription of this.#subscriptions.values()) subscription.close()
    this.#subscriptions.clear()
    this.#queue = []
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#peers.turn.afterwards(this)
  }

  /** Send one thing; says whether there may be more right away. */
  #deliver(subscription: Subscription, nowMs: number): boolean {
    const { credit, readers } = subscription
    if (credit <= 0 || subscription.isEnded) return false
    let ended = 0
    for (let tried = 0; tried < readers.length; tried++) {
      const reader = subscription.nextReader()
      switch (reader.take(credit, this.#peers.limits.deliveryBytesMax, nowMs)) {
        case 'records':
          this.#sendRecords(subscription, reader)
          return true
        case 'lost':
          return this.#sendLoss(subscription, reader)
        case 'ended':
          ended++
          break
        case 'failed':
          this.#end(subscription, reader.failure?.code === 'LVT_TOPIC_NOT_FOUND' ? 'topic-deleted' : 'failed')
          return false
        case 'waiting':
          break
      }
    }
    if (ended === readers.length) this.#end(subscription, 'until-reached')
    return false
  }

  #sendRecords(subscription: Subscription, reader: PartitionReader): void {
    const { outbox } = this.#peers.connection
    const { body, bodyStart, bodyEnd, baseOffset, count, partition, timestampMs } = reader
    const bytes = bodyEnd - bodyStart
    const isCopied = bytes <= COPIED_BYTES_MAX
    const slab = outbox.room(DELIVERY_HEADER_BYTES_MAX + (isCopied ? bytes : 0))
    const fields = { subscription: subscription.id, partition, baseOffset, timestampMs, deliveryCount: 0 }
    let end = putDeliveryHeader(slab.buffer, slab.used, fields, bytes)
    if (isCopied) end += body.copy(slab.buffer, end, bodyStart, bodyEnd)
    outbox.wrote(end)
    if (!isCopied) outbox.pass(bytes === body.length ? body : body.subarray(bodyStart, bodyEnd))
    subscription.delivered(partition, baseOffset, count)
  }

  #sendLoss(subscription: Subscription, reader: PartitionReader): boolean {
    const { loss, partition } = reader
    if (loss === null) return true
    if (loss.cause === 'lagged' && reader.slowConsumer === 'disconnect') {
      const message = `the subscriber lost records ${loss.from} to ${loss.to - 1} of topic "${subscription.topic}"`
      this.#peers.disconnect(new LeveretError('LVT_SLOW_CONSUMER', message, { topic: subscription.topic }))
      return false
    }
    const frame = { kind: 'lost-range', id: 0, subscription: subscription.id, partition, ...loss } as const
    this.#peers.connection.outbox.pass(encodeServerFrame(frame))
    return true
  }

  #end(subscription: Subscription, reason: EndedReason): void {
    subscription.close()
    const frame = { kind: 'ended', id: 0, subscription: subscription.id, reason } as const
    this.#peers.connection.outbox.pass(encodeServerFrame(frame))
    this.#forgetIfDone(subscription)
  }

  #forgetIfDone(subscription: Subscription): void {
    if (subscription.credit === subscription.window) this.#subscriptions.delete(subscription.id)
  }

  #refuse(frame: SubscribeFrame): void {
    if (frame.mode !== 'cursor') throw new UnsupportedError(`mode "${frame.mode}" is not offered by this version`)
    if (frame.group !== '') throw new UnsupportedError('durable subscriptions are not offered by this version')
    if (frame.window > this.#peers.limits.windowMax) {
      throw new InvalidArgumentError(`a window has at most ${this.#peers.limits.windowMax} records`)
    }
    const known = this.#subscriptions.get(frame.subscription)
    if (known !== undefined && !known.isEnded) {
      throw new SubscriptionExistsError(`the connection already has a subscription ${frame.subscription}`)
    }
  }

  #require(id: number): Subscription {
    const subscription = this.#subscriptions.get(id)
    if (subscription === undefined) {
      throw new SubscriptionNotFoundError(`the connection has no subscription ${id}`)
    }
    return subscription
  }
}
