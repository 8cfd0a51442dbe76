/**
 * One subscription that is a member of a shared group: what it has been sent and has said nothing of, and so how much more
 * it may be sent. What a record is worth then, the group knows.
 */
import type { GroupDelivery, GroupListener, GroupMember, OffsetRange } from '../broker/group-member.js'
import { LeaseLostError } from '../common/errors.js'
import type { Loss } from '../model/record.js'
import type { CommitFrame, EndedReason } from '../protocol/frames.js'
import { endedReason } from './ended-reason.js'

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
  readonly #unsettled = new Map<number, Set<number>>()
  #count = 0

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
    const unsettled = this.#unsettled.get(partition) ?? new Set()
    this.#unsettled.set(partition, unsettled)
    this.#count -= unsettled.size
    for (let offset: number = from; offset < to; offset++) unsettled.add(offset)
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

  /** Resolves when what it says is safe. Rejects with LVT_LEASE_LOST if it does not count for all of the records. */
  async commit({ partition, offset, offsets, outcome, delayMs, reason }: CommitFrame): Promise<void> {
    const named = offset === null ? offsets : [...this.#heldUpTo(partition, offset), ...offsets]
    const ranges = rangesOf(named)
    const member = this.#member
    const settling = ranges.map((range) => member?.settle(partition, range, outcome, delayMs, reason) ?? [range])
    if (outcome !== 'extend') this.#forget(partition, named)
    this.#owner.goOnSoon(this)
    const stale = (await Promise.all(settling)).flat()
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

  #heldUpTo(partition: number, offset: number): number[] {
    return Array.from(this.#unsettled.get(partition) ?? []).filter((held) => held <= offset)
  }

  #forget(partition: number, offsets: readonly number[]): void {
    const unsettled = this.#unsettled.get(partition)
    for (const offset of offsets) if (unsettled?.delete(offset) === true) this.#count--
  }
}

/** As few ranges as say it. */
function rangesOf(offsets: readonly number[]): OffsetRange[] {
  const ranges: { from: number; to: number }[] = []
  for (const offset of offsets.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && offset <= last.to) last.to = Math.max(last.to, offset + 1)
    else ranges.push({ from: offset, to: offset + 1 })
  }
  return ranges
}
