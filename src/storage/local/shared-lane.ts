/**
 * One partition of a shared group: its machine, the records that it gives out, and those that nobody gets any more on
 * their way to the dead letters. Reads whole batches ahead of what is given out; keeps none when nobody asks.
 */
import { ClosedError } from '../../common/errors.js'
import { createLog } from '../../common/log.js'
import type { Change } from '../../groups/shared/changes.js'
import type { Lapse } from '../../groups/shared/lapses.js'
import type {
  DeadRecord,
  Offer,
  Range,
  SharedCounters,
  SharedFacts,
  SharedSettings,
  Verdict,
} from '../../groups/shared/settings.js'
import type { SharedPartition } from '../../groups/shared/shared-partition.js'
import { advance, type Offset } from '../../model/offset.js'
import type { Loss, StoredBatch } from '../../model/record.js'
import { skipRecords } from '../../model/run.js'
import type { Durability } from '../../model/topic.js'
import type { DeadLetter, ShareDelivery, ShareHow } from '../engine.js'
import { BatchShelf } from './batch-shelf.js'
import type { FactSource, GroupLog } from './group-log.js'
import type { LocalPartition, Waiter } from './local-partition.js'

const debug = createLog('storage:groups')

const READ_BYTES = 256 * 1024
/** What failed is tried again after this. */
const RETRY_MS = 1_000

const NO_RANGES: readonly Range[] = []
const COUNTED = Promise.resolve(NO_RANGES)

/** The group, as a partition of it sees it. */
export interface LaneOwner {
  readonly name: string
  readonly how: ShareHow | null
  /** Of what is written and nobody waits for; null: the best. */
  readonly level: Durability | null
  nowMs(): number
  /** There may be something to give out, or another deadline. */
  stirred(): void
  /** What members have no more, without a word of theirs. `stirred` follows. */
  expired(partition: number, lapses: readonly Lapse[]): void
  /** Records that no member will get. */
  lost(partition: number, loss: Loss): void
}

export class SharedLane implements FactSource, Waiter {
  readonly partition: number
  readonly #owner: LaneOwner
  readonly #machine: SharedPartition
  readonly #records: LocalPartition
  readonly #log: GroupLog
  readonly #shelf = new BatchShelf()
  #isReading = false
  #isBurying = false
  #isWatching = false
  #isClosed = false
  /** What the verdicts of late are written with, and what is said of those that count. */
  #written: Promise<void> | null = null
  #counted = COUNTED
  /** What failed is tried again then. */
  #retryMs: number | null = null
  /** When the last offer was made. */
  #offeredMs = 0

  constructor(owner: LaneOwner, partition: number, machine: SharedPartition, records: LocalPartition, log: GroupLog) {
    this.#owner = owner
    this.partition = partition
    this.#machine = machine
    this.#records = records
    this.#log = log
  }

  get group(): string {
    return this.#owner.name
  }

  get hasNews(): boolean {
    return this.#machine.hasChanges
  }

  news(): Change[] {
    return this.#machine.changes()
  }

  everything(): Change[] {
    return this.#machine.snapshot()
  }

  /** When `pass` is to be called, or null. */
  get nextDeadlineMs(): number | null {
    const { nextDeadlineMs } = this.#machine
    if (this.#retryMs === null || nextDeadlineMs === null) return nextDeadlineMs ?? this.#retryMs
    return Math.min(this.#retryMs, nextDeadlineMs)
  }

  configure(settings: SharedSettings): void {
    this.#machine.configure(settings)
    this.#changed()
  }

  /** Time has passed: leases may be over, and what failed is tried again. */
  pass(): void {
    const nowMs = this.#owner.nowMs()
    if (this.#retryMs !== null && this.#retryMs <= nowMs) this.#retryMs = null
    if (this.#machine.expire(nowMs) > 0 || !this.#isBurying) this.#changed()
  }

  /** What it will offer is not known yet. */
  get isReading(): boolean {
    return this.#isReading
  }

  /** What can be given out now, or null: then the owner is told when there may be something. */
  offer(): Offer | null {
    if (this.#isReading || this.#isClosed) return null
    this.#purge()
    const nowMs = this.#owner.nowMs()
    this.#offeredMs = nowMs
    if (this.#machine.expire(nowMs) > 0) this.#changed()
    const offer = this.#machine.peek(this.end, nowMs)
    if (offer === null) {
      this.#shelf.clear()
      this.#watch()
      return null
    }
    if (this.#shelf.find(offer.from) !== null) return offer
    if (this.#retryMs === null) void this.#read(offer.from)
    // What is superseded, or lost, is not read.
    return null
  }

  /**
   * Give out at most `max` records of the batch that the offer begins with, of about `bytesMax` together. At the time of the
   * offer: what has become due since comes before it, and may lie in another batch.
   */
  take(member: number, offer: Offer, max: number, bytesMax: number): ShareDelivery[] {
    const batch = this.#shelf.find(offer.from)
    if (batch === null) return []
    const fitting = Math.max(1, Math.floor((bytesMax * batch.count) / Math.max(1, batch.body.length)))
    const within = { from: batch.baseOffset, to: advance(batch.baseOffset, batch.count) }
    const taken = this.#machine.take(member, Math.min(max, fitting), this.end, this.#offeredMs, within)
    this.#tellExpired()
    const { partition } = this
    const present = this.#machine.era
    return taken.map(({ era, from, to, deliveryCount }) => {
      return { partition, batch, era, isAside: era !== present, from, to, deliveryCount }
    })
  }

  /** Resolves with the ranges that it does not count for, when what it changed is written; at a level, or (null) the best. */
  settle(
    member: number,
    from: Offset,
    to: Offset,
    verdict: Verdict,
    era: number | null,
    level: Durability | null,
  ): Promise<readonly Range[]> {
    const stale = this.#machine.settle(member, from, to, verdict, this.#owner.nowMs(), era)
    const written = this.#log.commit(this, level)
    if (verdict.kind !== 'extend') this.#changed()
    if (stale.length > 0) return written.then(() => stale)
    // Most verdicts count, and many are written together: they have one answer.
    if (written !== this.#written) {
      this.#written = written
      this.#counted = written.then(() => this.#allCounted(written))
    }
    return this.#counted
  }

  #allCounted(written: Promise<void>): readonly Range[] {
    if (this.#written === written) {
      this.#written = null
      this.#counted = COUNTED
    }
    return NO_RANGES
  }

  /** What the member holds is due again at once. */
  leave(member: number): void {
    if (this.#machine.leave(member, this.#owner.nowMs()) > 0) this.#changed()
  }

  /** Begin where a new group is told to, or go on elsewhere: what is in flight is nobody's, or kept. Resolves when that is written. */
  async seek(offset: Offset, keepsLeases = false): Promise<void> {
    if (keepsLeases) this.#machine.seekKeeping(offset)
    else this.#machine.seek(offset)
    const written = this.#log.commit(this)
    this.#changed()
    await written
  }

  get isPaused(): boolean {
    return this.#machine.isPaused
  }

  /** Give nothing out, or go on; resolves when that is written. */
  async pause(isPaused: boolean): Promise<void> {
    if (isPaused) this.#machine.pause()
    else this.#machine.resume()
    const written = this.#log.commit(this)
    this.#changed()
    await written
  }

  /** What was removed from the log may not be met until somebody asks for records. */
  get lag(): number {
    return Math.min(this.#machine.lag(this.end), this.end - this.logStart)
  }

  get counters(): Readonly<SharedCounters> {
    return this.#machine.counters
  }

  /** The lowest record that is not done with. */
  get low(): Offset {
    return this.#machine.low
  }

  facts(): SharedFacts {
    return this.#machine.facts(this.end)
  }

  /** Nothing was given out that is not done with. */
  get isDone(): boolean {
    return this.#machine.isDone
  }

  /** Nobody asks for anything any more: it needs to know of no append, and no records. */
  rest(): void {
    this.#unwatch()
    this.#shelf.clear()
  }

  close(): void {
    this.#isClosed = true
    this.rest()
  }

  wake(): void {
    this.#isWatching = false
    this.#owner.stirred()
  }

  /** The engine says so to the group as well. */
  fail(): void {
    this.#isWatching = false
  }

  get logStart(): Offset {
    return this.#records.log.logStart
  }

  get end(): Offset {
    return this.#records.log.stableEnd
  }

  #watch(): void {
    if (this.#isWatching || this.#records.isClosed) return
    this.#isWatching = true
    this.#records.wait(this)
  }

  #unwatch(): void {
    if (this.#isWatching) this.#records.unwait(this)
    this.#isWatching = false
  }

  #changed(): void {
    if (this.#isClosed) return
    this.#tellExpired()
    this.#log.note(this, this.#owner.level)
    if (this.#machine.hasDead && !this.#isBurying && this.#retryMs === null) void this.#bury()
    this.#owner.stirred()
  }

  /** Forget what the limits of the topic have removed. */
  #purge(): void {
    const { logStart } = this.#records.log
    const { low } = this.#machine
    if (logStart <= low || this.#machine.purge(logStart) === 0) return
    this.#owner.lost(this.partition, { from: low, to: logStart, cause: this.#records.trimCause })
    this.#changed()
  }

  async #read(from: Offset): Promise<void> {
    this.#isReading = true
    try {
      await this.#records.retain()
      if (from >= this.#records.log.logStart && !this.#isClosed) await this.#readBatches(from)
    } catch (error) {
      debug('partition %d cannot be read for group %j: %O', this.partition, this.group, error)
      this.#retryLater()
    } finally {
      this.#isReading = false
      if (!this.#isClosed) this.#owner.stirred()
    }
  }

  async #readBatches(from: Offset): Promise<void> {
    const { log } = this.#records
    const { batches, loss, next } = await log.read(from, READ_BYTES)
    // Trimmed while it was being read: the next offer begins elsewhere.
    if (from < log.logStart || this.#isClosed) return
    if (loss !== null) {
      this.#machine.lose(loss.from, loss.to)
      this.#tellExpired()
      this.#owner.lost(this.partition, loss)
    } else if (next <= from) throw new ClosedError('the end of the log cannot be read')
    else this.#shelve(from, batches, next)
    this.#log.note(this, this.#owner.level)
  }

  /** Offsets that are missing were superseded: there is nothing left to do for them. */
  #shelve(from: Offset, batches: readonly StoredBatch[], next: Offset): void {
    this.#shelf.put(batches)
    let at = from
    for (const { baseOffset, count } of batches) {
      if (baseOffset > at) this.#machine.lose(at, baseOffset)
      at = advance(baseOffset, count)
    }
    if (next > at) this.#machine.lose(at, next)
    this.#tellExpired()
  }

  #tellExpired(): void {
    const lapses = this.#machine.takeLapses()
    if (lapses.length > 0) this.#owner.expired(this.partition, lapses)
  }

  /** Hand over what is dead, one record after the other, so that there is never more than one of them in memory. */
  async #bury(): Promise<void> {
    this.#isBurying = true
    try {
      for (let [dead] = this.#machine.takeDead(1); dead !== undefined; [dead] = this.#machine.takeDead(1)) {
        if (!(await this.#buryOne(dead))) return
      }
    } finally {
      this.#isBurying = false
    }
  }

  async #buryOne({ offset, reason, deliveries }: DeadRecord): Promise<boolean> {
    const { how } = this.#owner
    try {
      // It is dead for good before there is a dead letter of it: no member gets it after a crash.
      await this.#log.commit(this)
      const record = await this.#recordAt(offset)
      if (this.#isClosed || how === null) throw new ClosedError('the group is closed')
      if (record !== null) await how.bury({ partition: this.partition, offset, reason, deliveries, ...record })
    } catch (error) {
      debug('the dead letter of offset %d of group %j was not stored: %O', offset, this.group, error)
      this.#machine.deadFailed(offset)
      this.#retryLater()
      if (!this.#isClosed) this.#owner.stirred()
      return false
    }
    this.#machine.deadDone(offset)
    this.#log.note(this, this.#owner.level)
    if (!this.#isClosed) this.#owner.stirred()
    return true
  }

  /** The record alone, or null if it is gone. */
  async #recordAt(offset: Offset): Promise<Pick<DeadLetter, 'body' | 'timestampMs'> | null> {
    const { log } = this.#records
    if (offset < log.logStart) return null
    const read = this.#shelf.find(offset)
    const batch = read ?? (await log.read(offset, 1)).batches[0]
    if (batch === undefined || batch.baseOffset > offset) return null
    const start = skipRecords(batch.body, 0, offset - batch.baseOffset)
    const body = batch.body.subarray(start, skipRecords(batch.body, start, 1))
    return { body, timestampMs: batch.timestampMs }
  }

  #retryLater(): void {
    this.#retryMs = this.#owner.nowMs() + RETRY_MS
  }
}
