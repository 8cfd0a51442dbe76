/**
 * What leveret costs in memory: idle, for each idle connection, for each empty topic, and whether a churn of
 * connections leaves anything behind. Resident bytes as the kernel counts them, of a server as users start it.
 */
import type { Bench } from './harness/bench.js'
import { openFiles, settledBytes } from './harness/process-memory.js'
import { type Spread, spreadOrNull } from './harness/statistics.js'
import { mib } from './harness/table.js'
import type { CrowdApi } from './workers/crowd.js'

/** Longer than V8 waits, once a process has nothing to do, before it gives memory back. */
const QUIET_MS = 9_000
const SETTLE_MS_MAX = 25_000

export interface MemoryReport {
  readonly idleBytes: Spread | null
  readonly connections: number
  readonly bytesPerConnection: Spread | null
  readonly topics: number
  readonly bytesPerTopic: Spread | null
  readonly churn: Churn | null
  readonly problems: readonly string[]
}

/** Bytes and open files before, after half of the connections (when the heap has grown to its work), and after all. */
export interface Churn {
  readonly connections: number
  readonly idleBytes: number
  readonly warmBytes: number
  readonly endBytes: number
  readonly filesBefore: number
  readonly filesAfter: number
}

interface Cost {
  readonly idleBytes: number
  readonly bytesEach: number
}

export async function benchMemory(bench: Bench): Promise<MemoryReport | null> {
  if (process.platform !== 'linux') {
    bench.say('  memory: skipped, it reads /proc')
    return null
  }
  const connections = bench.isQuick ? 1_000 : 10_000
  const topics = bench.isQuick ? 10_000 : 100_000
  const perConnection: Cost[] = []
  const perTopic: Cost[] = []
  const problems: string[] = []
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work()
    } catch (error) {
      problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`)
      bench.say(`  memory: INVALID, ${problems.at(-1)}`)
      return null
    }
  }
  for (let run = 0; run < bench.runs; run++) {
    const both = await Promise.all([
      attempt('connections', () => costOf(bench, 'connections', connections)),
      attempt('topics', () => costOf(bench, 'topics', topics)),
    ])
    if (both[0] !== null) perConnection.push(both[0])
    if (both[1] !== null) perTopic.push(both[1])
  }
  const churn = await attempt('churn', () => churnOf(bench, bench.isQuick ? 2_000 : 100_000))
  return {
    idleBytes: spreadOrNull([...perConnection, ...perTopic].map(({ idleBytes }) => idleBytes)),
    connections,
    bytesPerConnection: spreadOrNull(perConnection.map(({ bytesEach }) => bytesEach)),
    topics,
    bytesPerTopic: spreadOrNull(perTopic.map(({ bytesEach }) => bytesEach)),
    churn,
    problems,
  }
}

async function costOf(bench: Bench, what: 'connections' | 'topics', count: number): Promise<Cost> {
  await using server = await bench.startLeveret(`memory-${what}`)
  const idleBytes = await settled(bench, server.pid)
  await using crowd = bench.code.start<CrowdApi>('crowd')
  await crowd.call(what, { port: server.port, count })
  const bytesEach = ((await settled(bench, server.pid)) - idleBytes) / count
  const expected = what === 'connections' ? count : 1
  const alive = await crowd.call('alive', null)
  if (alive !== expected) throw new Error(`the server closed ${expected - alive} of ${expected} connections`)
  bench.say(`  memory: idle ${mib(idleBytes)}, ${Math.round(bytesEach)} B each of ${count} ${what}`)
  return { idleBytes, bytesEach }
}

async function churnOf(bench: Bench, connections: number): Promise<Churn> {
  await using server = await bench.startLeveret('memory-churn')
  const { pid, port } = server
  const idleBytes = await settled(bench, pid)
  const filesBefore = openFiles(pid)
  await using crowd = bench.code.start<CrowdApi>('crowd')
  const warmUp = Math.round(connections / 2)
  await crowd.call('churn', { port, count: warmUp })
  const warmBytes = await settled(bench, pid)
  await crowd.call('churn', { port, count: connections - warmUp })
  const endBytes = await settled(bench, pid)
  const filesAfter = openFiles(pid)
  bench.say(
    `  memory: churn of ${connections}: ${mib(warmBytes)} -> ${mib(endBytes)}, files ${filesBefore} -> ${filesAfter}`,
  )
  return { connections, idleBytes, warmBytes, endBytes, filesBefore, filesAfter }
}

function settled({ isQuick }: Bench, pid: number): Promise<number> {
  return isQuick ? settledBytes(pid, 1_000, 3_000) : settledBytes(pid, QUIET_MS, SETTLE_MS_MAX)
}
