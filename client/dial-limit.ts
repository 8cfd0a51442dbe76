/**
 * How long a dial may take: until the caller aborts it or the time is up, whichever comes first. Called by link.ts.
 */
import type { Clock, Timer } from '../src/common/clock.js'
import { AbortedError, LeveretError } from '../src/common/errors.js'

export class DialLimit {
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly #timer: Timer
  readonly #onOuterAbort = () => this.#abort(new AbortedError('connecting was aborted', { cause: this.#outer?.reason }))

  /** Starts at once; `release` must follow. */
  constructor(clock: Clock, timeoutMs: number, outer: AbortSignal | undefined) {
    this.#outer = outer
    const late = (): void => this.#abort(new LeveretError('LVT_TIMEOUT', 'the server did not answer in time'))
    // The caller waits for this dial: the process must not end before it has an answer.
    this.#timer = clock.after(timeoutMs, late, true)
    if (outer?.aborted === true) this.#onOuterAbort()
    else outer?.addEventListener('abort', this.#onOuterAbort, { once: true })
  }

  /** Aborts with a LeveretError as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  release(): void {
    this.#timer.cancel()
    this.#outer?.removeEventListener('abort', this.#onOuterAbort)
  }

  #abort(reason: LeveretError): void {
    this.#controller.abort(reason)
  }
}
