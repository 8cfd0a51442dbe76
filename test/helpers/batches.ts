/**
 * Batches whose records say their own offset, so that a test sees at once what was mixed up.
 */
import { toOffset } from '../../src/model/offset.js'
import type { NewRecord, StoredBatch } from '../../src/model/record.js'
import { decodeRun, encodeRun } from '../../src/protocol/records.js'

export function recordSaying(payload: string, key: string | null = null): NewRecord {
  return { key: key === null ? null : Buffer.from(key), payload: Buffer.from(payload), headers: [] }
}

/** Records `baseOffset` to `baseOffset + count - 1`, each with its offset as payload, `padding` bytes longer. */
export function batchAt(baseOffset: number, count: number, timestampMs = 0, padding = 0): StoredBatch {
  const records = Array.from({ length: count }, (_, index) =>
    recordSaying(`${baseOffset + index}`.padEnd(`${baseOffset + index}`.length + padding, '.')),
  )
  return { body: encodeRun(records), count, baseOffset: toOffset(baseOffset), timestampMs }
}

/** The offsets that the records of a run say. */
export function offsetsSaid(body: Buffer): number[] {
  return Array.from(decodeRun(body), ({ payload }) => Number.parseInt(Buffer.from(payload).toString(), 10))
}
