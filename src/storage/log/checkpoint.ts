/**
 * What a partition keeps beside its log, in one line: where the log ended when the line was written, where it starts,
 * and the producer sequences up to there. Written when a segment is begun, when records are dropped, and at a clean
 * close; it spares recovery the walk if nothing came after it, and is never needed to find a record.
 */
import { join } from 'node:path'
import { type Offset, toOffset } from '../../model/offset.js'
import type { ProducedBatch } from '../store.js'
import { readFile, replaceFile } from './file-io.js'
import { CHECKPOINT } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { decodeLine, encodeLine } from './sealed-lines.js'

export interface Checkpoint {
  readonly logStart: Offset
  readonly end: Offset
  readonly lastTimestampMs: number
  /** Base offset of the segment that takes appends, and its size. */
  readonly segment: Offset
  readonly position: number
  readonly produced: readonly ProducedBatch[]
}

export async function writeCheckpoint(fs: FileSystem, directory: string, checkpoint: Checkpoint): Promise<void> {
  const produced = checkpoint.produced.map((batch) => [
    batch.producer,
    batch.sequence,
    batch.baseOffset,
    batch.timestampMs,
  ])
  await replaceFile(fs, join(directory, CHECKPOINT), Buffer.from(encodeLine({ ...checkpoint, produced })))
}

export function removeCheckpoint(fs: FileSystem, directory: string): void {
  const path = join(directory, CHECKPOINT)
  if (fs.exists(path)) fs.remove(path)
}

/** Null if there is none; `damaged` if there is one that cannot be read. */
export function readCheckpoint(fs: FileSystem, directory: string): Checkpoint | null | 'damaged' {
  const content = readFile(fs, join(directory, CHECKPOINT))
  if (content === null) return null
  const value = content.at(-1) === 0x0a ? decodeLine(content.subarray(0, -1)) : null
  return value === null ? 'damaged' : (checkpointFrom(value as Record<string, unknown>) ?? 'damaged')
}

function checkpointFrom(value: Record<string, unknown>): Checkpoint | null {
  const { logStart, end, lastTimestampMs, segment, position, produced } = value
  const numbers = [logStart, end, lastTimestampMs, segment, position]
  if (!numbers.every((number) => Number.isSafeInteger(number)) || !Array.isArray(produced)) return null
  return {
    logStart: toOffset(logStart as number),
    end: toOffset(end as number),
    lastTimestampMs: lastTimestampMs as number,
    segment: toOffset(segment as number),
    position: position as number,
    produced: produced.map(([producer, sequence, baseOffset, timestampMs]) => ({
      producer,
      sequence,
      baseOffset,
      timestampMs,
    })),
  }
}
