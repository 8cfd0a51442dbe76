/**
 * What a partition keeps beside its log, in one line: where the log ended when the line was written, where it starts,
 * and the producer sequences up to there. Written when a segment is begun, when records are dropped, and at a clean
 * close; it spares recovery the walk if nothing came after it, shows when the end of a log has gone, and is never needed
 * to find a record. It names the place that it belongs to, so that another partition's is not taken for it.
 */
import { join } from 'node:path'
import { type Offset, toOffset } from '../../model/offset.js'
import type { ProducedBatch } from '../store.js'
import type { Place } from './batch-format.js'
import { readFile, replaceFile } from './file-io.js'
import { CHECKPOINT } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { decodeLine, encodeLine } from './sealed-lines.js'

export interface Checkpoint {
  readonly logStart: Offset
  /** Everything below was on the device. */
  readonly end: Offset
  readonly lastTimestampMs: number
  /** Base offset of the segment that takes appends. */
  readonly segment: Offset
  /** How far into it `produced` reaches: its size at a clean close, else 0. */
  readonly position: number
  readonly isClosed: boolean
  readonly produced: readonly ProducedBatch[]
}

export async function writeCheckpoint(
  fs: FileSystem,
  place: Place,
  directory: string,
  checkpoint: Checkpoint,
): Promise<void> {
  const produced = checkpoint.produced.map((batch) => [
    batch.producer,
    batch.sequence,
    batch.baseOffset,
    batch.timestampMs,
  ])
  const line = Buffer.from(encodeLine({ ...checkpoint, place: nameOf(place), produced }))
  await replaceFile(fs, join(directory, CHECKPOINT), line)
}

export function removeCheckpoint(fs: FileSystem, directory: string): void {
  const path = join(directory, CHECKPOINT)
  if (fs.exists(path)) fs.remove(path)
}

/** Null if there is none; `damaged` if there is one that cannot be read, or is another partition's. */
export function readCheckpoint(fs: FileSystem, place: Place, directory: string): Checkpoint | null | 'damaged' {
  const content = readFile(fs, join(directory, CHECKPOINT))
  if (content === null) return null
  const value = content.at(-1) === 0x0a ? decodeLine(content.subarray(0, -1)) : null
  return value === null ? 'damaged' : (checkpointFrom(value as Record<string, unknown>, place) ?? 'damaged')
}

function nameOf({ bytes }: Place): string {
  return bytes.toString('hex')
}

function checkpointFrom(value: Record<string, unknown>, place: Place): Checkpoint | null {
  const { logStart, end, lastTimestampMs, segment, position, produced } = value
  const numbers = [logStart, end, lastTimestampMs, segment, position]
  if (value['place'] !== nameOf(place)) return null
  if (!numbers.every((number) => Number.isSafeInteger(number)) || !Array.isArray(produced)) return null
  return {
    logStart: toOffset(logStart as number),
    end: toOffset(end as number),
    lastTimestampMs: lastTimestampMs as number,
    segment: toOffset(segment as number),
    position: position as number,
    isClosed: value['isClosed'] === true,
    produced: produced.map(([producer, sequence, baseOffset, timestampMs]) => ({
      producer,
      sequence,
      baseOffset,
      timestampMs,
    })),
  }
}
