/**
 * One subscription that is a member of a shared group: what it has been sent and has said nothing of, and so how much more
 * it may be sent. What a record is worth then, the group knows.
 */
import type { GroupDelivery, GroupListener, GroupMember, OffsetRange } from '../broker/group-member.js'
import { LeaseLostError } from '../common/errors.js'
import type { Loss } from '../model/record.js'
import type { CommitFrame, EndedReason } from '../protocol/frames.js'
import { endedReason } from './ended-reason.js'
import { joined, OffsetSet, rangesOf } from './offset-set.js'

const NOTHING_SAID: Promise<readonly OffsetRange[]> = Promise.resolve([])

/** Writes what the subscription gets. */
export interface GroupSubscriptionOwner {
  /** Nothing more can be sent until `goOn`. */
  readonly isHeldBack: boolean
  /** Let it go on when what the peer said in this turn is read: many Commits give one delivery, not as many. */
  goOnSoon(subscription: GroupSubscription): void
  sendGroupRecords(subscription: GroupSubscription, delivery: GroupDelivery): void
  sendGroupLoss(subscription: GroupSubscription, partition: number, loss: Loss): void
  endGroup(subscription: GroupSubscription, reason: EndedReason): void
}

export class GroupSubscription implements GroupListener {
  readonly id: number
  readonly #topic: string
  readonly #window: number
  readonly #owner: GroupSubscriptionOwner
  #member: GroupMember | null = null
  #isStarted = false
  /** By partition: sent, and nothing said of it. A record that comes twice counts once. */
  readonly #unsettled = new Map<number, OffsetSet>()
  #count = 0
  /** What became of the last Commit, and what is answered to it. */
  #settled: Promise<readonly OffsetRange[]> | null = null
  #answer: Promise<void> = Promise.resolve()

  constructor(id: number, topic: string, window: number, owner: GroupSubscriptionOwner) {
    this.id = id
    this.#topic = topic
    this.#window = window
    this.#owner = owner
  }

  open(member: GroupMember): void {
    this.#member = member
  }

  /** The answer to the Subscribe is on its way: records may follow. */
  start(): void {
    this.#isStarted = true
    this.goOn()
  }

  /** Ask for as much as the window and the socket allow. */
  goOn(): void {
    if (this.#isStarted) this.#member?.ask(this.#owner.isHeldBack ? 0 : this.#window - this.#count)
  }

  delivered(delivery: GroupDelivery): void {
    const { partition, from, to } = delivery
    const unsettled = this.#unsettled.get(partition) ?? new OffsetSet()
    this.#unsettled.set(partition, unsettled)
    this.#count -= unsettled.size
    unsettled.add(from, to)
    this.#count += unsettled.size
    this.#owner.sendGroupRecords(this, delivery)
    if (this.#owner.isHeldBack) this.#member?.ask(0)
  }

  lost(partition: number, loss: Loss): void {
    this.#owner.sendGroupLoss(this, partition, loss)
  }

  ended(reason: Error): void {
    this.#member = null
    this.#owner.endGroup(this, endedReason(reason))
  }

  /**
   * Resolves when what it says is safe. Rejects with LVT_LEASE_LOST if it does not count for all of the records. Commits
   * that become safe together have one promise: a member may say each record in a frame of its own.
   */
  commit({ partition, offset, offsets, outcome, delayMs, reason }: CommitFrame): Promise<void> {
    const unsettled = this.#unsettled.get(partition)
    const ranges = offset === null ? rangesOf(offsets) : joined(unsettled?.upTo(offset) ?? [], rangesOf(offsets))
    const settled = this.#settle(partition, ranges, { outcome, delayMs, reason })
    if (outcome !== 'extend' && unsettled !== undefined) {
      this.#count -= unsettled.size
      for (const { from, to } of ranges) unsettled.delete(from, to)
      this.#count += unsettled.size
    }
    this.#owner.goOnSoon(this)
    if (settled !== this.#settled) {
      this.#settled = settled
      this.#answer = settled.then((stale) => this.#answerTo(settled, stale))
    }
    return this.#answer
  }

  /** One promise for all ranges where that is possible: mostly they are written together. */
  #settle(
    partition: number,
    ranges: readonly OffsetRange[],
    { outcome, delayMs, reason }: Pick<CommitFrame, 'outcome' | 'delayMs' | 'reason'>,
  ): Promise<readonly OffsetRange[]> {
    const member = this.#member
    if (member === null) return Promise.resolve(ranges)
    const [only] = ranges
    if (only !== undefined && ranges.length === 1) return member.settle(partition, only, outcome, delayMs, reason)
    const different = new Set<Promise<readonly OffsetRange[]>>()
    for (const range of ranges) different.add(member.settle(partition, range, outcome, delayMs, reason))
    const [first = NOTHING_SAID] = different
    return different.size <= 1 ? first : Promise.all(different).then((stale) => stale.flat())
  }

  #answerTo(settled: Promise<readonly OffsetRange[]>, stale: readonly OffsetRange[]): void {
    // Nobody asks for it any more.
    if (this.#settled === settled) this.#settled = null
    if (stale.length === 0) return
    const lost = stale.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + index))
    const message = `${lost.length} of these records are not this member's any more, the first of them ${lost[0]}`
    throw new LeaseLostError(message, { topic: this.#topic, offsets: lost })
  }

  close(): void {
    this.#member?.leave()
    this.#member = null
    this.#unsettled.clear()
  }
}
