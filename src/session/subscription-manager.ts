/**
 * All subscriptions of one connection: fair between them, within each one's credit, and never more than the socket
 * wants. Pulls from readers; nothing is buffered for a subscriber that has no credit or does not read.
 */
import type { Broker } from '../broker/broker.js'
import type { GroupDelivery } from '../broker/group-member.js'
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
import type { Loss } from '../model/record.js'
import { skipRecords } from '../model/run.js'
import { DELIVERY_HEADER_BYTES_MAX, encodeServerFrame, putDeliveryHeader } from '../protocol/encode-server.js'
import type { CommitFrame, DeliveryFrame, EndedReason, SubscribeFrame } from '../protocol/frames.js'
import type { Connection } from '../transport/connection.js'
import { GroupSubscription, type GroupSubscriptionOwner } from './group-subscription.js'
import { Subscription, type SubscriptionOwner } from './subscription.js'

/** Bodies up to this are copied next to their header: one small write is cheaper than two buffers. */
const COPIED_BYTES_MAX = 4096

/** How long a member of a group may be silent about a record, unless it says. */
const ACK_WAIT_MS = 30_000

type DeliveryFields = Omit<DeliveryFrame, 'kind' | 'id' | 'run'>

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

export class SubscriptionManager implements SubscriptionOwner, GroupSubscriptionOwner, TurnTask {
  readonly #peers: SubscriptionPeers
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #groups = new Map<number, GroupSubscription>()
  /** Members that have credit again. */
  readonly #going = new Set<GroupSubscription>()
  /** Where the last run of a group ended: the next one mostly begins there. */
  #cut: { body: Buffer; offset: number; position: number } | null = null
  /** Subscriptions to look at, in turn. */
  #queue: Subscription[] = []
  #isScheduled = false
  #isClosed = false

  constructor(peers: SubscriptionPeers) {
    this.#peers = peers
  }

  get size(): number {
    return this.#subscriptions.size + this.#groups.size
  }

  /** Resolves when the subscription is open; `start` then lets it deliver. Throws typed errors. */
  async subscribe(frame: SubscribeFrame): Promise<() => void> {
    const { broker, limits } = this.#peers
    this.#refuse(frame)
    if (frame.mode === 'shared') return await this.#join(frame)
    const subscription = new Subscription(frame.subscription, frame.topic, frame.window, this)
    // Reserved before the broker is asked, so that the number cannot be taken twice.
    this.#subscriptions.set(frame.subscription, subscription)
    if (this.size > limits.subscriptionsMax) {
      this.#subscriptions.delete(frame.subscription)
      throw tooMany(limits)
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
    const group = this.#groups.get(id)
    if (group !== undefined) {
      this.#groups.delete(id)
      group.close()
      return
    }
    this.#require(id).close()
    this.#subscriptions.delete(id)
  }

  /**
   * Give credit back. Null when that is done; a member of a group says something of its records with it, which is done
   * when it is safe. Throws SubscriptionNotFoundError, PartitionNotFoundError, UnsupportedError.
   */
  commit(frame: CommitFrame): Promise<void> | null {
    const group = this.#groups.get(frame.subscription)
    if (group !== undefined) return group.commit(frame)
    const subscription = this.#require(frame.subscription)
    if (frame.outcome !== 'ack') throw new UnsupportedError(`a cursor knows no outcome "${frame.outcome}", only acks`)
    subscription.commit(frame.partition, frame.offset, frame.offsets)
    if (subscription.isEnded) this.#forgetIfDone(subscription)
    else this.ready(subscription)
    return null
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
    for (const group of this.#groups.values()) group.goOn()
  }

  /** Deliver what there is to deliver, one batch from each subscription in turn. */
  runTurn(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    for (const group of this.#going) group.goOn()
    this.#going.clear()
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
    for (const group of this.#groups.values()) group.close()
    this.#subscriptions.clear()
    this.#groups.clear()
    this.#going.clear()
    this.#cut = null
    this.#queue = []
  }

  goOnSoon(subscription: GroupSubscription): void {
    this.#going.add(subscription)
    this.#schedule()
  }

  get isHeldBack(): boolean {
    const { connection, limits } = this.#peers
    return connection.isBlocked || connection.unsentBytes >= limits.outboxBytesMax
  }

  /** In as many frames as the limit of a frame wants. */
  sendGroupRecords({ id }: GroupSubscription, { partition, batch, from, to, deliveryCount }: GroupDelivery): void {
    const { body, timestampMs, baseOffset } = batch
    const { connection, limits } = this.#peers
    const cut = this.#cut !== null && this.#cut.body === body && this.#cut.offset <= from ? this.#cut : null
    let start = skipRecords(body, cut?.position ?? 0, from - (cut?.offset ?? baseOffset))
    for (let first: number = from; first < to; ) {
      let end = skipRecords(body, start, 1)
      let next = first + 1
      while (next < to) {
        const further = skipRecords(body, end, 1)
        if (further - start > limits.deliveryBytesMax) break
        end = further
        next++
      }
      this.#sendRun({ subscription: id, partition, baseOffset: first, timestampMs, deliveryCount }, body, start, end)
      start = end
      first = next
    }
    this.#cut = { body, offset: to, position: start }
    connection.flushSoon()
  }

  sendGroupLoss({ id }: GroupSubscription, partition: number, loss: Loss): void {
    this.#peers.connection.outbox.pass(
      encodeServerFrame({ kind: 'lost-range', id: 0, subscription: id, partition, ...loss }),
    )
    this.#peers.connection.flushSoon()
  }

  endGroup({ id }: GroupSubscription, reason: EndedReason): void {
    this.#groups.delete(id)
    this.#peers.connection.outbox.pass(encodeServerFrame({ kind: 'ended', id: 0, subscription: id, reason }))
    this.#peers.connection.flushSoon()
  }

  async #join({
    subscription: id,
    topic,
    group,
    member: name,
    start,
    window,
    ackWaitMs,
  }: SubscribeFrame): Promise<() => void> {
    const { broker, limits } = this.#peers
    const subscription = new GroupSubscription(id, topic, window, this)
    this.#groups.set(id, subscription)
    try {
      if (this.size > limits.subscriptionsMax) throw tooMany(limits)
      const how = {
        member: name,
        start,
        ackWaitMs: ackWaitMs ?? ACK_WAIT_MS,
        deliveryBytesMax: limits.deliveryBytesMax,
      }
      const member = await broker.join(topic, group, how, subscription)
      if (this.#isClosed) member.leave()
      else subscription.open(member)
    } catch (error) {
      this.#groups.delete(id)
      throw error
    }
    return () => subscription.start()
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
    const { body, bodyStart, bodyEnd, baseOffset, count, partition, timestampMs } = reader
    const fields = { subscription: subscription.id, partition, baseOffset, timestampMs, deliveryCount: 0 }
    this.#sendRun(fields, body, bodyStart, bodyEnd)
    subscription.delivered(partition, baseOffset, count)
  }

  #sendRun(fields: DeliveryFields, body: Buffer, bodyStart: number, bodyEnd: number): void {
    const { outbox } = this.#peers.connection
    const bytes = bodyEnd - bodyStart
    const isCopied = bytes <= COPIED_BYTES_MAX
    const slab = outbox.room(DELIVERY_HEADER_BYTES_MAX + (isCopied ? bytes : 0))
    let end = putDeliveryHeader(slab.buffer, slab.used, fields, bytes)
    if (isCopied) end += body.copy(slab.buffer, end, bodyStart, bodyEnd)
    outbox.wrote(end)
    if (!isCopied) outbox.pass(bytes === body.length ? body : body.subarray(bodyStart, bodyEnd))
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
    if (frame.mode === 'partitioned') throw new UnsupportedError('mode "partitioned" is not offered by this version')
    if (frame.mode === 'cursor' && frame.group !== '')
      throw new UnsupportedError('durable subscriptions are not offered by this version')
    if (frame.window > this.#peers.limits.windowMax) {
      throw new InvalidArgumentError(`a window has at most ${this.#peers.limits.windowMax} records`)
    }
    const known = this.#subscriptions.get(frame.subscription)
    if ((known !== undefined && !known.isEnded) || this.#groups.has(frame.subscription)) {
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

function tooMany({ subscriptionsMax }: SubscriptionLimits): SubscriptionLimitError {
  return new SubscriptionLimitError(`a connection has at most ${subscriptionsMax} subscriptions`)
}
