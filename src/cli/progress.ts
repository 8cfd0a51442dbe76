/**
 * How far a long work is: one line on a terminal, redrawn in place, and nothing at all in a pipe. It shows itself
 * only when the work turns out to be long.
 */
import { shortSize } from './sizes.js'
import type { Terminal } from './terminal.js'

const SHOWN_AFTER_MS = 300
const REDRAWN_EVERY_MS = 100
const BAR_CELLS = 24
const ERASE_LINE = '\r\x1b[K'

export class Progress {
  readonly #terminal: Terminal
  readonly #startedMs: number
  readonly #isShown: boolean
  #drawnMs: number
  #isOnScreen = false

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    this.#startedMs = terminal.clock.monotonic()
    this.#isShown = terminal.stderr.isTTY === true
    this.#drawnMs = this.#startedMs + SHOWN_AFTER_MS - REDRAWN_EVERY_MS
  }

  get elapsedMs(): number {
    return this.#terminal.clock.monotonic() - this.#startedMs
  }

  /** Cheap enough to be called with every chunk of input. */
  update(records: number, bytes: number, totalBytes = this.#terminal.stdinBytes): void {
    if (!this.#isShown) return
    const now = this.#terminal.clock.monotonic()
    if (now - this.#drawnMs < REDRAWN_EVERY_MS) return
    this.#drawnMs = now
    this.#isOnScreen = true
    const rate = perSecond(records, this.elapsedMs)
    const text = `${bar(bytes, totalBytes)}${records} records, ${shortSize(bytes)}, ${rate} records/s`
    this.#terminal.stderr.write(ERASE_LINE + text.slice(0, (this.#terminal.stderr.columns ?? 80) - 1))
  }

  /** Leave the line empty for what is printed next. */
  clear(): void {
    if (this.#isOnScreen) this.#terminal.stderr.write(ERASE_LINE)
    this.#isOnScreen = false
  }
}

export function perSecond(records: number, elapsedMs: number): number {
  return Math.round((records * 1000) / Math.max(elapsedMs, 1))
}

/** A bar when the end is known; a stream has none. */
function bar(bytes: number, total: number | null): string {
  if (total === null || total === 0) return ''
  const share = Math.min(bytes / total, 1)
  const cells = Math.round(share * BAR_CELLS)
  return `[${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}] ${Math.floor(share * 100)}% `
}
