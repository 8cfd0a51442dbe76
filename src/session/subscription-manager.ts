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
import type { CommitFrame, EndedReason, SubscribeFrame, UnsubscribeFrame } from '../protocol/frames.js'
import type { Connection } from '../transport/connection.js'
import { type AssignedOwner, AssignedSubscription } from './assigned-subscription.js'
import { DeliveryWriter } from './delivery-writer.js'
import { endedReason } from './ended-reason.js'
import { GroupSubscription, type GroupSubscriptionOwner } from './group-subscription.js'
import { Subscription, type SubscriptionOwner } from './subscription.js'

const BACKOFF_STEPS_MAX = 32

export interface SubscriptionLimits {
  readonly subscriptionsMax: number
  readonly windowMax: number
  readonly deliveryBytesMax: number
  readonly outboxBytesMax: number
  readonly ackWaitMs: number
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

export class SubscriptionManager implements SubscriptionOwner, GroupSubscriptionOwner, AssignedOwner, TurnTask {
  readonly #peers: SubscriptionPeers
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #groups = new Map<number, GroupSubscription>()
  /** Members that have credit again. */
  readonly #going = new Set<GroupSubscription>()
  readonly #writer: DeliveryWriter
  /** Subscriptions to look at, in turn. */
  #queue: Subscription[] = []
  #isScheduled = false
  #isClosed = false

  constructor(peers: SubscriptionPeers) {
    this.#peers = peers
    this.#writer = new DeliveryWriter(peers.connection, peers.limits.deliveryBytesMax)
  }

  get size(): number {
    return this.#subscriptions.size + this.#groups.size
  }

  /** Resolves when the subscription is open; `start` then lets it deliver. Throws typed errors. */
  async subscribe(frame: SubscribeFrame): Promise<() => void> {
    const { broker, limits } = this.#peers
    this.#refuse(frame)
    // One of this number that has ended is not asked for any more.
    this.#subscriptions.get(frame.subscription)?.place?.leave()
    this.#subscriptions.delete(frame.subscription)
    if (frame.mode === 'shared') return await this.#join(frame)
    const subscription = new Subscription(frame.subscription, frame.topic, frame.window, this)
    // Reserved before the broker is asked, so that the number cannot be taken twice.
    this.#subscriptions.set(frame.subscription, subscription)
    try {
      if (this.size > limits.subscriptionsMax) throw tooMany(limits)
      if (frame.mode === 'partitioned' || frame.group !== '') return await this.#joinAssigned(frame, subscription)
      subscription.open(await broker.subscribe(frame.topic, frame.start, frame.untilOffset, subscription))
    } catch (error) {
      this.#subscriptions.delete(frame.subscription)
      throw error
    }
    if (this.#isClosed) subscription.close()
    return () => this.ready(subscription)
  }

  /** Null when it is done; forgetting takes longer. Throws SubscriptionNotFoundError, UnsupportedError. */
  unsubscribe({ subscription: id, forget }: UnsubscribeFrame): Promise<void> | null {
    const group = this.#groups.get(id)
    if (group !== undefined) {
      if (forget) throw forgetsNoGroup()
      this.#groups.delete(id)
      group.close()
      return null
    }
    const subscription = this.#require(id)
    const { place } = subscription
    if (forget && place?.mode === 'partitioned') throw forgetsNoGroup()
    subscription.close()
    place?.leave()
    this.#subscriptions.delete(id)
    if (!forget || place === null) return null
    // What another reader has taken over is not this one's to forget.
    if (place.reason !== null) return Promise.reject(place.reason)
    return this.#peers.broker.deleteGroup(place.topic, place.group)
  }

  /**
   * Give credit back. Null when that is done; a member of a group says something of its records with it, which is done
   * when it is safe. Throws SubscriptionNotFoundError, PartitionNotFoundError, UnsupportedError.
   */
  commit(frame: CommitFrame): Promise<void> | null {
    const group = this.#groups.get(frame.subscription)
    if (group !== undefined) return group.commit(frame)
    const subscription = this.#require(frame.subscription)
    if (subscription.place !== null) return subscription.place.commit(frame)
    if (frame.outcome !== 'ack') throw new UnsupportedError(`a cursor knows no outcome "${frame.outcome}", only acks`)
    subscription.commit(frame.partition, frame.offset, frame.offsets)
    if (subscription.isEnded) this.forgetIfDone(subscription)
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
    for (const subscription of this.#subscriptions.values()) {
      subscription.close()
      subscription.place?.leave()
    }
    for (const group of this.#groups.values()) group.close()
    this.#subscriptions.clear()
    this.#groups.clear()
    this.#going.clear()
    this.#writer.release()
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

  sendGroupRecords({ id }: GroupSubscription, delivery: GroupDelivery): void {
    this.#writer.groupRecords(id, delivery)
  }

  sendGroupLoss({ id }: GroupSubscription, partition: number, loss: Loss): void {
    this.#writer.loss(id, partition, loss)
  }

  endGroup({ id }: GroupSubscription, reason: EndedReason): void {
    this.#groups.delete(id)
    this.#writer.ended(id, reason)
  }

  sendAssigned(
    { id }: Subscription,
    generation: number,
    partitions: readonly number[],
    started: readonly number[],
  ): void {
    this.#writer.assigned(id, generation, partitions, started)
  }

  endAssigned(subscription: Subscription, reason: EndedReason): void {
    if (!subscription.isEnded) this.#end(subscription, reason)
  }

  forgetIfDone(subscription: Subscription): void {
    if (!subscription.isDone) return
    subscription.place?.leave()
    this.#subscriptions.delete(subscription.id)
  }

  async #join({
    subscription: id,
    topic,
    group,
    member: name,
    start,
    window,
    ackWaitMs,
    backoffMs,
  }: SubscribeFrame): Promise<() => void> {
    const { broker, limits } = this.#peers
    const subscription = new GroupSubscription(id, topic, window, this)
    this.#groups.set(id, subscription)
    try {
      if (this.size > limits.subscriptionsMax) throw tooMany(limits)
      const how = {
        member: this.#nameOf(name, id),
        start,
        ackWaitMs: ackWaitMs ?? limits.ackWaitMs,
        backoffMs,
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

  async #joinAssigned(frame: SubscribeFrame, subscription: Subscription): Promise<() => void> {
    const { topic, group, member: name, start, untilOffset, takeOver } = frame
    const mode = frame.mode === 'partitioned' ? 'partitioned' : 'cursor'
    const place = new AssignedSubscription(subscription, { topic, group, mode }, this)
    subscription.place = place
    const how = { mode, member: this.#nameOf(name, subscription.id), takeOver, start, untilOffset } as const
    const member = await this.#peers.broker.joinAssigned(topic, group, how, place)
    if (this.#isClosed) member.leave()
    else place.open(member)
    return () => place.start()
  }

  /** Whoever gives no name has that of its connection: nobody else has it, and operators can find it. */
  #nameOf(name: string, id: number): string {
    const { remote, id: connection } = this.#peers.connection
    return name === '' ? `${remote}#${connection}/${id}` : name
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
          this.#writer.records(subscription.id, reader)
          subscription.delivered(reader.partition, reader.baseOffset, reader.count)
          return true
        case 'lost':
          return this.#sendLoss(subscription, reader)
        case 'ended':
          ended++
          break
        case 'failed':
          this.#end(subscription, endedReason(reader.failure))
          return false
        case 'waiting':
          break
      }
    }
    if (ended > 0 && ended === readers.length && subscription.opening === 0) this.#end(subscription, 'until-reached')
    return false
  }

  #sendLoss(subscription: Subscription, reader: PartitionReader): boolean {
    const { loss, partition } = reader
    if (loss === null) return true
    if (loss.cause === 'lagged' && reader.slowConsumer === 'disconnect') {
      const message = `the subscriber lost records ${loss.from} to ${loss.to - 1} of topic "${subscription.topic}"`
      this.#peers.disconnect(new LeveretError('LVT_SLOW_CONSUMER', message, { topic: subscription.topic }))
      return false
    }
    this.#writer.loss(subscription.id, partition, loss)
    return true
  }

  #end(subscription: Subscription, reason: EndedReason): void {
    subscription.close()
    // A named cursor that has come to its end still commits what it was sent.
    if (reason !== 'until-reached') subscription.place?.leave()
    this.#writer.ended(subscription.id, reason)
    this.forgetIfDone(subscription)
  }

  #refuse(frame: SubscribeFrame): void {
    if (frame.mode !== 'cursor' && frame.untilOffset !== null) {
      throw new UnsupportedError(`an end is for cursors: members of mode "${frame.mode}" have no offsets in common`)
    }
    if (frame.backoffMs.length > BACKOFF_STEPS_MAX) {
      throw new InvalidArgumentError(`a back-off has at most ${BACKOFF_STEPS_MAX} steps`)
    }
    if (frame.backoffMs.length > 0 && frame.mode !== 'shared') {
      throw new UnsupportedError('only records of a shared group rest before they come again')
    }
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

function forgetsNoGroup(): UnsupportedError {
  return new UnsupportedError('to forget is for named cursors; ManageGroup deletes a group that others may use')
}

function tooMany({ subscriptionsMax }: SubscriptionLimits): SubscriptionLimitError {
  return new SubscriptionLimitError(`a connection has at most ${subscriptionsMax} subscriptions`)
}
