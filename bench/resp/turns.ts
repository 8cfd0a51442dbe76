/**
 * Contenders of one case, in turns: only what was measured side by side is compared, turn by turn, since what else the
 * machine has to do changes from one second to the next.
 */
import type { Bench } from '../harness/bench.js'
import type { Round } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { thousands } from '../harness/table.js'

export interface Side<Id extends string> {
  readonly id: Id
  /** With its durability. */
  readonly name: string
  /** The length of a warm-up or of a round, in records. */
  round(records: number): Promise<Round>
}

export interface Measured<Id extends string> {
  readonly contender: Id
  readonly name: string
  /** Turn by turn. */
  readonly rates: readonly number[]
  readonly perSecond: Spread | null
  /** Processor time of the server for one record. */
  readonly serverNs: Spread | null
  readonly problems: readonly string[]
}

/** Of servers that are still up from the case before; new ones need more, as their code is compiled while it runs. */
const WARM_UPS_SECONDS: readonly number[] = [0.15]
export const NEW_SERVERS_SECONDS: readonly number[] = [0.3, 0.5, 0.5]
const ROUND_SECONDS = 0.4

export async function inTurns<Id extends string>(
  bench: Bench,
  label: string,
  firstRecords: number,
  sides: readonly Side<Id>[],
  warmUpsSeconds = WARM_UPS_SECONDS,
): Promise<Measured<Id>[]> {
  const samples = sides.map((side) => ({ side, records: 0, rounds: [] as Round[], problems: [] as string[] }))
  const attempt = async (index: number, work: (sample: (typeof samples)[number]) => Promise<void>): Promise<void> => {
    const sample = samples[index] as (typeof samples)[number]
    // What failed once is no figure, and may take its whole time again.
    if (sample.problems.length === 0)
      await bench.attempt(`${sample.side.id} ${label}`, sample.problems, () => work(sample))
  }
  const order = samples.map((_, index) => index)
  for (const index of order) {
    await attempt(index, async (sample) => {
      const recordsFor = (seconds: number, { perSecond }: Round): number =>
        Math.max(firstRecords, Math.round(perSecond * seconds))
      let last = await sample.side.round(firstRecords)
      for (const seconds of warmUpsSeconds) last = await sample.side.round(recordsFor(seconds, last))
      sample.records = recordsFor(ROUND_SECONDS, last)
    })
  }
  for (let turn = 0; turn < turnsOf(bench); turn++) {
    for (const index of turn % 2 === 0 ? order : order.toReversed()) {
      await attempt(index, async (sample) => {
        sample.rounds.push(await sample.side.round(sample.records))
      })
    }
  }
  for (const { side, rounds } of samples) {
    bench.say(`  ${side.id} ${label}: ${thousands(spreadOrNull(rounds.map((round) => round.perSecond))?.median)}/s`)
  }
  return samples.map(({ side: { id, name }, rounds, problems }) => ({
    contender: id,
    name,
    rates: rounds.map(({ perSecond }) => perSecond),
    perSecond: spreadOrNull(rounds.map(({ perSecond }) => perSecond)),
    serverNs: spreadOrNull(rounds.flatMap(({ serverNs }) => serverNs ?? [])),
    problems,
  }))
}

function turnsOf({ isQuick, runs }: Bench): number {
  return isQuick ? Math.max(2, runs) : Math.max(3, runs)
}

/** Ours over theirs, turn by turn; null unless both have all turns. */
export function ratios<Id extends string>(
  ours: Measured<Id> | undefined,
  theirs: Measured<Id> | undefined,
): Spread | null {
  if (ours === undefined || theirs === undefined) return null
  if (ours.problems.length > 0 || theirs.problems.length > 0) return null
  return spreadOrNull(ours.rates.map((rate, turn) => rate / (theirs.rates[turn] ?? Number.NaN)))
}
