/**
 * Time that stands still until a test moves it. Timers fire in the order of their deadlines, each at its own time;
 * wall time can be set apart from monotonic time, as it is when a machine's clock is corrected.
 */
import type { Clock, Timer } from '../../src/common/clock.js'

interface Alarm {
  atMs: number
  readonly everyMs: number | null
  readonly callback: () => void
}

export class VirtualClock implements Clock {
  #wallMs: number
  #monotonicMs = 0
  readonly #alarms = new Set<Alarm>()

  constructor(wallMs = 1_700_000_000_000) {
    this.#wallMs = wallMs
  }

  /** Timers that are set; 0 when everything that set one has cancelled it. */
  get timers(): number {
    return this.#alarms.size
  }

  now(): number {
    return this.#wallMs
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#set({ atMs: this.#monotonicMs + delayMs, everyMs: null, callback })
  }

  every(intervalMs: number, callback: () => void): Timer {
    return this.#set({ atMs: this.#monotonicMs + intervalMs, everyMs: intervalMs, callback })
  }

  /** Let `ms` pass, firing what falls due on the way. */
  advance(ms: number): void {
    const until = this.#monotonicMs + ms
    for (let alarm = this.#nextUntil(until); alarm !== null; alarm = this.#nextUntil(until)) {
      this.#moveTo(Math.max(alarm.atMs, this.#monotonicMs))
      if (alarm.everyMs === null) this.#alarms.delete(alarm)
      else alarm.atMs += alarm.everyMs
      alarm.callback()
    }
    this.#moveTo(until)
  }

  /** Correct the wall time, forwards or backwards, as an operator or a time daemon does. */
  jumpWall(ms: number): void {
    this.#wallMs += ms
  }

  #set(alarm: Alarm): Timer {
    this.#alarms.add(alarm)
    return { cancel: () => void this.#alarms.delete(alarm) }
  }

  #nextUntil(untilMs: number): Alarm | null {
    let next: Alarm | null = null
    for (const alarm of this.#alarms)
      if (alarm.atMs <= untilMs && (next === null || alarm.atMs < next.atMs)) next = alarm
    return next
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs
    this.#monotonicMs = monotonicMs
  }
}
