/**
 * When a Subscribe that the server could not take is sent again. Called by subscription.ts.
 */
import type { Timer } from '../src/common/clock.js'
import type { ClientSettings } from './options.js'

const DELAY_MS = 250
const DELAY_MS_MAX = 5_000

export class SubscribeRetry {
  readonly #settings: ClientSettings
  readonly #subscribe: () => void
  #timer: Timer | null = null
  #delayMs = DELAY_MS

  constructor(settings: ClientSettings, subscribe: () => void) {
    this.#settings = settings
    this.#subscribe = subscribe
  }

  /** Each time it waits longer. */
  again(): void {
    const { clock, random } = this.#settings
    const delayMs = this.#delayMs * (0.5 + random.next() / 2)
    this.#delayMs = Math.min(this.#delayMs * 2, DELAY_MS_MAX)
    this.#timer = clock.after(delayMs, this.#subscribe)
  }

  taken(): void {
    this.#delayMs = DELAY_MS
  }

  cancel(): void {
    this.#timer?.cancel()
  }
}
