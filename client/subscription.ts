/**
 * One subscription, as the user iterates it: holds what was fetched, gives credit back as records are consumed, and
 * takes itself up again on a new connection where it was. Called by topic.ts and client.ts.
 * Long because iterating, committing and taking up again share one state.
 */
import type { Timer } from '../src/common/clock.js'
import {
  AbortedError,
  ClosedError,
  LeaseLostError,
  type LeveretError,
  TopicNotFoundError,
  UnsupportedError,
} from '../src/common/errors.js'
import type { Turn } from '../src/common/turn.js'
import type { Start } from '../src/model/topic.js'
import type { Outcome, ServerFrame, TopicDescription } from '../src/protocol/frames.js'
import { callUser } from './call-user.js'
import type { Codec } from './codec.js'
import { upTo, verdictOn } from './commit-frames.js'
import { CommitLedger } from './commit-ledger.js'
import { GroupAcks } from './group-acks.js'
import type { Link } from './link.js'
import { type ClientSettings, requireWithin } from './options.js'
import { nothing, quiet } from './quiet.js'
import { DeliveredRun, type ReceivedRecord, type RecordSource } from './received-record.js'
import { DONE, type QueueOwner, RecordQueue, type RecordResult } from './record-queue.js'
import { errorOf, type Requests } from './requests.js'
import { ResumePoint } from './resume-point.js'
import {
  GROUP_WINDOW_DEFAULT,
  type LostRange,
  type SubscribeOptions,
  type Subscription,
  startOf,
  WINDOW_DEFAULT,
  wholeNumber,
} from './subscribe-options.js'

const RETRY_DELAY_MS = 500
const WINDOW_MAX = 0xffff_ffff

/** What all subscriptions of a client share. */
export interface SubscribeContext {
  readonly link: Link
  readonly requests: Requests
  readonly settings: ClientSettings
  readonly turn: Turn
  /** Of the server of the latest connection; another one has other logs. */
  nodeId(): string
  /** The subscription is over, and its number will not be used again. */
  forget(subscription: number): void
}

export class LiveSubscription<T> implements Subscription<T>, RecordSource<T>, QueueOwner<T> {
  /** Resolves when the server has taken the subscription: what is published from then on will be delivered. */
  readonly ready: Promise<void>
  readonly topicName: string
  readonly codec: Codec<T>

  readonly #context: SubscribeContext
  /** The server that the places belong to. */
  #nodeId = ''
  readonly #options: SubscribeOptions
  readonly #number: number
  readonly #start: Start
  readonly #window: number
  readonly #commitEvery: number
  readonly #resume: ResumePoint
  readonly #ledger = new CommitLedger()
  /** Instead of the ledger, for a member of a shared group; else null. */
  readonly #acks: GroupAcks | null
  readonly #queue: RecordQueue<T>
  #epoch = 0
  #isReady = false
  #markReady: () => void = nothing
  #failReady: (error: LeveretError) => void = nothing
  #lostRecords = 0
  #isCommitScheduled = false
  /** What there was at subscribing: to be consumed before the subscription has caught up. */
  #backlog: TopicDescription | null = null
  #hasCaughtUp = false
  #retryTimer: Timer | null = null
  readonly #onAbort = () => this.#abort()

  /** Throws InvalidArgumentError. `number` is free on this client. */
  constructor(context: SubscribeContext, number: number, topic: string, codec: Codec<T>, options: SubscribeOptions) {
    this.#context = context
    this.#queue = new RecordQueue(this)
    this.#options = options
    this.#number = number
    this.topicName = topic
    this.codec = codec
    this.#start = startOf(options.from)
    if (options.until !== undefined) wholeNumber('until', options.until)
    this.#acks = options.mode === 'shared' ? new GroupAcks() : null
    this.#window = options.window ?? (this.#acks === null ? WINDOW_DEFAULT : GROUP_WINDOW_DEFAULT)
    if (options.ackWaitMs !== undefined) requireWithin('ackWaitMs', options.ackWaitMs, 1, Number.MAX_SAFE_INTEGER)
    requireWithin('window', this.#window, 1, WINDOW_MAX)
    this.#commitEvery = Math.ceil(this.#window / 2)
    this.#resume = new ResumePoint(this.#start, context.settings.clock.monotonic())
    this.ready = new Promise((resolve, reject) => {
      this.#markReady = () => resolve()
      this.#failReady = reject
    })
    void quiet(this.ready)
    const { signal } = options
    if (signal?.aborted === true) this.#abort()
    else {
      signal?.addEventListener('abort', this.#onAbort, { once: true })
      if (context.link.isUp) this.onUp()
    }
  }

  /** Records that were lost for this subscription so far; `onLost` tells which. */
  get lostRecords(): number {
    return this.#lostRecords
  }

  /** Nothing more will be fetched. */
  get isOver(): boolean {
    return this.#queue.isOver
  }

  // ---- iterating ----

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Asking for the next record commits the previous one, unless `manualCommit`. */
  next(): Promise<RecordResult<T>> {
    return this.#queue.next()
  }

  /** Iterate whole deliveries: an array of at least one record each time, all of one partition. */
  async *batches(): AsyncGenerator<ReceivedRecord<T>[], undefined> {
    try {
      for (;;) {
        const first = await this.next()
        if (first.done === true) return
        yield [first.value, ...this.#queue.takeRest()]
      }
    } finally {
      await this.close()
    }
  }

  /** Called when a loop is left. */
  return(): Promise<RecordResult<T>> {
    return this.close().then(() => DONE)
  }

  /** Stop; what was fetched and not consumed is let go. Iterating ends. */
  async close(): Promise<void> {
    this.#queue.clear()
    this.#finish(null)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stop fetching; what was fetched can still be iterated. */
  finish(): void {
    this.#finish(null)
  }

  /** The client is over. */
  fail(error: LeveretError | null): void {
    if (error === null) this.#queue.clear()
    this.#finish(error)
  }

  // ---- committing ----

  commitUpTo(delivered: DeliveredRun<T>, offset: number): void {
    if (delivered.epoch !== this.#epoch || this.isOver) return
    if (this.#acks === null) this.#ledger.consumed(delivered.partition, offset, 1)
    else this.#acks.consumed(delivered.partition, offset, offset + 1)
    this.#settled(delivered.partition, offset)
    this.#commitSoon()
  }

  /** Asking for the next record says nothing more of it. */
  #settled(partition: number, offset: number): void {
    if (this.#options.manualCommit !== true) this.#acks?.settled(partition, offset)
  }

  #commitSoon(): void {
    if (this.#isCommitScheduled) return
    this.#isCommitScheduled = true
    this.#context.turn.afterwards(this)
  }

  async settle(delivered: DeliveredRun<T>, offset: number, outcome: Outcome, delayMs: number): Promise<void> {
    if (this.#acks === null) throw new UnsupportedError(`a cursor knows no outcome "${outcome}", only acks`)
    if (this.isOver) throw new ClosedError('the subscription is over')
    if (delivered.epoch !== this.#epoch) throw new LeaseLostError('the connection was lost: the record comes again')
    const { partition } = delivered
    if (outcome !== 'extend') this.#settled(partition, offset)
    await this.#context.requests.ask('done', (id) => verdictOn(id, this.#number, partition, [offset], outcome, delayMs))
  }

  async acknowledge(delivered: DeliveredRun<T>, offset: number): Promise<void> {
    if (this.#acks !== null) return await this.settle(delivered, offset, 'ack', 0)
    // A lost connection has given all its credit back: its records are in flight no more.
    if (delivered.epoch !== this.#epoch) return
    if (this.isOver) throw new ClosedError('the subscription is over')
    const { partition } = delivered
    await this.#context.requests.ask('done', (id) => upTo(id, this.#number, partition, offset))
  }

  runTurn(): void {
    this.#isCommitScheduled = false
    this.#commit()
  }

  onConsumed(run: DeliveredRun<T>, records: number): void {
    if (run.epoch !== this.#epoch || this.#options.manualCommit === true) return
    if (this.#acks !== null) {
      // One record at a time is handed out, or the rest of a delivery with it.
      this.#acks.consumed(run.partition, run.nextOffset - records, run.nextOffset)
      this.#commitSoon()
      return
    }
    this.#ledger.consumed(run.partition, run.nextOffset - 1, records)
    if (this.#ledger.records >= this.#commitEvery) this.#commit()
  }

  #commit(): void {
    const { link } = this.#context
    this.#ledger.take((partition, offset) => link.send(upTo(0, this.#number, partition, offset)))
    this.#acks?.take((partition, offsets) => link.send(verdictOn(0, this.#number, partition, offsets, 'ack', 0)))
  }

  // ---- what the client hands in ----

  onUp(): void {
    if (this.isOver) return
    const epoch = ++this.#epoch
    const { link } = this.#context
    // Told before the Subscribe that follows it, so no record can slip in between the two unseen.
    const described = (frame: ServerFrame): void => {
      if (epoch === this.#epoch) this.#onDescribed(frame.kind === 'description' ? (frame.topics[0] ?? null) : null)
    }
    const id = link.nextId({ onAnswer: described })
    link.send({ kind: 'describe', id, topic: this.topicName, group: '', after: '', groups: false })
    if (!this.#isReady) this.#subscribe(this.#start)
  }

  onDown(): void {
    this.#epoch++
    this.#ledger.clear()
    // What was fetched is given to other members, or comes again.
    if (this.#acks !== null) this.#queue.clear()
    this.#acks?.clear()
    this.#retryTimer?.cancel()
  }

  onFrame(frame: ServerFrame): void {
    if (this.isOver) return
    switch (frame.kind) {
      case 'delivery': {
        const run = new DeliveredRun<T>(this, this.#epoch, frame)
        if (this.#acks !== null) {
          this.#queue.push(run)
          return
        }
        const next = run.nextOffset + run.remaining
        this.#skipKnown(run)
        if (run.remaining === 0) return
        this.#resume.advance(run.partition, next)
        this.#queue.push(run)
        return
      }
      case 'lost-range':
        this.#lost(frame.partition, frame.from, frame.to, frame.cause)
        return
      case 'ended':
        this.#finish(frame.reason === 'until-reached' ? null : this.#endedBy(frame.reason), false)
        return
      default:
    }
  }

  #endedBy(reason: string): LeveretError {
    if (reason === 'topic-deleted') return new TopicNotFoundError(this.topicName)
    return new ClosedError(`the server ended the subscription: ${reason}`)
  }

  /** Records that an earlier connection has brought: their credit goes back, and nobody sees them twice. */
  #skipKnown(run: DeliveredRun<T>): void {
    const known = Math.min(run.remaining, this.#resume.placeOf(run.partition) - run.nextOffset)
    if (known <= 0) return
    run.skip(known)
    this.#ledger.consumed(run.partition, run.nextOffset - 1, known)
    this.#commit()
  }

  #lost(partition: number, from: number, to: number, cause: LostRange['cause']): void {
    const first = Math.max(from, this.#resume.placeOf(partition))
    if (first >= to) return
    this.#resume.advance(partition, to)
    this.#lostRecords += to - first
    const lost = { topic: this.topicName, partition, from: first, to, cause }
    callUser(() => this.#options.onLost?.(lost))
  }

  /** What was read is another log's; how much of that one was missed, nobody can say. */
  #begunAgain(partition: number, expected: number): void {
    const lost = { topic: this.topicName, partition, from: expected, to: expected, cause: 'reset' } as const
    callUser(() => this.#options.onLost?.(lost))
  }

  #onDescribed(topic: TopicDescription | null): void {
    const nodeId = this.#context.nodeId()
    const isOther = nodeId !== this.#nodeId
    this.#nodeId = nodeId
    if (!this.#isReady) {
      this.#resume.pin(topic)
      this.#backlog = topic
      return
    }
    if (this.#acks !== null) {
      this.#subscribe(this.#start)
      return
    }
    for (const { partition, expected } of this.#resume.reset(topic, isOther)) this.#begunAgain(partition, expected)
    this.#subscribe(this.#resume.start(topic, this.#context.settings.clock.monotonic()))
  }

  #subscribe(start: Start): void {
    const { link } = this.#context
    const { until, mode = 'cursor', group = '' } = this.#options
    link.send({
      kind: 'subscribe',
      id: link.nextId({ onAnswer: (frame) => this.#onSubscribed(frame) }),
      subscription: this.#number,
      topic: this.topicName,
      start,
      untilOffset: until ?? null,
      mode,
      group,
      window: this.#window,
      ackWaitMs: this.#options.ackWaitMs ?? null,
      member: '',
      takeOver: false,
    })
  }

  #onSubscribed(frame: ServerFrame): void {
    if (this.isOver) return
    if (frame.kind === 'failure') {
      const error = errorOf(frame)
      if (!this.#isReady || !error.retryable) this.#finish(error, false)
      else this.#retryTimer = this.#context.settings.clock.after(RETRY_DELAY_MS, () => this.onUp())
      return
    }
    this.#isReady = true
    this.#markReady()
    if (this.#queue.isDry) this.onDry()
  }

  // ---- catching up ----

  onDry(): void {
    if (this.#hasCaughtUp || !this.#isReady || this.#acks !== null) return
    const places = this.#resume
    for (const { partition, logStart, end } of this.#backlog?.partitions ?? []) {
      if (Math.max(places.placeOf(partition), logStart) < end && this.#wants(end)) return
    }
    this.#hasCaughtUp = true
    this.#backlog = null
    callUser(() => this.#options.onCaughtUp?.())
  }

  /** Whether the start lies before `end`. */
  #wants(end: number): boolean {
    if (this.#start.kind === 'latest') return false
    return this.#start.kind !== 'offset' || this.#start.offset < end
  }

  // ---- the end ----

  #abort(): void {
    this.#queue.clear()
    this.#finish(new AbortedError('the subscription was aborted', { cause: this.#options.signal?.reason }))
  }

  /** `tellServer`: it still thinks that there is a subscription. */
  #finish(error: LeveretError | null, tellServer = true): void {
    if (this.isOver) return
    // The loop may have been left because a record could not be dealt with: it goes to another member.
    if (this.#acks === null) this.#queue.consumeHanded()
    const { link } = this.#context
    if (tellServer && link.isUp && this.#epoch > 0) {
      this.#commit()
      link.send({ kind: 'unsubscribe', id: 0, subscription: this.#number, forget: false })
    }
    this.#retryTimer?.cancel()
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#context.forget(this.#number)
    this.#failReady(error ?? new ClosedError('the subscription was closed before it began'))
    this.#queue.end(error)
  }
}
