/**
 * One reader's place in one partition. Takes records from the ring while it is inside it, and from a cursor of the
 * engine while it is behind; never misses or repeats one at the hand-over, because the next offset decides both.
 * Called by session/subscription-manager.ts and by gateways. Synchronous: `take` never waits, the listener is told.
 */
import { asLeveretError, type LeveretError } from '../common/errors.js'
import { advance, FIRST_OFFSET, type Offset, toOffset } from '../model/offset.js'
import type { Loss, StoredBatch } from '../model/record.js'
import { skipRecords } from '../model/run.js'
import { type SlowConsumerPolicy, trimCause } from '../model/topic.js'
import type { Cursor } from '../storage/engine.js'
import type { TopicFacts } from './topic-facts.js'
import type { TopicRing } from './topic-ring.js'

/** How much a reader behind the ring asks of the engine at once. */
const READ_BYTES = 1024 * 1024

export interface ReaderListener {
  /** It is counted among the members of its topic. */
  readonly isMember?: boolean
  /** `take` has something new to say. May be called when it has not. */
  readable(reader: PartitionReader): void
  /** The topic has a new partition, and this is the reader for it. */
  grown(reader: PartitionReader): void
}

/** The partition that a reader reads: its topic controller. */
export interface ReaderSource {
  readonly topic: TopicFacts
  readonly partition: number
  readonly ring: TopicRing
  /** What is below it is not kept any more, though the ring may still have it. */
  readonly logStart: Offset
  openCursor(from: Offset): Promise<Cursor>
  /** The timestamp up to which records are at least `ageMs` old at `nowMs` of monotonic time. */
  expiredBefore(ageMs: number, nowMs: number): number
  /** The reader moved on, and a publisher may be waiting for that. */
  advanced(reader: PartitionReader): void
  /** The reader was overrun. */
  lagged(loss: Loss): void
  detach(reader: PartitionReader): void
}

/**
 * What `take` found: `records` (in the fields `body`, `bodyStart`, `bodyEnd`, `baseOffset`, `count`, `timestampMs`),
 * `lost` (in `loss`), nothing for now, the end, or a failure (in `failure`) after which the reader is of no use.
 */
export type TakeResult = 'records' | 'lost' | 'waiting' | 'ended' | 'failed'

const NO_BYTES = Buffer.alloc(0)
const NO_BATCHES: readonly StoredBatch[] = []

export class PartitionReader {
  body: Buffer = NO_BYTES
  bodyStart = 0
  bodyEnd = 0
  baseOffset: Offset
  count = 0
  timestampMs = 0
  loss: Loss | null = null
  failure: LeveretError | null = null

  readonly partition: number
  readonly #source: ReaderSource
  readonly listener: ReaderListener
  readonly #until: Offset | null
  #next: Offset
  /** Asleep until an append or a load wakes it. */
  #isWaiting = false
  #batch: StoredBatch | null = null
  /** Where the record `#next` starts in the body of `#batch`. */
  #position = 0
  /** Sequence of `#batch` in the ring, or -1 when it came from the engine. */
  #sequence = -1
  #loaded: StoredBatch[] | null = null
  #loadedIndex = 0
  /** Where the engine reads on. */
  #loadedEnd: Offset
  #cursor: Cursor | null = null
  #loading: AbortController | null = null

  /** Made by TopicController.reader, which attaches it. */
  constructor(source: ReaderSource, next: Offset, until: Offset | null, listener: ReaderListener) {
    this.#source = source
    this.partition = source.partition
    this.#next = next
    this.baseOffset = next
    this.#until = until
    this.#loadedEnd = next
    this.listener = listener
  }

  get slowConsumer(): SlowConsumerPolicy {
    return this.#source.topic.settings.slowConsumer
  }

  /** A reader for the same listener in a partition that has just been made, from its first record on. */
  forNewPartition(source: ReaderSource): PartitionReader {
    return new PartitionReader(source, FIRST_OFFSET, this.#until, this.listener)
  }

  /** Everything up to the reader's end is taken. */
  get isDone(): boolean {
    return this.#isAtEnd
  }

  /** Offset of the next record to take. */
  get next(): Offset {
    return this.#next
  }

  /** One beyond the newest record of the partition. */
  get end(): Offset {
    return this.#source.ring.end
  }

  /** Take up to `recordsMax` records of one batch, up to `bytesMax` bytes and at least one. `nowMs` is monotonic time. */
  take(recordsMax: number, bytesMax: number, nowMs: number): TakeResult {
    if (this.failure !== null) return 'failed'
    // First: a read that was under way when the end was reached may tell of a loss beyond it.
    if (this.#isAtEnd) return 'ended'
    if (this.loss !== null && this.loss.to > this.#next) return this.#tookLoss(this.loss)
    const batch = this.#current()
    if (this.#isAtEnd) return 'ended'
    if (batch === null) return this.loss !== null && this.loss.to > this.#next ? this.#tookLoss(this.loss) : 'waiting'
    const ageMs = this.#source.topic.retentionAgeMs
    if (ageMs !== null) {
      const expiredMs = this.#source.expiredBefore(ageMs, nowMs)
      if (batch.timestampMs <= expiredMs) return this.#expire(batch, expiredMs)
    }
    this.#cut(batch, recordsMax, bytesMax)
    return 'records'
  }

  /** Everything below the log start is gone: a reader that was to begin there says so first. */
  beginAt(logStart: Offset): void {
    if (this.#next < logStart)
      this.loss = { from: this.#next, to: logStart, cause: trimCause(this.#source.topic.settings) }
  }

  /** What retention has let go of since is not read from the ring either: a reader that is there says so first. */
  skipTrimmed(): void {
    if (this.#source.topic.keepsRecords && !this.#isAtEnd) this.beginAt(this.#source.logStart)
  }

  /** Called by the controller after an append, and after a load. */
  wake(): void {
    if (!this.#isWaiting) return
    this.#isWaiting = false
    this.listener.readable(this)
  }

  /** Stop reading, because the topic is gone or the engine failed. */
  fail(error: LeveretError): void {
    this.failure = error
    this.#dropCursor()
    this.listener.readable(this)
  }

  close(): void {
    this.#dropCursor()
    this.#batch = null
    this.#loaded = null
    this.#source.detach(this)
  }

  get #isAtEnd(): boolean {
    return this.#until !== null && this.#next >= this.#until
  }

  #tookLoss(loss: Loss): 'lost' {
    const until = this.#until
    this.loss = until !== null && loss.to > until ? { ...loss, to: until } : loss
    this.#next = this.loss.to
    this.#batch = null
    this.#source.advanced(this)
    return 'lost'
  }

  /** The batch that holds the next record, or null while there is none: then the reader waits. */
  #current(): StoredBatch | null {
    const next = this.#next
    const batch = this.#batch
    if (batch !== null && next < batch.baseOffset + batch.count) return batch
    const { ring } = this.#source
    if (next >= ring.end) return this.#wait()
    if (next >= ring.start) return this.#fromRing()
    return this.#fromEngine()
  }

  #wait(): null {
    this.#batch = null
    this.#isWaiting = true
    return null
  }

  #fromRing(): StoredBatch {
    const { ring } = this.#source
    this.#dropCursor()
    this.#loaded = null
    let batch = this.#sequence < 0 ? undefined : ring.at(this.#sequence + 1)
    if (batch !== undefined && batch.baseOffset === this.#next) this.#sequence++
    else {
      this.#sequence = ring.sequenceOf(this.#next)
      batch = ring.at(this.#sequence) as StoredBatch
    }
    return this.#enter(batch)
  }

  #fromEngine(): StoredBatch | null {
    this.#sequence = -1
    const loaded = this.#loaded ?? NO_BATCHES
    for (let batch = loaded[this.#loadedIndex]; batch !== undefined; batch = loaded[this.#loadedIndex]) {
      // What stood between was superseded by newer records of its keys.
      if (batch.baseOffset > this.#next) this.#next = batch.baseOffset
      if (this.#isAtEnd) return null
      this.#loadedIndex++
      if (this.#next < batch.baseOffset + batch.count) return this.#enter(batch)
    }
    if (this.#loaded !== null) {
      this.#loaded = null
      if (this.#loadedEnd > this.#next) {
        this.#next = this.#loadedEnd
        return this.#isAtEnd ? null : this.#current()
      }
    }
    if (!this.#source.topic.keepsRecords) {
      const { start } = this.#source.ring
      this.loss = { from: this.#next, to: start, cause: 'lagged' }
      this.#source.lagged(this.loss)
      return null
    }
    this.#load()
    return this.#wait()
  }

  #enter(batch: StoredBatch): StoredBatch {
    this.#batch = batch
    this.#position = this.#next > batch.baseOffset ? skipRecords(batch.body, 0, this.#next - batch.baseOffset) : 0
    return batch
  }

  #cut(batch: StoredBatch, recordsMax: number, bytesMax: number): void {
    const { body } = batch
    const start = this.#position
    let left = batch.baseOffset + batch.count - this.#next
    if (this.#until !== null && this.#until - this.#next < left) left = this.#until - this.#next
    let count = Math.min(left, recordsMax)
    let end: number
    if (this.#next + count === batch.baseOffset + batch.count && body.length - start <= bytesMax) end = body.length
    else {
      end = skipRecords(body, start, 1)
      let taken = 1
      while (taken < count) {
        const further = skipRecords(body, end, 1)
        // With one more it might be larger than any record can be, and than a frame.
        if (further - start > bytesMax) break
        end = further
        taken++
      }
      count = taken
    }
    this.body = body
    this.bodyStart = start
    this.bodyEnd = end
    this.baseOffset = this.#next
    this.count = count
    this.timestampMs = batch.timestampMs
    this.#position = end
    this.#next = advance(this.#next, count)
    this.#source.advanced(this)
  }

  /** Skip this batch and the expired ones that follow it at hand. */
  #expire(first: StoredBatch, expiredMs: number): 'lost' {
    const from = this.#next
    let batch: StoredBatch | null = first
    while (batch !== null && batch.timestampMs <= expiredMs) {
      this.#next = advance(batch.baseOffset, batch.count)
      if (this.#until !== null && this.#next >= this.#until) break
      batch = this.#current()
    }
    // Taken out of the ring or of what was loaded: the next to be cut.
    const entered = this.#batch
    this.#tookLoss({ from, to: this.#next, cause: 'expired' })
    this.#batch = entered
    return 'lost'
  }

  #load(): void {
    if (this.#loading !== null) return
    const loading = new AbortController()
    this.#loading = loading
    this.#fetch(loading.signal).then(
      () => this.#loadEnded(loading),
      (error: unknown) => {
        if (loading.signal.aborted) return
        this.#loadEnded(loading)
        this.fail(asLeveretError(error))
      },
    )
  }

  async #fetch(signal: AbortSignal): Promise<void> {
    let cursor = this.#cursor
    if (cursor === null) {
      cursor = await this.#source.openCursor(this.#next)
      if (signal.aborted) return cursor.close()
      this.#cursor = cursor
    }
    const chunk = await cursor.next(READ_BYTES, signal)
    if (signal.aborted) return
    if (chunk.kind === 'lost') this.loss = { ...chunk.loss, from: toOffset(Math.max(chunk.loss.from, this.#next)) }
    else {
      this.#loaded = [...chunk.batches]
      this.#loadedIndex = 0
      this.#loadedEnd = chunk.next
    }
  }

  #loadEnded(loading: AbortController): void {
    if (this.#loading === loading) this.#loading = null
    this.wake()
  }

  #dropCursor(): void {
    this.#loading?.abort()
    this.#loading = null
    this.#cursor?.close()
    this.#cursor = null
  }
}
