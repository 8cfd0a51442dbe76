/**
 * One partition of the local engine: appends in call order with a time that never goes back, producer sequences,
 * and the cursors that wait for more.
 */

import { AbortedError, UnavailableError, UnsupportedError, WrongOffsetError } from '../../common/errors.js'
import { createLog } from '../../common/log.js'
import type { SteadyTime } from '../../common/steady-time.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { Batch, LossCause } from '../../model/record.js'
import { type Durability, type Start, stronger, type TopicSettings, trimCause, weaker } from '../../model/topic.js'
import type { Chunk, Cursor, PublishHow, Receipt } from '../engine.js'
import type { PartitionLog, ProducedBatch } from '../store.js'
import { ProducerTable } from './producer-table.js'

const debug = createLog('storage:local')

const DONE: Promise<void> = Promise.resolve()

/** The topic of a partition; its settings may change. */
export interface PartitionTopic {
  readonly name: string
  readonly settings: TopicSettings
}

/** Somebody at the end of the log. */
export interface Waiter {
  wake(): void
  /** The partition is closed. */
  fail(reason: unknown): void
}

export class LocalPartition {
  readonly log: PartitionLog
  /** Where the log ended when it was opened: what is said to have stood beyond that then was lost since. */
  readonly openedEnd: Offset
  readonly #topic: PartitionTopic
  readonly #durabilityMax: Durability
  readonly #clock: SteadyTime
  readonly #producersMax: number
  #producers: ProducerTable | null = null
  #waiting: Set<Waiter> | null = null
  /** Why nothing more can be done here, once that is so. */
  #closed: Error | null = null

  constructor(
    log: PartitionLog,
    topic: PartitionTopic,
    produced: readonly ProducedBatch[],
    durabilityMax: Durability,
    options: { clock: SteadyTime; producersMax: number },
  ) {
    this.log = log
    this.openedEnd = log.end
    this.#topic = topic
    this.#durabilityMax = durabilityMax
    this.#clock = options.clock
    this.#producersMax = options.producersMax
    if (produced.length > 0) {
      this.#producers = new ProducerTable(options.producersMax)
      for (const batch of produced) this.#producers.restore(batch, durabilityMax)
    }
    log.onStable = () => this.#wake()
    log.producedNow = () => this.#producers?.batches() ?? []
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

  knows(producer: string, sequence: number): boolean {
    return this.#producers?.has(producer, sequence) ?? false
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
    const { retention } = this.#topic.settings
    const durability = this.#level(how.durability)
    const timestampMs = Math.max(log.lastTimestampMs, this.#clock.now())
    const producer = how.sequence === null ? null : { name: how.producer, sequence: how.sequence }
    return log.append(batch, { timestampMs, durability, keep: retention !== 'none', producer }).then((appended) => {
      void this.retain()
      return { baseOffset: appended.baseOffset, timestampMs, durability: appended.durability, replayed: false }
    })
  }

  /**
   * An explicit wish beyond the store is refused; the topic's own level is met as far as the store can. Never less than
   * the topic's own: nothing is shown, or acknowledged, that has not reached what the topic promises.
   */
  #level(asked: Durability | null): Durability {
    const { durability, retention } = this.#topic.settings
    const max = retention === 'none' ? 'memory' : this.#durabilityMax
    if (asked !== null && weaker(asked, max) !== asked) {
      const what = retention === 'none' ? `topic "${this.#topic.name}" keeps nothing: it` : 'this store'
      throw new UnsupportedError(`${what} reaches durability "${max}", not "${asked}"`, { topic: this.#topic.name })
    }
    return weaker(asked === null ? durability : stronger(asked, durability), max)
  }

  /** What a cursor says of offsets that retention has removed. */
  get trimCause(): LossCause {
    return trimCause(this.#topic.settings)
  }

  /** Resolves when what the limits no longer keep is gone; never rejects. */
  retain(): Promise<void> {
    const { retention } = this.#topic.settings
    if (retention === 'none') return DONE
    const { ageMs, bytes, records } = retention
    if (ageMs === null && bytes === null && records === null) return DONE
    // A failure to drop is no failure to serve: it is tried again with the next append, or within a second.
    return this.log
      .retain(retention, this.#nowFor(ageMs ?? 0))
      .catch((error: unknown) => debug('retention failed: %O', error))
  }

  async resolve(start: Start): Promise<Offset> {
    const { log } = this
    await this.retain()
    switch (start.kind) {
      case 'earliest':
        return log.logStart
      case 'latest':
        return log.stableEnd
      case 'last':
        return toOffset(Math.max(log.logStart, log.stableEnd - 1))
      case 'last-n':
        return toOffset(Math.max(log.logStart, log.stableEnd - start.records))
      case 'offset':
        return toOffset(start.offset)
      case 'time':
        return await log.offsetAt(start.timeMs)
      case 'age':
        return await log.offsetAt(this.#nowFor(start.ageMs) - start.ageMs)
    }
  }

  /** What a timestamp is compared with to tell whether it is `ageMs` old: not the clock, which may have been set since. */
  #nowFor(ageMs: number): number {
    return this.#clock.expiredBefore(ageMs) + ageMs
  }

  read(from: Offset): Cursor {
    return new LocalCursor(this, from)
  }

  get isClosed(): boolean {
    return this.#closed !== null
  }

  /** Every waiting cursor is rejected with `reason`, and so is everything that comes. */
  close(reason: Error): void {
    this.#closed = reason
    for (const cursor of this.#waiting ?? []) cursor.fail(reason)
    this.#waiting = null
  }

  /** Be told once, of the next append. */
  wait(cursor: Waiter): void {
    if (this.#closed !== null) {
      cursor.fail(this.#closed)
      return
    }
    this.#waiting ??= new Set()
    this.#waiting.add(cursor)
  }

  unwait(cursor: Waiter): void {
    this.#waiting?.delete(cursor)
  }

  #wake(): void {
    if (this.#waiting === null) return
    const waiting = this.#waiting
    this.#waiting = null
    for (const cursor of waiting) cursor.wake()
  }
}

class LocalCursor implements Cursor, Waiter {
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
      if (this.#next < log.stableEnd) {
        const from = this.#next
        const { batches, loss, next } = await log.read(from, maxBytes)
        // Trimmed while it was being read: look again.
        if (from < log.logStart) continue
        this.#next = next
        if (loss !== null) return { kind: 'lost', loss }
        if (batches.length > 0 || next > from) return { kind: 'batches', batches, next }
        if (this.#partition.isClosed || from < log.stableEnd)
          throw new UnavailableError('the end of the log cannot be read')
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
