/**
 * All time comes through a Clock, so that tests decide what time it is. Nothing else in leveret reads the
 * system time or sets a timer.
 */

/** A pending timer. Cancelling it twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall time in milliseconds since 1970. May jump in either direction; what must not go back clamps it. */
  now(): number
  /** Monotonic milliseconds from an arbitrary start; for measuring waits. */
  monotonic(): number
  /** Call once after `delayMs`. A timer keeps the process alive only if told to. */
  after(delayMs: number, callback: () => void, keepsAlive?: boolean): Timer
  /** Call every `intervalMs` until cancelled. A timer does not keep the process alive. */
  every(intervalMs: number, callback: () => void): Timer
}

/** The longest that a timer of the system waits; one that is to wait for longer would fire at once. */
const TIMER_MS_MAX = 0x7fff_ffff

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback, keepsAlive = false) {
    let timeout: NodeJS.Timeout
    const wait = (leftMs: number): void => {
      const next = leftMs > TIMER_MS_MAX ? () => wait(leftMs - TIMER_MS_MAX) : callback
      timeout = setTimeout(next, Math.min(leftMs, TIMER_MS_MAX))
      if (!keepsAlive) timeout.unref()
    }
    wait(delayMs)
    return { cancel: () => clearTimeout(timeout) }
  },
  every(intervalMs, callback) {
    const interval = setInterval(callback, intervalMs)
    interval.unref()
    return { cancel: () => clearInterval(interval) }
  },
}
