/**
 * One partition of the local engine: appends in call order with a time that never goes back, producer sequences,
 * and the cursors that wait for more.
 */

import type { Clock } from '../../common/clock.js'
import { AbortedError, UnsupportedError, WrongOffsetError } from '../../common/errors.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { Batch, LossCause } from '../../model/record.js'
import { type Durability, type Start, type TopicSettings, trimCause, weaker } from '../../model/topic.js'
import type { Chunk, Cursor, PublishHow, Receipt } from '../engine.js'
import type { PartitionLog } from '../store.js'
import { ProducerTable } from './producer-table.js'

export class LocalPartition {
  readonly log: PartitionLog
  readonly #settings: TopicSettings
  readonly #durabilityMax: Durability
  readonly #clock: Clock
  readonly #producersMax: number
  #producers: ProducerTable | null = null
  #waiting: Set<LocalCursor> | null = null
  /** Why nothing more can be done here, once that is so. */
  #closed: Error | null = null

  constructor(
    log: PartitionLog,
    settings: TopicSettings,
    durabilityMax: Durability,
    options: { clock: Clock; producersMax: number },
  ) {
    this.log = log
    this.#settings = settings
    this.#durabilityMax = durabilityMax
    this.#clock = options.clock
    this.#producersMax = options.producersMax
  }

  /** Not asynchronous in itself: what fails before the store is asked is a rejection all the same. */
  publish(batch: Batch, how: PublishHow): Promise<Receipt> {
    try {
      if (this.#closed !== null) throw this.#closed
      return how.sequence === null ? this.#append(batch, how) : this.#publishOnce(batch, how, how.sequence)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #publishOnce(batch: Batch, how: PublishHow, sequence: number): Promise<Receipt> {
    this.#producers ??= new ProducerTable(this.#producersMax)
    const earlier = this.#producers.find(how.producer, sequence)
    if (earlier !== null) return earlier.then((receipt) => ({ ...receipt, replayed: true }))
    const appending = this.#append(batch, how)
    this.#producers.remember(how.producer, sequence, appending)
    return appending
  }

  /** Everything up to the store's append happens in the caller's turn, so calls keep their order. */
  #append(batch: Batch, how: PublishHow): Promise<Receipt> {
    const { log } = this
    if (how.expectedOffset !== null && how.expectedOffset !== log.end) {
      throw new WrongOffsetError(`offset ${how.expectedOffset} was expected, the next one is ${log.end}`)
    }
    const asked = this.#level(how.durability)
    const timestampMs = Math.max(log.lastTimestampMs, this.#clock.now())
    const { retention } = this.#settings
    return log.append(batch, { timestampMs, durability: asked, keep: retention !== 'none' }).then((appended) => {
      if (retention !== 'none') log.retain(retention, this.#clock.now())
      this.#wake()
      const { baseOffset, durability } = appended
      return { baseOffset, timestampMs, durability, replayed: false }
    })
  }

  /** An explicit wish beyond the store is refused; the topic's own level is met as far as the store can. */
  #level(asked: Durability | null): Durability {
    if (asked === null) return weaker(this.#settings.durability, this.#durabilityMax)
    if (weaker(asked, this.#durabilityMax) !== asked) {
      throw new UnsupportedError(`this store reaches durability "${this.#durabilityMax}", not "${asked}"`)
    }
    return asked
  }

  /** What a cursor says of offsets that retention has removed. */
  get trimCause(): LossCause {
    return trimCause(this.#settings)
  }

  retain(): void {
    const { retention } = this.#settings
    if (retention !== 'none') this.log.retain(retention, this.#clock.now())
  }

  async resolve(start: Start): Promise<Offset> {
    this.retain()
    const { log } = this
    switch (start.kind) {
      case 'earliest':
        return log.logStart
      case 'latest':
        return log.end
      case 'last':
        return toOffset(Math.max(log.logStart, log.end - 1))
      case 'last-n':
        return toOffset(Math.max(log.logStart, log.end - start.records))
      case 'offset':
        return toOffset(start.offset)
      case 'time':
        return await log.offsetAt(start.timeMs)
      case 'age':
        return await log.offsetAt(this.#clock.now() - start.ageMs)
    }
  }

  read(from: Offset): Cursor {
    return new LocalCursor(this, from)
  }

  /** Every waiting cursor is rejected with `reason`, and so is everything that comes. */
  close(reason: Error): void {
    this.#closed = reason
    for (const cursor of this.#waiting ?? []) cursor.fail(reason)
    this.#waiting = null
  }

  /** @internal For cursors: be told of the next append. */
  wait(cursor: LocalCursor): void {
    if (this.#closed !== null) {
      cursor.fail(this.#closed)
      return
    }
    this.#waiting ??= new Set()
    this.#waiting.add(cursor)
  }

  /** @internal */
  unwait(cursor: LocalCursor): void {
    this.#waiting?.delete(cursor)
  }

  #wake(): void {
    if (this.#waiting === null) return
    const waiting = this.#waiting
    this.#waiting = null
    for (const cursor of waiting) cursor.wake()
  }
}

class LocalCursor implements Cursor {
  readonly #partition: LocalPartition
  #next: Offset
  #resume: (() => void) | null = null
  #reject: ((reason: unknown) => void) | null = null

  constructor(partition: LocalPartition, from: Offset) {
    this.#partition = partition
    this.#next = from
  }

  async next(maxBytes: number, signal: AbortSignal): Promise<Chunk> {
    const { log } = this.#partition
    for (;;) {
      if (signal.aborted) throw new AbortedError('the read was aborted')
      if (this.#next < log.logStart) {
        const loss = { from: this.#next, to: log.logStart, cause: this.#partition.trimCause }
        this.#next = log.logStart
        return { kind: 'lost', loss }
      }
      if (this.#next < log.end) {
        const batches = await log.read(this.#next, maxBytes)
        const last = batches.at(-1)
        // Trimmed while it was being read: look again.
        if (last === undefined) continue
        this.#next = toOffset(last.baseOffset + last.count)
        return { kind: 'batches', batches }
      }
      await this.#append(signal)
    }
  }

  close(): void {
    this.fail(new AbortedError('the cursor was closed'))
  }

  wake(): void {
    this.#resume?.()
  }

  fail(reason: unknown): void {
    this.#partition.unwait(this)
    this.#reject?.(reason)
  }

  #append(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => this.fail(new AbortedError('the read was aborted'))
      const settled = () => {
        signal.removeEventListener('abort', onAbort)
        this.#resume = null
        this.#reject = null
      }
      this.#resume = () => {
        settled()
        resolve()
      }
      this.#reject = (reason) => {
        settled()
        reject(reason)
      }
      signal.addEventListener('abort', onAbort)
      this.#partition.wait(this)
    })
  }
}
