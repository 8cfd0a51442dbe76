/**
 * What the figures are held against. Each target names its figure, its bound, and how it is reached from the rows.
 */
import type { ClientRow } from './client.js'
import type { ContenderId } from './durable/contenders.js'
import type { DurableReport } from './durable.js'
import { groupVerdicts } from './groups/verdicts.js'
import type { GroupsReport } from './groups.js'
import type { Contender } from './harness/rig.js'
import type { Spread } from './harness/statistics.js'
import type { LatencyRow } from './latency.js'
import type { MemoryReport } from './memory.js'
import { type NatsReport, natsVerdicts } from './nats.js'
import { respVerdicts } from './resp/verdicts.js'
import type { RespReport } from './resp.js'
import type { ThroughputRow } from './throughput.js'
import { atLeast, atMost, ratio, scaled, steadied, type Verdict } from './verdict.js'

export interface Results {
  readonly throughput?: readonly ThroughputRow[]
  readonly latency?: readonly LatencyRow[]
  readonly client?: readonly ClientRow[]
  readonly memory?: MemoryReport | null
  readonly durable?: DurableReport
  readonly groups?: GroupsReport
  readonly resp?: RespReport
  readonly nats?: NatsReport
}

const KIB = 1024
const MIB = 1024 * KIB
/** What a churn may leave behind and still count as ended where it began: less than 1 KiB for ten connections. */
const CHURN_BYTES_MAX = 8 * MIB

export function verdictsOf({ throughput, latency, client, memory, durable, groups, resp, nats }: Results): Verdict[] {
  const verdicts: Verdict[] = []
  if (throughput !== undefined) verdicts.push(...throughputVerdicts(throughput))
  if (client !== undefined) {
    const rate = (peer: string): number | null => client.find((row) => row.peer === peer)?.perSecond?.median ?? null
    verdicts.push(atLeast('record by record through the clients / NATS', ratio(rate('leveret'), rate('nats')), 2))
  }
  if (latency !== undefined) verdicts.push(...latencyVerdicts(latency))
  if (memory !== undefined && memory !== null) verdicts.push(...memoryVerdicts(memory))
  if (durable !== undefined) verdicts.push(...durableVerdicts(durable))
  if (groups !== undefined) verdicts.push(...groupVerdicts(groups))
  if (resp !== undefined) verdicts.push(...respVerdicts(resp))
  if (nats !== undefined) verdicts.push(...natsVerdicts(nats))
  return verdicts
}

function throughputVerdicts(rows: readonly ThroughputRow[]): Verdict[] {
  const rate = (contender: Contender, payloadBytes: number, fanOut: number, batch: number): number | null => {
    const row = rows.find(
      (each) =>
        each.contender === contender &&
        each.payloadBytes === payloadBytes &&
        each.fanOut === fanOut &&
        (contender !== 'leveret' || each.batch === batch),
    )
    return row === undefined || row.problems.length > 0 ? null : (row.perSecond?.median ?? null)
  }
  const wanted: [payloadBytes: number, fanOut: number, batch: number, bound: number][] = [
    [100, 1, 100, 1.5],
    [100, 1, 1000, 1.5],
    [1024, 1, 100, 1],
    [1024, 1, 1000, 1],
    [100, 4, 100, 2],
    [100, 4, 1000, 2],
    [100, 1, 1, 0.25],
  ]
  const measured = wanted.filter(([payloadBytes, fanOut, batch]) =>
    rows.some((row) => row.payloadBytes === payloadBytes && row.fanOut === fanOut && row.batch === batch),
  )
  return measured.map(([payloadBytes, fanOut, batch, bound]) =>
    atLeast(
      `${payloadBytes} B, batch ${batch}, 1 to ${fanOut} / NATS`,
      ratio(rate('leveret', payloadBytes, fanOut, batch), rate('nats', payloadBytes, fanOut, 1)),
      bound,
    ),
  )
}

function latencyVerdicts(rows: readonly LatencyRow[]): Verdict[] {
  const of = (peer: string, name: 'p50Us' | 'p99Us'): number | null =>
    rows.find((row) => row.peer === peer)?.[name]?.median ?? null
  return [
    atMost('latency p50 at 10,000/s / NATS', ratio(of('leveret', 'p50Us'), of('nats', 'p50Us')), 1.5, 'x'),
    atMost('latency p99 at 10,000/s / NATS', ratio(of('leveret', 'p99Us'), of('nats', 'p99Us')), 2, 'x'),
  ]
}

function memoryVerdicts(memory: MemoryReport): Verdict[] {
  const { churn } = memory
  return [
    atMost('idle server', scaled(memory.idleBytes?.median, MIB), 80, 'MiB'),
    atMost(`each of ${memory.connections} connections`, scaled(memory.bytesPerConnection?.median, KIB), 12, 'KiB'),
    atMost(`each of ${memory.topics} empty topics`, scaled(memory.bytesPerTopic?.median, KIB), 2, 'KiB'),
    atMost(
      `growth over a churn of ${churn?.connections ?? 0} connections, once warm`,
      churn === null ? null : Math.max(0, churn.endBytes - churn.warmBytes) / MIB,
      CHURN_BYTES_MAX / MIB,
      'MiB',
    ),
    atMost('files left open by the churn', churn === null ? null : churn.filesAfter - churn.filesBefore, 0, ''),
  ]
}

function durableVerdicts({ publish, stored, beside, ackLatency }: DurableReport): Verdict[] {
  return [
    ...durablePublishVerdicts(publish),
    ...storedVerdicts(stored),
    ...besideVerdicts(beside),
    ...ackVerdicts(ackLatency),
  ]
}

/** leveret's best batch, each frame synced before its answer, against the peers' own best: as many publishers each. */
function durablePublishVerdicts(rows: DurableReport['publish']): Verdict[] {
  const best = (contender: ContenderId, payloadBytes: number, publishers: number): Spread | null =>
    rows
      .filter((row) => row.contender === contender && row.payloadBytes === payloadBytes)
      .filter((row) => row.publishers === publishers && row.problems.length === 0)
      .flatMap(({ perSecond }) => perSecond ?? [])
      .sort((a, b) => b.median - a.median)[0] ?? null
  const wanted: [payloadBytes: number, peer: ContenderId, name: string, bound: number][] = [
    [100, 'jetstream-default', 'JetStream synced every 2 min', 5],
    [100, 'redis-always', 'Redis always', 10],
    [1024, 'jetstream-default', 'JetStream synced every 2 min', 1.5],
    [1024, 'redis-always', 'Redis always', 5],
  ]
  return [1, 64].flatMap((publishers) =>
    wanted.map(([payloadBytes, peer, name, bound]) => {
      const ours = best('leveret-disk', payloadBytes, publishers)
      const theirs = best(peer, payloadBytes, publishers)
      const what = `publish ${payloadBytes} B, disk, batched, ${publishers} publisher${publishers === 1 ? '' : 's'} / ${name}`
      return steadied(atLeast(what, ratio(ours?.median ?? null, theirs?.median ?? null), bound), ours, theirs)
    }),
  )
}

function storedVerdicts(rows: DurableReport['stored']): Verdict[] {
  const of = (contender: ContenderId) => rows.find((row) => row.contender === contender && row.problems.length === 0)
  const ours = of('leveret-disk')
  const read = ours?.readPerSecond ?? null
  const theirRead = of('jetstream-default')?.readPerSecond ?? null
  const { idleBytes = null, readingBytesMax = null } = ours ?? {}
  const growth = idleBytes === null || readingBytesMax === null ? null : (readingBytesMax - idleBytes) / MIB
  const readRatio = ratio(read?.median ?? null, theirRead?.median ?? null)
  return [
    steadied(atLeast('read from the start, 100 B / JetStream push consumer', readRatio, 2.5), read, theirRead),
    atMost('space on disk / bytes of the records', ours?.diskRatio ?? null, 1.25, 'x'),
    atMost('resident memory above idle while all is read', growth, 64, 'MiB'),
  ]
}

function besideVerdicts(row: DurableReport['beside']): Verdict[] {
  if (row === null) return []
  const { alone, besideDisk } = row
  const figure = ratio(besideDisk?.median ?? null, alone?.median ?? null)
  return [steadied(atLeast('live 1 to 1 beside durable publishing / alone', figure, 0.8), alone, besideDisk)]
}

function ackVerdicts(rows: DurableReport['ackLatency']): Verdict[] {
  const of = (contender: ContenderId) => rows.find((row) => row.contender === contender && row.problems.length === 0)
  const ours = of('leveret-disk')
  const theirs = of('redis-always')
  const p50 = ratio(ours?.p50Us?.median ?? null, theirs?.p50Us?.median ?? null)
  return [
    steadied(
      atMost('disk ack latency p50 at 10,000/s / Redis always', p50, 1, 'x'),
      ours?.p50Us ?? null,
      theirs?.p50Us ?? null,
    ),
    steadied(
      atMost('disk ack latency p99 at 10,000/s', scaled(ours?.p99Us?.median, 1000), 5, 'ms'),
      ours?.p99Us ?? null,
    ),
  ]
}
