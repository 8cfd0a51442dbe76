/**
 * Calls a handler for the records of a subscription, several at a time, and says what became of each. Called by
 * subscription.ts.
 */
import type { Clock, Timer } from '../src/common/clock.js'
import { InvalidArgumentError, UnsupportedError } from '../src/common/errors.js'
import { createLog } from '../src/common/log.js'
import { requireWithin } from './options.js'
import { nothing } from './quiet.js'
import type { DeliveredRun, ReceivedRecord } from './received-record.js'
import type { RecordQueue, RecordTaker } from './record-queue.js'
import type { OnError, RecordHandler, RunOptions } from './run-options.js'

const log = createLog('client:run')

const RETRY_DELAY_MS = 1_000
const DRAIN_TIMEOUT_MS = 30_000
const REASON_LENGTH_MAX = 500

/** What a runner needs of its subscription. */
export interface RunnerHost<T> {
  readonly clock: Clock
  readonly queue: RecordQueue<T>
  readonly window: number
  /** Records of a partition one after the other; else it is a shared group. */
  readonly isOrdered: boolean
  /** Of a shared group: how long a record that was fetched may lie about before it is another's. */
  readonly ackWaitMs: number
  /** Everything fetched is in the hands of the handler. */
  onDry(): void
  /** The ack wait of what waits for its turn begins anew. */
  extendFetched(): void
}

export class RecordRunner<T> implements RecordTaker {
  readonly #host: RunnerHost<T>
  readonly #handler: RecordHandler<T>
  readonly #options: RunOptions<T>
  readonly #concurrency: number
  /** Partitions of which a record is being dealt with, where their order counts. */
  readonly #busy = new Set<number>()
  readonly #isFree = (partition: number): boolean => !this.#busy.has(partition)
  readonly #pauses = new Set<() => void>()
  readonly #running = new Set<ReceivedRecord<T>>()
  readonly #extending: Timer | null
  #isStopping = false
  #failure: { readonly error: unknown } | null = null
  #finish: () => void = nothing
  /** Resolves when nothing is begun any more, and what was begun is done. */
  readonly done: Promise<void>

  /** Throws InvalidArgumentError. */
  constructor(host: RunnerHost<T>, handler: RecordHandler<T>, options: RunOptions<T>) {
    const { concurrency = 1, onError, retryDelayMs, drainTimeoutMs } = options
    requireWithin('concurrency', concurrency, 1, 0xffff_ffff)
    if (concurrency > host.window) {
      throw new InvalidArgumentError(`a window of ${host.window} cannot occupy ${concurrency} handlers`)
    }
    if (onError === 'reject' && host.isOrdered) throw new InvalidArgumentError('only shared groups reject records')
    if (retryDelayMs !== undefined) requireWithin('retryDelayMs', retryDelayMs, 0, 0x7fff_ffff)
    if (drainTimeoutMs !== undefined) requireWithin('drainTimeoutMs', drainTimeoutMs, 0, 0x7fff_ffff)
    this.#host = host
    this.#handler = handler
    this.#options = options
    this.#concurrency = concurrency
    this.done = new Promise((resolve) => {
      this.#finish = resolve
    })
    const isExtending = !host.isOrdered && options.autoExtend !== false
    const everyMs = Math.max(1, Math.floor(host.ackWaitMs / 3))
    this.#extending = isExtending ? host.clock.every(everyMs, () => this.#extendAll()) : null
    void this.done.then(() => this.#extending?.cancel())
    host.queue.takeBy(this)
    this.goOn()
  }

  /** What `onError` threw. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure
  }

  /** It waits for records, and deals with none. */
  get isDry(): boolean {
    return this.#running.size === 0 && !this.#isStopping
  }

  goOn(): void {
    const { queue } = this.#host
    while (!this.#isStopping && this.#running.size < this.#concurrency) {
      const taken = queue.takeFrom(this.#isFree)
      if (taken === null) break
      const { run, record } = taken
      if (!this.#hasExpired(run)) void this.#deal(record)
      // It is another's by now. To say something gives the credit back.
      else record.retry().catch(nothing)
    }
    if (this.#running.size > 0) return
    if (this.#isStopping || queue.isOver) this.#finish()
    else this.#host.onDry()
  }

  /** Begin no more. Resolves when the handlers are done, or were given the time to. */
  stop(): Promise<void> {
    if (!this.#isStopping) {
      this.#isStopping = true
      for (const endPause of [...this.#pauses]) endPause()
      const { drainTimeoutMs = DRAIN_TIMEOUT_MS } = this.#options
      const timer = this.#host.clock.after(drainTimeoutMs, this.#finish)
      void this.done.then(() => timer.cancel())
    }
    this.goOn()
    return this.done
  }

  async #deal(record: ReceivedRecord<T>): Promise<void> {
    const { isOrdered } = this.#host
    this.#running.add(record)
    if (isOrdered) this.#busy.add(record.partition)
    try {
      if (isOrdered) await this.#inPlace(record)
      else await this.#once(record)
    } catch (error) {
      // Thrown by `onError`: the user wants no more.
      this.#failure ??= { error }
      void this.stop()
    }
    this.#running.delete(record)
    this.#busy.delete(record.partition)
    this.goOn()
  }

  /** What is said of it is not waited for: the next record is begun while the server makes it safe. */
  async #once(record: ReceivedRecord<T>): Promise<void> {
    try {
      await this.#handler(record)
    } catch (error) {
      if (this.#fateOf(error, record) === 'reject') record.reject(reasonOf(error)).catch(nothing)
      else record.retry({ delayMs: this.#options.retryDelayMs ?? 0 }).catch(nothing)
      return
    }
    record.ack().catch(nothing)
  }

  /** Again and again, as long as it is this reader's: those after it have to wait. */
  async #inPlace(record: ReceivedRecord<T>): Promise<void> {
    const { retryDelayMs = RETRY_DELAY_MS } = this.#options
    for (;;) {
      try {
        await this.#handler(record)
        record.commit()
        return
      } catch (error) {
        if (this.#fateOf(error, record) === 'reject')
          throw new UnsupportedError('only shared groups reject records', { cause: error })
        log('record %d failed and is tried again: %s', record.offset, error)
      }
      const { signal } = record
      if (!this.#isStopping && !signal.aborted) await this.#pause(retryDelayMs, signal)
      if (this.#isStopping || signal.aborted) return
    }
  }

  #fateOf(error: unknown, record: ReceivedRecord<T>): OnError {
    const { onError = 'retry' } = this.#options
    return typeof onError === 'function' ? onError(error, record) : onError
  }

  #hasExpired(run: DeliveredRun<T>): boolean {
    const { clock, isOrdered, ackWaitMs } = this.#host
    return !isOrdered && clock.monotonic() - run.arrivedMs > ackWaitMs
  }

  #extendAll(): void {
    // What is lost is told by the signal of the record.
    for (const record of this.#running) record.extend().catch(nothing)
    // What waits for its turn here would come again, counted, without anybody having looked at it.
    this.#host.extendFetched()
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', end)
        this.#pauses.delete(end)
        resolve()
      }
      const timer = this.#host.clock.after(delayMs, end, true)
      signal.addEventListener('abort', end, { once: true })
      this.#pauses.add(end)
    })
  }
}

function reasonOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).slice(0, REASON_LENGTH_MAX)
}
