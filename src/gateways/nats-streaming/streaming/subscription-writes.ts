/**
 * Gathers what changed in the subscriptions of a channel, as writes to keep. How far a group has come is written
 * whenever it changed, in a few bytes; what was acked out of order is written with it while it is short, and else with
 * what may wait for a little, so that a busy group costs one small record a turn however much it has in flight.
 *
 * What is sent must be known to be sent, whenever the process dies. So that nobody waits for that in each turn, it may be
 * said ahead, for as many as there is room for, and taken back when nothing was sent for a while.
 */
import type { Group, Member } from './delivery-group.js'
import type { Moment } from './moment.js'
import type { StateWrite } from './subscription.js'
import {
  type DueRange,
  encodeDues,
  encodeNextId,
  encodePosition,
  encodeRanges,
  encodeSubscription,
  type SequenceRange,
  type StoredPosition,
  stateKey,
} from './subscription-state.js'

/** So much in flight is looked through in every turn. */
const SHORT = 256
/** What is due this close together, or within this share of the ack wait, is kept as due at one time. */
const SAME_MS = 100
const SAME_SHARE = 128

/** What was written last of a group. */
interface Written {
  /** Perhaps ahead of what was sent. */
  lastSent: number
  floor: number
  /** Up to it, everything is kept to be sent, whichever of the writes that are under way are. */
  sure: number
  /** With what `lastSent` was written, until that is kept. */
  writes: readonly StateWrite[] | null
  /** What was sent when it was last looked at with all that may wait. */
  lookedAt: number
  readonly positionKey: string
  readonly ackKey: string
  readonly dueKey: string
}

export class SubscriptionWrites {
  readonly #channel: string
  readonly #now = new Map<string, Buffer | null>()
  readonly #changed = new Set<Group>()
  /** They have something that may wait. */
  readonly #late = new Set<Group>()
  readonly #written = new WeakMap<Group, Written>()
  readonly #asked = new WeakMap<readonly StateWrite[], Written[]>()
  /** Something was given out of which nobody may know after a crash, until what is under way is kept. */
  isUnsure = false

  constructor(channel: string) {
    this.#channel = channel
  }

  get isDirty(): boolean {
    return this.#now.size > 0 || this.#changed.size > 0
  }

  get isLate(): boolean {
    return this.#late.size > 0
  }

  changed(group: Group): void {
    this.#changed.add(group)
  }

  nextId(nextId: number): void {
    this.#now.set(stateKey('ids', 0, this.#channel), encodeNextId(nextId))
  }

  keep(member: Member, isClosed: boolean): void {
    const { id, group, clientId, inbox, ackInbox, queue, durableName, maxInFlight, ackWaitMs } = member
    const stored = { id, isClosed, clientId, inbox, ackInbox, queue, durableName, maxInFlight, ackWaitMs }
    const value = encodeSubscription({ ...stored, group: group.id, start: group.start })
    this.#now.set(stateKey('sub', id, this.#channel), value)
  }

  /** `kept` was there at the restart; if it is `cut` back, what was acked is not as it was kept. */
  restored(group: Group, kept: StoredPosition, isCut: boolean): void {
    const written = this.#writtenOf(group)
    written.lastSent = kept.lastSent
    written.floor = kept.floor
    if (isCut) {
      this.#now.set(written.ackKey, null)
      this.#now.set(written.dueKey, null)
      group.hasAcked = true
      group.hasJumped = true
      group.hasTimed = true
    }
    if (isCut || kept.lastSent !== group.lastSent || kept.floor !== group.floor) this.#changed.add(group)
  }

  dropIds(): void {
    this.#now.set(stateKey('ids', 0, this.#channel), null)
  }

  /** A subscription is gone; its group may go on. */
  dropMember(id: number): void {
    this.#now.set(stateKey('sub', id, this.#channel), null)
    this.#now.set(stateKey('own', id, this.#channel), null)
  }

  dropGroup(group: Group): void {
    this.#changed.delete(group)
    this.#late.delete(group)
    this.dropPosition(group.id)
  }

  dropPosition(group: number): void {
    this.#now.set(stateKey('pos', group, this.#channel), null)
    this.#now.set(stateKey('ack', group, this.#channel), null)
    this.#now.set(stateKey('due', group, this.#channel), null)
  }

  /** In an order of which each beginning is a state that something less has happened to. */
  take(isWhole: boolean, ahead: number, now: Moment): StateWrite[] {
    const writes: StateWrite[] = []
    const asked: Written[] = []
    this.#asked.set(writes, asked)
    this.isUnsure = false
    for (const [key, value] of this.#now) writes.push({ key, value })
    this.#now.clear()
    const late = isWhole ? [...this.#late].filter((group) => !this.#changed.has(group)) : []
    for (const group of this.#changed) this.#takeGroup(group, isWhole, ahead, now, writes, asked)
    this.#changed.clear()
    for (const group of late) this.#takeGroup(group, true, ahead, now, writes, asked)
    return writes
  }

  /** What `take` handed out is kept. */
  kept(writes: readonly StateWrite[]): void {
    for (const written of this.#asked.get(writes) ?? []) {
      if (written.writes !== writes) continue
      written.sure = written.lastSent
      written.writes = null
    }
  }

  /** What `take` handed out is not kept: what is to go has still to go. Of what stays everything is to be written again. */
  lost(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) if (value === null && !this.#now.has(key)) this.#now.set(key, null)
  }

  /** Write it as if nothing had been written of it. */
  again(group: Group): void {
    for (const member of group.members) {
      this.keep(member, false)
      member.hasChanged = true
    }
    if (group.shadow !== null) this.keep(group.shadow, true)
    group.hasAcked = true
    group.hasJumped = true
    group.hasTimed = true
    // Of no group is this true.
    this.#writtenOf(group).lastSent = -1
    this.#changed.add(group)
  }

  #takeGroup(group: Group, isWhole: boolean, ahead: number, now: Moment, writes: StateWrite[], asked: Written[]): void {
    const { floor, pending } = group
    const written = this.#writtenOf(group)
    const lastSent = sayAhead(group, written, isWhole, ahead)
    if (isWhole) written.lookedAt = group.lastSent
    if (written.lastSent !== lastSent || written.floor !== floor) {
      written.lastSent = lastSent
      written.floor = floor
      written.sure = Math.min(written.sure, lastSent)
      written.writes = writes
      asked.push(written)
      writes.push({
        key: written.positionKey,
        value: encodePosition({ lastSent, floor, sent: group.lastSent, atMs: Math.round(now.wallMs) }),
      })
    }
    if (group.lastSent > written.sure) this.isUnsure = true
    this.#takeDone(group, isWhole, pending, written, writes)
    if (isWhole) takeDues(group, now, written, writes)
    else if (group.hasTimed && pending > 0) this.#late.add(group)
    if (lastSent > group.lastSent) this.#late.add(group)
  }

  #takeDone(group: Group, isWhole: boolean, pending: number, written: Written, writes: StateWrite[]): void {
    const { lastSent, floor } = group
    const isQueue = group.members.length > 1
    const isDue = isWhole || group.hasJumped || pending <= SHORT
    if ((group.hasAcked || group.hasJumped) && lastSent - floor > pending) {
      if (isDue) writes.push({ key: written.ackKey, value: encodeRanges(doneRanges(group)) })
      else this.#late.add(group)
    }
    if (isDue) {
      group.hasAcked = false
      group.hasJumped = false
    }
    if (isQueue && isWhole) this.#takeOwners(group, writes)
    else if (isQueue) this.#late.add(group)
    if (isWhole) this.#late.delete(group)
  }

  #takeOwners(group: Group, writes: StateWrite[]): void {
    const held = new Map<Member, SequenceRange[]>()
    for (const member of group.members) if (member.hasChanged) held.set(member, [])
    for (let entry = group.waiting.first; entry !== null; entry = entry.after) {
      const ranges = entry.holder === null ? undefined : held.get(entry.holder)
      if (ranges !== undefined) extend(ranges, entry.sequence)
    }
    for (const [member, ranges] of held) {
      member.hasChanged = false
      writes.push({ key: stateKey('own', member.id, this.#channel), value: encodeRanges(ranges) })
    }
  }

  #writtenOf(group: Group): Written {
    let written = this.#written.get(group)
    if (written === undefined) {
      const positionKey = stateKey('pos', group.id, this.#channel)
      written = {
        lastSent: group.start,
        floor: group.start,
        sure: group.start,
        writes: null,
        lookedAt: -1,
        positionKey,
        ackKey: stateKey('ack', group.id, this.#channel),
        dueKey: stateKey('due', group.id, this.#channel),
      }
      this.#written.set(group, written)
    }
    return written
  }
}

/** What to write as sent: as much as is, or as may be soon. */
function sayAhead({ lastSent, floor, room }: Group, written: Written, isWhole: boolean, ahead: number): number {
  const isAtRest = isWhole && written.lookedAt === lastSent
  if (ahead === 0 || isAtRest) return lastSent
  const said = Math.max(written.lastSent, lastSent)
  const most = Math.min(ahead, room)
  // What is written anyhow says as much as it can.
  const isNear = written.floor !== floor || (said - lastSent) * 2 < most
  return isNear ? Math.max(said, lastSent + most) : said
}

/** While nothing waits, an old list does no harm: it speaks of what is done with. */
function takeDues(group: Group, now: Moment, { dueKey }: Written, writes: StateWrite[]): void {
  if (group.hasTimed && group.pending > 0) {
    writes.push({ key: dueKey, value: encodeDues({ to: group.lastSent, ranges: dueRanges(group, now) }) })
  }
  group.hasTimed = false
}

/** What is due already, or waits for who comes next, is not in it. */
function dueRanges(group: Group, { ms, wallMs }: Moment): DueRange[] {
  const ranges: DueRange[] = []
  let range: DueRange | null = null
  let firstMs = 0
  for (let entry = group.waiting.first; entry !== null; entry = entry.after) {
    const { holder, sequence } = entry
    if (holder === null || entry.dueMs <= ms) {
      range = null
      continue
    }
    const dueMs = Math.round(entry.dueMs - ms + wallMs)
    const sameMs = Math.max(SAME_MS, holder.ackWaitMs / SAME_SHARE)
    if (range !== null && Math.abs(dueMs - firstMs) <= sameMs) {
      range.to = sequence
      range.dueMs = Math.max(range.dueMs, dueMs)
    } else {
      range = { from: sequence, to: sequence, dueMs }
      firstMs = dueMs
      ranges.push(range)
    }
  }
  return ranges
}

/** Between the floor and the last sent. */
function doneRanges(group: Group): SequenceRange[] {
  const ranges: SequenceRange[] = []
  let end = group.floor
  for (let entry = group.waiting.first; entry !== null; entry = entry.after) {
    if (entry.sequence > end + 1) ranges.push({ from: end + 1, to: entry.sequence - 1 })
    end = entry.sequence
  }
  if (end < group.lastSent) ranges.push({ from: end + 1, to: group.lastSent })
  return ranges
}

function extend(ranges: SequenceRange[], sequence: number): void {
  const last = ranges.at(-1)
  if (last !== undefined && last.to === sequence - 1) last.to = sequence
  else ranges.push({ from: sequence, to: sequence })
}
