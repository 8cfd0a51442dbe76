/**
 * One subscription that is a member of a shared group: what it has and has said nothing of, and so how much more
 * it may be sent. What a record is worth then, the group knows.
 */
import type { GroupDelivery, GroupListener, GroupMember, OffsetRange } from '../broker/group-member.js'
import { LeaseLostError } from '../common/errors.js'
import type { Loss } from '../model/record.js'
import type { CommitFrame, EndedReason } from '../protocol/frames.js'
import { endedReason } from './ended-reason.js'
import { joined, OffsetSet, rangesOf } from './offset-set.js'

const NOTHING_SAID: Promise<readonly OffsetRange[]> = Promise.resolve([])

/** Records that are remembered although their member has them no more; those before are forgotten. */
const EXPIRED_MAX = 65_536

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

/** Records of one partition that were sent, and nothing said of them. One that comes twice counts once. */
interface Sent {
  readonly held: OffsetSet
  /** Of what the member has no more, those that went last. Null: none. */
  expired: OffsetSet | null
}

export class GroupSubscription implements GroupListener {
  readonly id: number
  readonly #topic: string
  readonly #window: number
  readonly #owner: GroupSubscriptionOwner
  #member: GroupMember | null = null
  #isStarted = false
  #isLeaving = false
  /** By partition. */
  readonly #sent = new Map<number, Sent>()
  /** Records that it has, and has said nothing of. */
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
    if (!this.#isStarted || this.#isLeaving) return
    this.#member?.ask(this.#owner.isHeldBack ? 0 : this.#window - this.#count)
  }

  delivered(delivery: GroupDelivery): void {
    const { partition, from, to } = delivery
    let sent = this.#sent.get(partition)
    if (sent === undefined) {
      sent = { held: new OffsetSet(), expired: null }
      this.#sent.set(partition, sent)
    }
    this.#count -= sent.held.size
    sent.held.add(from, to)
    this.#count += sent.held.size
    sent.expired?.delete(from, to)
    this.#owner.sendGroupRecords(this, delivery)
    if (this.#owner.isHeldBack) this.#member?.ask(0)
  }

  /** Their places in the window are free. */
  expired(partition: number, from: number, to: number): void {
    const sent = this.#sent.get(partition)
    if (sent === undefined) return
    this.#count -= sent.held.size
    sent.held.delete(from, to)
    this.#count += sent.held.size
    // What a member that is silent for ever may speak of late must not grow for ever.
    if (sent.expired === null || sent.expired.size >= EXPIRED_MAX) sent.expired = new OffsetSet()
    sent.expired.add(from, to)
    this.#owner.goOnSoon(this)
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
    const sent = this.#sent.get(partition)
    const ranges = offset === null ? rangesOf(offsets) : joined(upTo(sent, offset), rangesOf(offsets))
    // Whoever releases is about to leave: what it gives back, and anything else, is for others.
    this.#isLeaving = outcome === 'release'
    if (this.#isLeaving) this.#member?.ask(0)
    // First: what is given back may come to this member again before the group has taken note of it.
    if (outcome !== 'extend' && sent !== undefined) this.#forget(sent, ranges)
    const settled = this.#settle(partition, ranges, { outcome, delayMs, reason })
    this.#owner.goOnSoon(this)
    if (settled !== this.#settled) {
      this.#settled = settled
      this.#answer = settled.then((stale) => this.#answerTo(settled, stale))
    }
    return this.#answer
  }

  #forget(sent: Sent, ranges: readonly OffsetRange[]): void {
    this.#count -= sent.held.size
    for (const { from, to } of ranges) {
      sent.held.delete(from, to)
      sent.expired?.delete(from, to)
    }
    this.#count += sent.held.size
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
    this.#sent.clear()
  }
}

/** What is spoken of as `everything up to`: also what it has no more, so that it hears whether that counts. */
function upTo(sent: Sent | undefined, last: number): readonly OffsetRange[] {
  if (sent === undefined) return []
  const held = sent.held.upTo(last)
  return sent.expired === null ? held : joined(held, sent.expired.upTo(last))
}
