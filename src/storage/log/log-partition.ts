/**
 * One partition of the log store: its segments, the appender that writes, the reader that reads, what retention drops,
 * and the checkpoint. Opened when it is first used. Long because it is what all of them share: the list of segments.
 */
import { ClosedError, LeveretError, UnavailableError } from '../../common/errors.js'
import { advance, FIRST_OFFSET, type Offset, toOffset } from '../../model/offset.js'
import type { Batch } from '../../model/record.js'
import type { SegmentInfo } from '../../model/segment-info.js'
import type { Durability, RetentionLimits } from '../../model/topic.js'
import type { Appended, AppendHow, PartitionLog, ProducedBatch, ReadResult } from '../store.js'
import { Appender, LEVEL_DISK, LEVEL_MEMORY, LEVEL_OS, type Level, type SegmentWriter } from './appender.js'
import type { Place } from './batch-format.js'
import { removeCheckpoint, writeCheckpoint } from './checkpoint.js'
import type { CompactedLog } from './compact-partition.js'
import { systemCode } from './file-io.js'
import type { LogContext, PartitionName } from './log-context.js'
import { LogReader } from './log-reader.js'
import { LogRetention } from './log-retention.js'
import { openPartitionFiles, type PartitionFiles, syncPlace } from './open-partition.js'
import type { PartitionPlan } from './partition-plan.js'
import { Segment } from './segment.js'
import { describeSegments } from './segment-facts.js'
import type { SegmentList } from './segment-list.js'

const LEVELS: Record<Durability, Level> = {
  memory: LEVEL_MEMORY,
  os: LEVEL_OS,
  disk: LEVEL_DISK,
  replicated: LEVEL_DISK,
}

const EMPTY: readonly never[] = []

export class LogPartition implements PartitionLog, SegmentWriter, CompactedLog {
  logStart: Offset
  onStable: (() => void) | null = null
  producedNow: (() => readonly ProducedBatch[]) | null = null
  /** Offsets were given out that have no record in the log. */
  hasPassed = false
  segmentBytesMax: number | null = null
  isCloseWanted = false
  readonly segments: SegmentList
  readonly reader: LogReader
  readonly #context: LogContext
  readonly #plan: PartitionPlan
  readonly #appender: Appender
  readonly #retention: LogRetention
  readonly #files: PartitionFiles
  /** Checkpoints are written one after the other. */
  #saving: Promise<void> = Promise.resolve()
  #savedAt = ''
  /** The directory, and those that it is in, are on the device under their names. */
  #isPlaced = false
  /** Segments that hold nothing kept, below the offset; their files are still there. */
  readonly #dropped: Segment[] = []
  #droppedEnd = FIRST_OFFSET
  #removing: Promise<void> = Promise.resolve()
  #isRemoving = false
  #isClosed = false

  private constructor(context: LogContext, plan: PartitionPlan, files: PartitionFiles) {
    this.#context = context
    this.#plan = plan
    this.#files = files
    this.segments = files.segments
    this.logStart = files.logStart
    this.reader = new LogReader(context, plan.name, this.segments)
    const { end, lastTimestampMs } = files
    this.#appender = new Appender(context, plan.name, this, { end, lastTimestampMs }, () => this.#progressed())
    this.#retention = new LogRetention(this, context.counters.segmentsDropped)
  }

  /** Opens what is there, recovers what a crash left, and creates nothing. */
  static async open(context: LogContext, plan: PartitionPlan): Promise<LogPartition> {
    const files = await openPartitionFiles(context, plan)
    const partition = new LogPartition(context, plan, files)
    // What a recovery found is noted, as what is appended is.
    if (!plan.wasClosed && partition.segments.first !== null) context.unsaved.add(partition)
    const reserved = toOffset(plan.reservedEnd())
    // Segments that are there were begun after the last of those offsets was given out: all others were dropped then.
    if (reserved > partition.end && partition.segments.first === null) {
      partition.#appender.skipTo(reserved, files.lastTimestampMs)
      partition.logStart = reserved
    }
    return partition
  }

  get name(): PartitionName {
    return this.#plan.name
  }

  get place(): Place {
    return this.#plan.place
  }

  get directory(): string {
    return this.#plan.directory
  }

  get keepsLatest(): boolean {
    return this.#plan.keepsLatest()
  }

  get end(): Offset {
    return this.#appender.end
  }

  get stableEnd(): Offset {
    const level = LEVELS[this.#plan.durability()]
    if (level === LEVEL_DISK) return this.#appender.syncedEnd
    return level === LEVEL_OS ? this.#appender.writtenEnd : this.#appender.certainEnd
  }

  get bytes(): number {
    return this.logStart >= this.end ? 0 : this.segments.bytes - this.#retention.bytesBefore
  }

  get lastTimestampMs(): number {
    return this.#appender.lastTimestampMs
  }

  /** Taken and not written yet. */
  get unwrittenBytes(): number {
    return this.#appender.queuedBytes
  }

  get writtenEnd(): Offset {
    return this.#appender.writtenEnd
  }

  append(batch: Batch, how: AppendHow): Promise<Appended> {
    if (this.#isClosed) return Promise.reject(new ClosedError('the log is closed'))
    // What is under way is finished first; until then a topic that keeps nothing any more keeps.
    if (!how.keep && this.#appender.isIdle) return Promise.resolve(this.#pass(batch, how))
    const { body, count } = batch
    const { timestampMs, producer, durability } = how
    return this.#appender.append({ body, count, timestampMs, producer }, LEVELS[durability])
  }

  async read(from: Offset, maxBytes: number): Promise<ReadResult> {
    while (from >= this.#appender.writtenEnd) {
      if (from >= this.stableEnd || this.#appender.readOnly !== null) return { batches: EMPTY, loss: null, next: from }
      if (this.#appender.isStopped) throw new ClosedError('the log was closed before it could be written')
      await this.#appender.written()
    }
    const limit = toOffset(Math.min(this.stableEnd, this.#appender.writtenEnd))
    return await this.reader.read(from, limit, maxBytes)
  }

  async offsetAt(timestampMs: number): Promise<Offset> {
    if (!this.#appender.isStuck) await this.#appender.written()
    return await this.#retention.offsetAt(timestampMs)
  }

  retain(limits: RetentionLimits, nowMs: number): Promise<void> {
    return this.#retention.retain(limits, nowMs)
  }

  async trimTo(offset: Offset): Promise<void> {
    if (this.#isClosed) throw new ClosedError('the log is closed')
    this.#retention.trim(toOffset(Math.min(offset, this.stableEnd)))
    try {
      await this.#retention.undisturbed(() => this.#retention.dropSegments())
      await this.save('freeing')
    } catch (cause) {
      if (cause instanceof LeveretError) throw cause
      const message = 'the beginning of the log was moved, and may be back after a restart: the disk failed'
      throw new UnavailableError(message, { topic: this.name.topic, cause })
    }
  }

  async skipTo(offset: Offset): Promise<void> {
    await this.#appender.drain()
    await this.#appender.whileIdle(async () => {
      const { last } = this.segments
      if (offset <= this.end) return
      this.#appender.skipTo(offset, this.lastTimestampMs)
      if (last === null) {
        this.logStart = offset
        await this.#beginFirst()
      } else await this.roll(last, offset)
    })
    if (this.end < offset) throw new UnavailableError('the log is busy, or read-only', { topic: this.name.topic })
    this.#progressed()
  }

  async undisturbed(work: () => Promise<void>): Promise<void> {
    await this.#retention.undisturbed(async () => {
      await work()
      // Positions in the first segment may be others now.
      this.#retention.forget()
    })
  }

  async produced(): Promise<readonly ProducedBatch[]> {
    return await this.#files.produced()
  }

  active(): Promise<Segment> | Segment {
    const { last } = this.segments
    return last !== null && !last.isSealed ? last : this.#beginFirst()
  }

  async #beginFirst(): Promise<Segment> {
    // What was dropped goes first, or the new segment would seem to continue it.
    if (this.#dropped.length > 0) await this.#removeDropped()
    const segment = await this.#begin(this.#appender.writtenEnd)
    this.segments.push(segment)
    // From here on it would be noticed if the segment were gone, or the whole directory.
    if (this.#plan.begunAt() === null) this.#plan.begin(segment.base)
    this.save().catch(() => undefined)
    return segment
  }

  async roll(active: Segment, base: Offset): Promise<Segment> {
    this.isCloseWanted = false
    this.#finish(active)
    const next = await this.#begin(base)
    active.seal({ position: active.size, offset: base, timestampMs: this.lastTimestampMs })
    // Not before: retention removes what is not the last one.
    this.segments.push(next)
    // A checkpoint behind time costs a longer walk and nothing else.
    this.save().catch(() => undefined)
    return next
  }

  /** Everything is dropped: nothing that is written stays in a segment that takes appends. */
  async rollWhenIdle(): Promise<void> {
    const { last } = this.segments
    if (last === null || last.size === 0) return
    await this.#appender.whileIdle(async () => void (await this.roll(last, this.#appender.writtenEnd)))
  }

  parts(): Promise<readonly SegmentInfo[]> {
    return describeSegments(this)
  }

  async closeSegment(): Promise<void> {
    const { last } = this.segments
    if (last === null || last.isSealed || last.size === 0 || this.#isClosed) return
    // If it cannot be done now, the next write does it.
    this.isCloseWanted = true
    await this.rollWhenIdle()
  }

  get isIdle(): boolean {
    return this.#appender.isIdle
  }

  /** So that damage behind this is not taken for an unfinished write. */
  saveSoon(): void {
    if (!this.#isClosed) this.save().catch(() => undefined)
  }

  #progressed(): void {
    this.#context.unsaved.add(this)
    this.onStable?.()
  }

  /** Write the checkpoint, if it says anything new; `freeing` and `closing` may take the spare room for it. */
  save(why: 'passing' | 'freeing' | 'closing' = 'passing'): Promise<void> {
    const isClosed = why === 'closing'
    this.#saving = this.#saving
      .catch(() => undefined)
      .then(async () => {
        const last = this.segments.last
        if (last === null) return
        const produced = this.producedNow?.() ?? (await this.#files.produced())
        const { logStart, lastTimestampMs } = this
        // Only at the end do all these agree with each other, and with what is on the device.
        const end = isClosed ? this.end : this.#appender.syncedEnd
        const position = isClosed ? last.size : 0
        const facts = [logStart, end, last.base, position, produced.length, produced.at(-1)?.sequence]
        if (facts.join() === this.#savedAt) return
        const { base: segment } = last
        const checkpoint = { logStart, end, lastTimestampMs, segment, position, isClosed, produced }
        const { fs, room } = this.#context
        const write = () => writeCheckpoint(fs, this.#plan.place, this.#plan.directory, checkpoint)
        await (why === 'passing' ? write() : room.within(write))
        // All was dropped meanwhile: it speaks of segments that are not there.
        if (this.segments.first === null) removeCheckpoint(this.#context.fs, this.#plan.directory)
        else this.#savedAt = facts.join()
      })
    return this.#saving
  }

  /** Write and sync everything, and leave a checkpoint that spares the next opening a walk. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#retention.stop()
    // What was not dropped would be back, and its offsets be given again.
    const notDropped = await this.#removeDropped().catch((error: unknown) => ({ error }))
    await this.#appender.drain()
    const isWritten = this.#appender.isIdle
    this.#appender.stop()
    this.#context.unsaved.delete(this)
    if (this.#appender.readOnly !== null) return
    if (notDropped !== undefined) throw notDropped.error
    if (!isWritten) throw new UnavailableError('records could not be written', { topic: this.name.topic })
    const { last } = this.segments
    if (last !== null) {
      this.#finish(last)
      last.writeIndex(last.size, true)
    }
    await this.save('closing')
  }

  /** Stop, and close the files: the topic is being deleted. */
  async abandon(): Promise<void> {
    this.#isClosed = true
    await this.#retention.stop()
    await this.#appender.drain()
    this.#appender.stop()
    this.#context.unsaved.delete(this)
    // Its directory is about to go.
    await this.#removing.catch(() => undefined)
    await this.#saving.catch(() => undefined)
    // Nobody finds them any more, not even a read that is under way.
    for (let segment = this.segments.shift(); segment !== null; segment = this.segments.shift()) segment.release()
  }

  /** Give out offsets and keep nothing. */
  #pass(batch: Batch, { timestampMs }: AppendHow): Appended {
    const baseOffset = this.end
    const end = advance(baseOffset, batch.count)
    this.hasPassed = true
    this.#plan.reserve(end)
    this.#appender.skipTo(end, timestampMs)
    this.logStart = end
    if (this.segments.first !== null) this.#dropAll(baseOffset)
    else if (this.#dropped.length > 0 && !this.#isRemoving) this.#removeDropped().catch(() => undefined)
    return { baseOffset, durability: 'memory' }
  }

  /** Nobody finds the segments any more; their files go when it is certain that what they held is not given out again. */
  #dropAll(end: Offset): void {
    for (let segment = this.segments.shift(); segment !== null; segment = this.segments.shift()) {
      segment.retire()
      this.#dropped.push(segment)
    }
    this.#retention.forget()
    this.#savedAt = ''
    this.#droppedEnd = end
    // A failure is tried again before anything is kept, and by the next opening.
    this.#removeDropped().catch(() => undefined)
  }

  #removeDropped(): Promise<void> {
    this.#isRemoving = true
    this.#removing = this.#removing
      .catch(() => undefined)
      .then(async () => {
        if (this.#dropped.length === 0) return
        await this.#plan.reserveInstead(this.#droppedEnd)
        await this.#saving.catch(() => undefined)
        removeCheckpoint(this.#context.fs, this.#plan.directory)
        for (let segment = this.#dropped.shift(); segment !== undefined; segment = this.#dropped.shift()) {
          segment.remove()
        }
      })
      .finally(() => {
        this.#isRemoving = false
      })
    return this.#removing
  }

  /** Cut the space set aside behind the last batch. */
  #finish(segment: Segment): void {
    const pinned = segment.pin()
    try {
      if (pinned.file.size() > segment.size) pinned.file.truncate(segment.size)
    } finally {
      pinned.release()
    }
  }

  async #begin(base: Offset): Promise<Segment> {
    const { fs, pool } = this.#context
    const { directory } = this.#plan
    if (!fs.exists(directory)) fs.makeDirectory(directory)
    const segment = new Segment(this.#context, this.#plan.place, directory, base, { size: 0, isSealed: false })
    this.#create(segment.path)
    this.#context.counters.segmentsBegun.value++
    try {
      if (this.#isPlaced) await fs.syncDirectory(directory)
      else await syncPlace(fs, directory)
      this.#isPlaced = true
    } catch (error) {
      pool.forget(segment.path)
      fs.remove(segment.path)
      throw error
    }
    return segment
  }

  #create(path: string): void {
    const { fs, pool } = this.#context
    try {
      pool.create(path).release()
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
      // Left by a creation that failed half way: nothing was ever written to it.
      if (fs.size(path) > 0) throw error
      pool.acquire(path).release()
    }
  }
}
