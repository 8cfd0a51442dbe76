/**
 * A member of a shared group, as sessions and gateways have it: a seat that the engine gave, and that counts as a use of
 * the topic while it is taken.
 */
import { unreachable } from '../common/assert.js'
import { type Offset, toOffset } from '../model/offset.js'
import type { Loss } from '../model/record.js'
import type { Start } from '../model/topic.js'
import type { Share, ShareDelivery, ShareMember } from '../storage/engine.js'
import type { Topic } from './topic.js'

/** Characters of what a member says for a rejection: it goes into a header of the dead letter. */
const REASON_LENGTH_MAX = 1024

export interface JoinHow {
  /** For operators. */
  readonly member: string
  /** Where the group begins, if it is new. */
  readonly start: Start
  readonly ackWaitMs: number
  readonly backoffMs: readonly number[]
  /** About the most that one delivery brings. */
  readonly deliveryBytesMax: number
  /** See ShareHow. */
  readonly settlesLikeTopic?: boolean
}

/** Records of one batch for one member. */
export type GroupDelivery = ShareDelivery

/** Whoever is told what a member gets. */
export interface GroupListener {
  delivered(delivery: GroupDelivery): void
  /** Records that it had, and has no more. */
  expired(partition: number, from: number, to: number, era: number): void
  lost(partition: number, loss: Loss): void
  /** Nothing more comes. */
  ended(reason: Error): void
  /** It asks for more than there is now; see ShareMember. */
  nothingLeft?(): void
}

/** What a member says of its records. */
export type GroupOutcome = 'ack' | 'retry' | 'reject' | 'extend' | 'release'

export interface OffsetRange {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

export class GroupMember implements ShareMember {
  readonly #topic: Topic
  readonly #listener: GroupListener
  readonly nothingLeft?: () => void
  #share: Share | null = null
  /** It ended, perhaps before it began. */
  #isOver = false

  constructor(topic: Topic, listener: GroupListener) {
    this.#topic = topic
    this.#listener = listener
    if (listener.nothingLeft !== undefined) this.nothingLeft = () => listener.nothingLeft?.()
  }

  /** The engine has given it a seat. */
  sit(share: Share): void {
    if (this.#isOver) return
    this.#share = share
    this.#topic.members++
  }

  /** So many records are wanted from now on. */
  ask(records: number): void {
    this.#share?.ask(records)
  }

  /** Resolves, when it is safe, with the ranges that the member does not have any more. Rejects with typed errors. */
  settle(
    partition: number,
    { from, to }: OffsetRange,
    outcome: GroupOutcome,
    delayMs: number,
    reason = '',
    era: number | null = null,
  ): Promise<readonly OffsetRange[]> {
    if (this.#share === null) return Promise.resolve([{ from, to }])
    return this.#share.settle(partition, toOffset(from), toOffset(to), verdictOf(outcome, delayMs, reason), era)
  }

  leave(): void {
    this.#share?.leave()
    this.#stand()
  }

  delivered(delivery: GroupDelivery): void {
    this.#listener.delivered(delivery)
  }

  expired(partition: number, from: Offset, to: Offset, era: number): void {
    this.#listener.expired(partition, from, to, era)
  }

  lost(partition: number, loss: Loss): void {
    this.#listener.lost(partition, loss)
  }

  ended(reason: Error): void {
    this.#isOver = true
    this.#stand()
    this.#listener.ended(reason)
  }

  #stand(): void {
    if (this.#share === null) return
    this.#share = null
    this.#topic.members--
  }
}

function verdictOf(outcome: GroupOutcome, delayMs: number, reason: string): Parameters<Share['settle']>[3] {
  switch (outcome) {
    case 'ack':
    case 'extend':
    case 'release':
      return { kind: outcome }
    case 'retry':
      return { kind: 'retry', delayMs: delayMs === 0 ? null : delayMs }
    case 'reject':
      return { kind: 'reject', reason: reason === '' ? 'rejected' : reason.slice(0, REASON_LENGTH_MAX) }
    default:
      return unreachable(outcome, 'broker/group-member')
  }
}
