/**
 * What it costs that records survive: leveret beside JetStream with its file store and Redis Streams with an
 * append-only file, each figure with the durability that its acknowledgements state.
 */
import { type AckLatencyRow, benchAckLatency } from './durable/ack-latency.js'
import { missingOf } from './durable/contenders.js'
import { measureSync } from './durable/disk-sync.js'
import { benchPublish, type PublishRow } from './durable/publish.js'
import { benchStored, type StoredRow } from './durable/stored.js'
import { type BesideRow, benchBeside, benchTail, type TailRow } from './durable/tail.js'
import type { Bench } from './harness/bench.js'
import type { Spread } from './harness/statistics.js'

export interface DurableReport {
  readonly publish: readonly PublishRow[]
  readonly stored: readonly StoredRow[]
  readonly tail: readonly TailRow[]
  readonly beside: BesideRow | null
  readonly ackLatency: readonly AckLatencyRow[]
  /** How long this disk takes to sync a little that was appended; smallest and largest are the 1st and 99th of 100. */
  readonly syncUs: Spread
  /** Peers that were left out, and why. */
  readonly missing: readonly string[]
}

export async function benchDurable(bench: Bench): Promise<DurableReport> {
  const missing = missingOf(bench)
  for (const sentence of missing) bench.say(`  ${sentence}`)
  const syncUs = await measureSync(bench)
  bench.say(`  an fdatasync of this disk after 200 B appended: ${Math.round(syncUs.median)} us`)
  return {
    syncUs,
    publish: await benchPublish(bench),
    stored: await benchStored(bench),
    tail: await benchTail(bench),
    beside: await benchBeside(bench),
    ackLatency: await benchAckLatency(bench),
    missing,
  }
}
