/**
 * What is told and kept of channels that come and go: the operator reads who could not have one, and a restart finds which
 * ones clients of this protocol made.
 */
import type { Clock } from '../../../common/clock.js'
import type { ChannelListener } from './channels.js'
import { textOf } from './fault.js'
import { type Journal, quoted } from './journal.js'
import type { StreamingState } from './streaming-state.js'

const SECOND_MS = 1_000
/** Lines: whoever asks for what cannot be had, over and over, must not fill the disk. */
const FAILURES_TOLD_MAX = 100

export interface ChannelNotesOptions {
  readonly state: StreamingState
  readonly journal: Journal
  readonly clock: Clock
}

export class ChannelNotes implements ChannelListener {
  readonly #options: ChannelNotesOptions
  /** Failures of the second that began then. */
  #secondMs = Number.NEGATIVE_INFINITY
  #failures = 0

  constructor(options: ChannelNotesOptions) {
    this.#options = options
  }

  created(channel: string, isOwn: boolean): void {
    if (!isOwn) {
      this.deleted(channel)
      return
    }
    const { state, journal } = this.#options
    journal.info(`Channel "${channel}" has been created`)
    // Were it lost, only other limits after a restart would not be applied.
    this.#keep(state.putChannel(channel))
  }

  deleted(channel: string): void {
    this.#keep(this.#options.state.removeChannel(channel))
  }

  failed(channel: string, error: unknown): void {
    const { journal, clock } = this.#options
    const nowMs = clock.monotonic()
    if (nowMs - this.#secondMs >= SECOND_MS) {
      const untold = this.#failures - FAILURES_TOLD_MAX
      if (untold > 0) journal.error(`Creating channels failed ${untold} more times`)
      this.#secondMs = nowMs
      this.#failures = 0
    }
    if (++this.#failures > FAILURES_TOLD_MAX) return
    journal.error(`Creating channel ${quoted(channel)} failed: ${textOf(error)}`)
  }

  #keep(kept: Promise<void>): void {
    kept.catch((error: unknown) => this.#options.journal.error(textOf(error)))
  }
}
