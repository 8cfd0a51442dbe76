/**
 * Records a second that publishers get acknowledged, each contender at its own limit, with nobody subscribed.
 */
import type { Bench } from '../harness/bench.js'
import { Rig, type Round } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { type ContenderId, contendersOf, type DurableContender } from './contenders.js'

export interface PublishCase {
  readonly contender: ContenderId
  readonly name: string
  readonly payloadBytes: number
  readonly publishers: number
  /** Records in one frame; 1 for those who know no frames. */
  readonly batch: number
}

export interface PublishRow extends PublishCase {
  readonly perSecond: Spread | null
  /** Processor time of the server for one record, in nanoseconds. */
  readonly serverNs: Spread | null
  readonly problems: readonly string[]
}

/** Of the first round, when no rate is known. */
const FIRST_RECORDS = 10_000
/** Each as long as the rate of the one before says: servers whose code compiles while it runs need more than one. */
const WARM_UPS_SECONDS = [0.3, 0.5]

export async function benchPublish(bench: Bench): Promise<PublishRow[]> {
  const contenders = contendersOf(bench)
  const rows: PublishRow[] = []
  for (const payloadBytes of [100, 1024]) {
    for (const publishers of [1, 64]) {
      const cases = contenders.flatMap((contender) =>
        batchesOf(bench, contender, publishers).map((batch) => ({ contender, payloadBytes, publishers, batch })),
      )
      rows.push(...(await benchGroup(bench, cases)))
    }
  }
  return rows
}

function batchesOf({ isQuick }: Bench, { id }: DurableContender, publishers: number): number[] {
  if (!id.startsWith('leveret')) return [1]
  if (id !== 'leveret-disk') return isQuick || publishers > 1 ? [] : [100]
  return isQuick ? [1, 100] : [1, 100, 1000]
}

interface Case extends Omit<PublishCase, 'contender' | 'name'> {
  readonly contender: DurableContender
}

/** Cases that are compared with one another; their runs take turns, so that noise hits all alike. */
async function benchGroup(bench: Bench, cases: readonly Case[]): Promise<PublishRow[]> {
  const wanted = cases.filter((each) => bench.filter.test(labelOf(each)))
  const samples = wanted.map((each) => ({ each, rounds: [] as Round[], problems: [] as string[] }))
  for (let run = 0; run < bench.runs; run++) {
    for (const { each, rounds, problems } of samples) {
      const outcome = await bench.attempt(labelOf(each), problems, () => measure(bench, each))
      if (outcome === null) continue
      rounds.push(outcome)
      bench.say(`  ${labelOf(each)}: ${Math.round(outcome.perSecond).toLocaleString('en')} records/s`)
    }
  }
  return samples.map(({ each: { contender, ...each }, rounds, problems }) => ({
    ...each,
    contender: contender.id,
    name: contender.name,
    perSecond: spreadOrNull(rounds.map(({ perSecond }) => perSecond)),
    serverNs: spreadOrNull(rounds.flatMap(({ serverNs }) => serverNs ?? [])),
    problems,
  }))
}

function labelOf({ contender, payloadBytes, publishers, batch }: Case): string {
  return `${contender.id} publish ${payloadBytes} B batch ${batch} from ${publishers}`
}

async function measure(bench: Bench, each: Case): Promise<Round> {
  const { contender, publishers, batch } = each
  await using folder = bench.folder()
  await using server = await contender.start(folder.path)
  await contender.prepare(server)
  const { dialect } = contender
  const unansweredBytesMax = contender.unansweredBytesMax(each.payloadBytes)
  await using rig = await Rig.beside(bench, server, {
    dialect,
    workload: each,
    publishers,
    unansweredBytesMax,
    fanOut: 0,
  })
  const recordsFor = (seconds: number, perSecond: number): number =>
    Math.max(publishers, Math.round((seconds * perSecond) / batch)) * batch
  let { perSecond } = await rig.round(Math.max(publishers, FIRST_RECORDS / batch) * batch)
  for (const seconds of WARM_UPS_SECONDS) perSecond = (await rig.round(recordsFor(seconds, perSecond))).perSecond
  const round = await rig.round(recordsFor(bench.isQuick ? 0.5 : 1, perSecond))
  const stored = await contender.stored(server)
  if (stored !== rig.total) throw new Error(`${rig.total} records were acknowledged, ${stored} are stored`)
  return round
}
