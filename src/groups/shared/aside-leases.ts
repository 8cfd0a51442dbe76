/**
 * The rules of leases.ts for what a seek has set aside. They differ in what a topic says of dead letters: nothing here is ever
 * dead, a record comes back until somebody acks it, and a rejection counts for nothing.
 */
import { unreachable } from '../../common/assert.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { DueRun } from './due-line.js'
import type { Holder, Holders } from './holders.js'
import { type Aside, SetAside } from './set-aside.js'
import type { SharedCounters, Taken, Verdict } from './settings.js'
import { HELD, NOBODY, READY, WAITING } from './slot-window.js'

/** What is asked of leases.ts. */
export interface LeaseRules {
  /** Of a lease that begins now. */
  deadline(nowMs: number): number
  backoffMs(count: number): number
  /** `expire` is to be called then. */
  wakeAt(timeMs: number): void
  /** It became due just now. */
  noteDue(era: number, offset: number): void
}

export class AsideLeases {
  readonly set = new SetAside()
  readonly #holders: () => Holders
  readonly #counters: SharedCounters
  readonly #rules: LeaseRules

  constructor(holders: () => Holders, counters: SharedCounters, rules: LeaseRules) {
    this.#holders = holders
    this.#counters = counters
    this.#rules = rules
  }

  /** Give out at most `max` records of the run, all below `below`; returns how many. */
  take(member: number, run: DueRun, max: number, below: number, nowMs: number, taken: Taken[]): number {
    const { era, from } = run
    const count = this.set.get(era, from)?.count ?? 0
    while (run.from < run.to && run.from < below && run.from - from < max) {
      const aside = this.set.get(era, run.from)
      if (aside?.state !== READY || aside.count !== count) break
      aside.holder = member
      aside.timeMs = this.#rules.deadline(nowMs)
      this.set.move(aside, HELD)
      run.from++
    }
    taken.push({ era, from: toOffset(from), to: toOffset(run.from), deliveryCount: count })
    this.#counters.redeliveries += run.from - from
    return run.from - from
  }

  /** False if it does not count. `era` null: the newest lease of the member at that offset. */
  settle(member: number, known: Holder, era: number | null, offset: number, verdict: Verdict, nowMs: number): boolean {
    const aside = era === null ? this.set.of(member, offset) : this.set.get(era, offset)
    if (aside === null || aside.holder !== member) return false
    const isHeld = aside.state === HELD
    if (verdict.kind === 'reject' || (verdict.kind !== 'ack' && !isHeld)) return false
    switch (verdict.kind) {
      case 'ack':
        // An ack that is late counts if nobody got the record since.
        this.#counters.acked++
        if (isHeld) known.held--
        this.set.remove(aside)
        return true
      case 'extend':
        aside.timeMs = Math.max(aside.timeMs, this.#rules.deadline(nowMs))
        return true
      case 'retry':
        this.#counters.retried++
        known.held--
        aside.holder = NOBODY
        this.#redeliver(aside, verdict.delayMs, nowMs)
        return true
      case 'release':
        this.#counters.released++
        known.held--
        aside.holder = NOBODY
        this.#ready(aside)
        return true
      default:
        return unreachable(verdict, 'groups/shared/aside-leases')
    }
  }

  /** Returns how many of them the member held. */
  leave(member: number, nowMs: number): number {
    let left = 0
    for (const aside of this.set.all()) {
      if (aside.state !== HELD || aside.holder !== member) continue
      left++
      aside.holder = NOBODY
      this.#redeliver(aside, 0, nowMs)
    }
    return left
  }

  /** Its time is over. */
  expire(era: number, offset: number, nowMs: number): void {
    const aside = this.set.get(era, offset)
    if (aside === null) return
    if (aside.state !== HELD) {
      this.#ready(aside)
      return
    }
    this.#holders().lapse(aside.holder, era, offset).expired++
    this.#counters.expired++
    this.#redeliver(aside, null, nowMs)
  }

  /** Records [from, to) are gone, whoever has them; returns how many. */
  drop(from: number, to: number): number {
    const lowest = this.set.lowest
    if (lowest === null || lowest.offset >= to) return 0
    let dropped = 0
    for (const aside of [...this.set.all()]) {
      if (aside.offset < from || aside.offset >= to) continue
      if (aside.state === HELD) this.#holders().lapse(aside.holder, aside.era, aside.offset)
      this.set.remove(aside)
      dropped++
    }
    return dropped
  }

  dropAll(): void {
    for (const { state, holder, era, offset } of this.set.all()) {
      if (state === HELD) this.#holders().lapse(holder, era, offset)
    }
    this.set.clear()
  }

  /** Replay: it was in flight, and is due at once. */
  restore(era: number, from: Offset, to: Offset): void {
    for (let offset: number = from; offset < to; offset++) {
      this.set.put({ era, offset, state: READY, holder: NOBODY, count: 0, timeMs: 0, givenMs: Number.NaN })
      this.#rules.noteDue(era, offset)
    }
  }

  #redeliver(aside: Aside, delayMs: number | null, nowMs: number): void {
    aside.count++
    const rest = delayMs ?? this.#rules.backoffMs(aside.count)
    if (rest <= 0) {
      this.#ready(aside)
      return
    }
    aside.timeMs = nowMs + rest
    this.#rules.wakeAt(aside.timeMs)
    this.set.move(aside, WAITING)
  }

  #ready(aside: Aside): void {
    this.set.move(aside, READY)
    this.#rules.noteDue(aside.era, aside.offset)
  }
}
