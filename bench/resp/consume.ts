/**
 * Messages a second that consumers take and ack, of those that are there: HMGET and HDEL of the Floki dialect beside
 * XREADGROUP and XACK, with so many messages in each.
 */
import type { Bench } from '../harness/bench.js'
import { Disposables } from '../harness/disposables.js'
import { processorSeconds } from '../harness/process-memory.js'
import type { Round } from '../harness/rig.js'
import type { QueueConsumersApi } from '../workers/queue-consumers.js'
import type { QueuePushersApi } from '../workers/queue-pushers.js'
import { type QueueServer, type QueueServerId, QueueServers } from './servers.js'
import { inTurns, type Measured, NEW_SERVERS_SECONDS, type Side } from './turns.js'

export interface ConsumeCase {
  readonly connections: number
  /** Messages of one fetch and of one ack. */
  readonly count: number
  /** Fetches that each connection has under way. */
  readonly depth: number
}

export interface ConsumeRow extends ConsumeCase {
  readonly sides: readonly Measured<QueueServerId>[]
}

const PAYLOAD_BYTES = 100
const GROUP = 'c'
const SERVERS: readonly QueueServerId[] = ['redis-everysec', 'floki-async', 'floki-sync']
const CASES: readonly ConsumeCase[] = [
  ...[1, 10, 100].map((count) => ({ connections: 1, count, depth: 1 })),
  ...[1, 10, 100].map((count) => ({ connections: 16, count, depth: 1 })),
  ...[1, 10, 100].map((count) => ({ connections: 1, count, depth: 16 })),
]
const FIRST_FETCHES = 100
/** How the messages come there is not measured. */
const FILL = { connections: 2, depth: 500 } as const

export async function benchConsume(bench: Bench): Promise<ConsumeRow[]> {
  const cases = CASES.filter((each) => bench.filter.test(labelOf(each)))
  if (cases.length === 0) return []
  await using servers = await QueueServers.start(bench, SERVERS)
  const rows: ConsumeRow[] = []
  for (const each of cases) rows.push(await measure(bench, servers, each, rows.length === 0))
  return rows
}

function labelOf({ connections, count, depth }: ConsumeCase): string {
  return `consume ${count} depth ${depth} by ${connections}`
}

async function measure(bench: Bench, servers: QueueServers, each: ConsumeCase, isFirst: boolean): Promise<ConsumeRow> {
  const { connections, count, depth } = each
  const queue = `consume_${connections}_${count}_${depth}`
  await using parts = new Disposables()
  const sides = await Promise.all(servers.all.map((server) => sideOf(bench, parts, server, queue, each)))
  const first = FIRST_FETCHES * Math.max(connections, depth) * Math.min(count, 10)
  const measured = await inTurns(bench, labelOf(each), first, sides, isFirst ? NEW_SERVERS_SECONDS : undefined)
  for (const server of servers.all) await server.dropQueue(queue)
  return { ...each, sides: measured }
}

async function sideOf(
  bench: Bench,
  parts: Disposables,
  server: QueueServer,
  queue: string,
  { connections, count, depth }: ConsumeCase,
): Promise<Side<QueueServerId>> {
  await server.makeQueue(queue, GROUP)
  const { dialect, port, pid } = server
  const to = { port, dialect, queue, payloadBytes: PAYLOAD_BYTES }
  const pushers = parts.use(bench.code.start<QueuePushersApi>('queue-pushers'))
  const consumers = parts.use(bench.code.start<QueueConsumersApi>('queue-consumers'))
  await pushers.call('open', { ...to, ...FILL })
  await consumers.call('open', { ...to, group: GROUP, connections, count, depth })
  /** What a round leaves for the next. */
  let there = 0
  return {
    id: server.id,
    name: server.name,
    async round(records): Promise<Round> {
      const messages = Math.ceil(records / count) * count
      const unit = FILL.connections * FILL.depth
      const pipelines = Math.max(0, Math.ceil((messages - there) / unit))
      if (pipelines > 0) await pushers.call('push', pipelines)
      there += pipelines * unit - messages
      const before = processorSeconds(pid)
      const { startNs, endNs } = await consumers.call('consume', messages)
      const after = processorSeconds(pid)
      return {
        perSecond: (messages * 1e9) / (endNs - startNs),
        serverNs: before === null || after === null ? null : ((after - before) * 1e9) / messages,
      }
    },
  }
}
