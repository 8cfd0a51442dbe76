/**
 * What ten thousand groups cost a topic while nobody takes part in them: memory, and time of whoever publishes.
 */
import type { Bench } from '../harness/bench.js'
import { settledBytes } from '../harness/process-memory.js'
import { Rig } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import type { DialectName } from '../wire/dialects.js'
import type { EmbeddedBrokerApi } from '../workers/embedded-broker.js'
import type { IdleGroupsApi } from '../workers/idle-groups.js'

const GROUPS = 10_000
/** Few, so that code and buffers that come with the first group are not counted to each. */
const WARM_UP_GROUPS = 500
const QUIET_MS = 9_000
const SETTLE_MS_MAX = 20_000
/** One record a publish, so that what each publish costs shows most. */
const WORKLOAD = { payloadBytes: 100, batch: 1 } as const
const UNANSWERED_BYTES_MAX = 256 * 1024
const FIRST_RECORDS = 20_000
const ROUND_SECONDS = 0.4
const TURNS = 7

export interface IdleReport {
  readonly groups: number
  readonly heapBytesEach: Spread | null
  readonly residentBytesEach: Spread | null
  /** Publishes a second to a topic without groups, and to the one with them; on one server, in turns. */
  readonly alone: Spread | null
  readonly beside: Spread | null
  readonly problems: readonly string[]
}

interface Samples {
  readonly heap: number[]
  readonly resident: number[]
  readonly alone: number[]
  readonly beside: number[]
}

export async function benchIdle(bench: Bench): Promise<IdleReport | null> {
  if (!bench.filter.test('leveret idle groups')) return null
  const samples: Samples = { heap: [], resident: [], alone: [], beside: [] }
  const problems: string[] = []
  for (let run = 0; run < bench.runs; run++) {
    await bench.attempt('leveret idle groups', problems, () => measure(bench, samples))
  }
  return {
    groups: GROUPS,
    heapBytesEach: spreadOrNull(samples.heap),
    residentBytesEach: spreadOrNull(samples.resident),
    alone: spreadOrNull(samples.alone),
    beside: spreadOrNull(samples.beside),
    problems,
  }
}

async function measure(bench: Bench, samples: Samples): Promise<void> {
  await using folder = bench.folder()
  await using broker = bench.code.start<EmbeddedBrokerApi>('embedded-broker')
  const port = await broker.call('open', folder.path)
  await using maker = bench.code.start<IdleGroupsApi>('idle-groups')
  await maker.call('prepare', port)
  await maker.call('make', { port, first: 0, groups: WARM_UP_GROUPS })
  const heapBefore = await broker.call('heapBytes', null)
  const residentBefore = await settled(bench, broker.pid)
  await maker.call('make', { port, first: WARM_UP_GROUPS, groups: GROUPS })
  const heap = ((await broker.call('heapBytes', null)) - heapBefore) / GROUPS
  samples.heap.push(heap)
  bench.say(`  ${GROUPS} idle groups: ${Math.round(heap)} B of heap each`)
  if (residentBefore !== null) {
    const resident = (((await settled(bench, broker.pid)) ?? 0) - residentBefore) / GROUPS
    samples.resident.push(resident)
    bench.say(`  ${GROUPS} idle groups: ${Math.round(resident)} B resident each`)
  }
  await publishInTurns(bench, { pid: broker.pid, port }, samples)
}

async function publishInTurns(bench: Bench, server: { pid: number; port: number }, samples: Samples): Promise<void> {
  const open = (dialect: DialectName): Promise<Rig> => {
    const sides = { dialect, workload: WORKLOAD, publishers: 1, unansweredBytesMax: UNANSWERED_BYTES_MAX, fanOut: 0 }
    return Rig.beside(bench, server, sides)
  }
  await using alone = await open('leveret-memory-beside')
  await using beside = await open('leveret-memory')
  await alone.round(FIRST_RECORDS)
  const { perSecond } = await beside.round(FIRST_RECORDS)
  const records = Math.round(perSecond * ROUND_SECONDS)
  await alone.round(records)
  await beside.round(records)
  for (let turn = 0; turn < TURNS; turn++) {
    samples.alone.push((await alone.round(records)).perSecond)
    samples.beside.push((await beside.round(records)).perSecond)
  }
  const [without, withGroups] = [samples.alone, samples.beside].map((rates) => spreadOrNull(rates)?.median ?? 0)
  const figures = [without, withGroups].map((rate) => Math.round(rate ?? 0).toLocaleString('en'))
  bench.say(`  publishes: ${figures[0]}/s to a topic without groups, ${figures[1]}/s to the one with them`)
}

async function settled({ isQuick }: Bench, pid: number): Promise<number | null> {
  if (process.platform !== 'linux') return null
  return isQuick ? settledBytes(pid, 1_000, 2_000) : settledBytes(pid, QUIET_MS, SETTLE_MS_MAX)
}
