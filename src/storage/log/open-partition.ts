/**
 * What is on disk of one partition, found and put in order: the segments, where the log starts and ends, and the producer
 * sequences of its last batches. After a clean close nothing of the log is read.
 */
import { FIRST_OFFSET, type Offset, toOffset } from '../../model/offset.js'
import type { ProducedBatch } from '../store.js'
import { type BatchHeader, type Place, readProducer } from './batch-format.js'
import { scanBatches } from './batch-walk.js'
import { type Checkpoint, readCheckpoint } from './checkpoint.js'
import { finishCompaction } from './compaction-journal.js'
import { parseSegmentFile } from './file-names.js'
import { SEAL_BYTES } from './keyring.js'
import type { LogContext, PartitionName } from './log-context.js'
import { type Recovered, recoverTail } from './recovery.js'
import { Segment } from './segment.js'
import { SegmentList } from './segment-list.js'

export interface PartitionFiles {
  readonly segments: SegmentList
  readonly logStart: Offset
  readonly end: Offset
  readonly lastTimestampMs: number
  produced(): Promise<readonly ProducedBatch[]>
}

export async function openPartitionFiles(
  context: LogContext,
  name: PartitionName,
  place: Place,
  directory: string,
): Promise<PartitionFiles> {
  const { fs } = context
  const segments = new SegmentList()
  if (!fs.exists(directory)) {
    return { segments, logStart: FIRST_OFFSET, end: FIRST_OFFSET, lastTimestampMs: 0, produced: async () => [] }
  }
  finishCompaction(fs, directory)
  const read = readCheckpoint(fs, directory)
  const checkpoint = read === 'damaged' ? null : read
  if (read === 'damaged') {
    const message =
      'the checkpoint was damaged; records dropped by a limit may be kept until the limit is applied again'
    context.report({ ...name, kind: 'repaired', from: 0, to: null, message })
  }
  const bases = segmentBases(fs.list(directory))
  for (const base of bases) {
    const isSealed = base !== bases.at(-1)
    const segment = new Segment(context, place, directory, base, { size: 0, isSealed })
    segment.size = fs.size(segment.path)
    segments.push(segment)
  }
  const tail = await openTail(context, name, place, directory, segments, checkpoint)
  const firstBase = segments.firstBase ?? tail.end
  return {
    segments,
    logStart: toOffset(Math.min(tail.end, checkpoint?.logStart ?? firstBase)),
    end: tail.end,
    lastTimestampMs: Math.max(tail.lastTimestampMs, checkpoint?.lastTimestampMs ?? 0),
    produced: onceAsync(() => producedSince(checkpoint, segments, tail.end)),
  }
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
  name: PartitionName,
  place: Place,
  directory: string,
  segments: SegmentList,
  checkpoint: Checkpoint | null,
): Promise<Tail> {
  const { last } = segments
  if (last !== null && checkpoint?.segment === last.base && checkpoint.position === last.size) {
    last.resumeWholeIndex()
    return checkpoint
  }
  let tail: Tail = { end: FIRST_OFFSET, lastTimestampMs: 0 }
  if (last !== null) {
    const recovered = await recover(context, name, place, directory, last)
    tail = recovered.end > last.base ? recovered : { end: recovered.end, lastTimestampMs: await timeBefore(segments) }
  }
  if (checkpoint === null || checkpoint.end <= tail.end) return tail
  // The log is shorter than it once was: its end is not given out again.
  if (last !== null) last.isSealed = true
  const message = `the log ended at offset ${checkpoint.end} once and ends at ${tail.end} now: its last segments are gone`
  context.report({ ...name, kind: 'corrupt', from: tail.end, to: checkpoint.end, message })
  return checkpoint
}

async function recover(
  context: LogContext,
  name: PartitionName,
  place: Place,
  directory: string,
  last: Segment,
): Promise<Recovered> {
  const pinned = last.pin()
  try {
    const recovered = await recoverTail(context.fs, place, directory, last.base, pinned.file)
    last.size = recovered.position
    last.resumeIndex(recovered.indexed, recovered.indexedPosition)
    for (const { position, offset, timestampMs } of recovered.found) last.note(position, offset, timestampMs)
    last.writeIndex(last.size, false)
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

/** Sequences of the checkpoint, and of the batches of the last segment that came after it. */
async function producedSince(
  checkpoint: Checkpoint | null,
  segments: SegmentList,
  end: Offset,
): Promise<readonly ProducedBatch[]> {
  const produced = [...(checkpoint?.produced ?? [])]
  const { last } = segments
  if (last === null || checkpoint?.end === end) return produced
  const isFromHere = checkpoint?.segment === last.base && checkpoint.position <= last.size
  const pinned = last.pin()
  try {
    const from = isFromHere ? checkpoint.position : 0
    await scanBatches(pinned.file, last.place, from, last.size, (header, _, buffer, at) => {
      if (header.baseOffset < end) noteProducer(produced, buffer, at, header)
      return header.baseOffset < end
    })
  } finally {
    pinned.release()
  }
  return produced
}

function noteProducer(produced: ProducedBatch[], buffer: Buffer, at: number, header: BatchHeader): void {
  const producer = readProducer(buffer, at, header, SEAL_BYTES)
  if (producer === null) return
  const { baseOffset, timestampMs } = header
  produced.push({ producer: producer.name, sequence: producer.sequence, baseOffset, timestampMs })
}

function onceAsync<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | null = null
  return () => {
    made ??= make()
    return made
  }
}
