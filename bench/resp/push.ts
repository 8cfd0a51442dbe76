/**
 * Messages a second that a queue takes, pushed one a request in pipelines of a given depth: RPUSH of the Floki dialect
 * beside XADD.
 */
import type { Bench } from '../harness/bench.js'
import { Disposables } from '../harness/disposables.js'
import { processorSeconds } from '../harness/process-memory.js'
import type { Round } from '../harness/rig.js'
import type { Worker } from '../harness/worker.js'
import type { QueuePushersApi } from '../workers/queue-pushers.js'
import { type QueueServer, type QueueServerId, QueueServers } from './servers.js'
import { inTurns, type Measured, NEW_SERVERS_SECONDS, type Side } from './turns.js'

export interface PushCase {
  readonly payloadBytes: number
  readonly connections: number
  /** Requests in one pipeline of a connection. */
  readonly depth: number
}

export interface PushRow extends PushCase {
  readonly sides: readonly Measured<QueueServerId>[]
}

const SERVERS: readonly QueueServerId[] = ['redis-everysec', 'redis-always', 'floki-async', 'floki-sync']
const CASES: readonly PushCase[] = [100, 1024].flatMap((payloadBytes) =>
  [1, 16].flatMap((connections) => [1, 16, 100].map((depth) => ({ payloadBytes, connections, depth }))),
)
const FIRST_PIPELINES = 200

export async function benchPush(bench: Bench): Promise<PushRow[]> {
  const cases = CASES.filter((each) => bench.filter.test(labelOf(each)))
  if (cases.length === 0) return []
  await using servers = await QueueServers.start(bench, SERVERS)
  const rows: PushRow[] = []
  for (const each of cases) rows.push(await measure(bench, servers, each, rows.length === 0))
  return rows
}

function labelOf({ payloadBytes, connections, depth }: PushCase): string {
  return `push ${payloadBytes} B depth ${depth} from ${connections}`
}

async function measure(bench: Bench, servers: QueueServers, each: PushCase, isFirst: boolean): Promise<PushRow> {
  const { connections, depth, payloadBytes } = each
  const queue = `push_${payloadBytes}_${connections}_${depth}`
  await using parts = new Disposables()
  const sides = await Promise.all(servers.all.map((server) => sideOf(bench, parts, server, queue, each)))
  const label = labelOf(each)
  const first = FIRST_PIPELINES * Math.min(depth, 16) * Math.min(connections, 4)
  const measured = await inTurns(bench, label, first, sides, isFirst ? NEW_SERVERS_SECONDS : undefined)
  for (const server of servers.all) await server.dropQueue(queue)
  return { ...each, sides: measured }
}

async function sideOf(
  bench: Bench,
  parts: Disposables,
  server: QueueServer,
  queue: string,
  { connections, depth, payloadBytes }: PushCase,
): Promise<Side<QueueServerId>> {
  await server.makeQueue(queue, 'c')
  const worker: Worker<QueuePushersApi> = parts.use(bench.code.start<QueuePushersApi>('queue-pushers'))
  const { dialect, port } = server
  await worker.call('open', { port, dialect, queue, payloadBytes, connections, depth })
  let total = 0
  return {
    id: server.id,
    name: server.name,
    async round(records): Promise<Round> {
      const pipelines = Math.max(1, Math.round(records / connections / depth))
      const pushed = pipelines * connections * depth
      total += pushed
      const before = processorSeconds(server.pid)
      const { startNs, endNs } = await worker.call('push', pipelines)
      const after = processorSeconds(server.pid)
      const stored = await server.stored(queue)
      if (stored !== total) throw new Error(`${total} messages were answered, ${stored} are stored`)
      return {
        perSecond: (pushed * 1e9) / (endNs - startNs),
        serverNs: before === null || after === null ? null : ((after - before) * 1e9) / pushed,
      }
    },
  }
}
