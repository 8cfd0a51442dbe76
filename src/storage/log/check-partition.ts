/**
 * One partition's directory: which files there are and what for, each segment walked and held against its index and its
 * neighbours, the checkpoint, and what of it can be put right.
 */
import { join } from 'node:path'
import { FIRST_OFFSET, type Offset } from '../../model/offset.js'
import type { CheckContext, Found } from './check-context.js'
import { IndexCheck } from './check-index.js'
import { BlockingReads } from './check-read.js'
import { aboutKept, type CheckedPartition, type LogEnd, missing, SegmentWalk } from './check-segment.js'
import { type Checkpoint, readCheckpoint } from './checkpoint.js'
import { compactedFile, JOURNAL, readyReplacement } from './compaction-journal.js'
import { systemCode } from './file-io.js'
import { CHECKPOINT, parseSegmentFile, segmentFile } from './file-names.js'
import type { RawFile } from './file-system.js'
import { cutTorn } from './recovery.js'

/** A segment as it counts, which during a log compaction may be the file that takes its place. */
interface Standing {
  readonly base: Offset
  readonly path: string
  /** The index beside it is its own. */
  readonly hasIndex: boolean
}

export class PartitionCheck {
  readonly #context: CheckContext
  readonly #of: CheckedPartition
  readonly #directory: string
  readonly #standing: readonly Standing[]
  readonly #names: ReadonlySet<string>
  /** There was a segment behind the newest one. */
  #isCutOff = false

  /** Looks at the directory, and at nothing in it but the journal of a log compaction. */
  constructor(context: CheckContext, of: CheckedPartition, directory: string) {
    this.#context = context
    this.#of = of
    this.#directory = directory
    this.#names = new Set(context.fs.list(directory))
    this.#standing = this.#segments()
  }

  /** Bytes of its segments. */
  get bytes(): number {
    return this.#standing.reduce((sum, { path }) => sum + this.#context.fs.size(path), 0)
  }

  async run(): Promise<void> {
    this.#context.totals.partitions++
    this.#checkNames()
    const read = readCheckpoint(this.#context.fs, this.#of.place, this.#directory)
    if (read === 'damaged') {
      const message =
        "the checkpoint is damaged, or another partition's: where the log starts follows from its segments alone"
      this.#add({ severity: 'damage', kind: 'checkpoint', message }, join(this.#directory, CHECKPOINT))
    }
    const checkpoint = read === 'damaged' || (read?.segment ?? 0) <= this.#of.droppedFrom ? null : read
    this.#of.logStart = checkpoint?.logStart ?? 0
    const [first] = this.#standing
    const end: LogEnd = { offset: first?.base ?? FIRST_OFFSET, timestampMs: 0 }
    if (checkpoint !== null && first !== undefined && checkpoint.logStart < first.base) {
      this.#add(missing(checkpoint.logStart, first.base, this.#of.reservedEnd), this.#directory)
    }
    for (const [index, segment] of this.#standing.entries()) {
      await this.#checkSegment(segment, this.#standing[index + 1]?.base ?? null, checkpoint, end)
    }
    if (this.#of.hasBegun && first === undefined && checkpoint === null) {
      this.#add({ severity: 'damage', kind: 'missing', message: GONE }, this.#directory)
    }
    const witnessed = witnessedEnd(checkpoint)
    if (witnessed > Math.max(end.offset, this.#of.reservedEnd)) {
      const offsets = { from: Math.max(end.offset, checkpoint?.logStart ?? FIRST_OFFSET), to: witnessed }
      const message = 'stood in the log once; its last segments, or the end of the last one, are gone'
      this.#add({ severity: 'damage', kind: 'missing', offsets, message }, this.#directory)
    } else if (this.#isCutOff) {
      const message = 'a newer segment was there once, and is gone with all its records'
      this.#add({ severity: 'damage', kind: 'missing', message }, this.#directory)
    }
  }

  async #checkSegment(
    segment: Standing,
    nextBase: Offset | null,
    checkpoint: Checkpoint | null,
    end: LogEnd,
  ): Promise<void> {
    this.#context.totals.segments++
    if (segment.base > end.offset) {
      this.#add(missing(end.offset, segment.base, this.#of.reservedEnd), segment.path)
    } else if (segment.base < end.offset) {
      const offsets = { from: segment.base, to: end.offset }
      const message = 'are in the segment before this one, too'
      this.#add({ severity: 'damage', kind: 'order', offsets, message }, segment.path)
    }
    end.offset = segment.base
    try {
      const file = this.#context.fs.open(segment.path, 'read')
      try {
        await this.#walk(segment, file, nextBase, checkpoint, end)
      } finally {
        file.close()
      }
    } catch (error) {
      if (systemCode(error) === '') throw error
      const to = nextBase ?? end.offset
      const offsets = to > end.offset ? { from: end.offset, to } : null
      const message = `cannot be read (${systemCode(error)})`
      this.#add({ severity: 'damage', kind: 'unreadable', offsets, message }, segment.path)
      if (nextBase !== null) end.offset = nextBase
    }
  }

  async #walk(
    { base, path, hasIndex }: Standing,
    file: RawFile,
    nextBase: Offset | null,
    checkpoint: Checkpoint | null,
    end: LogEnd,
  ): Promise<void> {
    const { fs } = this.#context
    const indexPath = segmentFile(this.#directory, base, 'index')
    const index = hasIndex ? new IndexCheck(fs, indexPath, this.#of.place, base) : null
    const size = file.size()
    const closedAt = checkpoint?.isClosed === true && checkpoint.segment === base ? checkpoint.position : 0
    const syncedPosition = Math.max(index?.syncedPosition ?? 0, closedAt)
    const synced = { position: syncedPosition, end: witnessedEnd(checkpoint) }
    const name = this.#context.nameOf(path)
    const walk = new SegmentWalk(
      this.#context,
      this.#of,
      { base, file: new BlockingReads(file), name, size, nextBase, synced },
      index,
      end,
    )
    await walk.run()
    if (walk.isTorn) await this.#torn(base, path, walk.whole, size, end)
    if (index === null) return
    const isCutOff = nextBase === null && (index.saysEnded || (checkpoint !== null && checkpoint.segment > base))
    if (isCutOff) this.#isCutOff = true
    const sealed = nextBase === null && !isCutOff ? null : { size, end: end.offset }
    // While a segment takes records its first entries are in memory only.
    const isClosed = closedAt === size && size > 0
    index.finish(walk.whole, sealed, sealed !== null || isClosed)
    await this.#index(index, indexPath, path, sealed)
  }

  async #torn(base: Offset, path: string, position: number, size: number, end: LogEnd): Promise<void> {
    const { fs, isRepair } = this.#context
    if (isRepair) {
      const file = fs.open(path, 'write')
      try {
        await cutTorn(fs, this.#directory, base, file, position, size)
        await file.sync()
      } finally {
        file.close()
      }
      await fs.syncDirectory(this.#directory)
    }
    const message = `an unfinished write of ${size - position} bytes behind offset ${end.offset}`
    const bytes = size - position
    this.#add({ severity: 'repairable', kind: 'torn', position, bytes, message, isRepaired: isRepair }, path)
  }

  async #index(
    index: IndexCheck,
    indexPath: string,
    path: string,
    sealed: { readonly size: number; readonly end: Offset } | null,
  ): Promise<void> {
    if (index.fault === null) return
    const { fs, isRepair } = this.#context
    if (isRepair) {
      // What has an entry in an index is synced.
      const file = fs.open(path, 'write')
      try {
        await file.sync()
      } finally {
        file.close()
      }
      await index.rewrite(fs, sealed)
    }
    const message = `the index ${index.fault}`
    this.#add({ severity: 'repairable', kind: 'index', message, isRepaired: isRepair }, indexPath)
  }

  /** The segments as they stand once a log compaction that was under way is finished. */
  #segments(): Standing[] {
    const { fs } = this.#context
    const directory = this.#directory
    const [replaced, ...removed] = readyReplacement(fs, directory, this.#of.place)?.bases ?? []
    const segments: Standing[] = []
    for (const name of this.#names) {
      const parsed = parseSegmentFile(name)
      if (parsed?.kind !== 'log' || removed.includes(parsed.base) || parsed.base <= this.#of.droppedFrom) continue
      const { base } = parsed
      const compacted = compactedFile(directory, base)
      const isReplaced = base === replaced && fs.exists(compacted)
      const path = isReplaced ? compacted : join(directory, name)
      segments.push({ base, path, hasIndex: base !== replaced })
    }
    return segments.sort((a, b) => a.base - b.base)
  }

  #checkNames(): void {
    if (this.#names.has(JOURNAL)) {
      const isReady = readyReplacement(this.#context.fs, this.#directory, this.#of.place) !== null
      const message = `a log compaction was under way; the next start ${isReady ? 'finishes' : 'drops'} it`
      this.#add({ severity: 'note', kind: 'journal', message }, join(this.#directory, JOURNAL))
    }
    for (const name of [...this.#names].sort()) {
      const message = this.#remarkOn(name)
      if (message === null) continue
      const kind = message === STRANGER ? 'stranger' : 'leftover'
      this.#add({ severity: 'note', kind, message }, join(this.#directory, name))
    }
  }

  #remarkOn(name: string): string | null {
    if (name === CHECKPOINT || name === JOURNAL) return null
    const parsed = parseSegmentFile(name)
    if (parsed !== null && parsed.base <= this.#of.droppedFrom) {
      return 'of records that were dropped when the topic kept nothing for a time'
    }
    if (parsed?.kind === 'log') return null
    if (parsed?.kind === 'index') {
      return this.#names.has(name.replace(/index$/, 'log')) ? null : 'an index whose segment is not there'
    }
    return leftover(name) ?? STRANGER
  }

  #add(found: Omit<Found, 'file'>, path: string): void {
    const { topic, partition, logStart } = this.#of
    this.#context.add({ ...aboutKept(found, logStart), topic, partition, file: this.#context.nameOf(path) })
  }
}

/** Kept records below this were on the device; what was dropped may never have reached it. */
function witnessedEnd(checkpoint: Checkpoint | null): Offset {
  return checkpoint !== null && checkpoint.end > checkpoint.logStart ? checkpoint.end : FIRST_OFFSET
}

export const GONE = 'had records once, and all its files are gone'
export const STRANGER = "not of leveret's making"

/** What a file that is not in use was, or null if leveret did not make it. */
export function leftover(name: string): string | null {
  if (/^[0-9]{20}\.log\.torn-[0-9]+$/.test(name)) return 'an unfinished write that a recovery put aside'
  if (/^catalog\.[ab]\.damaged-[0-9]+$/.test(name)) return 'a damaged copy of the catalog that was put aside'
  if (/^[0-9]{20}\.log\.compacted$/.test(name)) return 'made by a log compaction that is not finished'
  if (/^(?:lock|catalog\.[ab]|checkpoint|compaction|[0-9]{20}\.index)\.new$/.test(name)) {
    return 'a replacement that was not finished'
  }
  return null
}
