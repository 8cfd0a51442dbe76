/**
 * The dialects of RESP beside Redis: queues beside its streams and consumer groups, live events beside its pub/sub.
 */
import type { Bench } from './harness/bench.js'
import { benchConsume, type ConsumeRow } from './resp/consume.js'
import { benchEvents, type EventsRow } from './resp/events.js'
import { benchIdleResp, type IdleRow } from './resp/idle.js'
import { benchPush, type PushRow } from './resp/push.js'

export interface RespReport {
  readonly push: readonly PushRow[]
  readonly consume: readonly ConsumeRow[]
  readonly events: readonly EventsRow[]
  readonly idle: readonly IdleRow[]
  /** Peers that were left out, and why. */
  readonly missing: readonly string[]
}

export async function benchResp(bench: Bench): Promise<RespReport> {
  const missing = bench.redis === null ? ['redis-server is not installed: nothing stands beside leveret'] : []
  for (const sentence of missing) bench.say(`  ${sentence}`)
  return {
    push: await benchPush(bench),
    consume: await benchConsume(bench),
    events: await benchEvents(bench),
    idle: await benchIdleResp(bench),
    missing,
  }
}
