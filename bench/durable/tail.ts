/**
 * Readers at the tail: how fast one follows a publisher whose records survive, and what a live topic keeps of its
 * rate while another topic is published to durably.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { Rig, type Sides } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { sleep } from '../harness/time.js'
import { createLiveTopic } from '../peers/leveret.js'
import type { PacedAcksApi } from '../workers/paced-acks.js'
import { type ContenderId, contendersOf, type DurableContender } from './contenders.js'

const WORKLOAD = { payloadBytes: 100, batch: 100 } as const
const FIRST_RECORDS = 20_000
const WARM_UPS_SECONDS = [0.3, 0.5]
const MIB = 1024 * 1024
/** The durable publisher beside the live topic: 100,000 records a second of 100 B, each frame acknowledged at `disk`. */
const BESIDE_FRAMES_PER_SECOND = 1_000
/** A limit in case nobody stops it. */
const BESIDE_SECONDS_MAX = 60
/** From so many frames on, all code of the durable path is compiled. */
const BESIDE_WARM_UP_MS = 1_000

const BESIDES = ['alone', 'beside memory', 'beside disk'] as const
type Beside = (typeof BESIDES)[number]
const BESIDE_DIALECTS = { 'beside memory': 'leveret-memory-beside', 'beside disk': 'leveret-disk-beside' } as const

export interface TailRow {
  readonly contender: ContenderId
  readonly name: string
  /** Published with acknowledgements and received. */
  readonly perSecond: Spread | null
  readonly problems: readonly string[]
}

export interface BesideRow {
  /** Records a second of the live topic, one publisher and one subscriber. */
  readonly alone: Spread | null
  /** Beside the same publisher whose frames are acknowledged at `memory`: what the mere load costs. */
  readonly besideMemory: Spread | null
  readonly besideDisk: Spread | null
  readonly recordsBesidePerSecond: number
  readonly problems: readonly string[]
}

export async function benchTail(bench: Bench): Promise<TailRow[]> {
  const wanted = contendersOf(bench).filter(({ id }) => id !== 'leveret-memory' && bench.filter.test(`${id} tail`))
  const samples = wanted.map((contender) => ({ contender, rates: [] as number[], problems: [] as string[] }))
  for (let run = 0; run < bench.runs; run++) {
    for (const { contender, rates, problems } of samples) {
      const label = `${contender.id} tail`
      const rate = await bench.attempt(label, problems, () => follow(bench, contender))
      if (rate === null) continue
      rates.push(rate)
      bench.say(`  ${label}: ${Math.round(rate).toLocaleString('en')} records/s`)
    }
  }
  return samples.map(({ contender: { id, name }, rates, problems }) => ({
    contender: id,
    name,
    perSecond: spreadOrNull(rates),
    problems,
  }))
}

async function follow(bench: Bench, contender: DurableContender): Promise<number> {
  await using folder = bench.folder()
  await using server = await contender.start(folder.path)
  await contender.prepare(server)
  const { dialect } = contender
  const unansweredBytesMax = contender.unansweredBytesMax(WORKLOAD.payloadBytes)
  const sides: Sides = { dialect, workload: WORKLOAD, publishers: 1, unansweredBytesMax, fanOut: 1 }
  return await rateOf(bench, server, sides)
}

export async function benchBeside(bench: Bench): Promise<BesideRow | null> {
  if (!bench.filter.test('leveret beside')) return null
  const rates: Record<Beside, number[]> = { alone: [], 'beside memory': [], 'beside disk': [] }
  const problems: string[] = []
  for (let run = 0; run < bench.runs; run++) {
    for (const what of BESIDES) {
      const rate = await bench.attempt(`leveret live, ${what}`, problems, () => liveRate(bench, what))
      if (rate === null) continue
      rates[what].push(rate)
      bench.say(`  leveret live, ${what}: ${Math.round(rate).toLocaleString('en')} records/s`)
    }
  }
  return {
    alone: spreadOrNull(rates.alone),
    besideMemory: spreadOrNull(rates['beside memory']),
    besideDisk: spreadOrNull(rates['beside disk']),
    recordsBesidePerSecond: BESIDE_FRAMES_PER_SECOND * WORKLOAD.batch,
    problems,
  }
}

async function liveRate(bench: Bench, what: Beside): Promise<number> {
  await using server = await bench.startLeveret('durable-beside')
  await createLiveTopic(server.port)
  const sides: Sides = {
    dialect: 'leveret',
    workload: WORKLOAD,
    publishers: 1,
    unansweredBytesMax: 16 * MIB,
    fanOut: 1,
  }
  if (what === 'alone') return await rateOf(bench, server, sides)
  await using durable = bench.code.start<PacedAcksApi>('paced-acks')
  await durable.call('open', { port: server.port, dialect: BESIDE_DIALECTS[what], workload: WORKLOAD })
  const publishing = durable.call('run', {
    perSecond: BESIDE_FRAMES_PER_SECOND,
    units: BESIDE_FRAMES_PER_SECOND * BESIDE_SECONDS_MAX,
    warmUpUnits: 0,
  })
  await Promise.race([publishing, sleep(BESIDE_WARM_UP_MS)])
  const rate = await Promise.race([rateOf(bench, server, sides), publishing])
  await durable.call('stop', null)
  const { unitsPerSecond } = await publishing
  if (typeof rate !== 'number') throw new Error('the durable publisher ended first')
  if (unitsPerSecond < BESIDE_FRAMES_PER_SECOND * 0.9) {
    throw new Error(`the durable publisher reached ${Math.round(unitsPerSecond)} frames/s`)
  }
  return rate
}

async function rateOf(bench: Bench, server: ChildServer, sides: Sides): Promise<number> {
  await using rig = await Rig.beside(bench, server, sides)
  const recordsFor = (seconds: number, perSecond: number): number =>
    Math.max(1, Math.round((seconds * perSecond) / WORKLOAD.batch)) * WORKLOAD.batch
  let { perSecond } = await rig.round(FIRST_RECORDS)
  for (const seconds of WARM_UPS_SECONDS) perSecond = (await rig.round(recordsFor(seconds, perSecond))).perSecond
  return (await rig.round(recordsFor(bench.isQuick ? 0.5 : 1, perSecond))).perSecond
}
