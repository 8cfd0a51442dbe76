/**
 * What is on disk of one partition, found and put in order: the segments, where the log starts and ends, and the producer
 * sequences of its last batches. After a clean close nothing of the log is read.
 */
import { dirname, join } from 'node:path'
import { FIRST_OFFSET, type Offset, toOffset } from '../../model/offset.js'
import type { ProducedBatch } from '../store.js'
import { type BatchHeader, type Place, readProducer } from './batch-format.js'
import { findBatch, scanBatches, type Visit } from './batch-walk.js'
import { type Checkpoint, readCheckpoint } from './checkpoint.js'
import { finishCompaction } from './compaction-journal.js'
import { readFile } from './file-io.js'
import { parseSegmentFile, segmentFile } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { SEAL_BYTES } from './keyring.js'
import { LastSequences } from './last-sequences.js'
import type { LogContext, PartitionName } from './log-context.js'
import { decodeIndex, indexSeed } from './offset-index.js'
import { type Recovered, recoverTail } from './recovery.js'
import { buildIndex, Segment } from './segment.js'
import { SegmentList } from './segment-list.js'

/** No segment holds more: positions have 32 bits, and a record two bytes at least. */
const SEGMENT_RECORDS_MAX = 2 ** 31

export interface PartitionFiles {
  readonly segments: SegmentList
  readonly logStart: Offset
  readonly end: Offset
  readonly lastTimestampMs: number
  produced(): Promise<readonly ProducedBatch[]>
}

/** Where a partition is, and what is known of it. */
export interface PartitionSite {
  readonly name: PartitionName
  readonly place: Place
  readonly directory: string
  /** The store was closed cleanly the last time. */
  readonly wasClosed: boolean
  /**
   * Where the topic began to keep nothing, the last time, or null: what was there then is dropped, and files of it are
   * leftovers. Segments that came later begin above it.
   */
  droppedFrom(): number | null
  /** Base of the first segment that it ever had since then; null if it had none. */
  begunAt(): number | null
}

export async function openPartitionFiles(context: LogContext, site: PartitionSite): Promise<PartitionFiles> {
  const { fs } = context
  const { name, place, directory } = site
  const segments = new SegmentList()
  if (!fs.exists(directory)) return withoutFiles(context, site)
  await finishCompaction(fs, directory, place)
  const droppedFrom = site.droppedFrom() ?? -1
  removeDropped(fs, directory, droppedFrom)
  const read = readCheckpoint(fs, place, directory)
  // One from before everything was dropped says nothing any more.
  const checkpoint = read === 'damaged' || (read !== null && read.segment <= droppedFrom) ? null : read
  if (read === 'damaged') {
    const message =
      'the checkpoint was damaged; records dropped by a limit may be kept until the limit is applied again'
    context.report({ ...name, kind: 'repaired', from: 0, to: null, message })
  }
  const bases = await withoutStrays(context, site, segmentBases(fs.list(directory)), checkpoint)
  if (bases.length === 0 && checkpoint === null) return withoutFiles(context, site)
  for (const base of bases) {
    const isSealed = base !== bases.at(-1)
    const segment = new Segment(context, place, directory, base, { size: 0, isSealed })
    segment.size = fs.size(segment.path)
    segments.push(segment)
  }
  const tail = await openTail(context, site, segments, checkpoint)
  const firstBase = segments.firstBase ?? tail.end
  const logStart = toOffset(Math.min(tail.end, checkpoint?.logStart ?? firstBase))
  if (logStart < firstBase && segments.firstBase !== null) reportGone(context, name, logStart, firstBase)
  return {
    segments,
    logStart,
    end: tail.end,
    lastTimestampMs: Math.max(tail.lastTimestampMs, checkpoint?.lastTimestampMs ?? 0),
    produced: onceAsync(() => producedSince(checkpoint, read === null, segments, tail.end)),
  }
}

/** Nothing was kept yet, or somebody has removed what was: then its offsets are not given out again. */
function withoutFiles(context: LogContext, { name, begunAt }: PartitionSite): PartitionFiles {
  const begun = begunAt()
  const logStart = toOffset(begun ?? FIRST_OFFSET)
  const end = toOffset(begun === null ? FIRST_OFFSET : begun + SEGMENT_RECORDS_MAX)
  if (end > logStart) reportGone(context, name, logStart, end)
  return { segments: new SegmentList(), logStart, end, lastTimestampMs: 0, produced: async () => [] }
}

/** Make sure that the directory, and those that it is in, are on the device under their names. */
export async function syncPlace(fs: FileSystem, directory: string): Promise<void> {
  await fs.syncDirectory(directory)
  await fs.syncDirectory(dirname(directory))
  await fs.syncDirectory(dirname(dirname(directory)))
}

/** Segments that were dropped, and that a crash brought back or left. */
function removeDropped(fs: FileSystem, directory: string, droppedFrom: number): void {
  for (const file of fs.list(directory)) {
    const parsed = parseSegmentFile(file)
    if (parsed !== null && parsed.base <= droppedFrom) fs.remove(join(directory, file))
  }
}

/**
 * A roll that did not come to its end leaves an empty segment, and what was appended after it stands in the one before.
 * Empty segments between others are as little; the newest counts only if the one before it ends where it begins.
 */
async function withoutStrays(
  context: LogContext,
  { place, directory }: PartitionSite,
  all: readonly Offset[],
  checkpoint: Checkpoint | null,
): Promise<Offset[]> {
  const { fs } = context
  const isEmpty = (base: Offset) => fs.size(segmentFile(directory, base, 'log')) === 0
  const bases = all.filter((base) => base === all.at(-1) || !isEmpty(base))
  const [before, last] = bases.slice(-2)
  if (before === undefined || last === undefined || !isEmpty(last)) return bases
  if (checkpoint?.isClosed && checkpoint.segment === last) return bases
  const segment = new Segment(context, place, directory, before, { size: 0, isSealed: true })
  segment.size = fs.size(segment.path)
  const content = readFile(fs, segmentFile(directory, before, 'index'))
  const known = content === null ? null : decodeIndex(content, indexSeed(place, before), segment.size)
  const end = known?.end?.position === segment.size ? known.end : (await buildIndex(segment)).end
  if ((end?.offset ?? before) <= last) return bases
  for (const kind of ['log', 'index'] as const) {
    const path = segmentFile(directory, last, kind)
    if (fs.exists(path)) fs.remove(path)
  }
  await fs.syncDirectory(directory)
  return bases.slice(0, -1)
}

function segmentBases(names: readonly string[]): Offset[] {
  const bases: Offset[] = []
  for (const name of names) {
    const parsed = parseSegmentFile(name)
    if (parsed?.kind === 'log') bases.push(parsed.base)
  }
  return bases.sort((a, b) => a - b)
}

interface Tail {
  readonly end: Offset
  readonly lastTimestampMs: number
}

async function openTail(
  context: LogContext,
  site: PartitionSite,
  segments: SegmentList,
  checkpoint: Checkpoint | null,
): Promise<Tail> {
  const { last } = segments
  if (last !== null && checkpoint?.isClosed && checkpoint.segment === last.base && checkpoint.position === last.size) {
    last.resumeWholeIndex()
    return checkpoint
  }
  let tail: Tail = { end: FIRST_OFFSET, lastTimestampMs: 0 }
  let witnessed = FIRST_OFFSET
  let isEnded = false
  if (last !== null) {
    // The process that made it may not have come to this.
    await syncPlace(context.fs, site.directory)
    const recovered = await recover(context, site, last)
    witnessed = recovered.witnessed
    isEnded = recovered.isEnded
    tail = recovered.end > last.base ? recovered : { end: recovered.end, lastTimestampMs: await timeBefore(segments) }
  }
  const once = endOnce(site, last, tail.end, checkpoint, { witnessed, isEnded })
  // What was dropped may never have reached the device; it is not given out again all the same.
  const end = toOffset(Math.max(once, checkpoint?.logStart ?? FIRST_OFFSET))
  if (end <= tail.end) return tail
  // The log is shorter than it once was: what it held is not given out again.
  if (last !== null) last.isSealed = true
  if (once > tail.end) reportGone(context, site.name, tail.end, once)
  return { end, lastTimestampMs: Math.max(tail.lastTimestampMs, checkpoint?.lastTimestampMs ?? 0) }
}

/**
 * Where the log ended, as far as anything tells but the log. After a clean close that is known; after a crash only that it
 * reached so far at least, and if the log does not, then there may have been as much behind it as a segment holds.
 */
function endOnce(
  { wasClosed }: PartitionSite,
  last: Segment | null,
  found: Offset,
  checkpoint: Checkpoint | null,
  { witnessed, isEnded }: Pick<Recovered, 'witnessed' | 'isEnded'>,
): Offset {
  if (wasClosed && checkpoint !== null) return checkpoint.end
  const atLeast = toOffset(Math.max(checkpoint?.end ?? FIRST_OFFSET, witnessed))
  const isSegmentGone = isEnded || (checkpoint !== null && checkpoint.segment > (last?.base ?? -1))
  return isSegmentGone || atLeast > found ? toOffset(Math.max(atLeast, found) + SEGMENT_RECORDS_MAX) : found
}

function reportGone(context: LogContext, name: PartitionName, from: Offset, to: Offset): void {
  const message = `offsets ${from} to ${to - 1}, or some of them, were in the log once and are gone`
  context.report({ ...name, kind: 'corrupt', from, to, message })
}

async function recover(
  context: LogContext,
  { name, place, directory }: PartitionSite,
  last: Segment,
): Promise<Recovered> {
  const pinned = last.pin()
  try {
    const recovered = await recoverTail(context.fs, place, directory, last.base, pinned.file)
    last.size = recovered.position
    last.resumeIndex(recovered.indexed, recovered.indexedPosition)
    for (const { position, offset, timestampMs } of recovered.found) last.note(position, offset, timestampMs)
    // Recovery has synced what it keeps.
    last.writeIndex(last.size, true)
    if (recovered.cutBytes > 0) {
      const message = `an unfinished write of ${recovered.cutBytes} bytes behind offset ${recovered.end} was put aside and cut`
      context.report({ ...name, kind: 'torn', from: recovered.end, to: null, message })
    }
    for (const { from, to } of recovered.gaps) {
      const message = `offsets ${from} to ${to - 1} are damaged or missing on disk`
      context.report({ ...name, kind: 'corrupt', from, to, message })
    }
    return recovered
  } finally {
    pinned.release()
  }
}

/** Timestamp of the newest record before the last segment, which is empty. */
async function timeBefore(segments: SegmentList): Promise<number> {
  const sealed = segments.all.at(-2)
  return sealed === undefined ? 0 : (await sealed.end()).timestampMs
}

/** Sequences of the checkpoint, and of the batches that came after it. */
async function producedSince(
  checkpoint: Checkpoint | null,
  isFirst: boolean,
  segments: SegmentList,
  end: Offset,
): Promise<readonly ProducedBatch[]> {
  const produced = new LastSequences()
  // What was acknowledged before it was written may not have been, and its offset is another's since then. What stands
  // behind the checkpoint's end all the same is found there.
  const known = Math.min(end, checkpoint?.end ?? FIRST_OFFSET)
  for (const batch of checkpoint?.produced ?? []) if (batch.baseOffset < known) produced.note(batch)
  if (checkpoint?.isClosed && checkpoint.end === end) return produced.all
  // A checkpoint is written while appends go on: whole segments may have come after it.
  // If none was ever finished there are few; if it was lost, the last ones have to do.
  const since = checkpoint?.segment ?? (isFirst ? FIRST_OFFSET : (segments.all.at(-2)?.base ?? FIRST_OFFSET))
  for (const segment of segments.all) {
    if (segment.base < since) continue
    const isFromHere = checkpoint?.segment === segment.base && checkpoint.position <= segment.size
    await noteProducers(produced, segment, isFromHere ? checkpoint.position : 0, end)
  }
  return produced.all
}

/** Damage is stepped over: what comes behind it is there. */
async function noteProducers(produced: LastSequences, segment: Segment, from: number, end: Offset): Promise<void> {
  const visit: Visit = (header, _, buffer, at) => {
    if (header.baseOffset < end) noteProducer(produced, buffer, at, header)
    return header.baseOffset < end
  }
  const pinned = segment.pin()
  try {
    for (let position: number | null = from; position !== null && position < segment.size; ) {
      const stop = await scanBatches(pinned.file, segment.place, position, segment.size, visit)
      if (stop.kind === 'end') return
      position = (await findBatch(pinned.file, segment.place, stop.position + 1, segment.size))?.position ?? null
    }
  } finally {
    pinned.release()
  }
}

function noteProducer(produced: LastSequences, buffer: Buffer, at: number, header: BatchHeader): void {
  const producer = readProducer(buffer, at, header, SEAL_BYTES)
  if (producer === null) return
  const { baseOffset, timestampMs } = header
  produced.note({ producer: producer.name, sequence: producer.sequence, baseOffset, timestampMs })
}

/** Made once for all who ask; a failure is told to those who wait, and whoever asks next tries again. */
function onceAsync<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | null = null
  return () => {
    made ??= make().catch((error: unknown) => {
      made = null
      throw error
    })
    return made
  }
}
