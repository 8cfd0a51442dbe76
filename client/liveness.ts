/**
 * Sees to it that an iteration which waits never does so in silence: it has caught up, or somebody is told why nothing
 * comes. Called by subscription.ts.
 */
import type { Clock, Timer } from '../src/common/clock.js'
import { LeveretError } from '../src/common/errors.js'
import { callUser } from './call-user.js'
import type { Progress } from './reading.js'
import type { Stall, SubscribeOptions } from './subscribe-options.js'

/** An iteration that has waited for about so many heartbeats looks for the reason. */
const STALLED_BEATS = 1.5
const ASK_AGAIN_MS = 50
const ASK_AGAIN_MS_MAX = 1_000

export interface LivenessOwner {
  /** Everything fetched is consumed, and more is waited for. */
  readonly isDry: boolean
  /** Deliveries so far. */
  readonly received: number
  /** The server has taken the subscription on the connection of now. */
  readonly isSubscribed: boolean
  progress(): Progress | Promise<Progress>
  /** It has waited as long as it was told to. */
  timedOut(error: LeveretError): void
}

export type LivenessOptions = Pick<SubscribeOptions, 'stallTimeoutMs' | 'onCaughtUp' | 'onStalled'>

export class Liveness {
  readonly #clock: Clock
  readonly #owner: LivenessOwner
  readonly #options: LivenessOptions
  readonly #beatMs: number
  readonly #patienceMs: number
  readonly #timeoutMs: number | null
  /** Somebody wants to know also after it has caught up once. */
  readonly #isWatched: boolean
  readonly #ticks: Timer
  #waitedMs = 0
  #received = 0
  #hasCaughtUp = false
  #hasStalled = false
  /** What the server is being asked. */
  #asked: Promise<Progress> | null = null
  #askAgainMs = ASK_AGAIN_MS
  #askTimer: Timer | null = null

  constructor(clock: Clock, heartbeatMs: number, options: LivenessOptions, owner: LivenessOwner) {
    const { stallTimeoutMs = null, onStalled } = options
    this.#clock = clock
    this.#owner = owner
    this.#options = options
    this.#timeoutMs = stallTimeoutMs
    this.#isWatched = onStalled !== undefined || stallTimeoutMs !== null
    this.#patienceMs = Math.min(heartbeatMs * STALLED_BEATS, stallTimeoutMs ?? Number.POSITIVE_INFINITY)
    this.#beatMs = Math.max(1, Math.min(heartbeatMs, stallTimeoutMs ?? heartbeatMs) / 2)
    this.#ticks = clock.every(this.#beatMs, () => this.#tick())
  }

  /** Everything is consumed. */
  dry(): void {
    if (this.#hasCaughtUp || this.#asked !== null || this.#askTimer !== null || !this.#owner.isSubscribed) return
    const progress = this.#progress()
    if (progress === 'unassigned') this.#askAgain()
    else if (typeof progress !== 'string') void progress.then(() => this.#askAgain())
  }

  close(): void {
    this.#ticks.cancel()
    this.#askTimer?.cancel()
    this.#hasCaughtUp = true
  }

  /** Ticks are counted rather than time: a process that slept has not waited. */
  #tick(): void {
    const { isDry, received, isSubscribed } = this.#owner
    if (!isDry || received !== this.#received) {
      this.#received = received
      this.#waitedMs = 0
      this.#hasStalled = false
      return
    }
    this.#waitedMs += this.#beatMs
    if (this.#waitedMs < this.#patienceMs) return
    if (!isSubscribed) this.#stall('disconnected')
    else if (this.#isWatched || !this.#hasCaughtUp) {
      const look = (progress: Progress): void => {
        if (progress === 'caught-up') {
          this.#waitedMs = 0
          this.#hasStalled = false
        } else if (this.#owner.isDry && this.#owner.received === received) this.#stall(progress)
      }
      const progress = this.#asked ?? this.#progress()
      if (typeof progress === 'string') look(progress)
      else void progress.then(look)
    }
  }

  #stall(reason: Stall['reason']): void {
    const stall = { reason, waitedMs: this.#waitedMs }
    if (!this.#hasStalled) callUser(() => this.#options.onStalled?.(stall))
    this.#hasStalled = true
    // Who stands by waits for as long as others read.
    if (reason === 'unassigned' || this.#timeoutMs === null || this.#waitedMs < this.#timeoutMs) return
    const message = `no record came in ${Math.round(this.#waitedMs)} ms, and it has not caught up: ${reason}`
    this.#owner.timedOut(new LeveretError('LVT_TIMEOUT', message))
  }

  #progress(): Progress | Promise<Progress> {
    const progress = this.#owner.progress()
    if (typeof progress === 'string') {
      if (progress === 'caught-up') this.#tellCaughtUp()
      return progress
    }
    const { received } = this.#owner
    this.#asked = progress
      // Without an answer nobody can say that it has caught up.
      .catch((): Progress => 'behind')
      .then((answer) => {
        this.#asked = null
        if (answer !== 'caught-up') return answer
        // What came meanwhile is not in the answer.
        if (!this.#owner.isDry || this.#owner.received !== received) return 'behind'
        this.#tellCaughtUp()
        return answer
      })
    return this.#asked
  }

  /** The server is asked now and then, not each time that everything is consumed. */
  #askAgain(): void {
    if (this.#hasCaughtUp) return
    this.#askTimer = this.#clock.after(this.#askAgainMs, () => {
      this.#askTimer = null
      if (this.#owner.isDry) this.dry()
    })
    this.#askAgainMs = Math.min(this.#askAgainMs * 2, ASK_AGAIN_MS_MAX)
  }

  #tellCaughtUp(): void {
    if (this.#hasCaughtUp) return
    this.#hasCaughtUp = true
    callUser(() => this.#options.onCaughtUp?.())
  }
}
