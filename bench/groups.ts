/**
 * Groups: members that share the records of a topic and ack each of them, beside a durable pull consumer of JetStream and a
 * consumer group of Redis Streams.
 */
import { benchIdle, type IdleReport } from './groups/idle.js'
import { benchPartitioned, type PartitionedRow } from './groups/partitioned.js'
import { benchShared, type SharedRow } from './groups/shared.js'
import type { Bench } from './harness/bench.js'

export interface GroupsReport {
  readonly shared: readonly SharedRow[]
  readonly partitioned: readonly PartitionedRow[]
  readonly idle: IdleReport | null
  /** Peers that were left out, and why. */
  readonly missing: readonly string[]
}

export async function benchGroups(bench: Bench): Promise<GroupsReport> {
  const missing: string[] = []
  if (bench.jetstream === null) missing.push('nats-server is not installed: JetStream is left out')
  if (bench.redis === null) missing.push('redis-server is not installed: Redis Streams are left out')
  for (const sentence of missing) bench.say(`  ${sentence}`)
  return {
    shared: await benchShared(bench),
    partitioned: await benchPartitioned(bench),
    idle: await benchIdle(bench),
    missing,
  }
}
