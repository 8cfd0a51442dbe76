/**
 * Who has which record of a shared group until when: giving out, verdicts, leaving, deadlines.
 *
 * A deadline stands with its record. A lower bound of them all is kept, and the window is scanned when that is reached:
 * about once per ack wait when members are well, with no entry, let alone a timer, per lease.
 */
import { assert, unreachable } from '../../common/assert.js'
import { InvariantError } from '../../common/errors.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { DeadLetters } from './dead-letters.js'
import { type Lapse, Lapses, NO_LAPSES } from './lapses.js'
import type { MemberFacts, Offer, Range, SharedCounters, SharedSettings, Taken, Verdict } from './settings.js'
import { ACKED, HELD, NOBODY, READY, type SlotWindow, WAITING } from './slot-window.js'

interface Member {
  held: number
  expired: number
  lastVerdictMs: number | null
}

interface OpenRange {
  from: Offset
  to: Offset
}

const MEMBER_MAX = 0x7fff_ffff
const NO_RANGES: readonly Range[] = []
const NEVER = Number.POSITIVE_INFINITY

export class Leases {
  readonly #window: SlotWindow
  readonly #dead: DeadLetters
  readonly #counters: SharedCounters
  /** From the first lapse on: most groups are idle. */
  #lapses: Lapses | null = null
  #settings: SharedSettings
  /** No deadline and no due time lies before it. */
  #wakeMs = NEVER
  /** From the first record that a member gets until it leaves. */
  #members: Map<number, Member> | null = null
  /** What the verdict at hand does not count for. */
  #stale: OpenRange[] | null = null

  constructor(window: SlotWindow, dead: DeadLetters, counters: SharedCounters, settings: SharedSettings) {
    this.#window = window
    this.#dead = dead
    this.#counters = counters
    this.#settings = settings
  }

  get settings(): SharedSettings {
    return this.#settings
  }

  get nextDeadlineMs(): number | null {
    return this.#wakeMs === NEVER ? null : this.#wakeMs
  }

  heldBy(member: number): number {
    return this.#members?.get(member)?.held ?? 0
  }

  members(): MemberFacts[] {
    return Array.from(this.#members ?? [], ([member, facts]) => ({ member, ...facts }))
  }

  hasWork(end: Offset, nowMs: number): boolean {
    return this.#roomForDue() > 0 || this.#wakeMs <= nowMs || this.#roomForNew(end) > 0
  }

  peek(end: Offset, nowMs: number): Offer | null {
    this.expire(nowMs)
    const window = this.#window
    const due = this.#roomForDue()
    const fresh = Math.max(0, this.#roomForNew(end))
    if (due + fresh < 1) return null
    const from = due > 0 ? window.ready.next(Math.max(window.readyFrom, window.floor), window.next) : window.next
    return { from: toOffset(from), records: Math.max(0, due) + fresh }
  }

  take(member: number, max: number, end: Offset, nowMs: number, below: Offset): Taken[] {
    assert(member >= 0 && member <= MEMBER_MAX, `a member has the number ${member}`)
    this.expire(nowMs)
    const taken: Taken[] = []
    const again = this.#takeDue(member, Math.min(max, this.#roomForDue()), nowMs, below, taken)
    const fresh = this.#takeNew(member, max - again, Math.min(end, below), nowMs, taken)
    if (again + fresh > 0) this.#member(member).held += again + fresh
    return taken
  }

  settle(member: number, from: number, to: number, verdict: Verdict, nowMs: number): readonly Range[] {
    this.#stale = null
    const known = this.#members?.get(member)
    const first = Math.min(to, Math.max(from, this.#window.floor))
    const last = known === undefined ? first : Math.max(first, Math.min(to, this.#window.next))
    if (from < first) this.#noteStale(from, first)
    if (known !== undefined && first < last) {
      const before = this.#counters.stale
      if (verdict.kind === 'ack') this.#ack(member, known, first, last)
      else this.#settleHeld(member, known, first, last, verdict, nowMs)
      if (this.#counters.stale - before < last - first) known.lastVerdictMs = nowMs
    }
    if (last < to) this.#noteStale(last, to)
    return this.#stale ?? NO_RANGES
  }

  leave(member: number, nowMs: number): number {
    const held = this.heldBy(member)
    this.#members?.delete(member)
    // A group that nobody is in is small, if it has nothing in flight.
    if (this.#members?.size === 0) this.#members = null
    const window = this.#window
    window.release()
    if (window.span === 0) this.#wakeMs = NEVER
    let left = held
    for (let offset = window.floor; left > 0; offset++) {
      const index = offset & window.mask
      if (window.states[index] !== HELD || window.holders[index] !== member) continue
      left--
      window.holders[index] = NOBODY
      this.#redeliver(offset, 0, nowMs)
    }
    return held
  }

  expire(nowMs: number): number {
    if (nowMs < this.#wakeMs) return 0
    const window = this.#window
    window.release()
    const { states, timesMs, mask } = window
    let left = window.count(HELD) + window.count(WAITING)
    let due = 0
    this.#wakeMs = NEVER
    for (let offset = window.floor; left > 0; offset++) {
      const index = offset & mask
      const state = states[index]
      if (state !== HELD && state !== WAITING) continue
      left--
      const timeMs = timesMs[index] as number
      if (timeMs > nowMs) {
        if (timeMs < this.#wakeMs) this.#wakeMs = timeMs
        continue
      }
      due++
      if (state === WAITING) window.move(offset, READY)
      else this.#expireLease(offset, nowMs)
    }
    return due
  }

  /** Other settings from now on. What waits and was delivered too often for them is dead. */
  configure(settings: SharedSettings): void {
    this.#settings = settings
    for (let offset = this.#window.floor; offset < this.#window.next; offset++) this.buryIfSpent(offset)
  }

  /** A record that waits and was delivered too often is dead. */
  buryIfSpent(offset: number): void {
    const state = this.#window.stateOf(offset)
    if ((state === READY || state === WAITING) && this.#isSpent(offset)) this.#dead.bury(offset, null)
  }

  /** A record is done with, whoever has it. */
  drop(offset: number): void {
    const window = this.#window
    if (window.stateOf(offset) === HELD) this.#lapse(offset)
    window.move(offset, ACKED)
  }

  /** Nobody has anything; the window is forgotten after this. */
  dropAll(): void {
    const window = this.#window
    let left = window.count(HELD)
    for (let offset = window.floor; left > 0; offset++) {
      if (window.states[offset & window.mask] !== HELD) continue
      left--
      this.#lapse(offset)
    }
  }

  /** What members lost without a word of theirs since the last call. */
  takeLapses(): readonly Lapse[] {
    return this.#lapses?.take() ?? NO_LAPSES
  }

  #roomForDue(): number {
    return Math.min(this.#window.count(READY), this.#settings.inFlightMax - this.#window.count(HELD))
  }

  #roomForNew(end: number): number {
    const window = this.#window
    const { inFlightMax, spanMax } = this.#settings
    return Math.min(end - window.next, inFlightMax - window.inFlight, spanMax - window.span)
  }

  #takeDue(member: number, max: number, nowMs: number, below: number, taken: Taken[]): number {
    if (max < 1) return 0
    const window = this.#window
    const { counts, mask } = window
    const end = Math.min(window.next, below)
    let left = max
    let offset = Math.max(window.readyFrom, window.floor)
    while (left > 0) {
      const from = window.ready.next(offset, end)
      if (from >= end) break
      const count = counts[from & mask] as number
      let to = from
      do {
        const index = to & mask
        window.holders[index] = member
        window.timesMs[index] = this.#deadline(nowMs)
        if (Number.isNaN(window.givenMs[index])) window.givenMs[index] = nowMs
        window.move(to++, HELD)
        left--
      } while (left > 0 && to < end && window.ready.has(to) && counts[to & mask] === count)
      taken.push({ from: toOffset(from), to: toOffset(to), deliveryCount: count })
      // What was released has not been delivered yet.
      if (count > 0) this.#counters.redeliveries += to - from
      offset = to
    }
    window.readyFrom = offset
    return max - left
  }

  #takeNew(member: number, max: number, end: number, nowMs: number, taken: Taken[]): number {
    const window = this.#window
    const records = Math.min(max, this.#roomForNew(end))
    const given = Math.max(0, records)
    const isShort = given < max && window.next + given < end
    if (isShort && window.span + given >= this.#settings.spanMax) this.#counters.spanStalls++
    if (records < 1) return 0
    taken.push({ from: toOffset(window.next), to: toOffset(window.next + records), deliveryCount: 0 })
    window.append(records, HELD, member, this.#deadline(nowMs), nowMs)
    return records
  }

  /** An ack that is late counts if nobody got the record since: then its last holder still stands in the slot. */
  #ack(member: number, known: Member, from: number, to: number): void {
    const window = this.#window
    const { states, holders, mask, tally } = window
    let acked = 0
    let late = 0
    for (let offset = from; offset < to; offset++) {
      const index = offset & mask
      if (holders[index] !== member) {
        this.#noteStale(offset, offset + 1)
        continue
      }
      if (states[index] !== HELD) {
        window.move(offset, HELD)
        late++
      }
      states[index] = ACKED
      holders[index] = NOBODY
      // The log is told of the floor. What is acked above it is news of its own.
      if (acked++ !== offset - window.floor) window.mark(offset)
    }
    tally[HELD] = window.count(HELD) - acked
    tally[ACKED] = window.count(ACKED) + acked
    known.held -= acked - late
    this.#counters.acked += acked
    if (from === window.floor) window.advance()
  }

  #settleHeld(member: number, known: Member, from: number, to: number, verdict: Verdict, nowMs: number): void {
    const window = this.#window
    for (let offset = from; offset < to; offset++) {
      const index = offset & window.mask
      if (window.states[index] !== HELD || window.holders[index] !== member) {
        this.#noteStale(offset, offset + 1)
      } else if (verdict.kind === 'extend') {
        window.timesMs[index] = Math.max(window.timesMs[index] as number, this.#deadline(nowMs))
      } else {
        known.held--
        window.holders[index] = NOBODY
        this.#giveBack(offset, verdict, nowMs)
      }
    }
  }

  #giveBack(offset: number, verdict: Verdict, nowMs: number): void {
    switch (verdict.kind) {
      case 'retry':
        this.#counters.retried++
        this.#redeliver(offset, verdict.delayMs, nowMs)
        return
      case 'reject':
        this.#counters.rejected++
        this.#dead.bury(offset, verdict.reason)
        return
      case 'release':
        this.#counters.released++
        this.#window.move(offset, READY)
        this.buryIfSpent(offset)
        return
      case 'ack':
      case 'extend':
        throw new InvariantError(`a verdict of ${verdict.kind} gives nothing back`)
      default:
        unreachable(verdict, 'groups/shared/leases')
    }
  }

  #expireLease(offset: number, nowMs: number): void {
    this.#lapse(offset).expired++
    this.#counters.expired++
    this.#redeliver(offset, null, nowMs)
  }

  /** Its holder has it no more. */
  #lapse(offset: number): Member {
    const number = this.#window.holders[offset & this.#window.mask] as number
    const member = this.#member(number)
    member.held--
    this.#lapses ??= new Lapses()
    this.#lapses.note(number, offset)
    return member
  }

  /** The record goes to whoever is next, after the delay; null: after what the back-off says. */
  #redeliver(offset: number, delayMs: number | null, nowMs: number): void {
    const window = this.#window
    const index = offset & window.mask
    const count = (window.counts[index] as number) + 1
    window.counts[index] = count
    window.mark(offset)
    if (this.#isSpent(offset)) {
      this.#dead.bury(offset, null)
      return
    }
    const rest = delayMs ?? this.#backoffMs(count)
    if (rest <= 0) {
      window.move(offset, READY)
      return
    }
    window.timesMs[index] = nowMs + rest
    this.#wakeMs = Math.min(this.#wakeMs, nowMs + rest)
    window.move(offset, WAITING)
  }

  #backoffMs(count: number): number {
    const steps = this.#settings.backoffMs
    return steps?.[Math.min(count, steps.length) - 1] ?? 0
  }

  #isSpent(offset: number): boolean {
    const { maxDeliveries } = this.#settings
    return maxDeliveries !== null && (this.#window.counts[offset & this.#window.mask] as number) >= maxDeliveries
  }

  #deadline(nowMs: number): number {
    const deadlineMs = nowMs + this.#settings.ackWaitMs
    if (deadlineMs < this.#wakeMs) this.#wakeMs = deadlineMs
    return deadlineMs
  }

  #member(member: number): Member {
    this.#members ??= new Map()
    let known = this.#members.get(member)
    if (known === undefined) {
      known = { held: 0, expired: 0, lastVerdictMs: null }
      this.#members.set(member, known)
    }
    return known
  }

  #noteStale(from: number, to: number): void {
    this.#counters.stale += to - from
    this.#stale ??= []
    const last = this.#stale.at(-1)
    if (last?.to === from) last.to = toOffset(to)
    else this.#stale.push({ from: toOffset(from), to: toOffset(to) })
  }
}
