/**
 * A signal that is made when somebody asks for it: most records are dealt with without one.
 */
import type { LeveretError } from '../src/common/errors.js'

export class LazySignal {
  #controller: AbortController | null = null
  #reason: LeveretError | null = null

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#reason !== null) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get isAborted(): boolean {
    return this.#reason !== null
  }

  /** The first reason stays. */
  abort(reason: LeveretError): void {
    if (this.#reason !== null) return
    this.#reason = reason
    this.#controller?.abort(reason)
  }
}
