/**
 * One position in a channel and those who share it: who gets the next message, what waits for an ack, who takes over
 * what a member leaves behind. A plain or durable subscription is a group of one.
 *
 * Knows no records, no clock and no bytes: it is told the time, and says who is to get which sequence.
 * Long because the line of members and what each of them holds are counted together at every change.
 */
import { assert } from '../../../common/assert.js'
import type { GroupMember } from './group-member.js'
import { Pending, SequenceList } from './pending-message.js'
import type { DeliveryGroup, Subscription } from './subscription.js'

/** After this what a leaving member had is sent to others. */
export const TRANSFER_MS = 100
/** Deadlines follow each other an ack wait apart as long as nothing is sent later than this. */
const LATE_MS = 100
const COUNT_MAX = 0xffff_ffff

export type Member = GroupMember<Group>
export type Waiting = Pending<Member>

/** Told what changed, at once. */
export interface GroupListener {
  /** The state to keep is another. */
  changed(group: Group): void
  /** Something of the member is due at another time. */
  rescheduled(member: Member): void
  /** Whether anybody listens to its inbox. */
  isHeard(member: Member): boolean
  /** Nobody does: it gets nothing until `returned` is called. */
  absent(member: Member): void
}

export class Group implements DeliveryGroup {
  readonly id: number
  readonly queue: string
  readonly isDurable: boolean
  /** What `lastSent` was at first. */
  readonly start: number
  lastSent: number
  readonly waiting = new SequenceList<Member>()
  /** Sequences were skipped since the state was last kept whole. */
  hasJumped = false
  /** Something is done with since then. */
  hasAcked = false
  /** Something is due at another time since then. */
  hasTimed = false
  readonly #listener: GroupListener
  readonly #members: Member[] = []
  /** Who is first in line; the line goes round. */
  #head = 0
  /** The last that left a durable one. */
  #shadow: Member | null = null
  #pinned = 0
  #liveRoom = 0
  #failingRoom = 0
  #live = 0
  /** Members that are ready and not absent. */
  #present = 0

  constructor(id: number, queue: string, isDurable: boolean, start: number, listener: GroupListener) {
    this.id = id
    this.queue = queue
    this.isDurable = isDurable
    this.start = start
    this.lastSent = start
    this.#listener = listener
  }

  get pending(): number {
    return this.waiting.size
  }

  get isOffline(): boolean {
    return this.#members.length === 0
  }

  get members(): readonly Member[] {
    return this.#members
  }

  get shadow(): Member | null {
    return this.#shadow
  }

  get subscriptions(): readonly Subscription[] {
    return this.#shadow === null ? this.#members : [this.#shadow]
  }

  /** Something is to be sent before all that is new. */
  get hasPinned(): boolean {
    return this.#pinned > 0
  }

  /** Everything up to it is done with. */
  get floor(): number {
    return this.waiting.first === null ? this.lastSent : this.waiting.first.sequence - 1
  }

  /** Somebody is there to be sent to, as far as that is known. */
  get isAttended(): boolean {
    return this.#present > 0
  }

  get room(): number {
    if (this.#pinned > 0) return 0
    // Members whose clients do not answer get new messages only when there is nobody else.
    return this.#live > 0 ? this.#liveRoom : this.#failingRoom
  }

  /** The last in line. What nobody holds becomes its own and is sent to it as soon as it is ready. */
  join(member: Member): void {
    this.#members.splice(this.#head, 0, member)
    if (this.#members.length > 1) this.#head++
    if (this.#members.length > 1) return
    this.#shadow = null
    if (this.waiting.first !== null) this.#listener.changed(this)
    for (let entry = this.waiting.first; entry !== null; entry = entry.after) this.#adopt(member, entry)
  }

  /** After a restart: the last that was in it, or nobody any more. */
  restoreShadow(member: Member): void {
    member.isGone = true
    this.#shadow = member
  }

  /** After a restart: a message and who is to have it, in ascending order. If it is due already it comes before all that is new. */
  restore(sequence: number, member: Member | null, dueMs: number, nowMs: number): void {
    const isDue = member === null || dueMs <= nowMs
    const entry = new Pending<Member>(this, sequence, isDue ? null : member, dueMs)
    this.waiting.append(entry)
    if (member === null) return
    if (isDue) {
      this.#adopt(member, entry)
      return
    }
    this.#count(member, 1)
    this.#schedule(member, entry)
  }

  ready(member: Member): void {
    this.#facts(member, () => {
      member.isReady = true
    })
    this.#listener.rescheduled(member)
  }

  setFailing(member: Member, isFailing: boolean): void {
    this.#facts(member, () => {
      member.isFailing = isFailing
      member.pausedUntilMs = 0
    })
    this.#listener.rescheduled(member)
  }

  /** Whether anybody is there, looked at now. */
  look(): boolean {
    const isAnybodyHere = this.#members.some((member) => member.isReady && this.#isHere(member))
    this.#lookAtBusy()
    return isAnybodyHere
  }

  /** Those who answer and have no room keep new messages from those who do not answer: as long as they are here. */
  #lookAtBusy(): void {
    if (this.#live === 0 || this.#liveRoom > 0 || this.#failingRoom === 0) return
    for (const member of this.#members) if (member.isReady && !member.isFailing) this.#isHere(member)
  }

  /** Somebody listens again. */
  returned(member: Member): void {
    this.#facts(member, () => {
      member.isAbsent = false
    })
  }

  #isHere(member: Member): boolean {
    if (member.isAbsent) return false
    if (this.#listener.isHeard(member)) return true
    this.#facts(member, () => {
      member.isAbsent = true
    })
    this.#listener.absent(member)
    return false
  }

  /** Who gets a new message; null when it has to wait. Sequences in between are not there. */
  give(sequence: number, nowMs: number): Member | null {
    assert(sequence > this.lastSent, `sequence ${sequence} is not new after ${this.lastSent}`)
    const member = this.#choose(false)
    if (member === null) return null
    const entry = new Pending<Member>(this, sequence, member, nowMs + member.ackWaitMs)
    this.skip(sequence - 1)
    this.lastSent = sequence
    this.waiting.append(entry)
    this.#count(member, 1)
    this.#schedule(member, entry)
    this.#listener.changed(this)
    return member
  }

  /** Nothing up to `sequence` is there any more. */
  skip(sequence: number): void {
    if (sequence <= this.lastSent) return
    this.lastSent = sequence
    this.hasJumped = true
    this.#listener.changed(this)
  }

  /** False when nobody waits for it. */
  ack(sequence: number): boolean {
    const entry = this.waiting.get(sequence)
    return entry !== undefined && this.drop(entry)
  }

  /** Wait for it no more, acked or not. */
  drop(entry: Waiting): boolean {
    if (!this.waiting.remove(entry)) return false
    this.hasAcked = true
    this.#release(entry)
    this.#listener.changed(this)
    return true
  }

  /** Take what is due next out of the list of `member`, for its record to be looked up. */
  takeDue(member: Member): Waiting {
    const entry = member.due.first
    assert(entry !== null, 'nothing is due')
    member.due.remove(entry)
    entry.isOut = true
    return entry
  }

  /** Who gets a message again, room or not; null when it is done with, somebody else's affair by now, or nobody is there. */
  redeliver(entry: Waiting, nowMs: number): Member | null {
    const holder = entry.holder
    if (!entry.isOut || holder === null) return null
    entry.isOut = false
    if (this.#isOvertaking(entry, holder)) {
      this.#schedule(holder, entry)
      return null
    }
    const staysPut = this.queue === '' || (entry.isPinned && !holder.isFailing)
    const member = staysPut && this.#isHere(holder) ? holder : this.queue === '' ? null : this.#choose(true)
    if (member === null) {
      this.#schedule(holder, entry)
      return null
    }
    this.#unpin(entry)
    if (member !== holder) {
      this.#count(holder, -1)
      this.#count(member, 1)
      entry.holder = member
    }
    // What was held up, because nobody was there or somebody had much to take, is waited for from now on.
    const isInTime = nowMs - entry.expiryMs <= LATE_MS
    const dueMs = member === holder && isInTime ? entry.expiryMs + member.ackWaitMs : 0
    entry.redeliveries = entry.redeliveries === COUNT_MAX ? 1 : entry.redeliveries + 1
    this.#postpone(member, entry, dueMs > nowMs ? dueMs : nowMs + member.ackWaitMs)
    return member
  }

  /** What comes back is sent in order: behind something that was put back it waits as well. */
  #isOvertaking({ isPinned, sequence }: Waiting, { due: { first } }: Member): boolean {
    return isPinned && first?.isPinned === true && first.sequence < sequence
  }

  /** It is not sent now, and no later than it was to be. */
  defer(entry: Waiting): void {
    if (!entry.isOut || entry.holder === null) return
    entry.isOut = false
    this.#schedule(entry.holder, entry)
  }

  /** Nobody can say whether its record is there: ask again an ack wait later. */
  retry(entry: Waiting, nowMs: number): void {
    if (!entry.isOut || entry.holder === null) return
    entry.isOut = false
    this.#unpin(entry)
    this.#postpone(entry.holder, entry, nowMs + entry.holder.ackWaitMs)
  }

  /** `member` is here no more; others take over what it had. */
  leave(member: Member, nowMs: number): void {
    member.isGone = true
    const held = this.#heldBy(member)
    for (const entry of held) this.#release(entry)
    this.#facts(member, () => {
      member.isReady = false
    })
    const index = this.#members.indexOf(member)
    this.#members.splice(index, 1)
    if (index < this.#head) this.#head--
    if (this.#head >= this.#members.length) this.#head = 0
    if (this.#members.length === 0) this.#shadow = member
    else if (held.length > 0) this.#handOver(held, nowMs)
  }

  #handOver(held: readonly Waiting[], nowMs: number): void {
    const line = [...this.#members.slice(this.#head), ...this.#members.slice(0, this.#head)]
    const heirs = line.filter(({ isLeaving }) => !isLeaving)
    // If nobody stays, it waits for who comes next.
    if (heirs.length === 0) return
    for (const [turn, entry] of held.entries()) {
      const heir = heirs[turn % heirs.length] as Member
      entry.holder = heir
      entry.expiryMs = nowMs
      entry.dueMs = nowMs + TRANSFER_MS
      this.#count(heir, 1)
      this.#schedule(heir, entry)
    }
    this.#listener.changed(this)
  }

  /** In the order in which they are due; what is out for a lookup is due already. */
  #heldBy(member: Member): Waiting[] {
    const listed: Waiting[] = []
    for (let entry = member.due.first; entry !== null; entry = entry.later) listed.push(entry)
    if (listed.length === member.pending) return listed
    const out: Waiting[] = []
    for (let entry = this.waiting.first; entry !== null; entry = entry.after) {
      if (entry.holder === member && entry.isOut) out.push(entry)
    }
    return [...out, ...listed]
  }

  #choose(isForced: boolean): Member | null {
    const members = this.#members
    for (;;) {
      if (!isForced) this.#lookAtBusy()
      if (!isForced && this.room === 0) return null
      const at = this.#best(isForced)
      const member = at === null ? null : (members[(this.#head + at) % members.length] as Member)
      if (member === null) return null
      if (!this.#isHere(member)) continue
      if (at === 0) this.#head = (this.#head + 1) % members.length
      return member
    }
  }

  /** Who is to have it, counted from the head of the line. */
  #best(isForced: boolean): number | null {
    const members = this.#members
    let best: Member | null = null
    let bestAt = 0
    let spare: Member | null = null
    let spareAt = 0
    for (let at = 0; at < members.length; at++) {
      const member = members[(this.#head + at) % members.length] as Member
      if (!member.isReady || member.isAbsent) continue
      const isOpen = member.pending < member.maxInFlight
      if (isOpen && !member.isFailing && (best === null || member.pending < best.pending)) {
        best = member
        bestAt = at
        if (member.pending === 0) break
      }
      if (!isForced && !isOpen) continue
      if (spare === null || (spare.isFailing && !member.isFailing)) {
        spare = member
        spareAt = at
      }
    }
    if (best !== null) return bestAt
    return spare === null ? null : spareAt
  }

  #adopt(member: Member, entry: Waiting): void {
    entry.holder = member
    entry.dueMs = 0
    entry.isPinned = true
    this.#pinned++
    this.#count(member, 1)
    this.#schedule(member, entry)
  }

  /** Out of the hands of whoever holds it. */
  #release(entry: Waiting): void {
    const holder = entry.holder
    if (holder === null) return
    const wasInFront = entry.isPinned && holder.due.first === entry
    if (!entry.isOut) holder.due.remove(entry)
    entry.isOut = false
    entry.holder = null
    this.#unpin(entry)
    // The next may be due otherwise: what is not pinned is sent in vain to who does not answer.
    if (wasInFront) this.#listener.rescheduled(holder)
    this.#count(holder, -1)
  }

  #unpin(entry: Waiting): void {
    if (!entry.isPinned) return
    entry.isPinned = false
    this.#pinned--
  }

  #postpone(member: Member, entry: Waiting, dueMs: number): void {
    entry.expiryMs = dueMs
    entry.dueMs = dueMs
    this.#schedule(member, entry)
    this.#listener.changed(this)
  }

  #schedule(member: Member, entry: Waiting): void {
    member.due.insert(entry)
    this.hasTimed = true
    if (member.due.first === entry) this.#listener.rescheduled(member)
  }

  #count(member: Member, change: 1 | -1): void {
    const before = member.room
    member.pending += change
    member.hasChanged = true
    const grown = member.room - before
    if (member.isAbsent) return
    if (member.isFailing) this.#failingRoom += grown
    else this.#liveRoom += grown
  }

  /** Change what a member is, and keep the sums true. */
  #facts(member: Member, change: () => void): void {
    const wasAttended = this.isAttended
    this.#add(member, -1)
    change()
    this.#add(member, 1)
    // What is due, whosever it is, had nowhere to go.
    if (!wasAttended && this.isAttended) for (const each of this.#members) this.#listener.rescheduled(each)
  }

  #add(member: Member, sign: 1 | -1): void {
    if (!member.isReady || member.isAbsent) return
    this.#present += sign
    if (member.isFailing) this.#failingRoom += sign * member.room
    else {
      this.#liveRoom += sign * member.room
      this.#live += sign
    }
  }
}
