/**
 * A partition while it is assigned to this reader: how far it was handed out, dealt with, and committed. Called by
 * positioned-reading.ts.
 */
import type { Timer } from '../src/common/clock.js'
import { LazySignal } from './lazy-signal.js'
import { nothing, quiet } from './quiet.js'

/** What a tenure needs of the delivery that is being handed out. */
interface HandedRun {
  readonly nextOffset: number
}

interface Waiter {
  readonly offset: number
  readonly promise: Promise<void>
  resolve: () => void
  reject: (error: Error) => void
}

export class Tenure {
  readonly partition: number
  /** Of the assignment that it began with. */
  readonly generation: number
  /** Aborts when the partition is this reader's no more. */
  readonly signal = new LazySignal()
  /** One beyond the last record that came; 0 until one does. */
  end = 0
  /** What is handed out now. */
  current: HandedRun | null = null
  /** Next offset that is not dealt with; 0 until something is. */
  done = 0
  /** Next offset that no Commit was sent for, and that none was answered for. */
  said = 0
  committed = 0
  /** Commits without an answer. */
  underWay = 0
  /** Ends it, once it was taken away; null before. */
  leaving: Timer | null = null
  /** Records dealt with since the last Commit. */
  records = 0
  #waiters: Waiter[] = []

  constructor(partition: number, generation: number) {
    this.partition = partition
    this.generation = generation
  }

  /** The user has a record of it at hand. */
  get isBusy(): boolean {
    return this.current !== null && this.current.nextOffset > this.done
  }

  get isSettled(): boolean {
    return this.signal.isAborted || (!this.isBusy && this.committed >= this.done)
  }

  /** Everything up to `offset` is dealt with, itself included, `records` more. */
  dealtWith(offset: number, records: number): void {
    this.done = Math.max(this.done, offset + 1)
    this.records += records
  }

  /** Resolves when everything up to `offset` is committed. */
  until(offset: number): Promise<void> {
    if (this.committed > offset) return Promise.resolve()
    const waiter = { offset, resolve: nothing, reject: nothing as (error: Error) => void }
    const promise = new Promise<void>((resolve, reject) => {
      waiter.resolve = resolve
      waiter.reject = reject
    })
    this.#waiters.push(Object.assign(waiter, { promise: quiet(promise) }))
    return promise
  }

  isCommitted(next: number): void {
    this.committed = Math.max(this.committed, next)
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ offset }) => offset >= this.committed)
    for (const waiter of waiters) if (waiter.offset < this.committed) waiter.resolve()
  }

  /** A Commit up to here did not count; it may be said again. */
  failed(next: number, error: Error): void {
    const waiters = this.#waiters
    this.#waiters = waiters.filter(({ offset }) => offset >= next)
    for (const waiter of waiters) if (waiter.offset < next) waiter.reject(error)
    this.said = Math.min(this.said, this.committed)
  }
}
