/**
 * The writing end of one partition: offsets in the order of the calls, group commit, segments begun and sealed, and what
 * happens when the disk does not do its part. Appends that arrive while a group is being written and synced form the
 * next group: one write, one sync, then all their acknowledgements. When much arrives during a sync it is written beside
 * it, so that the device and the processor have work at the same time.
 * Long because the queue, the group under way and every way to fail share one state.
 */
import type { Timer } from '../../common/clock.js'
import { ClosedError, LeveretError, ReadOnlyError, UnavailableError } from '../../common/errors.js'
import { advance, type Offset, toOffset } from '../../model/offset.js'
import type { Appended } from '../store.js'
import { headerBytesOf, type NewBatch, type SegmentPlace, sealBatch, writeHeader } from './batch-format.js'
import { systemCode, writeAll, writeAllSync } from './file-io.js'
import type { RawFile } from './file-system.js'
import { SEAL_BYTES } from './keyring.js'
import type { LogContext, PartitionName } from './log-context.js'
import type { Segment } from './segment.js'
import { IN_PLACE_BYTES_MAX } from './sync-pace.js'

/** Written with a blocking call up to this size: a thread costs more than the copy. */
const SYNC_WRITE_BYTES = 128 * 1024
/** A group is at most about this large, so that the first of many publishers waits for no more than this. */
const GROUP_BYTES_MAX = 4 * 1024 * 1024
/** During a sync, what has come meanwhile is written once it is so much. Less waits: it is one group with what follows. */
const BESIDE_BYTES = 2 * 1024 * 1024
const RETRY_MS = 1_000
/** Space is set aside for groups up to this size: a sync within it has no file length to write, and is twice as fast. */
const SMALL_GROUP_BYTES = 32 * 1024
const SET_ASIDE_BYTES_MAX = 512 * 1024
/** Never more than this share of what the segment holds: a topic with little in it costs little. */
const SET_ASIDE_SHARE = 8
const SET_ASIDE_BYTES_MIN = 32 * 1024
const ZEROS = Buffer.alloc(SET_ASIDE_BYTES_MAX)

export const LEVEL_MEMORY = 0
export const LEVEL_OS = 1
export const LEVEL_DISK = 2
export type Level = typeof LEVEL_MEMORY | typeof LEVEL_OS | typeof LEVEL_DISK

interface Pending extends NewBatch {
  readonly level: Level
  /** Null when the publisher has been answered. */
  settle: { resolve(appended: Appended): void; reject(error: LeveretError): void } | null
}

/** Segments as the appender sees them: the newest one is written to. */
export interface SegmentWriter {
  /** The segment that takes appends, made if there is none. */
  active(): Promise<Segment> | Segment
  /** Where a segment ends; null: where all do. */
  readonly segmentBytesMax: number | null
  /** The next group begins one. */
  readonly isCloseWanted: boolean
  /** Seal the segment and begin the one at `base`. */
  roll(active: Segment, base: Offset): Promise<Segment>
}

export class Appender {
  /** The next offset to be given. */
  end: Offset
  /** Everything below is written, and everything below the second is on the device. */
  writtenEnd: Offset
  syncedEnd: Offset
  /** Everything below is acknowledged, or written: its offsets are not given again as long as the process lives. */
  certainEnd: Offset
  lastTimestampMs: number
  readOnly: ReadOnlyError | null = null
  readonly #context: LogContext
  readonly #name: PartitionName
  readonly #segments: SegmentWriter
  #queue: Pending[] = []
  #queuedBytes = 0
  #running: Promise<void> | null = null
  /** A sync under way, and what ends the wait for it when there is enough to be written beside it. */
  #syncing: Promise<void> | null = null
  #goOn: (() => void) | null = null
  /** Written, to be answered by the next sync. */
  #unsynced: Pending[] = []
  #wantsSync = false
  /** Ends the wait for others that would share a sync. */
  #gathered: (() => void) | null = null
  /** Set while what could not be written waits to be tried again. */
  #retry: Timer | null = null
  #isUrgent = false
  #isFull = false
  #isStopped = false
  /** Bytes written since the last sync. */
  #unsyncedBytes = 0
  readonly #onWritten: (() => void)[] = []
  readonly #onProgress: () => void

  constructor(
    context: LogContext,
    name: PartitionName,
    segments: SegmentWriter,
    { end, lastTimestampMs }: { end: Offset; lastTimestampMs: number },
    /** `writtenEnd` or `syncedEnd` has moved. */
    onProgress: () => void,
  ) {
    this.#context = context
    this.#name = name
    this.#segments = segments
    this.end = end
    this.writtenEnd = end
    this.syncedEnd = end
    this.certainEnd = end
    this.lastTimestampMs = lastTimestampMs
    this.#onProgress = onProgress
  }

  get isIdle(): boolean {
    return this.#running === null && this.#queue.length === 0 && this.#unsynced.length === 0
  }

  /** Nothing more is written: what is not written yet never will be. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** A write has failed, and is tried again until there is room. */
  get isStuck(): boolean {
    return this.#isFull
  }

  /** Taken and not written yet. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  get #isWritten(): boolean {
    return this.writtenEnd >= this.end || this.readOnly !== null || this.#isStopped
  }

  /** Takes the next offsets at once; resolves at the level. Rejects with ReadOnlyError, UnavailableError or in doubt. */
  append(batch: Omit<NewBatch, 'baseOffset' | 'flags'>, level: Level): Promise<Appended> {
    if (this.readOnly !== null) return Promise.reject(this.readOnly)
    const { body, count, timestampMs, producer } = batch
    const pending: Pending = { body, count, timestampMs, producer, baseOffset: this.end, flags: 0, level, settle: null }
    this.end = advance(this.end, count)
    this.lastTimestampMs = timestampMs
    this.#queue.push(pending)
    this.#queuedBytes += body.length
    // A write is all that this one waits for.
    if (level === LEVEL_OS) this.#isUrgent = true
    if (this.#gathered !== null && !this.#mayGather) this.#gathered()
    this.#kick()
    if (level === LEVEL_MEMORY && this.#queuedBytes <= this.#context.options.unwrittenBytesMax) {
      this.certainEnd = this.end
      return Promise.resolve({ baseOffset: toOffset(pending.baseOffset), durability: 'memory' })
    }
    return new Promise((resolve, reject) => {
      pending.settle = { resolve, reject }
    })
  }

  /** Resolves when everything appended so far is written or given up, and whenever a write has failed. */
  async written(): Promise<void> {
    if (this.#isWritten) return
    await new Promise<void>((resolve) => this.#onWritten.push(resolve))
  }

  /** Sync what was written without one. */
  syncSoon(): void {
    if (this.readOnly !== null || this.syncedEnd >= this.writtenEnd) return
    this.#wantsSync = true
    this.#kick()
  }

  /** Write and sync all there is. */
  async drain(): Promise<void> {
    this.#gathered?.()
    while (this.#running !== null) await this.#running
    // Not before: what is under way may be written and nobody ask for its sync. What waits to be tried again is tried now.
    if (this.#queue.length > 0) this.#kick()
    this.syncSoon()
    while (this.#running !== null) await this.#running
  }

  /** Sync what there is and do `work`, if nothing is under way; what is appended meanwhile waits for its end. */
  async whileIdle(work: () => Promise<void>): Promise<void> {
    if (!this.isIdle || this.readOnly !== null) return
    const isSynced = this.syncedEnd >= this.writtenEnd
    const running = (isSynced ? Promise.resolve() : this.#syncOrFail()).then(work)
    this.#running = running.catch(() => undefined).finally(() => this.#rested())
    await running
  }

  /** Take over offsets that were given without a record in the log. Only while nothing is under way. */
  skipTo(end: Offset, timestampMs: number): void {
    this.end = end
    this.writtenEnd = end
    this.syncedEnd = end
    this.certainEnd = end
    this.lastTimestampMs = timestampMs
    this.#context.dirty.delete(this)
  }

  /** Nothing more is written, not even what is to be tried again. */
  stop(): void {
    this.#isStopped = true
    this.#gathered?.()
    this.#retry?.cancel()
    this.#retry = null
    this.#context.dirty.delete(this)
    for (const pending of this.#queue) reject(pending, new ClosedError('the log was closed before it could be written'))
    this.#queue = []
    this.#inDoubt(this.#unsynced.splice(0), null)
    this.#releaseWaiting()
  }

  #kick(): void {
    if (this.#running !== null && this.#isWorthWriting) this.#goOn?.()
    if (this.#running !== null || this.#isStopped) return
    // Begun when the caller is done: what it appends in one go is one group.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .finally(() => this.#rested())
  }

  #rested(): void {
    this.#running = null
    if (this.readOnly === null && this.#retry === null && (this.#queue.length > 0 || this.#needsSync)) this.#kick()
  }

  /** Something is written that waits for a sync, or a sync was asked for. */
  get #needsSync(): boolean {
    return this.#wantsSync || this.#unsynced.length > 0
  }

  /** Whether to write now, sync or no sync. */
  get #isWorthWriting(): boolean {
    const { besideBytes = BESIDE_BYTES } = this.#context.options
    return this.#syncing === null || this.#isUrgent || this.#queuedBytes >= besideBytes
  }

  async #run(): Promise<void> {
    while (this.readOnly === null) {
      if (this.#queue.length > 0 && this.#isWorthWriting) {
        if (this.#mayGather) await this.#gather()
        // What was stopped meanwhile has answered everybody.
        if (this.#queue.length === 0) continue
        if (!(await this.#writeGroup(this.#takeGroup()))) break
      } else if (this.#syncing !== null) await this.#syncedOrMore()
      else if (this.#needsSync) this.#beginSync()
      else return
    }
    await this.#syncing
  }

  /** False when it failed: nothing more is written then. */
  async #writeGroup(group: Pending[]): Promise<boolean> {
    try {
      await this.#write(group)
    } catch (error) {
      // What is not to have happened is gone for good before anybody is told, and what was written is answered.
      await this.#syncing
      if (this.readOnly === null) await this.#sync()
      this.#writeFailed(group, error)
      return false
    }
    if (this.readOnly === null) this.#groupWritten(group)
    else this.#inDoubt(group, this.readOnly.cause)
    if (this.#syncing === null && this.#needsSync) this.#beginSync()
    return this.readOnly === null
  }

  /** Nobody waits for a write alone, and there is little to write. */
  get #mayGather(): boolean {
    const { syncDelayMs = 0, syncDelayBytes = 0 } = this.#context.options
    return syncDelayMs > 0 && !this.#isUrgent && !this.#isStopped && this.#queuedBytes < syncDelayBytes
  }

  /** Give others the time to come along. */
  async #gather(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#context.clock.after(this.#context.options.syncDelayMs ?? 0, resolve)
      this.#gathered = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#gathered = null
  }

  #syncedOrMore(): Promise<void> {
    return new Promise((resolve) => {
      this.#goOn = resolve
      void this.#syncing?.then(resolve)
    })
  }

  #takeGroup(): Pending[] {
    const queue = this.#queue
    const bytesMax = Math.min(GROUP_BYTES_MAX, this.#segmentBytes)
    let count = 0
    for (let bytes = 0; count < queue.length && (bytes < bytesMax || count === 0); count++) {
      bytes += (queue[count] as Pending).body.length
    }
    this.#queue = queue.slice(count)
    if (count === queue.length) this.#isUrgent = false
    return count === queue.length ? queue : queue.slice(0, count)
  }

  async #write(group: readonly Pending[]): Promise<void> {
    const bytes = this.#bytesOf(group)
    let segment = await this.#segments.active()
    const isOver = this.#segments.isCloseWanted || segment.size + bytes > this.#segmentBytes
    if (segment.size > 0 && isOver) {
      await this.#syncAll()
      segment = await this.#segments.roll(segment, toOffset((group[0] as Pending).baseOffset))
    }
    const { buffers, positions } = this.#encode(group, segment.place, segment.size)
    const pinned = segment.pin()
    try {
      if (bytes <= SMALL_GROUP_BYTES) this.#setAside(segment, pinned.file, bytes)
      if (bytes <= SYNC_WRITE_BYTES) writeAllSync(pinned.file, buffers, segment.size)
      else await writeAll(pinned.file, buffers, segment.size)
    } catch (error) {
      this.#cutBack(segment)
      throw error
    } finally {
      pinned.release()
    }
    for (let index = 0; index < group.length; index++) {
      const { baseOffset, timestampMs } = group[index] as Pending
      segment.note(positions[index] as number, toOffset(baseOffset), timestampMs)
    }
    segment.size += bytes
    segment.setAsideTo = Math.max(segment.setAsideTo, segment.size)
    this.#unsyncedBytes += bytes
    this.#context.counters.bytesWritten.value += bytes
  }

  /** Make room with zeros behind the last batch, when there is none left for this group. It is cut off in the end. */
  #setAside(segment: Segment, file: RawFile, bytes: number): void {
    const segmentBytes = this.#segmentBytes
    const wanted = Math.min(SET_ASIDE_BYTES_MAX, Math.floor(segment.size / SET_ASIDE_SHARE))
    const to = Math.min(segmentBytes, segment.setAsideTo + wanted)
    const isNeeded = segment.size + bytes > segment.setAsideTo && segment.setAsideTo > 0
    if (!isNeeded || wanted < SET_ASIDE_BYTES_MIN || to <= segment.setAsideTo) return
    try {
      writeAllSync(file, [ZEROS.subarray(0, to - segment.setAsideTo)], segment.setAsideTo)
      segment.setAsideTo = to
      this.#unsyncedBytes += wanted
    } catch {
      // No room to spare: what was taken of it is given back, and appending goes on without, as long as it can.
      this.#cutBack(segment)
      segment.setAsideTo = Number.POSITIVE_INFINITY
    }
  }

  get #segmentBytes(): number {
    return this.#segments.segmentBytesMax ?? this.#context.options.segmentBytes
  }

  /** Headers and bodies together. */
  #bytesOf(group: readonly Pending[]): number {
    const sealBytes = this.#context.keyring === null ? 0 : SEAL_BYTES
    let bytes = 0
    for (const { producer, body } of group) bytes += headerBytesOf(producer) + sealBytes + body.length
    return bytes
  }

  /** The group as it stands from `start` on in the segment at `place`. */
  #encode(
    group: readonly Pending[],
    place: SegmentPlace,
    start: number,
  ): { buffers: Uint8Array[]; positions: number[] } {
    const { keyring } = this.#context
    const buffers: Uint8Array[] = []
    const positions: number[] = []
    let position = start
    let headers = Buffer.allocUnsafe(keyring === null ? headersBytes(group) : 0)
    for (const batch of group) {
      positions.push(position)
      if (keyring === null) {
        const length = writeHeader(headers, 0, place, position, batch)
        buffers.push(headers.subarray(0, length), batch.body)
        headers = headers.subarray(length)
        position += length + batch.body.length
      } else {
        const { header, body } = sealBatch(keyring, place, position, batch)
        buffers.push(header, body)
        position += header.length + body.length
      }
    }
    return { buffers, positions }
  }

  #groupWritten(group: readonly Pending[]): void {
    for (const { body } of group) this.#queuedBytes -= body.length
    const last = group[group.length - 1] as Pending
    this.writtenEnd = toOffset(last.baseOffset + last.count)
    this.certainEnd = toOffset(Math.max(this.certainEnd, this.writtenEnd))
    this.#context.dirty.add(this)
    if (this.#isFull) {
      this.#isFull = false
      this.#context.resolved('full', this.#name.topic, this.#name.partition)
    }
    for (const pending of group) {
      if (pending.level === LEVEL_DISK) this.#unsynced.push(pending)
      if (pending.level === LEVEL_DISK || pending.settle === null) continue
      const durability = pending.level === LEVEL_OS ? 'os' : 'memory'
      pending.settle.resolve({ baseOffset: toOffset(pending.baseOffset), durability })
      pending.settle = null
    }
    this.#progressed()
  }

  #beginSync(): void {
    this.#syncing = this.#sync().finally(() => {
      this.#syncing = null
    })
  }

  /** Sync what is written, and answer those who wait for it; if it fails, they are answered too. */
  async #sync(): Promise<void> {
    const waiting = this.#unsynced
    this.#unsynced = []
    try {
      await this.#syncOrFail()
    } catch (error) {
      this.#inDoubt(waiting, error)
      return
    }
    for (const pending of waiting) {
      pending.settle?.resolve({ baseOffset: toOffset(pending.baseOffset), durability: 'disk' })
      pending.settle = null
    }
  }

  /** Everything that is written is on the device. Throws when a sync has failed. */
  async #syncAll(): Promise<void> {
    await this.#syncing
    if (this.readOnly === null && this.syncedEnd < this.writtenEnd) await this.#sync()
    if (this.readOnly !== null) throw this.readOnly
  }

  #inDoubt(group: readonly Pending[], cause: unknown): void {
    const message = 'the records were written, but the disk did not confirm them'
    const inDoubt = new LeveretError('LVT_IN_DOUBT', message, { topic: this.#name.topic, cause })
    for (const pending of group) reject(pending, inDoubt)
  }

  async #syncOrFail(): Promise<void> {
    this.#wantsSync = false
    const segment = await this.#segments.active()
    const end = this.writtenEnd
    const { size } = segment
    try {
      const pinned = segment.pin()
      try {
        await this.#syncFile(pinned.file)
      } finally {
        pinned.release()
      }
    } catch (error) {
      this.#syncFailed(segment, error)
      throw error
    }
    this.syncedEnd = end
    if (this.syncedEnd === this.writtenEnd) this.#context.dirty.delete(this)
    segment.writeIndex(size, false)
    this.#progressed()
  }

  async #syncFile(file: RawFile): Promise<void> {
    const { pace, clock, counters } = this.#context
    const isLittle = this.#unsyncedBytes <= IN_PLACE_BYTES_MAX
    const startedMs = clock.monotonic()
    this.#unsyncedBytes = 0
    counters.syncs.value++
    if (isLittle && pace?.isFast === true) file.syncNow()
    else await file.sync()
    if (isLittle && pace !== null) pace.note(clock.monotonic() - startedMs)
  }

  /**
   * After a failed sync nobody can say what is on the device: the system may have marked the pages clean. It is never
   * tried again on this file; the partition takes nothing more until the process, or the disk, has been looked at.
   */
  #syncFailed(segment: Segment, error: unknown): void {
    const message = `topic "${this.#name.topic}" takes no more records in partition ${this.#name.partition}: the disk failed to sync`
    this.readOnly = new ReadOnlyError(message, { topic: this.#name.topic, cause: error })
    this.#context.counters.syncsFailed.value++
    this.#context.dirty.delete(this)
    this.#context.pool.forget(segment.path)
    this.#context.report({
      ...this.#name,
      kind: 'read-only',
      from: this.syncedEnd,
      to: this.end,
      message: `a sync failed (${describe(error)}); what was not synced may be lost, nothing more is taken`,
    })
    for (const pending of this.#queue) reject(pending, this.readOnly)
    this.#queue = []
    this.#queuedBytes = 0
    // What was written since the last sync can be synced no more.
    this.#inDoubt(this.#unsynced.splice(0), error)
    this.end = this.writtenEnd
    this.certainEnd = this.writtenEnd
    this.#progressed()
  }

  /** Leave nothing half written. Should that fail too, nobody may append behind it. */
  #cutBack(segment: Segment): void {
    try {
      const pinned = segment.pin()
      try {
        if (pinned.file.size() > segment.size) pinned.file.truncate(segment.size)
        segment.setAsideTo = Math.min(segment.setAsideTo, segment.size)
      } finally {
        pinned.release()
      }
    } catch (error) {
      this.#syncFailed(segment, error)
    }
  }

  /**
   * A write failed, most likely for want of room. Its publishers are told that it did not happen, and the offsets are
   * given again. Only what was acknowledged at level `memory`, and what stands before it, is kept and tried again.
   */
  #writeFailed(group: readonly Pending[], cause: unknown): void {
    if (this.readOnly !== null) {
      for (const pending of group) reject(pending, this.readOnly)
      return
    }
    this.#context.counters.writesFailed.value++
    const all = [...group, ...this.#queue]
    const keep = all.findLastIndex(({ level, settle }) => level === LEVEL_MEMORY && settle === null) + 1
    const { topic } = this.#name
    const text = systemCode(cause) === 'ENOSPC' ? 'the disk is full' : `the disk failed to write (${describe(cause)})`
    const failed = new UnavailableError(text, { topic, cause })
    for (const pending of all.slice(keep)) reject(pending, failed)
    const inDoubt = new LeveretError('LVT_IN_DOUBT', `${text}; it is tried again`, { topic, cause })
    // One with a sequence is answered when it is written: told now, it would be sent again, and taken for a new one.
    for (const pending of all.slice(0, keep)) if (pending.producer === null) reject(pending, inDoubt)
    this.#queue = all.slice(0, keep)
    this.#queuedBytes = this.#queue.reduce((sum, { body }) => sum + body.length, 0)
    const first = all[keep]
    if (first !== undefined) this.end = toOffset(first.baseOffset)
    this.#isFull = true
    this.#context.report({ ...this.#name, kind: 'full', from: this.writtenEnd, to: null, message: text })
    if (this.#queue.length > 0) this.#retryLater()
    this.#releaseWaiting()
    this.#progressed()
  }

  #retryLater(): void {
    this.#retry ??= this.#context.clock.after(RETRY_MS, () => {
      this.#retry = null
      this.#kick()
    })
  }

  #progressed(): void {
    if (this.#onWritten.length > 0 && this.#isWritten) this.#releaseWaiting()
    this.#onProgress()
  }

  #releaseWaiting(): void {
    for (const resolve of this.#onWritten.splice(0)) resolve()
  }
}

function reject(pending: Pending, error: LeveretError): void {
  pending.settle?.reject(error)
  pending.settle = null
}

function headersBytes(group: readonly Pending[]): number {
  let bytes = 0
  for (const { producer } of group) bytes += headerBytesOf(producer)
  return bytes
}

function describe(error: unknown): string {
  return systemCode(error) || (error instanceof Error ? error.message : String(error))
}
