/**
 * A subscription as the machine sees it: what it holds, what of that is due, and whether it can be sent to. Changed by its
 * group alone (delivery-group.ts), and by channel-subscriptions.ts.
 */
import { DueList } from './pending-message.js'
import type { DeliveryGroup, SubscribeRequest, Subscription } from './subscription.js'

/** What a member looks at of the group that it is in. */
export interface GroupOfMembers extends DeliveryGroup {
  readonly isAttended: boolean
}

export class GroupMember<Owner extends GroupOfMembers> implements Subscription {
  readonly id: number
  readonly group: Owner
  readonly clientId: string
  readonly inbox: string
  readonly ackInbox: string
  readonly queue: string
  readonly durableName: string
  readonly maxInFlight: number
  readonly ackWaitMs: number
  pending = 0
  isReady = false
  isFailing = false
  /** Nobody listened to its inbox when something was to be sent there. */
  isAbsent = false
  isGone = false
  /** About to leave with others of its client: it takes nothing over from them. */
  isLeaving = false
  readonly due = new DueList<GroupMember<Owner>>()
  /** What it holds is other than what was kept of it. */
  hasChanged = false
  /** Nothing is sent again before this: its client did not answer. */
  pausedUntilMs = 0
  /** The same, whatever is due: whoever listens had much to take. */
  pressedUntilMs = 0
  wakeMs = 0
  wakeIndex = -1

  constructor(id: number, group: Owner, request: SubscribeRequest) {
    this.id = id
    this.group = group
    this.clientId = request.clientId
    this.inbox = request.inbox
    this.ackInbox = request.ackInbox
    this.queue = request.queue
    this.durableName = request.durableName
    this.maxInFlight = request.maxInFlight
    this.ackWaitMs = request.ackWaitMs
  }

  /** How many more it takes. */
  get room(): number {
    return this.isReady && this.pending < this.maxInFlight ? this.maxInFlight - this.pending : 0
  }

  /** A dead client is not sent to again; of a queue group, somebody else may get it. */
  get isInVain(): boolean {
    return this.isFailing && this.group.queue === '' && !this.due.first?.isPinned
  }

  /** When something of it is to be sent again; Infinity for never, or not before somebody is there. */
  get dueMs(): number {
    const first = this.due.first
    if (first === null || !this.isReady) return Number.POSITIVE_INFINITY
    if (!this.group.isAttended && !this.isInVain) return Number.POSITIVE_INFINITY
    return Math.max(first.dueMs, this.pressedUntilMs, first.isPinned ? 0 : this.pausedUntilMs)
  }
}
