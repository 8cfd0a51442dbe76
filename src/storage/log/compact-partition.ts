/**
 * Log compaction of one partition: of each keyed record in its sealed segments only the newest stays. The keys of what
 * came since the last time are gathered, as many as fit in memory, then all segments up to there are rewritten without
 * the records that those supersede, the oldest first. Records keep their offsets and their times.
 */
import type { Offset } from '../../model/offset.js'
import { isEmptyPayload, recordKey } from '../../model/run.js'
import { FLAG_CLEAN, HEADER_BYTES, type Place } from './batch-format.js'
import { NewestKeys } from './compact-keys.js'
import { eachRecord, type OpenBatch, type Visited, walkSegment } from './compact-walk.js'
import { CompactedFile } from './compact-writer.js'
import {
  beginReplacement,
  cancelReplacement,
  compactedFile,
  endMark,
  endReplacement,
  enterReplacement,
} from './compaction-journal.js'
import { SEAL_BYTES } from './keyring.js'
import type { LogContext, PartitionName } from './log-context.js'
import { Segment } from './segment.js'
import type { SegmentList } from './segment-list.js'

/**
 * A record with a key and an empty payload says that the key is gone. It stays this long, so that readers who are that
 * far behind see it, and goes with the first compaction after that.
 */
export const TOMBSTONE_MS = 24 * 60 * 60 * 1000

/** A partition as its compaction sees it. */
export interface CompactedLog {
  readonly name: PartitionName
  readonly place: Place
  readonly directory: string
  readonly segments: SegmentList
  /** Its topic keeps the latest record of each key only. */
  readonly keepsLatest: boolean
  /** Write the checkpoint: what it says of producers is not in the log any more afterwards. */
  save(): Promise<void>
  /** While `work` is under way no segment is dropped. */
  undisturbed(work: () => Promise<void>): Promise<void>
}

export interface CompactionLimits {
  readonly keysMax: number
  /** True: stop soon, the store or the topic is going. */
  readonly isOver: () => boolean
}

/** A segment, and what compaction would leave of it. */
interface Survey {
  readonly segment: Segment
  readonly bytes: number
  readonly dropped: number
  readonly end: Offset
  readonly lastTimestampMs: number
  readonly isIntact: boolean
  /** All of it has been held against what is older. */
  readonly isClean: boolean
  readonly wasClean: boolean
}

class Over extends Error {}

export class PartitionCompaction {
  readonly #context: LogContext
  readonly #log: CompactedLog
  readonly #limits: CompactionLimits
  /** Segments that have been rewritten to the end of their duty, or not, as far as somebody has looked. */
  readonly #clean = new WeakMap<Segment, boolean>()
  /** Damaged: they are left as they are. */
  readonly #leftAlone = new WeakSet<Segment>()
  /** A replacement could not be finished: the journal waits for the next opening. */
  #isStuck = false

  constructor(context: LogContext, log: CompactedLog, limits: CompactionLimits) {
    this.#context = context
    this.#log = log
    this.#limits = limits
  }

  /** Whether at least half of what is sealed came since the last time. */
  get isDue(): boolean {
    if (!this.#log.keepsLatest || this.#isStuck) return false
    let bytes = 0
    let dirtyBytes = 0
    for (const segment of this.#sealed()) {
      bytes += segment.size
      if (!this.#isClean(segment) && !this.#leftAlone.has(segment)) dirtyBytes += segment.size
    }
    return dirtyBytes > 0 && dirtyBytes * 2 >= bytes
  }

  /** Compact everything that is sealed now. Rejects with the system's error, and has then left the rest as it was. */
  async run(): Promise<void> {
    const newest = this.#sealed().at(-1)
    if (newest === undefined) return
    try {
      const limit = this.#endOf(newest)
      let from = await this.#round(limit, null)
      while (from !== null) from = await this.#round(limit, from)
    } catch (error) {
      if (!(error instanceof Over)) throw error
    }
  }

  #sealed(): readonly Segment[] {
    const { all } = this.#log.segments
    const open = all.findIndex(({ isSealed }) => !isSealed)
    return all.slice(0, Math.min(all.length - 1, open < 0 ? all.length : open))
  }

  #isClean(segment: Segment): boolean {
    let isClean = this.#clean.get(segment)
    if (isClean === undefined) {
      const mark = endMark(this.#context.fs, segment.path, segment.place)
      isClean = mark !== null && (mark.flags & FLAG_CLEAN) !== 0
      this.#clean.set(segment, isClean)
    }
    return isClean
  }

  /** One map of keys. Returns where the next round starts, or null when everything below `limit` is done. */
  async #round(limit: Offset, from: Offset | null): Promise<Offset | null> {
    const segments = this.#sealed().filter(({ base }) => base < limit)
    const first = segments.findIndex((segment) => !this.#isClean(segment) && !this.#leftAlone.has(segment))
    if (first < 0 || this.#isStuck) return null
    const keys = new NewestKeys(this.#limits.keysMax)
    let end = from ?? (segments[first] as Segment).base
    let covered = first
    for (let isAll = true; covered < segments.length && isAll; covered++) {
      const segment = segments[covered] as Segment
      const gathered = await this.#gather(segment, end, keys)
      isAll = gathered === null
      end = gathered ?? this.#endOf(segment)
    }
    await this.#rewrite(segments.slice(0, covered), keys, end)
    return end < limit ? end : null
  }

  /** Note the keys of a segment from an offset on. Returns the offset at which there was no more room, or null. */
  async #gather(segment: Segment, from: Offset, keys: NewestKeys): Promise<Offset | null> {
    let full: Offset | null = null
    const walked = await this.#walk(segment, (batch) => {
      const { baseOffset, count } = batch.header
      if (baseOffset < from) return 'on'
      if (!keys.hasRoomFor(count)) {
        full = baseOffset
        return 'stop'
      }
      eachRecord(batch, (offset, _, start, end) => {
        const key = recordKey(batch.body, start, end)
        if (key !== null) keys.set(key, offset)
      })
      return 'on'
    })
    if (!walked.isIntact) this.#leftAlone.add(segment)
    return full
  }

  /** Rewrite what is worth it, up to `end`, which is where the keys end. */
  async #rewrite(segments: readonly Segment[], keys: NewestKeys, end: Offset): Promise<void> {
    let drops = new Drops(keys, end, this.#context.clock.expiredBefore(TOMBSTONE_MS))
    let group: Survey[] = []
    let bytes = 0
    const replace = async () => {
      await this.#replace(group, drops)
      group = []
      bytes = 0
    }
    for (const segment of segments) {
      const survey = await this.#survey(segment, drops, end)
      const fits = bytes + survey.bytes <= this.#context.options.segmentBytes
      if (!survey.isIntact || !survey.isClean || !fits) await replace()
      if (!survey.isIntact) {
        this.#leftAlone.add(segment)
        // It may hide an older record that a tombstone behind it has deleted.
        drops = new Drops(keys, end, null)
        continue
      }
      group.push(survey)
      bytes += survey.bytes
      if (!survey.isClean) await replace()
    }
    await replace()
  }

  async #survey(segment: Segment, drops: Drops, keysEnd: Offset): Promise<Survey> {
    const overhead = HEADER_BYTES + (this.#context.keyring === null ? 0 : SEAL_BYTES)
    let bytes = HEADER_BYTES
    let dropped = 0
    const walked = await this.#walk(segment, (batch) => {
      const kept = drops.survivors(batch)
      for (const { start, end, count } of kept) {
        bytes += end - start + overhead
        dropped -= count
      }
      dropped += batch.header.count
      return 'on'
    })
    const isClean = walked.end <= keysEnd
    return { segment, bytes, dropped, ...walked, isClean, wasClean: this.#isClean(segment) }
  }

  /** Put one new segment in the place of the group, unless that would change nothing. */
  async #replace(group: readonly Survey[], drops: Drops): Promise<void> {
    const [first] = group
    const last = group.at(-1)
    if (first === undefined || last === undefined || this.#isStuck) return
    const isWorthIt = group.length > 1 || first.dropped > 0 || (first.isClean && !first.wasClean)
    if (!isWorthIt) return
    const { fs } = this.#context
    const path = compactedFile(this.#log.directory, first.segment.base)
    try {
      const file = new CompactedFile(fs, path, first.segment.place, this.#context.keyring)
      try {
        for (const { segment } of group) await this.#copy(segment, drops, file)
        const timestampMs = Math.max(...group.map((survey) => survey.lastTimestampMs))
        await file.finish(last.end, timestampMs, last.isClean)
      } finally {
        file.close()
      }
      await this.#log.save()
      await this.#log.undisturbed(() => this.#swap(group, file, last.end))
    } catch (error) {
      if (!this.#isStuck) await this.#cancel()
      throw error
    }
  }

  /** Leave everything as it was. A journal that cannot be taken back waits for the next opening. */
  async #cancel(): Promise<void> {
    this.#isStuck = true
    await cancelReplacement(this.#context.fs, this.#log.directory)
    this.#isStuck = false
  }

  async #copy(segment: Segment, drops: Drops, file: CompactedFile): Promise<void> {
    const visit = (batch: OpenBatch) => {
      const { timestampMs } = batch.header
      for (const { start, end, count, offset } of drops.survivors(batch)) {
        file.add(batch.body.subarray(start, end), count, offset, timestampMs)
      }
      return file.isFull ? 'pause' : 'on'
    }
    const { isIntact } = await this.#walk(segment, visit, () => file.flush())
    if (!isIntact) throw new Over('what was whole a moment ago is damaged')
  }

  async #swap(group: readonly Survey[], file: CompactedFile, end: Offset): Promise<void> {
    const segments = group.map(({ segment }) => segment)
    const bases = segments.map(({ base }) => base)
    const { fs } = this.#context
    const { directory, place } = this.#log
    this.#assertThere(segments)
    await beginReplacement(fs, directory, { bases, end })
    this.#assertThere(segments)
    enterReplacement(fs, directory, { bases, end })
    // The new file stands in its place: whatever happens now, it is the one that counts.
    this.#isStuck = true
    for (const segment of segments) segment.release()
    const [{ base }] = segments as [Segment]
    const replacement = new Segment(this.#context, place, directory, base, { size: 0, isSealed: false })
    replacement.size = file.size
    for (const { position, offset, timestampMs } of file.entries) replacement.note(position, offset, timestampMs)
    this.#log.segments.replace(segments, replacement)
    const timestampMs = Math.max(...group.map((survey) => survey.lastTimestampMs))
    replacement.seal({ position: file.size, offset: end, timestampMs })
    this.#clean.set(replacement, group.at(-1)?.isClean === true)
    await endReplacement(fs, directory, { bases, end })
    this.#isStuck = false
    const { counters } = this.#context
    counters.bytesCompacted.value += segments.reduce((sum, { size }) => sum + size, -file.size)
    for (const { dropped } of group) counters.recordsCompacted.value += dropped
  }

  #assertThere(segments: readonly Segment[]): void {
    if (this.#limits.isOver() || segments.some(({ isRetired }) => isRetired)) throw new Over('given up')
  }

  async #walk(
    segment: Segment,
    visit: (batch: OpenBatch) => Visited,
    paused: () => Promise<void> = () => Promise.resolve(),
  ) {
    const visitUnlessOver = (batch: OpenBatch) => {
      this.#assertThere([segment])
      return visit(batch)
    }
    const next = this.#endOf(segment)
    this.#assertThere([segment])
    return await walkSegment(segment, this.#context.keyring, next, visitUnlessOver, paused)
  }

  /** Where a sealed segment should end: where its neighbour begins. */
  #endOf(segment: Segment): Offset {
    const after = this.#log.segments.after(segment)
    if (after === null) throw new Over('the segment was dropped')
    return after.base
  }
}

/** Records of a batch that stay and stand side by side: `body[start, end)`, the first of them at `offset`. */
interface Survivors {
  readonly offset: Offset
  readonly start: number
  end: number
  count: number
}

/** What is dropped: records that are superseded, and tombstones that are old enough. */
class Drops {
  readonly #keys: NewestKeys
  readonly #end: Offset
  readonly #expiredMs: number | null

  constructor(keys: NewestKeys, end: Offset, expiredMs: number | null) {
    this.#keys = keys
    this.#end = end
    this.#expiredMs = expiredMs
  }

  survivors(batch: OpenBatch): readonly Survivors[] {
    const runs: Survivors[] = []
    let run: Survivors | null = null
    eachRecord(batch, (offset, start, contentStart, end) => {
      if (this.#drops(batch, offset, contentStart, end)) run = null
      else if (run === null) {
        run = { offset, start, end, count: 1 }
        runs.push(run)
      } else {
        run.end = end
        run.count++
      }
    })
    return runs
  }

  #drops({ header, body }: OpenBatch, offset: Offset, start: number, end: number): boolean {
    const key = recordKey(body, start, end)
    if (key === null) return false
    if (this.#keys.hasNewer(key, offset)) return true
    const isOld = this.#expiredMs !== null && header.timestampMs <= this.#expiredMs && offset < this.#end
    return isOld && isEmptyPayload(body, start, end)
  }
}
