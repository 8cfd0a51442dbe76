/**
 * What a subscription has fetched, and those who wait for more of it. Hands records out one by one, and says when the
 * one before was consumed: at the moment when the next is asked for. Called by subscription.ts and the readings.
 */
import type { LeveretError } from '../src/common/errors.js'
import { nothing, quiet } from './quiet.js'
import type { DeliveredRun, ReceivedRecord } from './received-record.js'
import type { Tenure } from './tenure.js'

export type RecordResult<T> = IteratorResult<ReceivedRecord<T>, undefined>

export interface QueueOwner<T> {
  /** The first record of this delivery is handed out. */
  onBegun(run: DeliveredRun<T>): void
  /** Those of the last `records` handed out from this delivery. */
  onConsumed(run: DeliveredRun<T>, records: number): void
  /** Everything is consumed, and more is waited for. */
  onDry(): void
}

/** Takes records by itself instead of iterating; see `takeFrom`. */
export interface RecordTaker {
  /** There may be records to take, or the end. */
  goOn(): void
}

export const DONE = { value: undefined, done: true } as const

export class RecordQueue<T> {
  readonly #owner: QueueOwner<T>
  readonly #runs: DeliveredRun<T>[] = []
  readonly #waiters: Waiter<T>[] = []
  /** Where the records came from that were handed out last, and how many they were. */
  #handed: DeliveredRun<T> | null = null
  #handedRecords = 0
  #begun: DeliveredRun<T> | null = null
  #taker: RecordTaker | null = null
  #received = 0
  /** Records that are not handed out. */
  #waiting = 0
  /** Nothing more comes; the error, if any, is thrown once when everything is handed out. */
  #end: { error: LeveretError | null } | null = null

  constructor(owner: QueueOwner<T>) {
    this.#owner = owner
  }

  get isOver(): boolean {
    return this.#end !== null
  }

  /** Somebody waits, so everything fetched is consumed. */
  get isDry(): boolean {
    return this.#waiters.length > 0
  }

  /** Deliveries so far. */
  get received(): number {
    return this.#received
  }

  /** The record at hand is of this delivery. */
  isHanded(run: DeliveredRun<T>): boolean {
    return this.#handed === run
  }

  push(run: DeliveredRun<T>): void {
    this.#received++
    this.#waiting += run.remaining
    this.#runs.push(run)
    if (this.#taker !== null) {
      this.#taker.goOn()
      return
    }
    while (this.#waiters.length > 0) {
      this.consumeHanded()
      const record = this.#take()
      if (record === null) return
      this.#waiters.shift()?.resolve({ value: record, done: false })
    }
  }

  next(): Promise<RecordResult<T>> {
    this.consumeHanded()
    const record = this.#take()
    return record === null ? this.#wait() : Promise.resolve({ value: record, done: false })
  }

  /** The rest of the delivery of which a record was handed out last, together with it. */
  takeRest(): ReceivedRecord<T>[] {
    const rest: ReceivedRecord<T>[] = []
    const run = this.#handed
    while (run !== null && run.remaining > 0) rest.push(run.take())
    this.#handedRecords += rest.length
    this.#waiting -= rest.length
    return rest
  }

  /** From now on `taker` takes the records. */
  takeBy(taker: RecordTaker): void {
    this.#taker = taker
  }

  /** The next record of a partition that is free; whoever takes it says itself what became of it. */
  takeFrom(isFree: (partition: number) => boolean): { run: DeliveredRun<T>; record: ReceivedRecord<T> } | null {
    const index = this.#runs.findIndex((run) => run.remaining > 0 && isFree(run.partition))
    const run = this.#runs[index]
    if (run === undefined) return null
    this.#owner.onBegun(run)
    const record = run.take()
    this.#waiting--
    if (run.remaining === 0) this.#runs.splice(index, 1)
    return { run, record }
  }

  consumeHanded(): void {
    const run = this.#handed
    if (run === null) return
    this.#handed = null
    this.#owner.onConsumed(run, this.#handedRecords)
  }

  /** Let go of what was fetched and not handed out. */
  clear(): void {
    for (const run of this.#runs) run.abandon()
    this.#runs.length = 0
    this.#waiting = 0
  }

  /** What was fetched and not handed out. */
  get fetched(): Iterable<DeliveredRun<T>> {
    return this.#runs
  }

  /** Let go of the oldest deliveries until about so many records are left that are not handed out. */
  keepNewest(records: number): void {
    for (let index = 0; this.#waiting > records && index < this.#runs.length; index++) {
      const run = this.#runs[index] as DeliveredRun<T>
      // Of the one at hand somebody may still want the rest.
      if (run !== this.#handed) this.#abandon(run)
    }
  }

  /** Let go of what was fetched of a partition while it was assigned. */
  drop(tenure: Tenure): void {
    const kept = this.#runs.filter((run) => run.tenure !== tenure)
    if (kept.length === this.#runs.length) return
    for (const run of this.#runs) if (run.tenure === tenure) this.#abandon(run)
    this.#runs.splice(0, this.#runs.length, ...kept)
  }

  /** Nothing more comes: those who wait hear of it now, others when everything is handed out. */
  end(error: LeveretError | null): void {
    if (this.#end !== null) return
    this.#end = { error }
    for (const waiter of this.#waiters.splice(0)) {
      const first = this.takeError()
      if (first === null) waiter.resolve(DONE)
      else waiter.reject(first)
    }
    this.#taker?.goOn()
  }

  /** What ended it, once. */
  takeError(): LeveretError | null {
    const error = this.#end?.error ?? null
    if (error !== null) this.#end = { error: null }
    return error
  }

  #abandon(run: DeliveredRun<T>): void {
    this.#waiting -= run.remaining
    run.abandon()
  }

  #take(): ReceivedRecord<T> | null {
    const runs = this.#runs
    let run = runs[0]
    while (run !== undefined && run.remaining === 0) {
      runs.shift()
      run = runs[0]
    }
    if (run === undefined) return null
    if (run !== this.#begun) {
      this.#begun = run
      this.#owner.onBegun(run)
    }
    this.#handed = run
    this.#handedRecords = 1
    this.#waiting--
    return run.take()
  }

  #wait(): Promise<RecordResult<T>> {
    if (this.#end !== null) {
      const error = this.takeError()
      return error === null ? Promise.resolve(DONE) : quiet(Promise.reject(error))
    }
    const waiter = new Waiter<T>()
    this.#waiters.push(waiter)
    this.#owner.onDry()
    return waiter.promise
  }
}

/** Whole deliveries, each as far as it is not handed out; in the end `records` is closed. */
export async function* batchesOf<T>(
  records: { next(): Promise<RecordResult<T>>; close(): Promise<void> },
  queue: RecordQueue<T>,
): AsyncGenerator<ReceivedRecord<T>[], undefined> {
  try {
    for (;;) {
      const first = await records.next()
      if (first.done === true) return
      yield [first.value, ...queue.takeRest()]
    }
  } finally {
    await records.close()
  }
}

class Waiter<T> {
  readonly promise: Promise<RecordResult<T>>
  resolve: (result: RecordResult<T>) => void = nothing
  reject: (error: LeveretError) => void = nothing

  constructor() {
    this.promise = quiet(
      new Promise((resolve, reject) => {
        this.resolve = resolve
        this.reject = reject
      }),
    )
  }
}
