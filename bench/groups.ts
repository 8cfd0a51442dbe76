/**
 * Groups: members that share the records of a topic and ack each of them, beside a durable pull consumer of JetStream and a
 * consumer group of Redis Streams.
 */
import { missingOf } from './durable/contenders.js'
import { benchIdle, type IdleReport } from './groups/idle.js'
import { benchShared, type SharedRow } from './groups/shared.js'
import type { Bench } from './harness/bench.js'

export interface GroupsReport {
  readonly shared: readonly SharedRow[]
  readonly idle: IdleReport | null
  /** Peers that were left out, and why. */
  readonly missing: readonly string[]
}

export async function benchGroups(bench: Bench): Promise<GroupsReport> {
  const missing = missingOf(bench)
  for (const sentence of missing) bench.say(`  ${sentence}`)
  return { shared: await benchShared(bench), idle: await benchIdle(bench), missing }
}
