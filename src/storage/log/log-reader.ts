/**
 * The reading end of one partition: whole batches in large reads, verified; where batches are damaged or missing, the
 * exact range of offsets that they took. Remembers where the last reads ended, so that one who reads on starts there.
 */
import { LeveretError } from '../../common/errors.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { Loss, StoredBatch } from '../../model/record.js'
import type { ReadResult } from '../store.js'
import {
  type BatchHeader,
  batchBytes,
  batchEnd,
  FLAG_COMPACTED,
  FLAG_END,
  FLAG_SEALED,
  HEADER_BYTES,
  sealedFacts,
} from './batch-format.js'
import { batchAt, findBatch } from './batch-walk.js'
import { readFull } from './file-io.js'
import type { RawFile } from './file-system.js'
import { SEAL_BYTES, UnsealError } from './keyring.js'
import type { LogContext, PartitionName } from './log-context.js'
import type { Segment } from './segment.js'
import type { SegmentList } from './segment-list.js'

/** Beyond what was asked for, so that the last batch is most likely whole. */
const SLACK_BYTES = 16 * 1024
const HINTS_MAX = 64

interface Hint {
  readonly segment: Segment
  readonly position: number
}

/** A batch and where it begins in its segment. */
export interface Placed {
  readonly header: BatchHeader
  readonly position: number
}

/** What was taken out of one buffer, how far that got, and why not further. */
interface Walk {
  readonly batches: readonly StoredBatch[]
  readonly next: Offset
  readonly bytes: number
  readonly loss: Loss | null
  readonly stop: 'enough' | 'short' | 'bad' | 'limit'
  /** With `short`: how many bytes the next batch has, as far as it can be told. */
  readonly needed: number
}

export class LogReader {
  readonly #context: LogContext
  readonly #name: PartitionName
  readonly #segments: SegmentList
  /** Offset to the place where its batch begins. */
  readonly #hints = new Map<Offset, Hint>()

  constructor(context: LogContext, name: PartitionName, segments: SegmentList) {
    this.#context = context
    this.#name = name
    this.#segments = segments
  }

  /** Batches from the one that holds `from` on, none of them at or beyond `limit`, which is written. */
  async read(from: Offset, limit: Offset, maxBytes: number): Promise<ReadResult> {
    let next = from
    for (;;) {
      const segment = this.#segments.holding(next)
      if (segment === null) {
        // Dropped a moment ago, or known to be gone since the opening.
        const to = toOffset(Math.min(limit, this.#segments.firstBase ?? limit))
        return { batches: [], loss: to > next ? { from: next, to, cause: 'corrupt' } : null, next: to }
      }
      const start = this.#hint(next, segment) ?? (await this.#locate(next, segment))
      // Retired while its index was read: its successor has the offset, or nobody has.
      if (segment.isRetired) continue
      const result = await this.#readSegment(segment, start, next, limit, maxBytes)
      // Replaced while it was read: what it lacks, its successor may have.
      if (segment.isRetired && result.batches.length === 0) continue
      if (result.batches.length > 0 || result.loss !== null || result.next >= limit) return result
      if (result.next > next) {
        next = result.next
        continue
      }
      const after = this.#segments.after(segment)
      return this.#missing(next, toOffset(Math.min(limit, after?.base ?? limit)))
    }
  }

  /** The first batch at or behind the position `from`, where one begins, that `isIt`; damage is stepped over. */
  async find(segment: Segment, from: number, isIt: (placed: Placed) => boolean): Promise<Placed | null> {
    const pinned = segment.pin()
    try {
      for (let position = from; position < segment.size; ) {
        const buffer = Buffer.allocUnsafe(Math.min(SLACK_BYTES, segment.size - position))
        const filled = await readFull(pinned.file, buffer, position)
        let at = 0
        let found = batchAt(buffer, 0, filled, segment.place, position)
        while (found.kind === 'batch') {
          const placed = { header: found.header, position: position + at }
          if (isIt(placed)) return placed
          at += batchBytes(found.header)
          found = batchAt(buffer, at, filled, segment.place, position + at)
        }
        position += at
        if (at > 0) continue
        const next = await findBatch(pinned.file, segment.place, position, segment.size)
        if (next === null) return null
        if (isIt(next)) return next
        position = next.position + batchBytes(next.header)
      }
      return null
    } finally {
      pinned.release()
    }
  }

  #hint(offset: Offset, segment: Segment): number | null {
    const hint = this.#hints.get(offset)
    if (hint === undefined) return null
    this.#hints.delete(offset)
    return hint.segment === segment && !segment.isRetired ? hint.position : null
  }

  #remember(offset: Offset, segment: Segment, position: number): void {
    this.#hints.set(offset, { segment, position })
    if (this.#hints.size <= HINTS_MAX) return
    for (const oldest of this.#hints.keys()) {
      this.#hints.delete(oldest)
      return
    }
  }

  async #locate(offset: Offset, segment: Segment): Promise<number> {
    if (offset === segment.base) return 0
    return (await segment.index()).positionOf(offset)
  }

  async #readSegment(
    segment: Segment,
    start: number,
    from: Offset,
    limit: Offset,
    maxBytes: number,
  ): Promise<ReadResult> {
    const pinned = segment.pin()
    try {
      let position = start
      let readBytes = Math.max(maxBytes + SLACK_BYTES, HEADER_BYTES)
      for (;;) {
        const buffer = Buffer.allocUnsafeSlow(Math.max(0, Math.min(readBytes, segment.size - position)))
        const filled = await readFull(pinned.file, buffer, position)
        this.#context.counters.bytesRead.value += filled
        const walk = this.#walk(segment, position, buffer.subarray(0, filled), from, limit, maxBytes)
        position += walk.bytes
        if (walk.batches.length > 0 || walk.next > from || walk.loss !== null) {
          this.#remember(walk.next, segment, position)
          return { batches: walk.batches, loss: walk.loss, next: walk.next }
        }
        if (position >= segment.size || walk.stop === 'limit') return { batches: [], loss: null, next: from }
        // A file that was cut behind our back brings nothing, and is damaged.
        if (walk.stop === 'enough' && walk.bytes > 0) continue
        if (walk.stop === 'short' && position + walk.needed <= segment.size && filled === buffer.length) {
          readBytes = Math.max(readBytes, walk.needed)
          continue
        }
        const whole = await this.#behindDamage(segment, pinned.file, position, from)
        if (whole === null || whole.header.baseOffset > from) {
          const to = whole?.header.baseOffset ?? this.#segments.after(segment)?.base ?? limit
          return this.#missing(from, toOffset(Math.min(limit, to)))
        }
        position = whole.position
      }
    } finally {
      pinned.release()
    }
  }

  /** Take the batches out of what was read at `position`. `bytes` is how far it got. */
  #walk(segment: Segment, position: number, buffer: Buffer, from: Offset, limit: Offset, maxBytes: number): Walk {
    const filled = buffer.length
    const batches: StoredBatch[] = []
    let next = from
    let at = 0
    const stopped = (stop: Walk['stop'], needed = 0): Walk => ({ batches, next, bytes: at, loss: null, stop, needed })
    for (let taken = 0; taken < maxBytes; ) {
      const found = batchAt(buffer, at, filled, segment.place, position + at)
      if (found.kind === 'short') return stopped('short', found.needed)
      if (found.kind === 'end') return stopped('enough')
      if (found.kind !== 'batch') return stopped('bad')
      const { header } = found
      if (header.baseOffset >= limit && header.count > 0) return stopped('limit')
      if (header.baseOffset > next) {
        const isSuperseded = (header.flags & (FLAG_COMPACTED | FLAG_END)) !== 0
        if (!isSuperseded) {
          if (batches.length > 0) return stopped('enough')
          const { loss } = this.#missing(next, header.baseOffset)
          return { ...stopped('enough'), loss, next: header.baseOffset }
        }
        next = header.baseOffset
      }
      if (batchEnd(header) > next) {
        const batch = this.#stored(buffer, at, header)
        if (batch === null && batches.length > 0) return stopped('enough')
        const from = next
        next = batchEnd(header)
        if (batch === null)
          return { ...stopped('enough'), ...this.#missing(from, next), bytes: at + batchBytes(header) }
        batches.push(batch)
        taken += header.bodyBytes
      }
      at += batchBytes(header)
    }
    return stopped('enough')
  }

  /** Null for a sealed batch that its key does not open. */
  #stored(buffer: Buffer, at: number, header: BatchHeader): StoredBatch | null {
    const { baseOffset, count, timestampMs } = header
    const body = buffer.subarray(at + header.headerBytes, at + batchBytes(header))
    if ((header.flags & FLAG_SEALED) === 0) return { body, count, baseOffset, timestampMs }
    const { keyring } = this.#context
    if (keyring === null) throw new LeveretError('LVT_KEY_MISSING', 'a batch is sealed, and no key was given')
    const extension = buffer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + SEAL_BYTES)
    try {
      return { body: keyring.open(extension, body, sealedFacts(buffer, at)), count, baseOffset, timestampMs }
    } catch (error) {
      if (error instanceof UnsealError && error.reason !== 'unknown-key') return null
      throw error
    }
  }

  /** No batch begins at `position`: the next whole one that ends behind `from`. */
  async #behindDamage(segment: Segment, file: RawFile, position: number, from: Offset): Promise<Placed | null> {
    let found = await findBatch(file, segment.place, position + 1, segment.size)
    while (found !== null && batchEnd(found.header) <= from) {
      found = await findBatch(file, segment.place, found.position + batchBytes(found.header), segment.size)
    }
    return found
  }

  #missing(from: Offset, to: Offset): ReadResult {
    const message = `offsets ${from} to ${to - 1} are damaged or missing on disk`
    this.#context.report({ ...this.#name, kind: 'corrupt', from, to, message })
    return { batches: [], loss: { from, to, cause: 'corrupt' }, next: to }
  }
}
