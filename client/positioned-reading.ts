/**
 * A named cursor, or a member of a partitioned group: it reads what the server assigns to it, from where the group stands,
 * and commits how far it is. What is taken away it lets go of when the record at hand is dealt with and committed. Called
 * by subscription.ts.
 */
import type { Timer } from '../src/common/clock.js'
import { ClosedError, FencedError, type LeveretError, UnsupportedError } from '../src/common/errors.js'
import type { TurnTask } from '../src/common/turn.js'
import type { AssignedFrame, ServerFrame } from '../src/protocol/frames.js'
import { callUser } from './call-user.js'
import { letGo, upTo } from './commit-frames.js'
import { groupProgress } from './group-requests.js'
import { inDoubt } from './in-doubt.js'
import type { Progress, ReaderName, Reading, ReadingHost } from './reading.js'
import type { DeliveredRun, Verdict } from './received-record.js'
import { errorOf } from './requests.js'
import { Tenure } from './tenure.js'

/** Before a Commit that the engine could not do is said again. */
const RETRY_DELAY_MS = 500
/** The server waits 10 s for what it took away, and its wait began before this one. */
const LEAVE_MS = 9_500

export class PositionedReading<T> implements Reading<T>, TurnTask {
  readonly name: ReaderName
  readonly isOrdered = true
  readonly #host: ReadingHost<T>
  readonly #isManual: boolean
  readonly #commitEvery: number
  readonly #tenures = new Map<number, Tenure>()
  /** Taken away, and not let go of yet. */
  #leaving: Tenure[] = []
  #generation = 0
  #confirmed = 0
  #isCommitScheduled = false
  #retryTimer: Timer | null = null
  readonly #whenAnswered: (() => void)[] = []
  readonly #whenDrained: ((isDone: boolean) => void)[] = []

  constructor(host: ReadingHost<T>, name: ReaderName) {
    this.name = name
    this.#host = host
    this.#isManual = host.options.manualCommit === true
    this.#commitEvery = Math.ceil(host.window / 2)
  }

  up(): void {
    this.#host.subscribe(this.#host.start)
  }

  down(): void {
    this.#host.queue.clear()
    this.#lose(new FencedError('the connection was lost: what is not committed comes again'))
  }

  delivered(run: DeliveredRun<T>): void {
    const tenure = this.#tenures.get(run.partition)
    // What was on its way when the partition was taken away is another's.
    if (tenure === undefined || tenure.signal.isAborted) return
    run.tenure = tenure
    tenure.end = run.nextOffset + run.remaining
    this.#host.queue.push(run)
  }

  assigned({ generation, partitions, started }: AssignedFrame): void {
    this.#generation = generation
    const kept = new Set(partitions)
    for (const [partition, tenure] of [...this.#tenures]) if (!kept.has(partition)) this.#leave(tenure)
    for (const partition of started) {
      const before = this.#tenures.get(partition)
      const elsewhere = new FencedError(`partition ${partition} is read from elsewhere now`)
      if (before !== undefined) this.#end(before, elsewhere)
      for (const leaving of this.#leaving) if (leaving.partition === partition) this.#end(leaving, elsewhere)
      this.#tenures.set(partition, new Tenure(partition, generation))
    }
    const assigned = { generation, partitions: [...partitions], started: [...started] }
    callUser(() => this.#host.options.onAssigned?.(assigned))
    this.#confirm()
  }

  lostFrom(_partition: number, from: number): number {
    return from
  }

  begun(run: DeliveredRun<T>): void {
    if (run.tenure !== null) run.tenure.current = run
  }

  consumed({ tenure, nextOffset }: DeliveredRun<T>, records: number): void {
    if (tenure === null || this.#isManual) return
    tenure.dealtWith(nextOffset - 1, records)
    this.#commitSoon(tenure)
  }

  commitUpTo({ tenure }: DeliveredRun<T>, offset: number): void {
    if (tenure === null || this.#host.isOver) return
    tenure.dealtWith(offset, 1)
    this.#commitSoon(tenure)
  }

  async acknowledge({ tenure }: DeliveredRun<T>, offset: number): Promise<void> {
    if (this.#host.isOver) throw new ClosedError('the subscription is over')
    if (tenure === null || tenure.signal.isAborted) throw this.#fenced(tenure)
    tenure.dealtWith(offset, 1)
    const committed = tenure.until(offset)
    this.#commitSoon(tenure)
    await committed
  }

  settle(_run: DeliveredRun<T>, _offset: number, { outcome }: Verdict): Promise<void> {
    const message = `"${outcome}" is said of records of a shared group; here a position is committed`
    return Promise.reject(new UnsupportedError(message))
  }

  signalOf({ tenure }: DeliveredRun<T>): AbortSignal {
    if (tenure === null) return AbortSignal.abort(this.#fenced(tenure))
    return tenure.signal.signal
  }

  progress(): Progress | Promise<Progress> {
    const { context, topicName } = this.#host
    if (this.#tenures.size === 0) return 'unassigned'
    return groupProgress(context.requests, topicName, this.name.group, ({ partitions }) =>
      partitions.every(({ partition, end, lag }) => {
        const tenure = this.#tenures.get(partition)
        return tenure === undefined || lag === 0 || tenure.done >= end
      }),
    )
  }

  runTurn(): void {
    this.#isCommitScheduled = false
    for (const tenure of [...this.#tenures.values(), ...this.#leaving]) {
      // One at a time, so that they gather while the disk is busy; but the credit of half a window is not waited for.
      if (tenure.underWay === 0 || tenure.records >= this.#commitEvery) this.#commit(tenure)
    }
    this.#confirm()
  }

  leaving(): boolean {
    // What was fetched and is not committed is read again by whoever goes on.
    return false
  }

  extendFetched(): void {
    // Nothing runs out.
  }

  late(): void {
    // As above.
  }

  flush(): void {
    for (const tenure of [...this.#tenures.values(), ...this.#leaving]) this.#commit(tenure)
  }

  answered(): Promise<void> {
    if (![...this.#tenures.values(), ...this.#leaving].some(({ underWay }) => underWay > 0)) return Promise.resolve()
    return new Promise((resolve) => this.#whenAnswered.push(resolve))
  }

  drained(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#whenDrained.push(resolve)
      this.#tellDrained()
    })
  }

  over(reason: LeveretError): void {
    for (const { signal } of [...this.#tenures.values(), ...this.#leaving]) signal.abort(reason)
  }

  close(reason: LeveretError): void {
    this.#lose(reason)
  }

  // ---- committing ----

  #commitSoon(tenure: Tenure): void {
    if (this.#isCommitScheduled || tenure.signal.isAborted) return
    this.#isCommitScheduled = true
    this.#host.context.turn.afterwards(this)
  }

  #commit(tenure: Tenure): void {
    const { context, number, epoch } = this.#host
    const { done, partition, generation } = tenure
    if (tenure.signal.isAborted || done <= tenure.said || !context.link.isUp) return
    tenure.said = done
    tenure.records = 0
    tenure.underWay++
    const id = context.link.nextId({
      onAnswer: (frame) => {
        if (epoch === this.#host.epoch) this.#answered(tenure, done, frame)
      },
    })
    context.link.send(upTo(id, number, partition, done - 1, generation))
  }

  #answered(tenure: Tenure, next: number, frame: ServerFrame): void {
    tenure.underWay--
    if (frame.kind === 'failure') this.#refused(tenure, next, errorOf(frame))
    else {
      tenure.isCommitted(next)
      if (tenure.done > tenure.said) this.#commit(tenure)
      this.#tellDrained()
    }
    this.#confirm()
    if (tenure.underWay === 0) this.#tellAnswered()
  }

  #refused(tenure: Tenure, next: number, error: LeveretError): void {
    if (!error.retryable) {
      this.#host.leasesLost(tenure.done - tenure.committed)
      this.#end(tenure, error)
      return
    }
    tenure.failed(next, error)
    const { clock } = this.#host.context.settings
    this.#retryTimer ??= clock.after(RETRY_DELAY_MS, () => {
      this.#retryTimer = null
      this.runTurn()
    })
  }

  // ---- what is taken away ----

  /** What was fetched and not handed out is dropped; the record at hand may be finished. */
  #leave(tenure: Tenure): void {
    this.#tenures.delete(tenure.partition)
    this.#leaving.push(tenure)
    this.#host.queue.drop(tenure)
    this.#commit(tenure)
    tenure.leaving = this.#host.context.settings.clock.after(LEAVE_MS, () => this.#outstayed(tenure))
  }

  /** The server gives it away now, whether its record is dealt with or not. */
  #outstayed(tenure: Tenure): void {
    tenure.failed(tenure.said, inDoubt())
    this.#end(tenure, new FencedError(`partition ${tenure.partition} was not let go of in time`))
    this.#confirm()
  }

  #confirm(): void {
    this.#leaving = this.#leaving.filter((tenure) => {
      if (!tenure.isSettled) return true
      this.#end(tenure, new FencedError(`partition ${tenure.partition} was given to another member`))
      return false
    })
    const { context, number, isOver } = this.#host
    if (this.#leaving.length > 0 || this.#confirmed === this.#generation || isOver) return
    this.#confirmed = this.#generation
    context.link.send(letGo(number, this.#generation))
  }

  #end(tenure: Tenure, reason: LeveretError): void {
    if (this.#tenures.get(tenure.partition) === tenure) this.#tenures.delete(tenure.partition)
    this.#host.queue.drop(tenure)
    tenure.leaving?.cancel()
    tenure.signal.abort(reason)
    tenure.failed(Number.POSITIVE_INFINITY, reason)
    this.#tellDrained()
  }

  #lose(reason: LeveretError): void {
    const tenures = [...this.#tenures.values(), ...this.#leaving]
    this.#tenures.clear()
    this.#leaving = []
    this.#generation = 0
    this.#confirmed = 0
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    for (const tenure of tenures) {
      tenure.failed(tenure.said, inDoubt())
      this.#end(tenure, reason)
    }
    this.#tellAnswered()
  }

  #tellAnswered(): void {
    for (const resolve of this.#whenAnswered.splice(0)) resolve()
  }

  #tellDrained(): void {
    const isDone = this.#tenures.size > 0
    for (const { committed, end } of this.#tenures.values()) if (committed < end) return
    for (const resolve of this.#whenDrained.splice(0)) resolve(isDone)
  }

  #fenced(tenure: Tenure | null): Error {
    const { signal } = tenure?.signal ?? {}
    if (signal?.reason instanceof Error) return signal.reason
    return new FencedError('the partition is not read here any more')
  }
}
