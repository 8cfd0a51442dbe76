/**
 * One partition in memory: the batches that retention keeps, oldest first. The reference for the store contract.
 */
import { advance, FIRST_OFFSET, type Offset, toOffset } from '../../model/offset.js'
import type { Batch, StoredBatch } from '../../model/record.js'
import type { SegmentInfo } from '../../model/segment-info.js'
import type { RetentionLimits } from '../../model/topic.js'
import type { Appended, AppendHow, PartitionLog, ReadResult } from '../store.js'

/** Batches dropped from the front before the array is cut; amortises the cut to nothing. */
const DROPPED_MAX = 1024

const DONE: Promise<void> = Promise.resolve()

export class MemoryPartitionLog implements PartitionLog {
  logStart: Offset = FIRST_OFFSET
  end: Offset = FIRST_OFFSET
  bytes = 0
  lastTimestampMs = 0
  onStable: (() => void) | null = null
  /** Nothing outlives the process that could be asked. */
  readonly producedNow = null
  segmentBytesMax: number | null = null
  #batches: StoredBatch[] | null = null
  /** Where segments were closed, as a log on disk would. */
  readonly #bases: Offset[] = []
  #openBytes = 0
  #first = 0

  get stableEnd(): Offset {
    return this.end
  }

  append(batch: Batch, how: AppendHow): Promise<Appended> {
    const baseOffset = this.end
    this.end = advance(baseOffset, batch.count)
    this.lastTimestampMs = how.timestampMs
    if (how.keep) {
      this.#batches ??= []
      this.#cut(baseOffset, batch.body.length)
      this.#batches.push({ body: batch.body, count: batch.count, baseOffset, timestampMs: how.timestampMs })
      this.bytes += batch.body.length
    } else this.#dropAll()
    this.onStable?.()
    return Promise.resolve({ baseOffset, durability: 'memory' })
  }

  skipTo(offset: Offset): Promise<void> {
    if (this.logStart === this.end) this.logStart = offset
    this.end = offset
    return Promise.resolve()
  }

  read(from: Offset, maxBytes: number): Promise<ReadResult> {
    const batches = this.#batches ?? []
    const found: StoredBatch[] = []
    let bytes = 0
    for (let index = this.#indexOf(from); index < batches.length && (bytes < maxBytes || bytes === 0); index++) {
      const batch = batches[index] as StoredBatch
      found.push(batch)
      bytes += batch.body.length
    }
    const last = found.at(-1)
    const next = last === undefined ? from : advance(last.baseOffset, last.count)
    return Promise.resolve({ batches: found, loss: null, next })
  }

  offsetAt(timestampMs: number): Promise<Offset> {
    const batches = this.#batches ?? []
    let low = this.#first
    let high = batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((batches[middle] as StoredBatch).timestampMs < timestampMs) low = middle + 1
      else high = middle
    }
    const batch = batches[low]
    return Promise.resolve(batch === undefined ? this.end : toOffset(Math.max(batch.baseOffset, this.logStart)))
  }

  /** Age and bytes go by whole batches, the newest always stays for the byte limit; the count is exact. */
  retain(limits: RetentionLimits, nowMs: number): Promise<void> {
    this.#retain(limits, nowMs)
    return DONE
  }

  #retain({ ageMs, bytes, records }: RetentionLimits, nowMs: number): void {
    const batches = this.#batches
    if (batches === null) return
    while (this.#first < batches.length) {
      const oldest = batches[this.#first] as StoredBatch
      const tooOld = ageMs !== null && oldest.timestampMs + ageMs <= nowMs
      const tooMany = bytes !== null && this.bytes > bytes && this.#first < batches.length - 1
      if (!tooOld && !tooMany) break
      this.#dropOldest(oldest)
    }
    if (records !== null && this.end - this.logStart > records) this.#trim(toOffset(this.end - records))
  }

  trimTo(offset: Offset): Promise<void> {
    this.#trim(toOffset(Math.min(offset, this.end)))
    return Promise.resolve()
  }

  parts(): Promise<readonly SegmentInfo[]> {
    const { logStart } = this
    while ((this.#bases[0] ?? this.end) <= logStart && this.#bases.length > 0) this.#bases.shift()
    const bases = [logStart, ...this.#bases]
    return Promise.resolve(
      bases.map((base, index) => {
        const end = bases[index + 1] ?? this.end
        const kept = (this.#batches ?? []).slice(this.#indexOf(base), this.#indexOf(end))
        const bytes = kept.reduce((sum, { body }) => sum + body.length, 0)
        return { base, end, bytes, firstMs: kept[0]?.timestampMs ?? null, lastMs: kept.at(-1)?.timestampMs ?? null }
      }),
    )
  }

  closeSegment(): Promise<void> {
    if (this.#openBytes > 0) this.#closeAt(this.end)
    return Promise.resolve()
  }

  #cut(base: Offset, bytes: number): void {
    if (this.segmentBytesMax === null) return
    if (this.#openBytes > 0 && this.#openBytes + bytes > this.segmentBytesMax) this.#closeAt(base)
    this.#openBytes += bytes
  }

  #closeAt(base: Offset): void {
    this.#bases.push(base)
    this.#openBytes = 0
  }

  produced(): Promise<readonly never[]> {
    return Promise.resolve([])
  }

  #trim(offset: Offset): void {
    const batches = this.#batches ?? []
    while (this.#first < batches.length) {
      const oldest = batches[this.#first] as StoredBatch
      if (oldest.baseOffset + oldest.count > offset) break
      this.#dropOldest(oldest)
    }
    if (offset > this.logStart) this.logStart = offset
  }

  #dropOldest(oldest: StoredBatch): void {
    const batches = this.#batches as (StoredBatch | null)[]
    batches[this.#first++] = null
    this.bytes -= oldest.body.length
    const end = advance(oldest.baseOffset, oldest.count)
    if (end > this.logStart) this.logStart = end
    if (this.#first >= DROPPED_MAX && this.#first * 2 >= batches.length) {
      batches.splice(0, this.#first)
      this.#first = 0
    }
  }

  #dropAll(): void {
    this.#batches = null
    this.#first = 0
    this.bytes = 0
    this.logStart = this.end
  }

  /** Index of the batch that holds `offset`, or of the first one after it. */
  #indexOf(offset: Offset): number {
    const batches = this.#batches ?? []
    let low = this.#first
    let high = batches.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const batch = batches[middle] as StoredBatch
      if (batch.baseOffset + batch.count <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
