/**
 * A plain cursor: every record, kept track of here. Over a reconnect it goes on where it was, and what it has already is
 * not handed out again. Commits only give credit back. Called by subscription.ts.
 */
import { ClosedError, type LeveretError, UnsupportedError } from '../src/common/errors.js'
import type { TurnTask } from '../src/common/turn.js'
import type { ServerFrame, TopicDescription } from '../src/protocol/frames.js'
import { upTo } from './commit-frames.js'
import { CommitLedger } from './commit-ledger.js'
import { LazySignal } from './lazy-signal.js'
import type { Progress, Reading, ReadingHost } from './reading.js'
import type { DeliveredRun, Verdict } from './received-record.js'
import { ResumePoint } from './resume-point.js'

const ANSWERED = Promise.resolve()

export class CursorReading<T> implements Reading<T>, TurnTask {
  readonly name = { mode: 'cursor', group: '', member: '', takeOver: false } as const
  readonly isOrdered = true
  readonly #host: ReadingHost<T>
  readonly #isManual: boolean
  readonly #commitEvery: number
  readonly #resume: ResumePoint
  readonly #ledger = new CommitLedger()
  readonly #over = new LazySignal()
  #isCommitScheduled = false
  /** The server that the places belong to. */
  #nodeId = ''
  /** What there was at subscribing: to be consumed before the subscription has caught up. */
  #backlog: TopicDescription | null = null

  constructor(host: ReadingHost<T>) {
    this.#host = host
    this.#isManual = host.options.manualCommit === true
    this.#commitEvery = Math.ceil(host.window / 2)
    this.#resume = new ResumePoint(host.start, host.context.settings.clock.monotonic())
  }

  up(isFirst: boolean): void {
    const { context, epoch, topicName, start } = this.#host
    // Told before the Subscribe that follows it, so no record can slip in between the two unseen.
    const described = (frame: ServerFrame): void => {
      if (epoch !== this.#host.epoch) return
      this.#described(frame.kind === 'description' ? (frame.topics[0] ?? null) : null, isFirst)
    }
    const id = context.link.nextId({ onAnswer: described })
    context.link.send({ kind: 'describe', id, topic: topicName, group: '', after: '', groups: false })
    if (isFirst) this.#host.subscribe(start)
  }

  down(): void {
    this.#ledger.clear()
  }

  delivered(run: DeliveredRun<T>): void {
    const next = run.nextOffset + run.remaining
    this.#skipKnown(run)
    if (run.remaining === 0) return
    this.#resume.advance(run.partition, next)
    this.#host.queue.push(run)
  }

  assigned(): void {
    // Nothing is assigned to a cursor without a name.
  }

  lostFrom(partition: number, from: number, to: number): number {
    const first = Math.max(from, this.#resume.placeOf(partition))
    this.#resume.advance(partition, to)
    return first
  }

  begun(): void {
    // Nobody takes anything away from a cursor.
  }

  consumed(run: DeliveredRun<T>, records: number): void {
    if (run.epoch !== this.#host.epoch || this.#isManual) return
    this.#ledger.consumed(run.partition, run.nextOffset - 1, records)
    if (this.#ledger.records >= this.#commitEvery) this.flush()
  }

  commitUpTo(run: DeliveredRun<T>, offset: number): void {
    if (run.epoch !== this.#host.epoch || this.#host.isOver) return
    this.#ledger.consumed(run.partition, offset, 1)
    if (this.#isCommitScheduled) return
    this.#isCommitScheduled = true
    this.#host.context.turn.afterwards(this)
  }

  async acknowledge(run: DeliveredRun<T>, offset: number): Promise<void> {
    const { context, epoch, isOver, number } = this.#host
    // A lost connection has given all its credit back: its records are in flight no more.
    if (run.epoch !== epoch) return
    if (isOver) throw new ClosedError('the subscription is over')
    await context.requests.ask('done', (id) => upTo(id, number, run.partition, offset, 0))
  }

  settle(_run: DeliveredRun<T>, _offset: number, { outcome }: Verdict): Promise<void> {
    return Promise.reject(new UnsupportedError(`a cursor knows no outcome "${outcome}", only acks`))
  }

  signalOf(): AbortSignal {
    return this.#over.signal
  }

  runTurn(): void {
    this.#isCommitScheduled = false
    this.flush()
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
    const { context, number } = this.#host
    this.#ledger.take((partition, offset) => context.link.send(upTo(0, number, partition, offset, 0)))
  }

  answered(): Promise<void> {
    return ANSWERED
  }

  drained(): Promise<boolean> {
    return Promise.resolve(false)
  }

  over(reason: LeveretError): void {
    this.#over.abort(reason)
    this.#backlog = null
  }

  close(): void {
    // Who waits for an ack has the time limit of a request.
  }

  progress(): Progress {
    for (const { partition, logStart, end } of this.#backlog?.partitions ?? []) {
      if (Math.max(this.#resume.placeOf(partition), logStart) < end && this.#wants(end)) return 'behind'
    }
    this.#backlog = null
    return 'caught-up'
  }

  /** Whether the start lies before `end`. */
  #wants(end: number): boolean {
    const { start } = this.#host
    if (start.kind === 'latest') return false
    return start.kind !== 'offset' || start.offset < end
  }

  /** Records that an earlier connection has brought: their credit goes back, and nobody sees them twice. */
  #skipKnown(run: DeliveredRun<T>): void {
    const known = Math.min(run.remaining, this.#resume.placeOf(run.partition) - run.nextOffset)
    if (known <= 0) return
    run.skip(known)
    this.#ledger.consumed(run.partition, run.nextOffset - 1, known)
    this.flush()
  }

  #described(topic: TopicDescription | null, isFirst: boolean): void {
    const { context } = this.#host
    const nodeId = context.nodeId()
    const isOther = nodeId !== this.#nodeId
    this.#nodeId = nodeId
    if (isFirst) {
      this.#resume.pin(topic)
      this.#backlog = topic
      return
    }
    // How much of a log that began again was missed, nobody can say.
    for (const { partition, expected } of this.#resume.reset(topic, isOther)) {
      this.#host.lost(partition, expected, expected, 'reset')
    }
    this.#host.subscribe(this.#resume.start(topic, context.settings.clock.monotonic()))
  }
}
