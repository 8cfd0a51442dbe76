/**
 * What signals ask for: the first one an orderly end, a later one an end at once. Called by main.ts, which has the
 * signals and the end.
 */
import type { Clock } from '../common/clock.js'

/** One Ctrl-C comes more than once where a terminal signals its whole group and npm, or a shell, hands its own on. */
const ECHO_MS = 1_000

export class Interruption {
  readonly #clock: Clock
  readonly #endAtOnce: (name: NodeJS.Signals) => void
  readonly #asked = new AbortController()
  #askedMs = 0

  constructor(clock: Clock, endAtOnce: (name: NodeJS.Signals) => void) {
    this.#clock = clock
    this.#endAtOnce = endAtOnce
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#asked.signal
  }

  /** A signal came, whichever it is. */
  ask(name: NodeJS.Signals): void {
    const nowMs = this.#clock.monotonic()
    if (!this.signal.aborted) {
      this.#askedMs = nowMs
      this.#asked.abort(name)
    } else if (nowMs - this.#askedMs >= ECHO_MS) {
      // Whoever asks again does not want to wait for the drain.
      this.#endAtOnce(name)
    }
  }
}

/** Until somebody asked for an end. */
export function untilInterrupted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
