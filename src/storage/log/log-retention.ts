/**
 * What one partition keeps: the log start moves to where the limits say, exactly; segments wholly below it are deleted.
 * Age and bytes go by whole batches, the newest one always stays for the byte limit; the count is exact.
 */
import type { Counter } from '../../metrics/registry.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { RetentionLimits } from '../../model/topic.js'
import type { ReadResult } from '../store.js'
import { batchEnd } from './batch-format.js'
import type { LogReader, Placed } from './log-reader.js'
import type { Segment } from './segment.js'
import { firstTimestamp } from './segment-facts.js'
import type { SegmentList } from './segment-list.js'

const DONE: Promise<void> = Promise.resolve()

/** The partition as its retention sees it. */
export interface RetainedLog {
  logStart: Offset
  readonly end: Offset
  readonly stableEnd: Offset
  /** What is not written yet may be younger than anything in the segments. */
  readonly writtenEnd: Offset
  readonly bytes: number
  readonly segments: SegmentList
  readonly reader: LogReader
  read(from: Offset, maxBytes: number): Promise<ReadResult>
  /** Write the checkpoint. */
  save(why: 'freeing'): Promise<void>
  /** Seal what takes appends, so that it can be dropped. */
  rollWhenIdle(): Promise<void>
}

export class LogRetention {
  readonly #log: RetainedLog
  readonly #dropped: Counter
  /** Position of the log start in the first segment, as far as it is known: never too high. */
  bytesBefore = 0
  /** Timestamp of the oldest kept record, or null when nobody has looked. */
  #oldestMs: number | null = null
  #wanted: { readonly limits: RetentionLimits; readonly nowMs: number } | null = null
  #running: Promise<void> | null = null
  #isStopped = false

  /** Counts the segments that it deletes in `dropped`. */
  constructor(log: RetainedLog, dropped: Counter) {
    this.#log = log
    this.#dropped = dropped
  }

  forget(): void {
    this.bytesBefore = 0
    this.#oldestMs = null
  }

  retain(limits: RetentionLimits, nowMs: number): Promise<void> {
    const log = this.#log
    const { ageMs, bytes, records } = limits
    if (records !== null && log.stableEnd - log.logStart > records) this.trim(toOffset(log.stableEnd - records))
    const mayBeOld = ageMs !== null && (this.#oldestMs === null || this.#oldestMs + ageMs <= nowMs)
    const isOver = bytes !== null && log.bytes > bytes
    const hasRecords = log.logStart < log.stableEnd
    if (!((mayBeOld || isOver) && hasRecords) && !this.#hasDroppable(log.logStart)) return DONE
    if (this.#isStopped) return DONE
    this.#wanted = { limits, nowMs }
    this.#running ??= this.#run().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** Run `work` while nothing is dropped; what is to be dropped meanwhile is dropped afterwards. */
  async undisturbed(work: () => Promise<void>): Promise<void> {
    while (this.#running !== null) await this.#running.catch(() => undefined)
    const working = work()
    this.#running = working
      .catch(() => undefined)
      .then(() => this.#run())
      .finally(() => {
        this.#running = null
      })
    this.#running.catch(() => undefined)
    await working
  }

  /** What is being dropped is dropped; nothing more is. */
  async stop(): Promise<void> {
    this.#isStopped = true
    while (this.#running !== null) await this.#running.catch(() => undefined)
  }

  /** One after the other; who asks meanwhile is served by one more round. */
  async #run(): Promise<void> {
    for (let wanted = this.#wanted; wanted !== null; wanted = this.#wanted) {
      this.#wanted = null
      await this.#apply(wanted.limits, wanted.nowMs)
    }
  }

  /** The log starts here, if it did not start later already. */
  trim(offset: Offset): void {
    if (offset <= this.#log.logStart) return
    this.#log.logStart = offset
    this.#oldestMs = null
  }

  /** Offset of the first kept record that is not older. */
  async offsetAt(timestampMs: number): Promise<Offset> {
    for (;;) {
      const all = [...this.#log.segments.all]
      try {
        const offset = await this.#search(all, timestampMs)
        if (!all.some(({ isRetired }) => isRetired)) return offset
      } catch (error) {
        // Removed or replaced while they were looked at: look again.
        if (!all.some(({ isRetired }) => isRetired)) throw error
      }
    }
  }

  async #search(all: readonly Segment[], timestampMs: number): Promise<Offset> {
    const log = this.#log
    const { writtenEnd } = log
    // The last segment that begins before that time: what is looked for is in it, or begins the next.
    let low = 0
    let high = all.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((await this.#firstTime(all[middle] as Segment)) < timestampMs) low = middle + 1
      else high = middle
    }
    const segment = all[low - 1]
    if (segment === undefined) return log.logStart
    const from = (await segment.index()).positionOfTime(timestampMs)
    const found = await log.reader.find(
      segment,
      from,
      ({ header }) => header.timestampMs >= timestampMs && header.count > 0,
    )
    const offset = found?.header.baseOffset ?? log.segments.after(segment)?.base ?? writtenEnd
    return toOffset(Math.min(Math.max(offset, log.logStart), log.stableEnd))
  }

  /** Delete the segments that hold nothing kept, oldest first. The checkpoint knows the log start before they go. */
  async dropSegments(): Promise<void> {
    const log = this.#log
    if (log.logStart >= log.end) await log.rollWhenIdle()
    // It may move on while the checkpoint is written; what the checkpoint does not know of stays.
    const { logStart } = log
    if (!this.#hasDroppable(logStart)) return
    await log.save('freeing')
    while (this.#hasDroppable(logStart)) {
      const segment = log.segments.shift()
      this.bytesBefore = 0
      segment?.remove()
      this.#dropped.value++
      // One at a time: deleting many large files must not hold up those who publish.
      await DONE
    }
  }

  async #apply({ ageMs, bytes }: RetentionLimits, nowMs: number): Promise<void> {
    const log = this.#log
    if (ageMs !== null) await this.#applyAge(nowMs - ageMs)
    if (bytes !== null && log.bytes > bytes) await this.#applyBytes(bytes)
    await this.dropSegments()
  }

  async #applyAge(expiredMs: number): Promise<void> {
    const log = this.#log
    this.trim(await this.offsetAt(expiredMs + 1))
    // Who waited here for a write would wait for as long as the disk is full.
    if (log.logStart >= Math.min(log.stableEnd, log.writtenEnd)) return
    const { batches } = await log.read(log.logStart, 1)
    this.#oldestMs = batches[0]?.timestampMs ?? null
  }

  async #applyBytes(bytesMax: number): Promise<void> {
    const log = this.#log
    const { all } = log.segments
    let excess = log.segments.bytes - bytesMax
    let index = 0
    while (index < all.length - 1 && (all[index] as Segment).size <= excess) excess -= (all[index++] as Segment).size
    const segment = all[index]
    const newest = await this.#newestBatch()
    if (segment === undefined || newest === null) return
    const from = (await segment.index()).positionBefore(excess)
    const found = await log.reader.find(segment, from, ({ position }) => position >= excess)
    const after = log.segments.after(segment)
    const isNewest = found === null ? after === null : found.header.baseOffset >= newest.header.baseOffset
    this.trim(isNewest ? newest.header.baseOffset : (found?.header.baseOffset ?? (after as Segment).base))
    this.bytesBefore = isNewest ? newest.position : (found?.position ?? 0)
  }

  async #newestBatch(): Promise<Placed | null> {
    const log = this.#log
    const segment = log.segments.all.findLast(({ size }) => size > 0)
    if (segment === undefined) return null
    let newest: Placed | null = null
    await log.reader.find(segment, (await segment.index()).last?.position ?? 0, (placed) => {
      if (placed.header.count > 0 && batchEnd(placed.header) <= log.stableEnd) newest = placed
      return false
    })
    return newest
  }

  #hasDroppable(logStart: Offset): boolean {
    const { all } = this.#log.segments
    const second = all[1]
    return second !== undefined && second.base <= logStart
  }

  /** Infinite for a segment without batches. */
  async #firstTime(segment: Segment): Promise<number> {
    return (await firstTimestamp(segment, this.#log.reader)) ?? Number.POSITIVE_INFINITY
  }
}
