/**
 * All subscriptions of one channel: who may subscribe, who resumes what, who gets which message, what is sent again.
 *
 * Pure: it has no clock, no timer and reads nothing. Whoever runs it
 *  - calls `subscribe`, keeps what `takeWrites` hands out, answers the client, and then calls `ready`;
 *  - reads the log from `group.lastSent + 1` while `group.room > 0` and asks `give` who is to have each message;
 *  - at `nextWakeMs` asks `due` what is to be sent again, looks the records up, and asks `redeliver` who is to have
 *    them, or says `missing` or `failed`. An ack may come in between: then nobody is to have it;
 *  - keeps what `takeWrites` hands out, says so by `kept` or `lost`, and, while it `isUnsure`, sends nothing before that.
 */
import { Group, type GroupListener, type Member, type Waiting } from './delivery-group.js'
import { GroupMember } from './group-member.js'
import { type Moment, ORIGIN } from './moment.js'
import type { RestoredChannel, RestoredGroup } from './restore-subscriptions.js'
import {
  type DeliveryGroup,
  groupKey,
  type PendingMessage,
  REFUSAL,
  type Refusal,
  type StateWrite,
  type SubscribeOutcome,
  type SubscribeRequest,
  type Subscription,
} from './subscription.js'
import { SubscriptionWrites } from './subscription-writes.js'
import { WakeHeap } from './wake-heap.js'

/** What is due this soon is sent again with what is due now. */
const SLACK_MS = 15

/** Whoever has much to take is looked at again after so long. */
const PRESSED_MS = 100

export interface ChannelRules {
  /** Infinity for no limit. */
  readonly subscriptionsMax: number
  /** An active durable gives way to who asks for it anew. */
  readonly isDurableReplaced: boolean
}

/** Whoever runs the machine. */
export interface ChannelHost {
  /** Whether anybody would get what is sent there. */
  isHeard(inbox: string): boolean
  /** Whoever listens there has much to take already. */
  isPressed(inbox: string): boolean
  /** What is due again has to wait, because its client does not answer. */
  skipped(subscription: Subscription): void
}

export class ChannelSubscriptions {
  readonly channel: string
  readonly #rules: ChannelRules
  readonly #host: ChannelHost
  readonly #groups = new Map<string, Group>()
  readonly #byAckInbox = new Map<string, Member>()
  readonly #byInbox = new Map<string, Set<Member>>()
  readonly #byClient = new Map<string, Set<Member>>()
  readonly #wakes = new WakeHeap<Member>()
  readonly #absent = new Set<Member>()
  readonly #listener: GroupListener
  readonly #writes: SubscriptionWrites
  #offline = 0
  #nextId = 1

  constructor(channel: string, rules: ChannelRules, host: ChannelHost) {
    this.channel = channel
    this.#rules = rules
    this.#host = host
    this.#writes = new SubscriptionWrites(channel)
    this.#listener = {
      changed: (group) => this.#writes.changed(group),
      rescheduled: (member) => this.#reschedule(member),
      isHeard: ({ inbox }) => inbox !== '' && host.isHeard(inbox),
      absent: (member) => this.#absent.add(member),
    }
  }

  /** Of these the limit speaks: members, and durables that nobody is in. */
  get count(): number {
    return this.active + this.#offline
  }

  /** Members. A channel without any may be deleted when it is idle. */
  get active(): number {
    return this.#byAckInbox.size
  }

  /** Members whose inboxes nobody listens to, as far as that was noticed. `returned` is to be asked now and then. */
  get absent(): number {
    return this.#absent.size
  }

  groups(): Iterable<DeliveryGroup> {
    return this.#groups.values()
  }

  /** By the inbox of its acks, or else by that of its messages; null when no active one has it. */
  find(inbox: string): Subscription | null {
    if (inbox === '') return null
    return this.#byAckInbox.get(inbox) ?? this.#byInbox.get(inbox)?.values().next().value ?? null
  }

  subscriptionsOf(clientId: string): readonly Subscription[] {
    return [...(this.#byClient.get(clientId) ?? [])]
  }

  /** Whether the start position that a request names would count; it does not for what exists. */
  needsStart(request: SubscribeRequest): boolean {
    return !this.#groups.has(groupKey(request))
  }

  /**
   * What is new begins after `lastSent`. It gets nothing before `ready`; should its client never be told of it, `close`
   * it if it joined or resumed something, and `unsubscribe` it if it was created.
   */
  subscribe(request: SubscribeRequest, lastSent: number, nowMs: number): SubscribeOutcome {
    const known = this.#groups.get(groupKey(request))
    const holder = known !== undefined && request.queue === '' ? (known.members[0] ?? null) : null
    const refusal = this.#refusal(request, known, holder)
    if (refusal !== null) return { kind: 'refused', error: refusal }
    if (holder !== null) this.close(holder, nowMs)
    const shadow = known?.shadow ?? null
    if (shadow !== null) this.#offline--
    const id = shadow?.id ?? this.#newId()
    const group = known ?? this.#found(id, request, lastSent)
    const member = new GroupMember(id, group, request)
    this.#enter(member)
    this.#writes.keep(member, false)
    const kind = known === undefined ? 'created' : shadow === null ? 'joined' : 'resumed'
    return { kind, subscription: member, replaced: holder }
  }

  /** Its client has been told: from now on it gets messages. */
  ready(subscription: Subscription): void {
    const member = subscription as Member
    if (!member.isGone) member.group.ready(member)
  }

  /** False when nobody in its group waits for the sequence. */
  ack(subscription: Subscription, sequence: number): boolean {
    const member = subscription as Member
    return !member.isGone && member.group.ack(sequence)
  }

  /** It leaves; a durable that nobody is in any more stays. */
  close(subscription: Subscription, nowMs: number): void {
    this.#leave(subscription as Member, nowMs, true)
  }

  /** It leaves, and a durable that nobody is in any more is gone. */
  unsubscribe(subscription: Subscription, nowMs: number): void {
    this.#leave(subscription as Member, nowMs, false)
  }

  /** Close all that a client has, and say what that was. */
  closeClient(clientId: string, nowMs: number): readonly Subscription[] {
    const gone = [...(this.#byClient.get(clientId) ?? [])]
    for (const member of gone) member.isLeaving = true
    for (const member of gone) this.close(member, nowMs)
    return gone
  }

  /** The client answers its heartbeats no more, or again. */
  setFailing(clientId: string, isFailing: boolean): void {
    for (const member of this.#byClient.get(clientId) ?? []) {
      if (member.isFailing !== isFailing) member.group.setFailing(member, isFailing)
    }
  }

  /** False when nobody of the group is there: what is sent now would be missed, and come again after the ack wait only. */
  isAttended(group: DeliveryGroup): boolean {
    return (group as Group).look()
  }

  /** Somebody listens again to an inbox of these groups: they may have room, and things that are due. */
  returned(): ReadonlySet<DeliveryGroup> {
    const groups = new Set<DeliveryGroup>()
    for (const member of this.#absent) {
      if (!this.#listener.isHeard(member)) continue
      this.#absent.delete(member)
      member.group.returned(member)
      groups.add(member.group)
    }
    return groups
  }

  /**
   * Who gets a new message of the group: the subscription to send it to, or null when it has to wait. Sequences
   * between the last one and this are taken to be missing.
   */
  give(group: DeliveryGroup, sequence: number, nowMs: number): Subscription | null {
    return (group as Group).give(sequence, nowMs)
  }

  /** When to ask `due`, or null. May be too early, never too late. */
  get nextWakeMs(): number | null {
    return this.#wakes.first?.wakeMs ?? null
  }

  /** Up to `max` messages to look up now and to send again. Each must be followed by `redeliver`, `missing` or `failed`. */
  due(nowMs: number, max: number): PendingMessage[] {
    const due: Waiting[] = []
    for (let member = this.#wakes.first; member !== null && member.wakeMs <= nowMs; member = this.#wakes.first) {
      // What it was to wake for may have been acked.
      const untilMs = member.dueMs <= nowMs ? nowMs + SLACK_MS : nowMs
      while (member.dueMs <= untilMs) {
        if (due.length === max) return due
        if (member.isInVain) {
          member.pausedUntilMs = nowMs + Math.max(member.ackWaitMs, SLACK_MS + 1)
          this.#host.skipped(member)
        } else if (this.#isPressed(member, member.due.first?.isPinned)) {
          member.pressedUntilMs = nowMs + PRESSED_MS
        } else if (member.group.look()) due.push(member.group.takeDue(member))
      }
      this.#reschedule(member)
    }
    return due
  }

  /**
   * Whom to send it to, flagged, with `message.redeliveries`; null when nobody waits for it any more, or nobody who does
   * is there or can take it now.
   */
  redeliver(message: PendingMessage, nowMs: number): Subscription | null {
    const { holder, isPinned } = message as Waiting
    if (holder !== null && this.#isPressed(holder, isPinned)) this.defer(message)
    return (message.group as Group).redeliver(message as Waiting, nowMs)
  }

  /** It cannot be sent now: it is due as it was. */
  defer(message: PendingMessage): void {
    ;(message.group as Group).defer(message as Waiting)
  }

  /** Its record is not kept any more: nobody waits for it. */
  missing(message: PendingMessage): void {
    const entry = message as Waiting
    if (entry.isOut) (entry.group as Group).drop(entry)
  }

  /** Its record could not be read: it waits for another ack wait. */
  failed(message: PendingMessage, nowMs: number): void {
    ;(message.group as Group).retry(message as Waiting, nowMs)
  }

  /** Something is to be kept before what was given out is sent. */
  get isDirty(): boolean {
    return this.#writes.isDirty
  }

  /** Something may wait to be kept, but not for long: acks that a crash would undo. */
  get isLate(): boolean {
    return this.#writes.isLate
  }

  /**
   * What changed since the last call and has to be kept; `isWhole` asks for what may wait as well. Up to `ahead` messages
   * of each group may be said to be sent before they are; what was given out is said to be sent now.
   */
  takeWrites(isWhole: boolean, ahead = 0, now = ORIGIN): StateWrite[] {
    return this.#writes.take(isWhole, ahead, now)
  }

  /** As of the last `takeWrites`: something may be sent only when all that was handed out is kept. */
  get isUnsure(): boolean {
    return this.#writes.isUnsure
  }

  /** Of what `takeWrites` handed out. */
  kept(writes: readonly StateWrite[]): void {
    this.#writes.kept(writes)
  }

  /** The same, and nobody knows what is there: all of the state is to be written again. */
  lost(writes: readonly StateWrite[]): void {
    this.#writes.lost(writes)
    this.#writes.nextId(this.#nextId)
    for (const group of this.#groups.values()) this.#writes.again(group)
  }

  /** After a restart, before anything else: everybody is as ready as before, and gets what is due before what is new. */
  restore({ nextId, groups, dropped, droppedGroups, droppedOwners }: RestoredChannel, now = ORIGIN): void {
    this.#nextId = nextId
    for (const { id } of dropped) this.#writes.dropMember(id)
    for (const id of droppedOwners) this.#writes.dropMember(id)
    for (const id of droppedGroups) this.#writes.dropPosition(id)
    for (const restored of groups) this.#restoreGroup(restored, now)
  }

  /** The channel is deleted, and with it all that was kept of it. */
  discard(): StateWrite[] {
    for (const group of this.#groups.values()) {
      for (const { id } of group.subscriptions) this.#writes.dropMember(id)
      this.#writes.dropGroup(group)
    }
    this.#writes.dropIds()
    return this.#writes.take(true, 0, ORIGIN)
  }

  /** More would cost it its connection; of a group, others may get it, but for what it resumed and answers for. */
  #isPressed({ group, inbox, isFailing }: Member, isPinned: boolean | undefined): boolean {
    return (group.members.length === 1 || (isPinned === true && !isFailing)) && this.#host.isPressed(inbox)
  }

  #restoreGroup(restored: RestoredGroup, { ms, wallMs }: Moment): void {
    const { id, start, lastSent, kept, members, shadow, waiting, owners, dues, isCut } = restored
    const [first = shadow] = members
    if (first === null) return
    const group = this.#found(id, first, start)
    group.lastSent = lastSent
    const byId = new Map<number, Member>()
    for (const stored of members) {
      const member = new GroupMember(stored.id, group, stored)
      byId.set(stored.id, member)
      this.#enter(member)
    }
    if (shadow !== null) {
      const member = new GroupMember(shadow.id, group, shadow)
      group.restoreShadow(member)
      this.#offline++
      if (!shadow.isClosed) this.#writes.keep(member, true)
    }
    for (const sequence of waiting) {
      const member = byId.get(owners.get(sequence) ?? 0) ?? null
      const leftMs = (dues.get(sequence) ?? wallMs) - wallMs
      // The clock of the wall may have been set back: nobody waits for longer than asked for.
      group.restore(sequence, member, ms + Math.min(leftMs, member?.ackWaitMs ?? 0), ms)
    }
    // Written ahead, they would count as sent when anything else is written.
    if (group.hasPinned) this.#writes.changed(group)
    for (const member of byId.values()) group.ready(member)
    this.#writes.restored(group, kept, isCut)
  }

  #refusal(request: SubscribeRequest, known: Group | undefined, holder: Member | null): Refusal | null {
    if (request.queue !== '' && request.durableName.includes(':')) return REFUSAL.durableName
    if (holder !== null && !this.#rules.isDurableReplaced) return REFUSAL.duplicateDurable
    const isCounted = known === undefined || (request.queue !== '' && !known.isOffline)
    return isCounted && this.count >= this.#rules.subscriptionsMax ? REFUSAL.tooMany : null
  }

  #found(id: number, request: SubscribeRequest, lastSent: number): Group {
    const { queue, durableName } = request
    const isDurable = durableName !== ''
    const name = queue !== '' && isDurable ? `${durableName}:${queue}` : queue
    const group = new Group(id, name, isDurable, lastSent, this.#listener)
    this.#groups.set(groupKey(request), group)
    return group
  }

  #newId(): number {
    const id = this.#nextId++
    this.#writes.nextId(this.#nextId)
    return id
  }

  #enter(member: Member): void {
    member.group.join(member)
    this.#byAckInbox.set(member.ackInbox, member)
    addTo(this.#byInbox, member.inbox, member)
    addTo(this.#byClient, member.clientId, member)
  }

  #leave(member: Member, nowMs: number, staysDurable: boolean): void {
    if (member.isGone) return
    const { group } = member
    group.leave(member, nowMs)
    this.#wakes.delete(member)
    this.#absent.delete(member)
    this.#byAckInbox.delete(member.ackInbox)
    removeFrom(this.#byInbox, member.inbox, member)
    removeFrom(this.#byClient, member.clientId, member)
    if (group.isOffline && group.isDurable && staysDurable) {
      this.#offline++
      this.#writes.keep(member, true)
      return
    }
    this.#writes.dropMember(member.id)
    if (!group.isOffline) return
    this.#groups.delete(groupKey(member))
    this.#writes.dropGroup(group)
  }

  #reschedule(member: Member): void {
    const dueMs = member.dueMs
    if (dueMs === Number.POSITIVE_INFINITY || member.isGone) this.#wakes.delete(member)
    else this.#wakes.set(member, dueMs)
  }
}

function addTo<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  sets.set(key, (sets.get(key) ?? new Set<T>()).add(value))
}

function removeFrom<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  const set = sets.get(key)
  if (set?.delete(value) && set.size === 0) sets.delete(key)
}
