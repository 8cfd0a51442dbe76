/**
 * Who has which record of a shared group until when: giving out, verdicts, leaving, deadlines.
 *
 * A deadline stands with its record. A lower bound of them all is kept, and the window is scanned when that is reached:
 * about once per ack wait when members are well, with no entry, let alone a timer, per lease.
 * Long because every rule moves the same slots, and must keep the same tallies, holders and lower bound.
 */
import { assert, unreachable } from '../../common/assert.js'
import { InvariantError } from '../../common/errors.js'
import { type Offset, toOffset } from '../../model/offset.js'
import { AsideLeases, type LeaseRules } from './aside-leases.js'
import type { DeadLetters } from './dead-letters.js'
import { DueLine, type DueRun } from './due-line.js'
import { type Holder, Holders } from './holders.js'
import { type Lapse, NO_LAPSES } from './lapses.js'
import type { MemberFacts, Offer, Range, SharedCounters, SharedSettings, Taken, Verdict } from './settings.js'
import { ACKED, HELD, NOBODY, READY, type SlotWindow, WAITING } from './slot-window.js'

interface OpenRange {
  from: Offset
  to: Offset
}

/** A deadline that has passed. */
interface Over {
  readonly timeMs: number
  readonly era: number
  readonly offset: number
}

const MEMBER_MAX = 0x7fff_ffff
const NO_RANGES: readonly Range[] = []
const NEVER = Number.POSITIVE_INFINITY

export class Leases implements LeaseRules {
  /** What seeks have set aside; null until one does. Groups that are idle are to be small. */
  aside: AsideLeases | null = null
  /** Of what is in the window. */
  era = 0
  readonly #window: SlotWindow
  readonly #dead: DeadLetters
  readonly #counters: SharedCounters
  /** Null while nobody has, or has lost, anything. */
  #holders: Holders | null = null
  /** Null until something is due. */
  #line: DueLine | null = null
  #settings: SharedSettings
  /** No deadline and no due time lies before it. */
  #wakeMs = NEVER
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
    return this.#holders?.heldBy(member) ?? 0
  }

  members(): MemberFacts[] {
    return this.#holders?.facts() ?? []
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
    const firstDue = () =>
      this.#front()?.from ?? window.ready.next(Math.max(window.readyFrom, window.floor), window.next)
    return { from: toOffset(due > 0 ? firstDue() : window.next), records: Math.max(0, due) + fresh }
  }

  take(member: number, max: number, end: Offset, nowMs: number, within: Range): Taken[] {
    assert(member >= 0 && member <= MEMBER_MAX, `a member has the number ${member}`)
    this.expire(nowMs)
    const taken: Taken[] = []
    const again = this.#takeDue(member, Math.min(max, this.#roomForDue()), nowMs, within, taken)
    // What is due elsewhere comes before what is new here; and what is new may lie before the range, after a seek back.
    const isNewNext = this.#roomForDue() < 1 && this.#window.next >= within.from
    const fresh = isNewNext ? this.#takeNew(member, max - again, Math.min(end, within.to), nowMs, taken) : 0
    if (again + fresh > 0) this.#holding().of(member).held += again + fresh
    return taken
  }

  settle(
    member: number,
    from: number,
    to: number,
    verdict: Verdict,
    nowMs: number,
    era: number | null,
  ): readonly Range[] {
    this.#stale = null
    const known = this.#holders?.known(member)
    if (era === null || era === this.era) this.#settleInWindow(member, known, from, to, verdict, nowMs)
    else this.#noteStale(from, to)
    if (this.#stale !== null && era !== this.era && this.aside !== null && known !== undefined) {
      this.#settleAside(this.aside, member, known, era, verdict, nowMs)
    }
    return this.#stale ?? NO_RANGES
  }

  #settleInWindow(
    member: number,
    known: Holder | undefined,
    from: number,
    to: number,
    verdict: Verdict,
    nowMs: number,
  ): void {
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
  }

  /** What does not count in the window may count for what is set aside. */
  #settleAside(
    aside: AsideLeases,
    member: number,
    known: Holder,
    era: number | null,
    verdict: Verdict,
    nowMs: number,
  ): void {
    const open: readonly Range[] = this.#stale ?? NO_RANGES
    this.#stale = null
    for (const { from, to } of open) {
      this.#counters.stale -= to - from
      for (let offset: number = from; offset < to; offset++) {
        if (aside.settle(member, known, era, offset, verdict, nowMs)) known.lastVerdictMs = nowMs
        else this.#noteStale(offset, offset + 1)
      }
    }
  }

  leave(member: number, nowMs: number): number {
    const held = this.#holders?.leave(member) ?? 0
    const window = this.#window
    window.release()
    if (window.span === 0 && this.#asideCount() === 0) this.#wakeMs = NEVER
    let left = held - (this.aside?.leave(member, nowMs) ?? 0)
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
    const over: Over[] = []
    this.#wakeMs = NEVER
    for (let offset = window.floor; left > 0; offset++) {
      const index = offset & mask
      const state = states[index]
      if (state !== HELD && state !== WAITING) continue
      left--
      this.#noteOver(over, timesMs[index] as number, this.era, offset, nowMs)
    }
    for (const { state, timeMs, era, offset } of this.aside?.set.all() ?? []) {
      if (state !== READY) this.#noteOver(over, timeMs, era, offset, nowMs)
    }
    this.#passOver(over, nowMs)
    return over.length
  }

  #noteOver(over: Over[], timeMs: number, era: number, offset: number, nowMs: number): void {
    if (timeMs <= nowMs) over.push({ timeMs, era, offset })
    else if (timeMs < this.#wakeMs) this.#wakeMs = timeMs
  }

  /** Whose time was over first is due first. */
  #passOver(over: Over[], nowMs: number): void {
    over.sort((one, other) => one.timeMs - other.timeMs)
    for (const { era, offset } of over) {
      if (era !== this.era) this.aside?.expire(era, offset, nowMs)
      else if (this.#window.stateOf(offset) === WAITING) this.#ready(offset)
      else this.#expireLease(offset, nowMs)
    }
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
    this.#line?.clear()
    this.aside?.dropAll()
    const window = this.#window
    let left = window.count(HELD)
    for (let offset = window.floor; left > 0; offset++) {
      if (window.states[offset & window.mask] !== HELD) continue
      left--
      this.#lapse(offset)
    }
  }

  /** Whoever has something keeps it, and what was given out before comes again; the window is forgotten after this. */
  setAside(): void {
    const { floor, next, mask, states, counts, holders, timesMs, givenMs } = this.#window
    const era = this.era
    const inLine = this.#line?.offsets(era)
    const { set } = this.#asides()
    for (let offset = floor; offset < next; offset++) {
      const index = offset & mask
      const state = states[index]
      const count = counts[index] as number
      if (state !== HELD && state !== WAITING && (state !== READY || count === 0)) continue
      const [holder, timeMs] = [holders[index] as number, timesMs[index] as number]
      set.put({ era, offset, state, holder, count, timeMs, givenMs: givenMs[index] as number })
      // After a restart it stands in no line.
      if (state === READY && inLine?.has(offset) !== true) this.noteDue(era, offset)
    }
    this.era++
  }

  /** Replay: what was set aside, and is due. */
  restoreAside(era: number, from: Offset, to: Offset): void {
    this.era = Math.max(this.era, era + 1)
    this.#asides().restore(era, from, to)
  }

  /** What members lost without a word of theirs since the last call. */
  takeLapses(): readonly Lapse[] {
    const lapses = this.#holders?.takeLapses() ?? NO_LAPSES
    if (this.#holders?.isEmpty === true) this.#holders = null
    return lapses
  }

  #roomForDue(): number {
    const set = this.aside?.set
    const held = this.#window.count(HELD) + (set?.count(HELD) ?? 0)
    return Math.min(this.#window.count(READY) + (set?.count(READY) ?? 0), this.#settings.inFlightMax - held)
  }

  #roomForNew(end: number): number {
    const window = this.#window
    const { inFlightMax, spanMax } = this.#settings
    const inFlight = window.inFlight + this.#asideCount()
    return Math.min(end - window.next, inFlightMax - inFlight, spanMax - window.span)
  }

  /** Who stands in line first, then the others by their offsets. */
  #takeDue(member: number, max: number, nowMs: number, within: Range, taken: Taken[]): number {
    if (max < 1) return 0
    let left = max
    for (let run = this.#front(); run !== null; run = this.#front()) {
      if (left < 1 || run.from < within.from || run.from >= within.to) return max - left
      if (run.era !== this.era) left -= this.#asides().take(member, run, left, within.to, nowMs, taken)
      else {
        const from = run.from
        run.from = this.#takeReady(member, from, Math.min(run.to, within.to, from + left), nowMs, taken)
        left -= run.from - from
      }
    }
    const window = this.#window
    const end = Math.min(window.next, within.to)
    let offset = Math.max(window.readyFrom, window.floor)
    while (left > 0) {
      const from = window.ready.next(offset, end)
      if (from >= end || from < within.from) break
      offset = this.#takeReady(member, from, Math.min(end, from + left), nowMs, taken)
      left -= offset - from
    }
    window.readyFrom = offset
    return max - left
  }

  /** Those from `from` on, which is due, that are alike and lie below `end`. Returns where they end. */
  #takeReady(member: number, from: number, end: number, nowMs: number, taken: Taken[]): number {
    const window = this.#window
    const { counts, mask } = window
    const count = counts[from & mask] as number
    let to = from
    do {
      const index = to & mask
      window.holders[index] = member
      window.timesMs[index] = this.deadline(nowMs)
      if (Number.isNaN(window.givenMs[index])) window.givenMs[index] = nowMs
      window.move(to++, HELD)
    } while (to < end && window.ready.has(to) && counts[to & mask] === count)
    taken.push({ era: this.era, from: toOffset(from), to: toOffset(to), deliveryCount: count })
    // What was released has not been delivered yet.
    if (count > 0) this.#counters.redeliveries += to - from
    return to
  }

  #takeNew(member: number, max: number, end: number, nowMs: number, taken: Taken[]): number {
    const window = this.#window
    const records = Math.min(max, this.#roomForNew(end))
    const given = Math.max(0, records)
    const isShort = given < max && window.next + given < end
    if (isShort && window.span + given >= this.#settings.spanMax) this.#counters.spanStalls++
    if (records < 1) return 0
    const [from, to] = [toOffset(window.next), toOffset(window.next + records)]
    taken.push({ era: this.era, from, to, deliveryCount: 0 })
    window.append(records, HELD, member, this.deadline(nowMs), nowMs)
    return records
  }

  /** An ack that is late counts if nobody got the record since: then its last holder still stands in the slot. */
  #ack(member: number, known: Holder, from: number, to: number): void {
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

  #settleHeld(member: number, known: Holder, from: number, to: number, verdict: Verdict, nowMs: number): void {
    const window = this.#window
    for (let offset = from; offset < to; offset++) {
      const index = offset & window.mask
      if (window.states[index] !== HELD || window.holders[index] !== member) {
        this.#noteStale(offset, offset + 1)
      } else if (verdict.kind === 'extend') {
        window.timesMs[index] = Math.max(window.timesMs[index] as number, this.deadline(nowMs))
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
  #lapse(offset: number): Holder {
    return this.#holding().lapse(this.#window.holders[offset & this.#window.mask] as number, this.era, offset)
  }

  #ready(offset: number): void {
    this.#window.move(offset, READY)
    this.noteDue(this.era, offset)
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
    const rest = delayMs ?? this.backoffMs(count)
    if (rest <= 0) {
      this.#ready(offset)
      return
    }
    window.timesMs[index] = nowMs + rest
    this.wakeAt(nowMs + rest)
    window.move(offset, WAITING)
  }

  isDue(era: number, offset: number): boolean {
    return era === this.era ? this.#window.stateOf(offset) === READY : this.aside?.set.get(era, offset)?.state === READY
  }

  noteDue(era: number, offset: number): void {
    this.#line ??= new DueLine()
    this.#line.note(era, offset)
  }

  #holding(): Holders {
    this.#holders ??= new Holders()
    return this.#holders
  }

  #front(): DueRun | null {
    return this.#line?.front(this) ?? null
  }

  #asides(): AsideLeases {
    this.aside ??= new AsideLeases(() => this.#holding(), this.#counters, this)
    return this.aside
  }

  #asideCount(): number {
    return this.aside?.set.size ?? 0
  }

  wakeAt(timeMs: number): void {
    if (timeMs < this.#wakeMs) this.#wakeMs = timeMs
  }

  backoffMs(count: number): number {
    const steps = this.#settings.backoffMs
    return steps?.[Math.min(count, steps.length) - 1] ?? 0
  }

  #isSpent(offset: number): boolean {
    const { maxDeliveries } = this.#settings
    return maxDeliveries !== null && (this.#window.counts[offset & this.#window.mask] as number) >= maxDeliveries
  }

  deadline(nowMs: number): number {
    const deadlineMs = nowMs + this.#settings.ackWaitMs
    this.wakeAt(deadlineMs)
    return deadlineMs
  }

  #noteStale(from: number, to: number): void {
    this.#counters.stale += to - from
    this.#stale ??= []
    const last = this.#stale.at(-1)
    if (last?.to === from) last.to = toOffset(to)
    else this.#stale.push({ from: toOffset(from), to: toOffset(to) })
  }
}
