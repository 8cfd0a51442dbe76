/**
 * The machine of a shared group on one partition: members compete for its records, each record goes to one member at a
 * time, and is done with when it is acked, dead, purged or sought over. Pure: no clock, no timer, no I/O. `nowMs` is
 * any clock that does not go back; offsets are the caller's to read.
 *
 *   new --take--> HELD --ack--> done             HELD --reject, or too many deliveries--> DEAD --takeDead--> HANDED_OVER
 *                 |  ^                                                                               deadDone --> done
 *  retry, release, |  | take
 *   expire, leave v  |                           WAITING, READY --late ack of who had it last and did not leave--> done
 *          WAITING, READY
 *
 * This file puts the parts together and keeps what is durable; the rules of giving out and taking back are in leases.ts.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import { applyAcked, applyCounts, type Change, describeSlots, drainSlots, includeUpTo } from './changes.js'
import { DeadLetters } from './dead-letters.js'
import type { Lapse } from './lapses.js'
import { Leases } from './leases.js'
import type {
  DeadRecord,
  Offer,
  Range,
  SharedCounters,
  SharedFacts,
  SharedSettings,
  Taken,
  Verdict,
} from './settings.js'
import { ACKED, DEAD, HANDED_OVER, HELD, NOBODY, READY, SlotWindow, WAITING } from './slot-window.js'

const NO_TAKEN: readonly Taken[] = []
const EVERYWHERE: Range = { from: toOffset(0), to: toOffset(Number.MAX_SAFE_INTEGER) }

export class SharedPartition {
  readonly #window: SlotWindow
  readonly #leases: Leases
  readonly #dead: DeadLetters
  readonly #counters: SharedCounters
  #paused = false
  /** What the log knows: see `changes`. */
  #toldFloor: number
  /** Since the log was last told; set by every change, though it may be undone by the next: a snapshot may lie between. */
  #isPauseNews = false
  #isSought = false
  #purgedTo = 0

  /** A group that has done nothing yet, and begins at `start`. */
  constructor(start: Offset, settings: SharedSettings) {
    this.#counters = noCounts()
    this.#window = new SlotWindow(start)
    this.#dead = new DeadLetters(this.#window)
    this.#leases = new Leases(this.#window, this.#dead, this.#counters, settings)
    this.#toldFloor = start
  }

  /** A group as its snapshot and the changes after it tell. Nothing is held: what was in flight is due at once. */
  static restore(facts: Iterable<Change>, settings: SharedSettings): SharedPartition {
    const partition = new SharedPartition(toOffset(0), settings)
    for (const fact of facts) partition.apply(fact)
    return partition
  }

  get settings(): SharedSettings {
    return this.#leases.settings
  }

  get floor(): Offset {
    return toOffset(this.#window.floor)
  }

  /** The lowest record that is not done with, wherever the group is. */
  get low(): Offset {
    const lowest = this.#leases.aside?.set.lowest ?? null
    return lowest === null ? this.floor : toOffset(Math.min(lowest.offset, this.#window.floor))
  }

  /** Of what is given out as new. Those before it are not told apart after a restart. */
  get era(): number {
    return this.#leases.era
  }

  /** Nothing was given out that is not done with. */
  get isDone(): boolean {
    return this.#window.span === 0 && (this.#leases.aside?.set.size ?? 0) === 0
  }

  get isPaused(): boolean {
    return this.#paused
  }

  /** When to call `expire`, or null. It may be early: then `expire` finds nothing, and this has moved on. */
  get nextDeadlineMs(): number | null {
    return this.#leases.nextDeadlineMs
  }

  heldBy(member: number): number {
    return this.#leases.heldBy(member)
  }

  /** Whether somebody who takes at `nowMs` gets something. After `expire` it is exact, before it may say yes in vain. */
  hasWork(end: Offset, nowMs: number): boolean {
    return !this.#paused && this.#leases.hasWork(end, nowMs)
  }

  /** What a taker would get first at `nowMs`, and about how much; null: nothing. */
  peek(end: Offset, nowMs: number): Offer | null {
    return this.#paused ? null : this.#leases.peek(end, nowMs)
  }

  /**
   * What the member gets now, `max` records at most: what is due again, in the order in which its time was over, then what
   * was released or is due since a restart, lowest offset first, then new records up to `end`; as far as it lies `within` a
   * range, the rest waits for the next call. Each range has one delivery count. The number of a member that left is never
   * given to another.
   */
  take(member: number, max: number, end: Offset, nowMs: number, within = EVERYWHERE): readonly Taken[] {
    return this.#paused || max < 1 ? NO_TAKEN : this.#leases.take(member, max, end, nowMs, within)
  }

  /**
   * What the member says of the records [from, to). Answers with those it does not count for, because the member does
   * not have them: acked, given to another, not given out. An ack counts still when the lease has run out, as long as
   * nobody got the record since and no dead letter was made of it; other verdicts count on what is held only. `era` is that
   * of the leases; null: of several that the member has of a record, the newest.
   */
  settle(
    member: number,
    from: Offset,
    to: Offset,
    verdict: Verdict,
    nowMs: number,
    era: number | null = null,
  ): readonly Range[] {
    return this.#leases.settle(member, from, to, verdict, nowMs, era)
  }

  /** The member is gone: what it holds is due at once. Its later verdicts are stale. Returns how many it held. */
  leave(member: number, nowMs: number): number {
    return this.#leases.leave(member, nowMs)
  }

  /** Records whose lease is over are due, after the back-off if there is one, and those whose rest is over. Returns how many. */
  expire(nowMs: number): number {
    return this.#leases.expire(nowMs)
  }

  /**
   * What members lost since the last call without a word of theirs: expired, sought over, purged or lost. What happens
   * within any call may bring some, and the same record may be given to the same member again afterwards.
   */
  takeLapses(): readonly Lapse[] {
    return this.#leases.takeLapses()
  }

  /**
   * Up to `max` records for the dead-letter topic. The caller sees to it that the log has the changes before it writes the
   * dead letter: then a crash does not give the record to a member again. It says `deadDone`, or `deadFailed`.
   */
  takeDead(max: number): DeadRecord[] {
    return this.#dead.take(max)
  }

  /** There may be something to take. */
  get hasDead(): boolean {
    return this.#dead.isWaiting
  }

  /** The dead letter is written, or nobody wants one: the record is acked. False if it was not handed over, or is gone. */
  deadDone(offset: Offset): boolean {
    const isDone = this.#dead.done(offset)
    if (isDone) this.#counters.deadLetters++
    return isDone
  }

  /** The dead letter could not be written: it is handed over again. */
  deadFailed(offset: Offset): boolean {
    return this.#dead.failed(offset)
  }

  /** Begin anew at `offset`. What is in flight is forgotten, and verdicts on it are stale. */
  seek(offset: Offset): void {
    this.#restart(offset)
    this.#isSought = true
    this.#purgedTo = 0
    this.#toldFloor = offset
  }

  /**
   * Begin anew at `offset`, but whoever has a record still has it, and what was given out before and is not done with
   * comes again, as it would have: before anything from there. Only what is dead is forgotten. Of a record that is given out
   * there a second time there are two leases, and each is settled for itself.
   */
  seekKeeping(offset: Offset): void {
    this.#leases.setAside()
    this.#window.reset(offset)
    this.#dead.forgetAll()
    this.#isSought = true
    this.#purgedTo = 0
    this.#toldFloor = offset
  }

  /** Records below `logStart` are gone. Returns how many of them were not done with. */
  purge(logStart: Offset): number {
    const lost = this.#purge(logStart)
    this.#counters.skipped += lost
    return lost
  }

  #purge(logStart: Offset): number {
    const window = this.#window
    const aside = this.#leases.aside?.drop(0, logStart) ?? 0
    if (logStart <= window.floor) return aside
    const last = Math.min(logStart, window.next)
    let lost = aside + logStart - last
    for (let offset = window.floor; offset < last; offset++) {
      if (window.stateOf(offset) === ACKED) continue
      this.#leases.drop(offset)
      lost++
    }
    this.#dead.forgetBelow(logStart)
    window.advance()
    if (window.floor < logStart) window.reset(logStart)
    this.#purgedTo = logStart
    return lost
  }

  /**
   * Records [from, to) cannot be read, or are superseded: nothing is left to do for them, whoever has them. Of new ones
   * only as many as the window may hold: the rest is met again when the floor has moved.
   */
  lose(from: Offset, end: Offset): void {
    const window = this.#window
    this.#leases.aside?.drop(from, end)
    const to = window.span === 0 ? end : Math.min(end, window.floor + this.settings.spanMax)
    for (let offset = Math.max(from, window.floor); offset < Math.min(to, window.next); offset++) {
      if (window.stateOf(offset) === ACKED) continue
      this.#leases.drop(offset)
      window.mark(offset)
    }
    const known = window.next
    if (to > known && from <= known) {
      if (window.span === 0) window.reset(to)
      else {
        window.append(to - known, ACKED, NOBODY, Number.NaN, Number.NaN)
        for (let offset = known; offset < to; offset++) window.mark(offset)
      }
    }
    window.advance()
  }

  /** A paused group gives nothing out; verdicts count, leases run out and dead records are handed over as ever. */
  pause(): void {
    this.#setPaused(true)
  }

  resume(): void {
    this.#setPaused(false)
  }

  /** Other settings from now on; a lease keeps its deadline, what is dead stays dead. */
  configure(settings: SharedSettings): void {
    this.#leases.configure(settings)
  }

  get hasChanges(): boolean {
    const { floor, next } = this.#window
    if (this.#isSought || this.#isPauseNews || this.#dead.hasNews || floor !== this.#toldFloor) return true
    if (this.#leases.aside?.set.hasNews) return true
    return this.#window.nextMarked(floor) < next
  }

  /** What is new for the log since the last call, as few facts as say it. */
  changes(): Change[] {
    const changes: Change[] = []
    const window = this.#window
    const set = this.#leases.aside?.set
    if (this.#isSought) {
      changes.push({ kind: 'seek', offset: toOffset(this.#toldFloor) })
      set?.describe(changes)
    } else set?.drain(changes)
    if (this.#purgedTo > this.#toldFloor) {
      changes.push({ kind: 'purged', logStart: toOffset(this.#purgedTo) })
      this.#toldFloor = this.#purgedTo
    }
    if (window.floor > this.#toldFloor) {
      changes.push({ kind: 'acked', from: toOffset(this.#toldFloor), to: toOffset(window.floor) })
    }
    drainSlots(window, changes)
    this.#dead.drain(changes)
    // What stood before a seek is void, that it is paused too.
    if (this.#isPauseNews || (this.#isSought && this.#paused)) changes.push({ kind: 'paused', paused: this.#paused })
    this.#told()
    return changes
  }

  /** Everything that is durable, for a machine that knows nothing. What `changes` tells after it may be applied to it. */
  snapshot(): Change[] {
    const changes: Change[] = [{ kind: 'seek', offset: this.floor }]
    this.#leases.aside?.set.describe(changes)
    describeSlots(this.#window, changes)
    this.#dead.describe(changes)
    if (this.#paused) changes.push({ kind: 'paused', paused: true })
    return changes
  }

  /** Replay a fact that the log kept, before anybody takes anything. */
  apply(change: Change): void {
    if (change.kind === 'seek') this.#restart(change.offset)
    else if (change.kind === 'purged') this.#purge(change.logStart)
    else if (change.kind === 'acked') applyAcked(this.#window, change.from, change.to)
    else if (change.kind === 'paused') this.#paused = change.paused
    else if (change.kind === 'aside') this.#leases.restoreAside(change.era, change.from, change.to)
    else if (change.kind === 'aside-done') this.#leases.aside?.set.forget(change.era, change.from, change.to)
    else if (change.kind === 'rejected') this.#applyRejected(change.offset, change.reason)
    else applyCounts(this.#window, change, (offset) => this.#leases.buryIfSpent(offset))
    this.#told()
  }

  get counters(): Readonly<SharedCounters> {
    return this.#counters
  }

  /** Records that are not done with, those that were never given out included. */
  lag(end: Offset): number {
    return Math.max(0, end - this.#window.next) + this.#window.inFlight + (this.#leases.aside?.set.size ?? 0)
  }

  facts(end: Offset): SharedFacts {
    const window = this.#window
    const set = this.#leases.aside?.set
    return {
      ...this.#counters,
      paused: this.#paused,
      floor: this.floor,
      next: toOffset(window.next),
      inFlight: window.inFlight + (set?.size ?? 0),
      held: window.count(HELD) + (set?.count(HELD) ?? 0),
      due: window.count(READY) + (set?.count(READY) ?? 0),
      waiting: window.count(WAITING) + (set?.count(WAITING) ?? 0),
      dead: window.count(DEAD) + window.count(HANDED_OVER),
      lag: this.lag(end),
      oldest: this.#oldest(),
      members: this.#leases.members(),
    }
  }

  #oldest(): SharedFacts['oldest'] {
    if (this.isDone) return null
    const window = this.#window
    const lowest = this.#leases.aside?.set.lowest ?? null
    const isAside = lowest !== null && (window.span === 0 || lowest.offset < window.floor)
    const sinceMs = isAside ? lowest.givenMs : (window.givenMs[window.floor & window.mask] ?? Number.NaN)
    return { offset: isAside ? this.low : this.floor, sinceMs: Number.isNaN(sinceMs) ? null : sinceMs }
  }

  #applyRejected(offset: Offset, reason: string): void {
    includeUpTo(this.#window, offset + 1)
    this.#dead.apply(offset, reason)
  }

  #setPaused(paused: boolean): void {
    if (this.#paused !== paused) this.#isPauseNews = true
    this.#paused = paused
  }

  #restart(offset: number): void {
    this.#leases.dropAll()
    this.#window.reset(offset)
    this.#dead.forgetAll()
  }

  #told(): void {
    this.#toldFloor = this.#window.floor
    this.#leases.aside?.set.told()
    this.#isPauseNews = false
    this.#isSought = false
    this.#purgedTo = 0
  }
}

function noCounts(): SharedCounters {
  return {
    acked: 0,
    retried: 0,
    rejected: 0,
    released: 0,
    stale: 0,
    redeliveries: 0,
    expired: 0,
    deadLetters: 0,
    spanStalls: 0,
    skipped: 0,
  }
}
