/**
 * One subscription, as the user has it: iterates what was fetched, begins, takes itself up again on a new connection, and
 * ends. How it reads is its reading's to know (reading.ts). Called by topic.ts and client.ts.
 * Long because beginning, iterating and ending share one state.
 */
import { AbortedError, ClosedError, InvalidArgumentError, type LeveretError } from '../src/common/errors.js'
import type { LossCause } from '../src/model/record.js'
import type { Start } from '../src/model/topic.js'
import type { ServerFrame } from '../src/protocol/frames.js'
import { callUser } from './call-user.js'
import { endedBy, readingOf } from './choose-reading.js'
import type { Codec } from './codec.js'
import { forgetCursor } from './group-requests.js'
import { Liveness, type LivenessOwner } from './liveness.js'
import { nothing, quiet } from './quiet.js'
import type { Progress, Reading, ReadingHost, SubscribeContext } from './reading.js'
import { DeliveredRun, type ReceivedRecord, type RecordSource, type Verdict } from './received-record.js'
import { batchesOf, DONE, type QueueOwner, RecordQueue, type RecordResult } from './record-queue.js'
import { RecordRunner, type RunnerHost } from './record-runner.js'
import { errorOf } from './requests.js'
import type { RecordHandler, RunOptions } from './run-options.js'
import { checkOptions, flowOf, type SubscribeOptions, type Subscription } from './subscribe-options.js'
import { SubscribeRetry } from './subscribe-retry.js'

/** How long a subscription that is closed waits for the answers to what was said of its records. */
const ANSWERS_TIMEOUT_MS = 5_000

export class LiveSubscription<T>
  implements Subscription<T>, RecordSource<T>, QueueOwner<T>, ReadingHost<T>, LivenessOwner, RunnerHost<T>
{
  /** Resolves when the server has taken the subscription: what is published from then on will be delivered. */
  readonly ready: Promise<void>
  readonly topicName: string
  readonly codec: Codec<T>
  readonly context: SubscribeContext
  readonly options: SubscribeOptions
  readonly number: number
  readonly start: Start
  readonly window: number
  readonly ackWaitMs: number
  readonly queue: RecordQueue<T>

  readonly #reading: Reading<T>
  readonly #liveness: Liveness
  readonly #retry: SubscribeRetry
  #epoch = 0
  /** The server took the subscription, once. */
  #isReady = false
  /** It has, on this connection. */
  #isSubscribed = false
  /** Of a named cursor: it has sent everything up to `until`, and waits for what is said of it. */
  #isComplete = false
  #isOver = false
  #markReady: () => void = nothing
  #failReady: (error: LeveretError) => void = nothing
  #lostRecords = 0
  #lostLeases = 0
  #isIterated = false
  #runner: RecordRunner<T> | null = null
  #closing: Promise<void> | null = null
  #over: Promise<void> | null = null
  readonly #onAbort = () => this.#abort()

  /** Throws InvalidArgumentError. `number` is free on this client. */
  constructor(context: SubscribeContext, number: number, topic: string, codec: Codec<T>, options: SubscribeOptions) {
    checkOptions(options)
    this.context = context
    this.options = options
    this.number = number
    this.topicName = topic
    this.codec = codec
    const { start, window, ackWaitMs, isShared } = flowOf(options)
    this.start = start
    this.window = window
    this.ackWaitMs = ackWaitMs
    this.queue = new RecordQueue(this)
    this.#reading = readingOf(this, isShared)
    this.ready = new Promise((resolve, reject) => {
      this.#markReady = () => resolve()
      this.#failReady = reject
    })
    void quiet(this.ready)
    this.#retry = new SubscribeRetry(context.settings, () => this.onUp())
    this.#liveness = new Liveness(this.clock, context.settings.heartbeatMs, options, this)
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

  get lostLeases(): number {
    return this.#lostLeases
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get epoch(): number {
    return this.#epoch
  }

  // ---- iterating ----

  /** Two loops would each ack what the other one is working on. Throws InvalidArgumentError the second time. */
  [Symbol.asyncIterator](): this {
    if (this.#isIterated) throw new InvalidArgumentError('a subscription is iterated once')
    this.#isIterated = true
    return this
  }

  /** Asking for the next record commits the previous one, unless `manualCommit`. */
  next(): Promise<RecordResult<T>> {
    return this.queue.next()
  }

  /** Iterate whole deliveries: an array of at least one record each time, all of one partition. */
  batches(): AsyncGenerator<ReceivedRecord<T>[], undefined> {
    return batchesOf(this, this.queue)
  }

  /** Called when a loop is left. */
  return(): Promise<RecordResult<T>> {
    return this.close().then(() => DONE)
  }

  async run(handler: RecordHandler<T>, options: RunOptions<T> = {}): Promise<void> {
    if (this.#runner !== null) throw new InvalidArgumentError('the subscription runs a handler already')
    const { signal } = options
    const runner = new RecordRunner(this, handler, options)
    this.#runner = runner
    const stop = (): void => void this.close()
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) stop()
    await runner.done
    signal?.removeEventListener('abort', stop)
    await this.close()
    if (runner.failure !== null) throw runner.failure.error
    const error = this.queue.takeError()
    if (error !== null) throw error
  }

  // ---- the end, as users have it ----

  /** Stop; what was fetched and not consumed is let go. Iterating ends. */
  close(): Promise<void> {
    this.#closing ??= this.#closeWith(null)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async forget(): Promise<void> {
    if (this.options.name === undefined) throw new InvalidArgumentError('only a cursor with a name is forgotten')
    const { link, requests } = this.context
    const isKnown = this.#isSubscribed && link.isUp && !this.isOver
    await this.#closeWith(null, !isKnown)
    await forgetCursor(requests, this.topicName, this.options.name, isKnown ? this.number : null)
  }

  /** The client drains. What a plain cursor has fetched can still be iterated; of a group, it goes to others at once. */
  async finish(): Promise<void> {
    if (this.#reading.name.group !== '' || this.#runner !== null) await this.close()
    else this.#finish(null)
  }

  /** The client is over. */
  fail(error: LeveretError | null): void {
    if (error === null) this.queue.clear()
    this.#finish(error, false)
    this.#reading.close(error ?? new ClosedError('the client was closed'))
  }

  // ---- what records ask ----

  commitUpTo(delivered: DeliveredRun<T>, offset: number): void {
    this.#reading.commitUpTo(delivered, offset)
  }

  acknowledge(delivered: DeliveredRun<T>, offset: number): Promise<void> {
    return this.#reading.acknowledge(delivered, offset)
  }

  settle(delivered: DeliveredRun<T>, offset: number, verdict: Verdict): Promise<void> {
    return this.#reading.settle(delivered, offset, verdict)
  }

  signalOf(delivered: DeliveredRun<T>, offset: number): AbortSignal {
    return this.#reading.signalOf(delivered, offset)
  }

  // ---- what the queue tells ----

  onBegun(run: DeliveredRun<T>): void {
    this.#reading.begun(run)
  }

  onConsumed(run: DeliveredRun<T>, records: number): void {
    this.#reading.consumed(run, records)
  }

  onDry(): void {
    if (this.#isComplete) this.#complete()
    else this.#liveness.dry()
  }

  // ---- what the reading asks ----

  subscribe(start: Start): void {
    const { link } = this.context
    const { name } = this.#reading
    link.send({
      kind: 'subscribe',
      id: link.nextId({ onAnswer: (frame) => this.#onSubscribed(frame) }),
      subscription: this.number,
      topic: this.topicName,
      start,
      untilOffset: this.options.until ?? null,
      window: this.window,
      ackWaitMs: name.mode === 'shared' ? this.ackWaitMs : null,
      backoffMs: this.options.backoffMs ?? [],
      ...name,
    })
  }

  lost(partition: number, from: number, to: number, cause: LossCause | 'reset'): void {
    this.#lostRecords += to - from
    callUser(() => this.options.onLost?.({ topic: this.topicName, partition, from, to, cause }))
  }

  leasesLost(records: number): void {
    this.#lostLeases += records
  }

  // ---- what liveness asks ----

  get isDry(): boolean {
    return this.queue.isDry || this.#runner?.isDry === true
  }

  get received(): number {
    return this.queue.received
  }

  get isSubscribed(): boolean {
    return this.#isSubscribed
  }

  get clock() {
    return this.context.settings.clock
  }

  extendFetched(): void {
    this.#reading.extendFetched()
  }

  get isOrdered(): boolean {
    return this.#reading.isOrdered
  }

  progress(): Progress | Promise<Progress> {
    return this.#reading.progress()
  }

  timedOut(error: LeveretError): void {
    this.#finish(error)
  }

  // ---- what the client hands in ----

  onUp(): void {
    if (this.isOver) return
    this.#epoch++
    this.#reading.up(!this.#isReady)
  }

  onDown(): void {
    this.#epoch++
    this.#isSubscribed = false
    this.#isComplete = false
    this.#retry.cancel()
    // Nobody iterates any more.
    if (this.queue.isOver) this.#finish(null)
    this.#reading.down()
  }

  onFrame(frame: ServerFrame): void {
    if (this.isOver && frame.kind !== 'delivery') return
    switch (frame.kind) {
      case 'delivery': {
        const run = new DeliveredRun<T>(this, this.#epoch, frame)
        if (this.isOver) this.#reading.late(run)
        else this.#reading.delivered(run)
        return
      }
      case 'lost-range': {
        const from = this.#reading.lostFrom(frame.partition, frame.from, frame.to)
        if (from < frame.to) this.lost(frame.partition, from, frame.to, frame.cause)
        return
      }
      case 'assigned':
        this.#reading.assigned(frame)
        return
      case 'ended':
        this.#isSubscribed = false
        this.#ended(frame.reason)
        return
      default:
    }
  }

  #ended(reason: string): void {
    const { group } = this.#reading.name
    if (reason !== 'until-reached') {
      // What a group has given it is another's now.
      if (group !== '') this.queue.clear()
      this.#finish(endedBy(reason, this.topicName, group), false)
    } else if (group === '') this.#finish(null, false)
    else {
      this.#isComplete = true
      if (this.isDry) this.#complete()
    }
  }

  /** Everything up to `until` is handed out. The iteration ends when it is committed; at once, where that is the user's. */
  #complete(): void {
    if (this.options.manualCommit === true) this.queue.end(null)
    this.#reading.flush()
    void this.#reading.drained().then((isDone) => {
      if (this.#isComplete) this.#finish(null, !isDone)
    })
  }

  #onSubscribed(frame: ServerFrame): void {
    if (this.isOver) return
    if (frame.kind === 'failure') {
      const error = errorOf(frame)
      if (this.#isReady && error.retryable) this.#retry.again()
      else this.#finish(error, false)
      return
    }
    this.#retry.taken()
    this.#isReady = true
    this.#isSubscribed = true
    this.#markReady()
    if (this.isDry) this.onDry()
  }

  // ---- the end ----

  #abort(): void {
    const { signal } = this.options
    this.#closing ??= this.#closeWith(new AbortedError('the subscription was aborted', { cause: signal?.reason }))
  }

  /** Everything up to the first wait happens at once: whoever iterates hears of it now. */
  async #closeWith(error: LeveretError | null, tellServer = true): Promise<void> {
    // Handlers may finish what they have begun; what they say of it counts.
    if (this.#runner !== null) await this.#runner.stop()
    const isLeaving = tellServer && this.#isKnown && !this.isOver && this.#reading.leaving()
    this.queue.clear()
    this.#finish(error, tellServer, isLeaving)
    await this.#over
  }

  /** What was said of records may still be answered, for a while, or until the connection is lost. */
  async #letGo(reason: LeveretError, isLeaving: boolean): Promise<void> {
    const epoch = this.#epoch
    this.#reading.over(reason)
    if (this.context.link.isUp) {
      const timer = this.clock.after(ANSWERS_TIMEOUT_MS, () => this.#reading.close(reason))
      await this.#reading.answered()
      timer.cancel()
    }
    if (isLeaving && epoch === this.#epoch) this.context.link.send(this.#unsubscribe)
    this.#reading.close(reason)
    this.context.forget(this.number)
  }

  /** The server may think that there is a subscription. */
  get #isKnown(): boolean {
    return this.context.link.isUp && this.#epoch > 0
  }

  get #unsubscribe() {
    return { kind: 'unsubscribe', id: 0, subscription: this.number, forget: false } as const
  }

  /** `tellServer`: it still thinks that there is a subscription; when it `isLeaving`, only when everything is answered. */
  #finish(error: LeveretError | null, tellServer = true, isLeaving = false): void {
    if (this.isOver) return
    // The loop may have been left because a record could not be dealt with: of a group, it comes again.
    if (this.#reading.name.group === '') this.queue.consumeHanded()
    if (tellServer && this.#isKnown) {
      this.#reading.flush()
      if (!isLeaving) this.context.link.send(this.#unsubscribe)
    }
    this.#retry.cancel()
    this.#liveness.close()
    this.options.signal?.removeEventListener('abort', this.#onAbort)
    this.#failReady(error ?? new ClosedError('the subscription was closed before it began'))
    this.#isOver = true
    this.queue.end(error)
    this.#over = this.#letGo(error ?? new ClosedError('the subscription is over'), isLeaving)
  }
}
