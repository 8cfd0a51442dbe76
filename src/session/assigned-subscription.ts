/**
 * How a subscription has its partitions when a group assigns them, as the reader of a named cursor or as a member of a
 * partitioned group: what it has, what it was asked to let go of, and how far its commits have come.
 */
import type { AssignedListener, AssignedMember } from '../broker/assigned-member.js'
import type { PartitionReader } from '../broker/partition-reader.js'
import { FencedError, UnsupportedError } from '../common/errors.js'
import { createLog } from '../common/log.js'
import { toOffset } from '../model/offset.js'
import type { CommitFrame, EndedReason } from '../protocol/frames.js'
import { endedReason } from './ended-reason.js'
import type { InFlight } from './in-flight.js'
import type { Subscription, SubscriptionPlace } from './subscription.js'

const log = createLog('session:assigned')

/** Writes what the subscription is told. */
export interface AssignedOwner {
  ready(subscription: Subscription): void
  sendAssigned(
    subscription: Subscription,
    generation: number,
    partitions: readonly number[],
    started: readonly number[],
  ): void
  /** Nothing more comes of it; its seat is gone. */
  endAssigned(subscription: Subscription, reason: EndedReason): void
  /** It has ended, and perhaps its last record was committed just now. */
  forgetIfDone(subscription: Subscription): void
}

/** A partition that was taken and is not confirmed: what was sent of it may still be committed. */
interface Leaving {
  readonly inFlight: InFlight
  readonly since: number
  readonly takenIn: number
}

interface Said {
  readonly generation: number
  readonly partitions: readonly number[]
  readonly started: readonly number[]
}

export class AssignedSubscription implements AssignedListener, SubscriptionPlace {
  readonly topic: string
  readonly group: string
  readonly mode: 'cursor' | 'partitioned'
  readonly #flow: Subscription
  readonly #owner: AssignedOwner
  #member: AssignedMember | null = null
  #generation = 0
  /** By partition that it has: the generation in which it was started. */
  readonly #since = new Map<number, number>()
  readonly #leaving = new Map<number, Leaving>()
  /** Null once the Subscribe is answered: nothing is said before that. */
  #unsaid: Said[] | null = []
  #reason: Error | null = null

  constructor(
    flow: Subscription,
    { topic, group, mode }: Pick<AssignedSubscription, 'topic' | 'group' | 'mode'>,
    owner: AssignedOwner,
  ) {
    this.topic = topic
    this.group = group
    this.mode = mode
    this.#flow = flow
    this.#owner = owner
  }

  get reason(): Error | null {
    return this.#reason
  }

  open(member: AssignedMember): void {
    this.#member = member
  }

  /** The answer to the Subscribe is on its way: the rest may follow. */
  start(): void {
    const unsaid = this.#unsaid ?? []
    this.#unsaid = null
    for (const { generation, partitions, started } of unsaid) {
      this.#owner.sendAssigned(this.#flow, generation, partitions, started)
    }
    if (this.#reason !== null) this.#owner.endAssigned(this.#flow, endedReason(this.#reason))
    else this.#owner.ready(this.#flow)
  }

  assigned(generation: number, partitions: readonly number[], started: readonly number[]): void {
    this.#generation = generation
    for (const partition of started) {
      this.#leaving.delete(partition)
      this.#flow.letGo(partition)
      this.#flow.begin(partition)
      this.#since.set(partition, generation)
    }
    const kept = new Set(partitions)
    for (const [partition, since] of this.#since) {
      if (kept.has(partition)) continue
      this.#since.delete(partition)
      const inFlight = this.#flow.letGo(partition)
      if (inFlight !== null) this.#leaving.set(partition, { inFlight, since, takenIn: generation })
    }
    if (this.#unsaid !== null) this.#unsaid.push({ generation, partitions, started })
    else if (!this.#flow.isEnded) this.#owner.sendAssigned(this.#flow, generation, partitions, started)
    this.#confirmIfDone()
    this.readable()
  }

  opened(reader: PartitionReader): void {
    this.#flow.add(reader)
    this.readable()
  }

  readable(): void {
    if (this.#unsaid === null) this.#owner.ready(this.#flow)
  }

  ended(reason: Error): void {
    log('the place in group %j of topic %j is gone: %s', this.group, this.topic, reason.message)
    this.#member = null
    this.#reason = reason
    this.#leaving.clear()
    if (this.#unsaid === null) this.#owner.endAssigned(this.#flow, endedReason(reason))
  }

  /**
   * Resolves when the position below which everything is committed is safe; null when there is nothing to be done.
   * Rejects with LVT_FENCED when the records are not this member's any more. Throws UnsupportedError.
   */
  commit({ partition, offset, offsets, outcome, generation }: CommitFrame): Promise<void> | null {
    if (outcome !== 'ack') throw new UnsupportedError(`mode "${this.mode}" knows no outcome "${outcome}", only acks`)
    if (offset === null && offsets.length === 0) {
      this.#confirm(generation === 0 ? this.#generation : Math.min(generation, this.#generation))
      return null
    }
    const inFlight = this.#inFlightUnder(partition, generation)
    inFlight?.commit(offset, offsets)
    const committing = this.#commit(partition, inFlight, generation)
    this.#confirmIfDone()
    if (this.#flow.isEnded) this.#owner.forgetIfDone(this.#flow)
    else this.readable()
    return committing
  }

  leave(): void {
    this.#member?.leave()
    this.#member = null
    this.#leaving.clear()
  }

  /** Null when it does not have the partition, or has begun it anew since. */
  #inFlightUnder(partition: number, generation: number): InFlight | null {
    const since = this.#since.get(partition)
    const leaving = this.#leaving.get(partition)
    const inFlight = since === undefined ? leaving?.inFlight : this.#flow.inFlightOf(partition)
    const isLate = generation !== 0 && generation < (since ?? leaving?.since ?? 0)
    return isLate ? null : (inFlight ?? null)
  }

  #commit(partition: number, inFlight: InFlight | null, generation: number): Promise<void> | null {
    if (this.#reason !== null) return Promise.reject(this.#reason)
    if (inFlight === null) return this.#refuse(partition, generation)
    const { position } = inFlight
    if (position === null) return null
    if (this.#member === null) return Promise.reject(this.#gone())
    return this.#member.commit(partition, toOffset(position), generation)
  }

  /** The group counts it; a position of 0 changes nothing, whatever it thinks. */
  async #refuse(partition: number, generation: number): Promise<never> {
    await this.#member?.commit(partition, toOffset(0), generation)
    const message = `partition ${partition} is not this member's any more, or is read anew since`
    throw new FencedError(message, { topic: this.topic })
  }

  #gone(): FencedError {
    return new FencedError('the place was given back, and what is committed now counts no more', { topic: this.topic })
  }

  #confirm(generation: number): void {
    for (const [partition, { takenIn }] of this.#leaving) if (takenIn <= generation) this.#leaving.delete(partition)
    this.#member?.confirm(generation)
  }

  /** Who has nothing in flight of what was taken has nothing to finish. */
  #confirmIfDone(): void {
    if (this.#leaving.size === 0) return
    for (const { inFlight } of this.#leaving.values()) if (inFlight.count > 0) return
    this.#confirm(this.#generation)
  }
}
