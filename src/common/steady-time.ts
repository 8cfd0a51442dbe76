/**
 * Time that stamps records and tells their ages, though the machine's clock is set forwards and back under it. Made
 * once a broker and handed on as its clock: `now` never goes back, and `expiredBefore` knows what it showed when.
 *
 * Everybody stamps with `max(last stamp of the partition, now())`. So a stamp that `now` had reached `ageMs` ago was
 * given then at the latest for certain, and one that it had not reached may have been given since: `expiredBefore` is
 * what `now` showed `ageMs` ago, by monotonic time. That needs a memory of how `now` ran, which is a short list of
 * epochs, each a straight line below it.
 *
 * `now` follows the clock, with these exceptions. Within a second or so it waits where it stands until the clock has
 * come back to it. If the clock is set back further, it goes on from where it stands at half the pace of time: stamps
 * stay apart and ages stay exact, whether the clock was an hour early or in another century, and after twice the step
 * back the two are together again. If the clock is set forwards, `now` jumps with it, and what was stamped before ages
 * by the line before the jump.
 */
import type { Clock, Timer } from './clock.js'

/** Steps of the clock up to this are not told from the noise of reading it; nothing is kept longer on that account. */
export const STEP_MS_MIN = 1_000

/** Epochs remembered. A machine has a step or two in its life, and a clock that drifts 100 ms an hour one in 10 hours. */
export const EPOCHS_MAX = 64

const FOLLOWING_PACE = 1
const AHEAD_PACE = 0.5

/** From `fromMs` of monotonic time until the next epoch `now` shows at least `valueMs + pace * (time since then)`. */
interface Epoch {
  readonly fromMs: number
  valueMs: number
  readonly pace: number
}

export class SteadyTime implements Clock {
  readonly #clock: Clock
  readonly #epochs: Epoch[]
  #current: Epoch
  /** Most that the clock was beyond the line of the current epoch, while that follows it. */
  #spreadMs = 0
  #shownMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#shownMs = clock.now()
    this.#current = { fromMs: clock.monotonic(), valueMs: this.#shownMs, pace: FOLLOWING_PACE }
    this.#epochs = [this.#current]
  }

  /** Wall time in milliseconds since 1970, never less than before. What records are stamped with. */
  now(): number {
    const wallMs = this.#clock.now()
    const nowMs = this.#clock.monotonic()
    const lineMs = valueAt(this.#current, nowMs)
    if (this.#current.pace === FOLLOWING_PACE) this.#follow(wallMs, nowMs, lineMs)
    else if (wallMs >= lineMs) this.#begin(nowMs, wallMs, FOLLOWING_PACE)
    // Rounded up, so that what is stamped a moment later than a moment ago is beyond what was shown then.
    else this.#shownMs = Math.max(this.#shownMs, Math.ceil(lineMs))
    return this.#shownMs
  }

  monotonic(): number {
    return this.#clock.monotonic()
  }

  after(delayMs: number, callback: () => void, keepsAlive?: boolean): Timer {
    return this.#clock.after(delayMs, callback, keepsAlive)
  }

  every(intervalMs: number, callback: () => void): Timer {
    return this.#clock.every(intervalMs, callback)
  }

  /**
   * The timestamp up to which, itself included, every record is at least `ageMs` old at `nowMs` of monotonic time. Never
   * too late a timestamp; too early by at most STEP_MS_MIN, and by more only for records that were stamped in an epoch
   * which had to be merged because the clock was set more than EPOCHS_MAX times. Of the time before this was made it
   * knows nothing: it takes the clock to have been as far off as it was at first.
   */
  expiredBefore(ageMs: number, nowMs: number = this.#clock.monotonic()): number {
    const thenMs = nowMs - ageMs
    const epochs = this.#epochs
    let index = epochs.length - 1
    while (index > 0 && (epochs[index] as Epoch).fromMs > thenMs) index--
    return Math.floor(valueAt(epochs[index] as Epoch, thenMs))
  }

  #follow(wallMs: number, nowMs: number, lineMs: number): void {
    const beyondMs = wallMs - lineMs
    if (beyondMs > STEP_MS_MIN) this.#begin(nowMs, wallMs, FOLLOWING_PACE)
    else if (beyondMs < this.#spreadMs - STEP_MS_MIN) this.#begin(nowMs, Math.max(this.#shownMs, lineMs), AHEAD_PACE)
    else {
      if (beyondMs < 0) {
        this.#current.valueMs += beyondMs
        this.#spreadMs -= beyondMs
      } else this.#spreadMs = Math.max(this.#spreadMs, beyondMs)
      this.#shownMs = Math.max(this.#shownMs, wallMs)
    }
  }

  #begin(fromMs: number, valueMs: number, pace: number): void {
    if (this.#epochs.length === EPOCHS_MAX) mergeCheapest(this.#epochs)
    this.#current = { fromMs, valueMs, pace }
    this.#epochs.push(this.#current)
    this.#spreadMs = 0
    this.#shownMs = Math.max(this.#shownMs, Math.ceil(valueMs))
  }
}

/** What the line of an epoch says; before its beginning, which only the first is asked for, it has the pace of time. */
function valueAt({ fromMs, valueMs, pace }: Epoch, atMs: number): number {
  return valueMs + (atMs < fromMs ? 1 : pace) * (atMs - fromMs)
}

/** Replace the two neighbours that one line below both serves best. */
function mergeCheapest(epochs: Epoch[]): void {
  let cheapest = 0
  let leastMs = Number.POSITIVE_INFINITY
  for (let index = 0; index + 2 < epochs.length; index++) {
    const [first, second, next] = epochs.slice(index, index + 3) as [Epoch, Epoch, Epoch]
    const costMs = mergingCostMs(first, second, next.fromMs)
    if (costMs >= leastMs) continue
    leastMs = costMs
    cheapest = index
  }
  const [first, second] = epochs.slice(cheapest, cheapest + 2) as [Epoch, Epoch]
  epochs.splice(cheapest, 2, merged(first, second))
}

function merged(first: Epoch, second: Epoch): Epoch {
  const pace = Math.min(first.pace, second.pace)
  const valueMs = Math.min(first.valueMs, second.valueMs - pace * (second.fromMs - first.fromMs))
  return { fromMs: first.fromMs, valueMs, pace }
}

/** How much longer a record may be kept: until the line has made up for it, or until the next epoch at the latest. */
function mergingCostMs(first: Epoch, second: Epoch, endMs: number): number {
  const both = merged(first, second)
  const firstMs = valueAt(first, second.fromMs) - valueAt(both, second.fromMs)
  const secondMs = valueAt(second, endMs) - valueAt(both, endMs)
  return Math.min(Math.max(firstMs, secondMs) / both.pace, endMs - first.fromMs)
}
