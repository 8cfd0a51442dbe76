/**
 * The publishing side of one topic: gathers the publishes of a turn into batches, keeps them in order, and sends
 * what was not answered again after a reconnect, under the same sequence, so that it is stored once. Called by
 * topic.ts and client.ts.
 */
import type { Timer } from '../src/common/clock.js'
import {
  AbortedError,
  LeveretError,
  OverloadedError,
  ProtocolError,
  RecordTooLargeError,
} from '../src/common/errors.js'
import type { Turn } from '../src/common/turn.js'
import type { NewRecord } from '../src/model/record.js'
import { publishHeadBytesMax } from '../src/protocol/encode-client.js'
import { DELIVERY_OVERHEAD_BYTES, type ServerFrame } from '../src/protocol/frames.js'
import { recordBytes } from '../src/protocol/records.js'
import type { BatchBuffers } from './batch-buffers.js'
import type { Answerable, Link } from './link.js'
import type { ClientSettings } from './options.js'
import { type Lane, PublishBatch, ReceiptGroup } from './publish-batch.js'
import { quiet } from './quiet.js'
import type { Receipt } from './receipts.js'
import { errorOf } from './requests.js'

/** The server remembers twice as many sequences of a producer, so that none in flight is ever forgotten. */
const SEQUENCES_IN_FLIGHT_MAX = 32
const FIRST_BUFFER_BYTES = 1024
const RETRY_MIN_DELAY_MS = 50
const RETRY_MAX_DELAY_MS = 2_000

/** What all publishers of a client share. */
export interface PublishContext {
  readonly link: Link
  readonly settings: ClientSettings
  readonly turn: Turn
  readonly buffers: BatchBuffers
  /** Names this client to the server; UTF-8. */
  readonly producer: Uint8Array
  /** Bytes accepted and not answered, of all topics. */
  pendingBytes: number
}

export class Publisher implements Answerable {
  readonly #topic: string
  readonly #topicBytes: Uint8Array
  readonly #context: PublishContext
  readonly #headBytes: number
  /** Batches that still take records, in the order of their first one. They agree in all but the partition. */
  #open: PublishBatch[] = []
  #waiting: PublishBatch[] = []
  /** Sent and not settled, in the order of their sequences. */
  #inFlight: PublishBatch[] = []
  #nextSequence = 0
  #bufferBytes = FIRST_BUFFER_BYTES
  #isScheduled = false
  #retryDelayMs = RETRY_MIN_DELAY_MS
  #retryTimer: Timer | null = null
  #deadlineTimer: Timer | null = null
  #flushes: (() => void)[] = []

  constructor(topic: string, context: PublishContext) {
    this.#topic = topic
    this.#topicBytes = Buffer.from(topic)
    this.#context = context
    this.#headBytes = publishHeadBytesMax(this.#topicBytes.length, context.producer.length)
  }

  /** Never throws and never leaves a rejection unhandled: what goes wrong is in the promise. */
  publish(record: NewRecord, lane: Lane, signal: AbortSignal | undefined): Promise<Receipt> {
    const bytes = recordBytes(record)
    const error = this.#refusalOf(bytes, signal)
    if (error !== null) return failed(error)
    const batch = this.#batchFor(lane, bytes)
    batch.add(record, bytes)
    const promise = batch.waitForLast(signal)
    this.#added(batch, bytes)
    return promise
  }

  /** One promise for all: much cheaper than one for each. All or none are taken; they may be stored in part. */
  publishAll(records: readonly NewRecord[], lane: Lane, signal: AbortSignal | undefined): Promise<Receipt[]> {
    const sizes = records.map((record) => recordBytes(record))
    let total = 0
    for (const size of sizes) total += size
    const error = sizes.map((size) => this.#tooLarge(size)).find((found) => found !== null)
    const refusal = error ?? this.#refusalOf(total, signal, true)
    if (refusal !== null) return failed(refusal)
    const group = new ReceiptGroup(records.length)
    let first = 0
    let batch: PublishBatch | null = null
    for (let index = 0; index < records.length; index++) {
      const size = sizes[index] as number
      const fitting = this.#batchFor(lane, size)
      if (batch !== null && fitting !== batch) {
        batch.waitAsGroup(index - first, group, first)
        first = index
      }
      batch = fitting
      batch.add(records[index] as NewRecord, size)
      this.#context.pendingBytes += size
    }
    batch?.waitAsGroup(records.length - first, group, first)
    if (batch !== null) this.#added(batch, 0)
    const unlisten = onAbort(signal, () => group.fail(aborted(signal)))
    group.promise.then(unlisten, unlisten)
    return group.promise
  }

  /** Resolves when nothing that was published so far is unanswered, whatever became of it. */
  flush(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#flushes.push(resolve)
    })
  }

  /** The end of a turn: what was gathered is on its way. */
  runTurn(): void {
    this.#isScheduled = false
    this.#sealAll()
    this.#pump()
  }

  onUp(): void {
    this.#retryTimer?.cancel()
    this.#retryTimer = null
    for (const batch of [...this.#inFlight]) this.#send(batch)
    this.#pump()
  }

  onDown(): void {
    for (const batch of this.#inFlight) batch.id = 0
  }

  onWritable(): void {
    this.#pump()
  }

  onAnswer(frame: ServerFrame, id: number): void {
    const batch = this.#inFlight.find((candidate) => candidate.id === id)
    if (batch === undefined || batch.isSettled) return
    batch.id = 0
    if (frame.kind === 'published') {
      this.#retryDelayMs = RETRY_MIN_DELAY_MS
      try {
        batch.settle(this.#topic, frame)
      } catch (thrown) {
        batch.fail(
          thrown instanceof LeveretError
            ? thrown
            : new ProtocolError('a receipt is wrong', undefined, { cause: thrown }),
        )
      }
    } else if (frame.kind === 'failure') {
      const error = errorOf(frame)
      if (error.retryable) batch.refusal = error
      else batch.fail(error)
    } else batch.fail(new ProtocolError(`the server answered a publish with a ${frame.kind} frame`))
    if (batch.isSettled) this.#leave(batch)
    this.#retryWhenAnswered()
    this.#pump()
  }

  /** The client is over. */
  fail(error: LeveretError): void {
    this.#sealAll()
    this.#retryTimer?.cancel()
    this.#deadlineTimer?.cancel()
    for (const batch of [...this.#inFlight, ...this.#waiting]) this.#failBatch(batch, error)
    this.#waiting = []
    this.#inFlight = []
    this.#tellFlushes()
  }

  // ---- gathering ----

  #refusalOf(bytes: number, signal: AbortSignal | undefined, isMany = false): LeveretError | null {
    const { pendingBytes, settings } = this.#context
    if (signal?.aborted === true) return aborted(signal)
    const tooLarge = isMany ? null : this.#tooLarge(bytes)
    if (tooLarge !== null) return tooLarge
    if (pendingBytes + bytes <= settings.maxPendingBytes || pendingBytes === 0) return null
    const message = `${pendingBytes} bytes of publishes wait for their receipts: await some before publishing more`
    return new OverloadedError(message, { topic: this.#topic })
  }

  #tooLarge(bytes: number): LeveretError | null {
    const most = this.#runBytesMax()
    if (bytes <= most) return null
    const message = `a record of ${bytes} bytes does not fit into a frame, ${most} bytes do`
    return new RecordTooLargeError(message, { topic: this.#topic })
  }

  /** A run must fit into the Publish that brings it, and into the Delivery that takes it to others. */
  #runBytesMax(): number {
    return this.#context.link.frameBytesMax - Math.max(this.#headBytes, DELIVERY_OVERHEAD_BYTES)
  }

  #batchFor(lane: Lane, bytes: number): PublishBatch {
    const open = this.#open
    const last = open.length > 0 ? (open[open.length - 1] as PublishBatch) : null
    const batch = last !== null && last.lane.partition === lane.partition ? last : this.#findOpen(lane)
    if (batch !== null) {
      const isAlone = lane.expectedOffset !== null || batch.lane.expectedOffset !== null
      const fits = batch.bytes + bytes <= Math.min(this.#context.settings.batchBytes, this.#runBytesMax())
      if (fits && !isAlone && batch.lane.durability === lane.durability) return batch
      this.#sealAll()
      this.#pump()
    } else if (last !== null && !canStandBeside(last.lane, lane)) this.#sealAll()
    return this.#openBatch(lane, bytes)
  }

  #findOpen(lane: Lane): PublishBatch | null {
    for (const batch of this.#open) if (batch.lane.partition === lane.partition) return batch
    return null
  }

  #openBatch(lane: Lane, bytes: number): PublishBatch {
    const { settings, turn, buffers } = this.#context
    const deadline = settings.clock.monotonic() + settings.requestTimeoutMs
    const firstBytes = Math.max(bytes, this.#bufferBytes)
    const batch = new PublishBatch(lane, buffers, firstBytes, this.#headBytes, deadline)
    this.#open.push(batch)
    if (!this.#isScheduled) {
      this.#isScheduled = true
      turn.atEnd(this)
    }
    return batch
  }

  #added(batch: PublishBatch, bytes: number): void {
    this.#context.pendingBytes += bytes
    if (batch.lane.expectedOffset === null && batch.bytes < this.#context.settings.batchBytes) return
    this.#sealAll()
    this.#pump()
  }

  #sealAll(): void {
    for (const batch of this.#open) {
      this.#waiting.push(batch)
      // The next batch is probably as large as this one; growing would copy it.
      const likely = Math.max(FIRST_BUFFER_BYTES, batch.bytes + (batch.bytes >> 3))
      this.#bufferBytes = Math.min(likely, this.#context.settings.batchBytes)
    }
    this.#open = []
    if (this.#waiting.length > 0) this.#watchDeadlines()
  }

  // ---- sending ----

  #pump(): void {
    const { link } = this.#context
    while (this.#waiting.length > 0 && this.#maySend() && link.isWritable) {
      const batch = this.#waiting.shift() as PublishBatch
      this.#context.pendingBytes -= batch.dropAborted()
      if (batch.count === 0) continue
      batch.sequence = this.#nextSequence++
      this.#inFlight.push(batch)
      this.#send(batch)
    }
    this.#tellFlushes()
  }

  #maySend(): boolean {
    const oldest = this.#inFlight[0]
    if (oldest === undefined) return true
    if (this.#nextSequence - oldest.sequence >= SEQUENCES_IN_FLIGHT_MAX) return false
    return this.#retryTimer === null && !this.#inFlight.some((batch) => batch.refusal !== null)
  }

  #send(batch: PublishBatch): void {
    const { link, producer } = this.#context
    if (batch.bytes > this.#runBytesMax()) {
      // It was gathered for a server that took larger frames than this one.
      batch.fail(new RecordTooLargeError('the server takes smaller frames than before', { topic: this.#topic }))
      this.#leave(batch)
      return
    }
    batch.refusal = null
    batch.id = link.nextId(this)
    link.sendBytes(batch.frame({ id: batch.id, topic: this.#topicBytes, producer, sequence: batch.sequence }))
  }

  /** Refused batches go again, in order, when every other one in flight has its answer, and after a wait. */
  #retryWhenAnswered(): void {
    const refused = this.#inFlight.filter((batch) => batch.refusal !== null)
    if (refused.length === 0 || refused.length < this.#inFlight.length || this.#retryTimer !== null) return
    const { clock, random } = this.#context.settings
    const delayMs = this.#retryDelayMs * (0.5 + random.next() / 2)
    this.#retryDelayMs = Math.min(this.#retryDelayMs * 2, RETRY_MAX_DELAY_MS)
    this.#retryTimer = clock.after(delayMs, () => {
      this.#retryTimer = null
      if (this.#context.link.isUp) for (const batch of [...this.#inFlight]) this.#send(batch)
    })
  }

  /** Out of those in flight, and out of the count of bytes. */
  #leave(batch: PublishBatch): void {
    this.#context.pendingBytes -= batch.bytes
    if (this.#inFlight[0] === batch) this.#inFlight.shift()
    else this.#inFlight = this.#inFlight.filter((other) => other !== batch)
  }

  // ---- the end of waiting ----

  #watchDeadlines(): void {
    const oldest = this.#inFlight[0] ?? this.#waiting[0]
    if (this.#deadlineTimer !== null || oldest === undefined) return
    const { clock } = this.#context.settings
    this.#deadlineTimer = clock.after(Math.max(1, oldest.deadline - clock.monotonic()), () => {
      this.#deadlineTimer = null
      this.#failLate(clock.monotonic())
      this.#watchDeadlines()
    })
  }

  #failLate(now: number): void {
    const isLate = (batch: PublishBatch): boolean => batch.deadline <= now
    for (const batch of this.#inFlight.filter(isLate)) this.#failBatch(batch, null)
    for (const batch of this.#waiting.filter(isLate)) this.#failBatch(batch, null)
    this.#inFlight = this.#inFlight.filter((batch) => !batch.isSettled)
    this.#waiting = this.#waiting.filter((batch) => !batch.isSettled)
    this.#retryWhenAnswered()
    this.#pump()
  }

  /** Null: it took too long. What was sent and not answered may have been stored, and the error says so. */
  #failBatch(batch: PublishBatch, cause: LeveretError | null): void {
    const details = { topic: this.#topic, cause: cause ?? undefined }
    if (batch.refusal !== null) batch.fail(batch.refusal)
    else if (batch.wasSent) {
      batch.fail(new LeveretError('LVT_IN_DOUBT', 'the publish was sent and not answered: it may be stored', details))
    } else batch.fail(cause ?? new LeveretError('LVT_TIMEOUT', 'the publish could not be sent in time', details))
    if (batch.id !== 0) this.#context.link.forget(batch.id)
    this.#context.pendingBytes -= batch.bytes
  }

  #isIdle(): boolean {
    return this.#open.length === 0 && this.#waiting.length === 0 && this.#inFlight.length === 0
  }

  #tellFlushes(): void {
    if (this.#flushes.length === 0 || !this.#isIdle()) return
    const flushes = this.#flushes
    this.#flushes = []
    for (const resolve of flushes) resolve()
  }
}

/** Batches for different partitions may be open together; anything else would change the order in a partition. */
function canStandBeside(open: Lane, lane: Lane): boolean {
  if (open.expectedOffset !== null || lane.expectedOffset !== null || open.durability !== lane.durability) return false
  return open.partition !== null && lane.partition !== null
}

function failed(error: LeveretError): Promise<never> {
  return quiet(Promise.reject(error))
}

function aborted(signal: AbortSignal | undefined): AbortedError {
  return new AbortedError('the publish was aborted', { cause: signal?.reason })
}

function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  signal?.addEventListener('abort', callback, { once: true })
  return () => signal?.removeEventListener('abort', callback)
}
