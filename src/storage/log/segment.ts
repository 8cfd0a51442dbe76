/**
 * One segment: a file of batches named by its first offset, and its index. Knows how far it reaches, loads and rebuilds
 * the index, and keeps what the index file lacks yet. Does not write batches: appender.ts does.
 */
import type { Offset } from '../../model/offset.js'
import { type BatchHeader, batchEnd, type Place, type SegmentPlace } from './batch-format.js'
import { findBatch, scanBatches } from './batch-walk.js'
import { readFile, systemCode, writeAllSync } from './file-io.js'
import { segmentFile } from './file-names.js'
import type { Pinned } from './handle-pool.js'
import type { Indexed } from './index-cache.js'
import type { LogContext } from './log-context.js'
import {
  decodeIndex,
  encodeEntry,
  INDEX_ENTRY_BYTES,
  INDEX_INTERVAL_BYTES,
  type IndexEntry,
  indexSeed,
  OffsetIndex,
  type SegmentEnd,
} from './offset-index.js'

/** Entries gathered before they are written to the index file: one small write for so many times 4 KiB of log. */
const UNWRITTEN_ENTRIES = 16
/** Nor does more log than this go without an entry in the file: a crash leaves so much to be walked. */
const UNWRITTEN_BYTES = 256 * 1024

export class Segment implements Indexed {
  readonly base: Offset
  readonly path: string
  readonly place: SegmentPlace
  /** Bytes of whole batches; the file may be longer by space set aside. */
  size: number
  /** Length of the file with the space set aside; infinite when none is to be set aside any more. */
  setAsideTo: number
  /** Timestamp of the first batch, once somebody has looked. */
  firstTimestampMs: number | null = null
  /** Takes no more batches. */
  isSealed: boolean
  /** Removed or replaced: what is remembered about its positions is void. */
  isRetired = false
  readonly #context: LogContext
  readonly #seed: number
  readonly #indexPath: string
  #index: OffsetIndex | null = null
  #loading: Promise<OffsetIndex> | null = null
  /** Entries that the index file lacks, in order. */
  #unwritten: IndexEntry[] = []
  /** Entries that the index file holds. */
  #written = 0
  /** Position of the newest entry that the index file holds. */
  #writtenPosition = 0
  /** Position of the newest entry, or -1. */
  #lastPosition = -1
  /** False: the index file lacks entries that nobody has noted, and is built anew when it is needed. */
  #isIndexWhole: boolean

  constructor(
    context: LogContext,
    place: Place,
    directory: string,
    base: Offset,
    { size, isSealed }: { size: number; isSealed: boolean },
  ) {
    this.#context = context
    this.place = place.segment(base)
    this.base = base
    this.size = size
    this.setAsideTo = size
    this.isSealed = isSealed
    this.path = segmentFile(directory, base, 'log')
    this.#indexPath = segmentFile(directory, base, 'index')
    this.#seed = indexSeed(place, base)
    this.#isIndexWhole = isSealed || size === 0
  }

  get indexEntries(): number {
    return this.#index?.length ?? 0
  }

  /** The open log file. Throws the system's error. */
  pin(): Pinned {
    return this.#context.pool.acquire(this.path)
  }

  /** A batch was written at `position`. */
  note(position: number, offset: Offset, timestampMs: number): void {
    if (this.#lastPosition >= 0 && position - this.#lastPosition < INDEX_INTERVAL_BYTES) return
    const entry = { position, offset, timestampMs }
    this.#lastPosition = position
    this.#unwritten.push(entry)
    this.#index?.push(entry)
  }

  /** The index file holds `written` good entries, the last one at `lastPosition`; what follows comes by `note`. */
  resumeIndex(written: number, lastPosition: number): void {
    this.#written = written
    this.#writtenPosition = Math.max(0, lastPosition)
    this.#lastPosition = lastPosition
    this.#isIndexWhole = true
  }

  /** The log ends where it did when the index file was written to the last time. */
  resumeWholeIndex(): void {
    const content = readFile(this.#context.fs, this.#indexPath)
    const index = content === null ? null : decodeIndex(content, this.#seed, this.size)
    this.#isIndexWhole = this.size === 0
    if (index?.last !== null && index?.last !== undefined && index.end === null) {
      this.resumeIndex(index.length, index.last.position)
    }
  }

  /**
   * Write the entries that are due, up to `syncedPosition`: an entry in the file says that everything before it is on
   * the device, which recovery relies on. A failure costs nothing but a longer walk, and is tried again.
   */
  writeIndex(syncedPosition: number, isAll: boolean): void {
    if (!this.#isIndexWhole) return
    let due = this.#unwritten.length
    while (due > 0 && (this.#unwritten[due - 1] as IndexEntry).position > syncedPosition) due--
    const newest = this.#unwritten[due - 1]
    if (newest === undefined) return
    const isDue = due >= UNWRITTEN_ENTRIES || newest.position - this.#writtenPosition >= UNWRITTEN_BYTES
    if (!isDue && !isAll) return
    if (!this.#writeEntries(this.#unwritten.slice(0, due), false)) return
    this.#unwritten.splice(0, due)
    this.#writtenPosition = newest.position
  }

  /** Everything is synced and nothing more comes. */
  seal(end: SegmentEnd): void {
    this.isSealed = true
    this.writeIndex(this.size, true)
    if (this.#isIndexWhole && this.#unwritten.length === 0) this.#writeEntries([end], true)
    if (this.#index !== null) this.#index.end = end
    this.#unwritten = []
  }

  /** The index, from memory, from its file, or built anew from the log. */
  index(): Promise<OffsetIndex> | OffsetIndex {
    if (this.#index !== null) {
      this.#context.indexes.touch(this)
      return this.#index
    }
    this.#loading ??= this.#loadIndex().finally(() => {
      this.#loading = null
    })
    return this.#loading
  }

  dropIndex(): void {
    this.#index = null
  }

  /** Where a sealed segment ends: from its index, which is built if it does not say. */
  async end(): Promise<SegmentEnd> {
    const { end } = await this.index()
    return end ?? { position: this.size, offset: this.base, timestampMs: 0 }
  }

  /** Remove both files. What is being read from them can be read to its end. */
  remove(): void {
    this.retire()
    const { fs, pool } = this.#context
    for (const path of [this.path, this.#indexPath]) {
      pool.forget(path)
      removeIfThere(fs, path)
    }
  }

  /** The files are gone or another's. */
  retire(): void {
    this.isRetired = true
    this.#context.indexes.remove(this)
    this.#index = null
  }

  /** As `retire`, for a segment whose files are another's now, or will be. Reads under way go on in the old ones. */
  release(): void {
    this.retire()
    const { pool } = this.#context
    for (const path of [this.path, this.#indexPath]) pool.forget(path)
  }

  async #loadIndex(): Promise<OffsetIndex> {
    const index = this.#readIndex() ?? (await this.#rebuildIndex())
    if (this.isRetired) return index
    this.#index = index
    this.#context.indexes.touch(this)
    return index
  }

  /** From the file, with what it lacks yet; null if the file is no good. */
  #readIndex(): OffsetIndex | null {
    if (!this.#isIndexWhole) return null
    const content = readFile(this.#context.fs, this.#indexPath)
    if (content === null) return this.isSealed || this.#written > 0 ? null : this.#withUnwritten(new OffsetIndex())
    if (this.isSealed) {
      const index = decodeIndex(content, this.#seed, this.size)
      return index?.end?.position === this.size ? index : null
    }
    // Behind the entries that are known to be good there may be some from before a crash.
    const known = content.subarray(0, this.#written * INDEX_ENTRY_BYTES)
    const index = decodeIndex(known, this.#seed, this.size)
    return index === null || index.length < this.#written ? null : this.#withUnwritten(index)
  }

  #withUnwritten(index: OffsetIndex): OffsetIndex {
    for (const entry of this.#unwritten) index.push(entry)
    return index
  }

  async #rebuildIndex(): Promise<OffsetIndex> {
    const index = await buildIndex(this)
    const { end } = index
    if (!this.isSealed) index.end = null
    // The index file is another's.
    if (this.isRetired) return index
    this.#isIndexWhole = true
    this.#unwritten = []
    this.#written = 0
    for (let entry = 0; entry < index.length; entry++) this.#unwritten.push(index.at(entry))
    this.#lastPosition = index.last?.position ?? -1
    try {
      this.#context.pool.forget(this.#indexPath)
      removeIfThere(this.#context.fs, this.#indexPath)
      // Of a segment that is appended to only what is synced may be written: the next sync does it.
      if (this.isSealed && end !== null) this.seal(end)
    } catch {
      // An index that cannot be written is built again when it is needed again.
    }
    return index
  }

  #writeEntries(entries: readonly IndexEntry[], isEnd: boolean): boolean {
    const bytes = Buffer.allocUnsafe(entries.length * INDEX_ENTRY_BYTES)
    for (const [place, entry] of entries.entries()) {
      encodeEntry(bytes, place * INDEX_ENTRY_BYTES, this.#seed, entry, isEnd)
    }
    const { fs, pool } = this.#context
    try {
      const pinned = fs.exists(this.#indexPath) ? pool.acquire(this.#indexPath) : pool.create(this.#indexPath)
      try {
        writeAllSync(pinned.file, [bytes], this.#written * INDEX_ENTRY_BYTES)
        if (isEnd) pinned.file.truncate((this.#written + entries.length) * INDEX_ENTRY_BYTES)
      } finally {
        pinned.release()
      }
    } catch {
      return false
    }
    if (!isEnd) this.#written += entries.length
    return true
  }
}

/** Walk the segment and note its batches. Damage is stepped over; readers find it for themselves. */
export async function buildIndex(segment: Segment): Promise<OffsetIndex> {
  const index = new OffsetIndex()
  let end: SegmentEnd = { position: segment.size, offset: segment.base, timestampMs: 0 }
  const visit = (header: BatchHeader, position: number) => {
    if (header.baseOffset < end.offset) return true
    const { baseOffset: offset, timestampMs } = header
    if (index.isDue(position)) index.push({ position, offset, timestampMs })
    end = { position: segment.size, offset: batchEnd(header), timestampMs: Math.max(end.timestampMs, timestampMs) }
    return true
  }
  const pinned = segment.pin()
  try {
    for (let position = 0; position < segment.size; ) {
      const stop = await scanBatches(pinned.file, segment.place, position, segment.size, visit)
      if (stop.kind === 'end') break
      const next = await findBatch(pinned.file, segment.place, stop.position + 1, segment.size)
      if (next === null) break
      position = next.position
    }
  } finally {
    pinned.release()
  }
  index.end = end
  return index
}

function removeIfThere(fs: LogContext['fs'], path: string): void {
  try {
    fs.remove(path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}
