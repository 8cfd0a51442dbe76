/**
 * What ten thousand groups cost a topic while nobody takes part in them: memory, and time of whoever publishes.
 */
import type { Bench } from '../harness/bench.js'
import { Rig, type Round } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { thousands } from '../harness/table.js'
import { type DialectName, OTHER_TOPIC } from '../wire/dialects.js'
import { TOPIC } from '../wire/leveret-dialect.js'
import type { EmbeddedBrokerApi } from '../workers/embedded-broker.js'
import type { IdleGroupsApi } from '../workers/idle-groups.js'

const GROUPS = 10_000
/** On a topic of their own: what the heap grows by for the work alone is not counted to each. */
const WARM_UP_GROUPS = 10_000
/** One record a publish, so that what each publish costs shows most. */
const WORKLOAD = { payloadBytes: 100, batch: 1 } as const
const UNANSWERED_BYTES_MAX = 256 * 1024
const FIRST_RECORDS = 20_000
const ROUND_SECONDS = 0.4
const TURNS = 10

interface TopicToPublishTo {
  readonly name: string
  readonly dialect: DialectName
}

/** One has the groups, the other none, by turns: two topics alike differ by some percent whatever the reason. */
const TOPICS: readonly TopicToPublishTo[] = [
  { name: TOPIC, dialect: 'leveret-memory' },
  { name: OTHER_TOPIC, dialect: 'leveret-memory-beside' },
]

export interface IdleReport {
  readonly groups: number
  readonly heapBytesEach: Spread | null
  readonly residentBytesEach: Spread | null
  /** Publishes a second to a topic without groups, and to the one with them; on one server, in turns. */
  readonly alone: Spread | null
  readonly beside: Spread | null
  /** The one over the other, turn by turn: what disturbs the machine disturbs both. */
  readonly ratio: Spread | null
  /** Processor time of the server for a publish. */
  readonly aloneNs: Spread | null
  readonly besideNs: Spread | null
  readonly problems: readonly string[]
}

interface Samples {
  readonly heap: number[]
  readonly resident: number[]
  readonly alone: number[]
  readonly beside: number[]
  readonly ratios: number[]
  readonly aloneNs: number[]
  readonly besideNs: number[]
}

export async function benchIdle(bench: Bench): Promise<IdleReport | null> {
  if (!bench.filter.test('leveret idle groups')) return null
  const samples: Samples = { heap: [], resident: [], alone: [], beside: [], ratios: [], aloneNs: [], besideNs: [] }
  const problems: string[] = []
  for (let run = 0; run < bench.runs; run++) {
    const topics = run % 2 === 0 ? TOPICS : TOPICS.toReversed()
    await bench.attempt('leveret idle groups', problems, () => measure(bench, topics, samples))
  }
  return {
    groups: GROUPS,
    heapBytesEach: spreadOrNull(samples.heap),
    residentBytesEach: spreadOrNull(samples.resident),
    alone: spreadOrNull(samples.alone),
    beside: spreadOrNull(samples.beside),
    ratio: spreadOrNull(samples.ratios),
    aloneNs: spreadOrNull(samples.aloneNs),
    besideNs: spreadOrNull(samples.besideNs),
    problems,
  }
}

async function measure(bench: Bench, topics: readonly TopicToPublishTo[], samples: Samples): Promise<void> {
  const [grouped, plain] = topics as [TopicToPublishTo, TopicToPublishTo]
  await using folder = bench.folder()
  await using broker = bench.code.start<EmbeddedBrokerApi>('embedded-broker')
  const port = await broker.call('open', folder.path)
  await using maker = bench.code.start<IdleGroupsApi>('idle-groups')
  await maker.call('make', { port, topic: 'warm', groups: WARM_UP_GROUPS })
  const before = await broker.call('memory', null)
  await maker.call('make', { port, topic: grouped.name, groups: GROUPS })
  const after = await broker.call('memory', null)
  const heap = (after.heapBytes - before.heapBytes) / GROUPS
  const resident = (after.residentBytes - before.residentBytes) / GROUPS
  samples.heap.push(heap)
  samples.resident.push(resident)
  bench.say(`  ${GROUPS} idle groups: ${Math.round(heap)} B of heap each, ${Math.round(resident)} B resident`)
  const open = ({ dialect }: TopicToPublishTo): Promise<Rig> => {
    const sides = { dialect, workload: WORKLOAD, publishers: 1, unansweredBytesMax: UNANSWERED_BYTES_MAX, fanOut: 0 }
    return Rig.beside(bench, { pid: broker.pid, port }, sides)
  }
  await using alone = await open(plain)
  await using beside = await open(grouped)
  await publishInTurns(alone, beside, samples)
  const figures = [samples.alone, samples.beside].map((rates) => thousands(spreadOrNull(rates)?.median))
  bench.say(`  publishes: ${figures[0]}/s to a topic without groups, ${figures[1]}/s to the one with them`)
}

async function publishInTurns(alone: Rig, beside: Rig, samples: Samples): Promise<void> {
  await alone.round(FIRST_RECORDS)
  const { perSecond } = await beside.round(FIRST_RECORDS)
  const records = Math.round(perSecond * ROUND_SECONDS)
  await alone.round(records)
  await beside.round(records)
  for (let turn = 0; turn < TURNS; turn++) {
    const [first, second] = turn % 2 === 0 ? [alone, beside] : [beside, alone]
    const rounds = new Map([[first, await first.round(records)]])
    rounds.set(second, await second.round(records))
    const [without, withGroups] = [rounds.get(alone) as Round, rounds.get(beside) as Round]
    samples.alone.push(without.perSecond)
    samples.beside.push(withGroups.perSecond)
    samples.ratios.push(withGroups.perSecond / without.perSecond)
    if (without.serverNs !== null) samples.aloneNs.push(without.serverNs)
    if (withGroups.serverNs !== null) samples.besideNs.push(withGroups.serverNs)
  }
}
