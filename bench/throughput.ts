/**
 * How many records a second get from one publisher to its subscribers: leveret, core NATS, a relay that does
 * nothing but copy, and the bare loopback; the same publisher and subscriber processes for all of them.
 */
import type { Bench } from './harness/bench.js'
import { type Contender, Rig, type Round, type ThroughputCase } from './harness/rig.js'
import { type Spread, spreadOrNull } from './harness/statistics.js'
import { leveretDialect } from './wire/leveret-dialect.js'

export interface ThroughputRow extends ThroughputCase {
  /** Records published a second; each reaches every subscriber. Null when no run was valid. */
  readonly perSecond: Spread | null
  /** Processor time of the server for one published record, in nanoseconds. */
  readonly serverNs: Spread | null
  /** Why runs were not counted. */
  readonly problems: readonly string[]
}

/** Bytes that all subscribers together receive in the first round, when no rate is known yet. */
const FIRST_BYTES = 16 * 1024 * 1024
const WARM_UP_SECONDS = 0.35
const PLAIN_BATCH = 100

export async function benchThroughput(bench: Bench): Promise<ThroughputRow[]> {
  const rows: ThroughputRow[] = []
  for (const group of groupsOf(bench)) {
    const wanted = group.filter((each) => bench.filter.test(labelOf(each)))
    rows.push(...(await benchGroup(bench, wanted)))
  }
  return rows
}

function labelOf({ contender, payloadBytes, batch, fanOut }: ThroughputCase): string {
  const batches = contender === 'leveret' ? ` batch ${batch}` : ''
  return `${contender} ${payloadBytes} B${batches} 1 to ${fanOut}`
}

/** Cases that are compared with one another; their runs take turns, so that noise hits all alike. */
function groupsOf({ isQuick, nats }: Bench): ThroughputCase[][] {
  const groups: ThroughputCase[][] = []
  for (const payloadBytes of [100, 1024]) {
    for (const fanOut of isQuick ? [1, 4] : [1, 4, 100]) {
      if (isQuick && payloadBytes === 1024 && fanOut > 1) continue
      const peers: Contender[] = ['relay']
      if (nats !== null) peers.push('nats')
      if (fanOut === 1) peers.push('direct')
      const batches = isQuick ? [1, 100] : [1, 10, 100, 1000]
      groups.push([
        ...peers.map((contender) => ({
          contender,
          payloadBytes,
          batch: contender === 'nats' ? 1 : PLAIN_BATCH,
          fanOut,
        })),
        ...batches.map((batch) => ({ contender: 'leveret' as const, payloadBytes, batch, fanOut })),
      ])
    }
  }
  return groups
}

async function benchGroup(bench: Bench, group: readonly ThroughputCase[]): Promise<ThroughputRow[]> {
  const samples = group.map((each) => ({ each, rounds: [] as Round[], problems: [] as string[] }))
  for (let run = 0; run < bench.runs; run++) {
    for (const { each, rounds, problems } of samples) {
      const label = labelOf(each)
      try {
        const round = await measure(bench, each, label)
        rounds.push(round)
        const cost = round.serverNs === null ? '' : `, ${Math.round(round.serverNs)} ns of the server each`
        bench.say(`  ${label}: ${Math.round(round.perSecond).toLocaleString('en')} records/s${cost}`)
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error)
        problems.push(problem)
        bench.say(`  ${label}: INVALID, ${problem}`)
      }
    }
  }
  return samples.map(({ each, rounds, problems }) => ({
    ...each,
    perSecond: spreadOrNull(rounds.map(({ perSecond }) => perSecond)),
    serverNs: spreadOrNull(rounds.flatMap(({ serverNs }) => serverNs ?? [])),
    problems,
  }))
}

async function measure(bench: Bench, each: ThroughputCase, label: string): Promise<Round> {
  await using rig = await Rig.open(bench, each, label.replaceAll(' ', '-'))
  const { unitBytes } = leveretDialect.blast(each, 0)
  const first = Math.max(2, Math.ceil(FIRST_BYTES / (unitBytes * each.fanOut))) * each.batch
  const cold = await rig.round(first)
  const warm = await rig.round(recordsFor(WARM_UP_SECONDS, cold, each.batch))
  return await rig.round(recordsFor(bench.isQuick ? 0.5 : 1, warm, each.batch))
}

function recordsFor(seconds: number, { perSecond }: Round, batch: number): number {
  return Math.max(1, Math.round((seconds * perSecond) / batch)) * batch
}
