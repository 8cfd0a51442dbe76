/**
 * Whether a peer is still there: when it is asked, and when it is given up. Told what is heard and what time it is; no timer.
 */

export interface LivenessLimits {
  readonly pingIntervalMs: number
  readonly pingsOutMax: number
  readonly handshakeTimeoutMs: number
  readonly operationTimeoutMs: number
}

/** `ping`: ask it; `stale`: it does not answer, or does not finish what it began; `late`: it never said anything. */
export type Verdict = 'ping' | 'stale' | 'late' | null

export class Liveness {
  readonly #limits: LivenessLimits
  #heardMs: number
  #operationSinceMs: number | null = null
  #hasSpoken = false
  #pingsOut = 0
  /** Between CONNECT and the first PONG clients read one line and take anything else for an error. */
  #awaitsPong = false

  constructor(limits: LivenessLimits, nowMs: number) {
    this.#limits = limits
    this.#heardMs = nowMs
  }

  /** Anything came in. */
  heard(nowMs: number): void {
    if (this.#hasSpoken) this.#heardMs = nowMs
    this.#pingsOut = 0
  }

  /** An operation is whole. */
  spoke(): void {
    this.#hasSpoken = true
    this.#operationSinceMs = null
  }

  /** All that came in was read. */
  reading(inOperation: boolean, nowMs: number): void {
    if (inOperation) this.#operationSinceMs ??= nowMs
    else this.#operationSinceMs = null
  }

  connected(): void {
    this.#awaitsPong = true
  }

  ponged(): void {
    this.#awaitsPong = false
  }

  look(nowMs: number): Verdict {
    const { pingIntervalMs, pingsOutMax, handshakeTimeoutMs, operationTimeoutMs } = this.#limits
    if (!this.#hasSpoken) return nowMs - this.#heardMs > handshakeTimeoutMs ? 'late' : null
    if (this.#operationSinceMs !== null && nowMs - this.#operationSinceMs > operationTimeoutMs) return 'stale'
    if (nowMs - this.#heardMs < pingIntervalMs * (this.#pingsOut + 1)) return null
    if (this.#pingsOut >= pingsOutMax) return 'stale'
    this.#pingsOut++
    return this.#awaitsPong ? null : 'ping'
  }
}
