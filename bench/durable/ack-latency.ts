/**
 * How long an acknowledgement takes at a steady load far from the limit, one record a publish.
 */
import type { Bench } from '../harness/bench.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import type { PacedAcks, PacedAcksApi } from '../workers/paced-acks.js'
import { type ContenderId, contendersOf, type DurableContender } from './contenders.js'

const PER_SECOND = 10_000
const WORKLOAD = { payloadBytes: 100, batch: 1 } as const
/** Until all servers are in their stride: code compiled, heaps grown. */
const WARM_UP_SECONDS = 4

/** The other levels wait for no disk. */
const WANTED: readonly ContenderId[] = [
  'jetstream-default',
  'jetstream-always',
  'redis-everysec',
  'redis-always',
  'leveret-disk',
]

export interface AckLatencyRow {
  readonly contender: ContenderId
  readonly name: string
  readonly perSecond: Spread | null
  readonly p50Us: Spread | null
  readonly p99Us: Spread | null
  readonly p999Us: Spread | null
  readonly problems: readonly string[]
}

export async function benchAckLatency(bench: Bench): Promise<AckLatencyRow[]> {
  const wanted = contendersOf(bench).filter(({ id }) => WANTED.includes(id) && bench.filter.test(`${id} ack latency`))
  const samples = wanted.map((contender) => ({ contender, good: [] as PacedAcks[], problems: [] as string[] }))
  for (let run = 0; run < bench.runs; run++) {
    for (const { contender, good, problems } of samples) {
      const label = `${contender.id} ack latency`
      const sample = await bench.attempt(label, problems, () => measure(bench, contender))
      if (sample === null) continue
      good.push(sample)
      bench.say(`  ${label}: p50 ${Math.round(sample.p50Us)} us, p99 ${Math.round(sample.p99Us)} us`)
    }
  }
  return samples.map(({ contender: { id, name }, good, problems }) => {
    const spread = (of: (sample: PacedAcks) => number): Spread | null => spreadOrNull(good.map(of))
    return {
      contender: id,
      name,
      perSecond: spread(({ unitsPerSecond }) => unitsPerSecond),
      p50Us: spread(({ p50Us }) => p50Us),
      p99Us: spread(({ p99Us }) => p99Us),
      p999Us: spread(({ p999Us }) => p999Us),
      problems,
    }
  })
}

async function measure(bench: Bench, contender: DurableContender): Promise<PacedAcks> {
  await using folder = bench.folder()
  await using server = await contender.start(folder.path)
  await contender.prepare(server)
  await using publisher = bench.code.start<PacedAcksApi>('paced-acks')
  await publisher.call('open', { port: server.port, dialect: contender.dialect, workload: WORKLOAD })
  const warmUpUnits = PER_SECOND * (bench.isQuick ? 2 : WARM_UP_SECONDS)
  const units = warmUpUnits + PER_SECOND * (bench.isQuick ? 1 : 4)
  return await publisher.call('run', { perSecond: PER_SECOND, units, warmUpUnits })
}
