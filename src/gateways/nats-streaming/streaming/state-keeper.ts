/**
 * Keeps what changes in the subscriptions of a channel: once a turn, and what may wait a little later. While it cannot be kept
 * messages are sent all the same; it is tried again from time to time, with all that is known.
 */
import type { Clock, Timer } from '../../../common/clock.js'
import type { Counter } from '../../../metrics/registry.js'
import type { ChannelSubscriptions } from './channel-subscriptions.js'
import { textOf } from './fault.js'
import type { Journal } from './journal.js'
import { momentOf } from './moment.js'
import type { StreamingState } from './streaming-state.js'
import type { StateWrite } from './subscription.js'

/** What may wait is kept after so long at the latest. */
const SETTLE_MS = 100
const RETRY_MS = 1_000
/** Messages of a group that are said to be sent before they are, so that not every turn waits to have it kept. */
const AHEAD = 256

export interface StateKeeperContext {
  readonly clock: Clock
  readonly state: StreamingState
  readonly journal: Journal
  readonly counters: { readonly stateFailures: Counter }
}

export class StateKeeper {
  readonly #subscriptions: ChannelSubscriptions
  readonly #context: StateKeeperContext
  #timer: Timer | null = null
  #isFailing = false
  #isStopped = false
  /** Resolves, and never fails, when everything that was handed out is kept, or cannot be. */
  #kept: Promise<void> = Promise.resolve()

  constructor(subscriptions: ChannelSubscriptions, context: StateKeeperContext) {
    this.#subscriptions = subscriptions
    this.#context = context
  }

  /** Keep everything that changed, as safely as the store can. Fails if it cannot. */
  keep(): Promise<void> {
    const kept = this.#write(this.#subscriptions.takeWrites(true, AHEAD, momentOf(this.#context.clock)), true)
    this.#rest()
    return kept
  }

  /** Keep what a turn changed. Null, or what it gave out may be sent only when this resolves; it never fails. */
  keepTurn(): Promise<void> | null {
    const subscriptions = this.#subscriptions
    if (this.#isFailing) return null
    let isUnsure = false
    if (subscriptions.isDirty) {
      const writes = subscriptions.takeWrites(false, AHEAD, momentOf(this.#context.clock))
      isUnsure = subscriptions.isUnsure
      if (writes.length > 0) this.#write(writes, false).catch(() => undefined)
    }
    this.#rest()
    return isUnsure ? this.#kept : null
  }

  /** Resolves, whatever comes of it, when what is known is kept. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    this.#timer = null
    this.#keepRest(0)
    await this.#kept
  }

  #rest(): void {
    if (this.#subscriptions.isLate) this.#again(this.#isFailing ? RETRY_MS : SETTLE_MS)
  }

  #again(ms: number): void {
    if (this.#isStopped) return
    this.#timer ??= this.#context.clock.after(ms, () => {
      this.#timer = null
      this.#keepRest(AHEAD)
    })
  }

  #keepRest(ahead: number): void {
    const writes = this.#subscriptions.takeWrites(true, ahead, momentOf(this.#context.clock))
    if (writes.length > 0) this.#write(writes, false).catch(() => undefined)
    this.#rest()
  }

  #write(writes: readonly StateWrite[], isSafest: boolean): Promise<void> {
    const written = this.#context.state.write(writes, isSafest)
    const before = this.#kept
    this.#kept = written.then(
      () => {
        this.#subscriptions.kept(writes)
        this.#isFailing = false
        return before
      },
      (error: unknown) => {
        this.#failed(writes, error)
        return before
      },
    )
    return written
  }

  /** What cannot be kept is sent all the same: after a crash it comes again, as if it were new. */
  #failed(writes: readonly StateWrite[], error: unknown): void {
    const { counters, journal } = this.#context
    counters.stateFailures.value++
    this.#subscriptions.lost(writes)
    if (!this.#isFailing) {
      journal.error(`the state of channel "${this.#subscriptions.channel}" cannot be kept: ${textOf(error)}`)
    }
    this.#isFailing = true
    this.#again(RETRY_MS)
  }
}
