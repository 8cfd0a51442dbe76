/**
 * How fast a partitioned group gets through records that are there already, by programs that iterate: what they consumed
 * is committed partition by partition. The time includes that the members join and share out the partitions.
 */
import type { Bench } from '../harness/bench.js'
import { Disposables } from '../harness/disposables.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { PARTITIONS } from '../wire/leveret-dialect.js'
import { client, type Entrant, entrantsOf } from './entrants.js'
import { consume, publish } from './shared.js'

export const MEMBERS = [1, 4] as const
const PROCESSES_MAX = 2
const WARM_UP_RECORDS = 80_000
const RECORDS = 800_000

export interface PartitionedRow {
  readonly members: number
  readonly partitions: number
  readonly perSecond: Spread | null
  readonly serverNs: Spread | null
  readonly problems: readonly string[]
}

interface Samples {
  readonly rates: number[]
  readonly serverNs: number[]
}

export async function benchPartitioned(bench: Bench): Promise<PartitionedRow[]> {
  const like = entrantsOf(bench).find(({ id }) => id === 'leveret client iterate')
  if (like === undefined || !bench.filter.test('leveret partitioned')) return []
  const entrant: Entrant = {
    ...like,
    server: { ...like.server, dialect: 'leveret-partitioned' },
    seat: client('leveret', 'iterate', 'partitioned'),
  }
  const samples = MEMBERS.map((): Samples => ({ rates: [], serverNs: [] }))
  const problems: string[] = []
  for (let run = 0; run < bench.runs; run++) {
    await bench.attempt('leveret partitioned', problems, () => measure(bench, entrant, samples))
  }
  return MEMBERS.map((members, index) => ({
    members,
    partitions: PARTITIONS,
    perSecond: spreadOrNull(samples[index]?.rates ?? []),
    serverNs: spreadOrNull(samples[index]?.serverNs ?? []),
    problems,
  }))
}

async function measure(bench: Bench, entrant: Entrant, samples: readonly Samples[]): Promise<void> {
  await using folder = bench.folder()
  await using server = await entrant.server.start(folder.path)
  await using parts = new Disposables()
  const seats = Array.from({ length: PROCESSES_MAX }, () => parts.use(entrant.seat(bench)))
  await publish(bench, entrant, server, WARM_UP_RECORDS)
  await consume(entrant, server, seats, 'warm', 2, WARM_UP_RECORDS)
  const records = RECORDS / (bench.isQuick ? 2 : 1)
  await publish(bench, entrant, server, records - WARM_UP_RECORDS)
  for (const [index, members] of MEMBERS.entries()) {
    const round = await consume(entrant, server, seats, `group-${members}`, members, records)
    samples[index]?.rates.push(round.perSecond)
    if (round.serverNs !== null) samples[index]?.serverNs.push(round.serverNs)
    bench.say(`  leveret partitioned, ${members}: ${Math.round(round.perSecond).toLocaleString('en')} records/s`)
  }
}
