/**
 * What those cost who wait: consumers in a long poll, channels that nobody uses, and subscriptions without events. Of the
 * first, what their connections cost is not counted.
 */
import type { Bench } from '../harness/bench.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import type { Worker } from '../harness/worker.js'
import type { EmbeddedBrokerApi } from '../workers/embedded-broker.js'
import type { RespCrowdApi } from '../workers/resp-crowd.js'

export const CONSUMERS = 1_000
export const CHANNELS = 1_000
const SUBSCRIBERS = 50
const STREAMS = 100
export const SUBSCRIPTIONS = SUBSCRIBERS * STREAMS
const POLL_SECONDS = '600'

const KINDS = ['consumers', 'channels', 'subscriptions'] as const
export type IdleKind = (typeof KINDS)[number]

export interface IdleRow {
  readonly kind: IdleKind
  readonly count: number
  readonly heapBytesEach: Spread | null
  readonly residentBytesEach: Spread | null
  readonly problems: readonly string[]
}

interface Cost {
  readonly heapBytes: number
  readonly residentBytes: number
}

interface Parts {
  readonly broker: Worker<EmbeddedBrokerApi>
  readonly crowd: Worker<RespCrowdApi>
  readonly floki: number
  readonly meilies: number
}

const COUNTS: Readonly<Record<IdleKind, number>> = {
  consumers: CONSUMERS,
  channels: CHANNELS,
  subscriptions: SUBSCRIPTIONS,
}
const WORK: Readonly<Record<IdleKind, (parts: Parts, round: string) => Promise<Cost>>> = {
  consumers: consumersCost,
  channels: channelsCost,
  subscriptions: subscriptionsCost,
}

export async function benchIdleResp(bench: Bench): Promise<IdleRow[]> {
  const rows: IdleRow[] = []
  for (const kind of KINDS) {
    if (!bench.filter.test(`idle ${kind}`)) continue
    const costs: Cost[] = []
    const problems: string[] = []
    const cost = await bench.attempt(`idle ${kind}`, problems, () => measure(bench, kind))
    if (cost !== null) costs.push(cost)
    rows.push({
      kind,
      count: COUNTS[kind],
      heapBytesEach: spreadOrNull(costs.map(({ heapBytes }) => heapBytes)),
      residentBytesEach: spreadOrNull(costs.map(({ residentBytes }) => residentBytes)),
      problems,
    })
    if (cost !== null) bench.say(`  ${COUNTS[kind]} idle ${kind}: ${Math.round(cost.heapBytes)} B of heap each`)
  }
  return rows
}

async function measure(bench: Bench, kind: IdleKind): Promise<Cost> {
  await using folder = bench.folder()
  await using broker = bench.code.start<EmbeddedBrokerApi>('embedded-broker')
  const ports = await broker.call('openResp', folder.path)
  await using crowd = bench.code.start<RespCrowdApi>('resp-crowd')
  const parts = { broker, crowd, ...ports }
  // What the heap grows by for the work is not counted to the second ones.
  await WORK[kind](parts, 'warm')
  await crowd.call('close', null)
  const { heapBytes, residentBytes } = await WORK[kind](parts, 'idle')
  return { heapBytes: heapBytes / COUNTS[kind], residentBytes: residentBytes / COUNTS[kind] }
}

async function grownBy({ broker }: Parts, work: () => Promise<void>): Promise<Cost> {
  const before = await broker.call('memory', null)
  await work()
  const after = await broker.call('memory', null)
  return {
    heapBytes: after.heapBytes - before.heapBytes,
    residentBytes: after.residentBytes - before.residentBytes,
  }
}

async function consumersCost(parts: Parts, round: string): Promise<Cost> {
  const { crowd, floki } = parts
  await crowd.call('open', { port: floki, connections: CONSUMERS })
  await crowd.call('say', { requests: [['SETNX', round, 'c']], lines: 1 })
  return await grownBy(parts, () =>
    crowd.call('say', { requests: [['HMGET', round, 'c', '1', POLL_SECONDS]], lines: 0 }),
  )
}

async function channelsCost(parts: Parts, round: string): Promise<Cost> {
  const { crowd, floki } = parts
  await crowd.call('open', { port: floki, connections: 1 })
  await crowd.call('say', { requests: [['SETNX', round, 'first']], lines: 1 })
  const requests = Array.from({ length: CHANNELS }, (_, channel) => ['SETNX', round, `c${channel}`])
  return await grownBy(parts, () => crowd.call('say', { requests, lines: CHANNELS }))
}

async function subscriptionsCost(parts: Parts, round: string): Promise<Cost> {
  const { crowd, meilies } = parts
  const streams = Array.from({ length: STREAMS }, (_, stream) => `${round}${stream}`)
  await crowd.call('open', { port: meilies, connections: SUBSCRIBERS })
  await crowd.call('say', { requests: streams.map((stream) => ['publish', stream, 'event', 'data']), lines: STREAMS })
  return await grownBy(parts, () => crowd.call('say', { requests: [['subscribe', ...streams]], lines: 3 * STREAMS }))
}
