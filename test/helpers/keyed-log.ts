/**
 * A log of keyed records for tests of log compaction: what was appended, and what a reader finds.
 */
import assert from 'node:assert/strict'
import { toOffset } from '../../src/model/offset.js'
import type { NewRecord } from '../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import { decodeRun, encodeRun } from '../../src/protocol/records.js'
import type { PartitionLog } from '../../src/storage/store.js'

export const KEEPS_LATEST: TopicSettings = {
  ...DEFAULT_TOPIC_SETTINGS,
  retention: KEEP_FOREVER,
  keepLatestPerKey: true,
}

/** One record as it was appended. */
export interface Known {
  readonly offset: number
  readonly key: string | null
  readonly payload: string
  readonly timestampMs: number
}

export const keyed = (key: string | null, payload: string): NewRecord => ({
  key: key === null ? null : Buffer.from(key),
  payload: Buffer.from(payload),
  headers: [],
})

/** Append one batch; returns what is now known of it. */
export async function appendKeyed(
  log: PartitionLog,
  records: readonly (readonly [key: string | null, payload: string])[],
  timestampMs: number,
): Promise<Known[]> {
  const body = encodeRun(records.map(([key, payload]) => keyed(key, payload)))
  const how = { timestampMs, durability: 'disk', keep: true, producer: null } as const
  const { baseOffset } = await log.append({ body, count: records.length }, how)
  return records.map(([key, payload], index) => ({ offset: baseOffset + index, key, payload, timestampMs }))
}

/** Everything that a reader finds from an offset on. A range that is said to be lost fails the test. */
export async function readKeyed(log: PartitionLog, from = 0, maxBytes = 1_000): Promise<Known[]> {
  const found: Known[] = []
  let next = toOffset(Math.max(from, log.logStart))
  while (next < log.stableEnd) {
    const result = await log.read(next, maxBytes)
    assert.equal(result.loss, null, `offsets ${result.loss?.from} to ${result.loss?.to} are said to be lost`)
    for (const { body, baseOffset, timestampMs } of result.batches) {
      let offset: number = baseOffset
      for (const { key, payload } of decodeRun(body)) {
        const text = key === null ? null : Buffer.from(key).toString()
        if (offset >= from) found.push({ offset, key: text, payload: Buffer.from(payload).toString(), timestampMs })
        offset++
      }
    }
    assert.ok(result.next > next, `the reader stands still at ${next}`)
    next = result.next
  }
  return found
}

/** The newest value of each key; a key whose newest record is empty has none. */
export function latestOf(records: readonly Known[]): Map<string, string> {
  const latest = new Map<string, string>()
  for (const { key, payload } of records) {
    if (key === null) continue
    if (payload === '') latest.delete(key)
    else latest.set(key, payload)
  }
  return latest
}

/** What a log may hold after compaction: no record that was never appended, none moved, nothing newest gone. */
export function assertCompacted(found: readonly Known[], appended: readonly Known[]): void {
  const byOffset = new Map(appended.map((record) => [record.offset, record]))
  for (const record of found) assert.deepEqual(record, byOffset.get(record.offset))
  const offsets = found.map(({ offset }) => offset)
  assert.deepEqual(
    offsets,
    [...new Set(offsets)].sort((a, b) => a - b),
  )
  assert.deepEqual(latestOf(found), latestOf(appended))
  const keyless = (records: readonly Known[]) => records.filter(({ key }) => key === null)
  assert.deepEqual(keyless(found), keyless(appended))
}
