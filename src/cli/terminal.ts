/**
 * What a command sees of its process: streams, environment, time, and whether somebody asked it to end. main.ts
 * hands in the real ones; tests may hand in others.
 */
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '../common/clock.js'

export interface Terminal {
  readonly stdin: Readable
  /** Bytes that standard input will give, when it is a file; null when nobody knows. */
  readonly stdinBytes: number | null
  readonly stdout: Writable
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** Aborted by the first SIGINT or SIGTERM; its reason is the name of the signal. */
  readonly interrupted: AbortSignal
  /** Be told of other signals, until what is returned is called. */
  onSignals(listeners: Readonly<Record<string, () => void>>): () => void
}

/** A wrong command line: exit code 2, with a pointer to `--help`. */
export const EXIT_USAGE = 2
export const EXIT_FAILURE = 1
export const EXIT_OK = 0

const NEWLINE = Buffer.from('\n')
const FLUSH_BYTES = 64 * 1024

/**
 * Lines of bytes to standard output: gathered over one turn of the loop, written together, and never more than the
 * reader takes. `closed` is aborted when the reader has gone away, as `| head` does: then there is nothing left to do.
 */
export class LineOutput {
  readonly #stream: Writable
  readonly #closed = new AbortController()
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #flushScheduled = false
  #isFull = false
  /** Why nothing more can be written, unless the reader simply left. */
  #failure: Error | null = null
  #waiters: (() => void)[] = []

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('drain', () => this.#release())
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') this.#failure = error
      this.#closed.abort(error)
      this.#release()
    })
  }

  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** True when more may be written at once; otherwise wait for `ready` first. */
  write(line: Uint8Array | string): boolean {
    if (this.#closed.signal.aborted) return true
    const bytes = typeof line === 'string' ? Buffer.from(line) : line
    this.#pending.push(bytes, NEWLINE)
    this.#pendingBytes += bytes.length + 1
    if (this.#pendingBytes >= FLUSH_BYTES) this.#flush()
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true
      setImmediate(() => {
        this.#flushScheduled = false
        this.#flush()
      })
    }
    return !this.#isFull
  }

  /** Until the reader has taken what was written, or has gone away. */
  ready(): Promise<void> {
    if (!this.#isFull) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
    })
  }

  /** Hand everything on and wait until the reader has it. Throws why it could not be written (a full disk). */
  async end(): Promise<void> {
    this.#flush()
    await this.ready()
    // A failed write is told after it was taken.
    await new Promise((resolve) => setImmediate(resolve))
    if (this.#failure !== null) throw this.#failure
  }

  #release(): void {
    this.#isFull = false
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }

  #flush(): void {
    if (this.#pending.length === 0 || this.#closed.signal.aborted) return
    const block = Buffer.concat(this.#pending, this.#pendingBytes)
    this.#pending = []
    this.#pendingBytes = 0
    if (!this.#stream.write(block)) this.#isFull = true
  }
}

/** A line for people beside the output: `leveret: ...`. */
export function say(terminal: Terminal, message: string): void {
  terminal.stderr.write(`leveret: ${message}\n`)
}
