/**
 * How fast a shared group gets through records that are there already when every one of them is acked: from the first
 * fetch until the last ack is confirmed.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { Disposables } from '../harness/disposables.js'
import { processorSeconds } from '../harness/process-memory.js'
import { Rig } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { nowNs, sleep } from '../harness/time.js'
import type { MembersState } from '../workers/group-members.js'
import { type Entrant, type EntrantId, entrantsOf, PAYLOAD_BYTES, type Seats, windowOf } from './entrants.js'

export const MEMBERS = [1, 4, 16] as const
/** All members share them: the machine has other things to run as well. */
const PROCESSES_MAX = 2
const BATCH = 100
const WARM_UP_RECORDS = 50_000
const RECORDS_MAX = 2_000_000
const ROUND_SECONDS = 0.8
const LOOK_MS = 10
/** Nothing acked for so long is a failure. */
const STALL_MS_MAX = 15_000

export interface SharedRow {
  readonly entrant: EntrantId
  readonly name: string
  readonly members: number
  /** Received and acked. */
  readonly perSecond: Spread | null
  /** Processor time of the server for one record. */
  readonly serverNs: Spread | null
  readonly problems: readonly string[]
}

interface Sample {
  readonly entrant: Entrant
  readonly rates: Map<number, number[]>
  readonly serverNs: Map<number, number[]>
  readonly problems: string[]
  /** Of one round; the first run decides. */
  records: number | null
}

export async function benchShared(bench: Bench): Promise<SharedRow[]> {
  const samples = entrantsOf(bench)
    .filter(({ id }) => bench.filter.test(`${id} shared`))
    .map((entrant): Sample => ({ entrant, rates: new Map(), serverNs: new Map(), problems: [], records: null }))
  for (let run = 0; run < bench.runs; run++) {
    for (const sample of samples) {
      // What failed once is no figure, and may take its whole time again.
      if (sample.problems.length > 0) continue
      await bench.attempt(`${sample.entrant.id} shared`, sample.problems, () => measure(bench, sample))
    }
  }
  return samples.flatMap(({ entrant: { id, name }, rates, serverNs, problems }) =>
    MEMBERS.map((members) => ({
      entrant: id,
      name,
      members,
      perSecond: spreadOrNull(rates.get(members) ?? []),
      serverNs: spreadOrNull(serverNs.get(members) ?? []),
      problems,
    })),
  )
}

/** One server, one group for each number of members, all on the same records. */
async function measure(bench: Bench, sample: Sample): Promise<void> {
  const { entrant } = sample
  await using folder = bench.folder()
  await using server = await entrant.server.start(folder.path)
  await entrant.server.prepare(server)
  await using parts = new Disposables()
  const seats = Array.from({ length: PROCESSES_MAX }, () => parts.use(entrant.seat(bench)))
  await publish(bench, entrant, server, WARM_UP_RECORDS)
  const warm = await consume(entrant, server, seats, 'warm', 4, WARM_UP_RECORDS)
  const wanted = Math.min(RECORDS_MAX, warm.perSecond * ROUND_SECONDS * (bench.isQuick ? 0.5 : 1))
  sample.records ??= Math.max(2 * WARM_UP_RECORDS, Math.round(wanted / BATCH) * BATCH)
  await publish(bench, entrant, server, sample.records - WARM_UP_RECORDS)
  for (const members of MEMBERS) {
    const round = await consume(entrant, server, seats, `group-${members}`, members, sample.records)
    push(sample.rates, members, round.perSecond)
    if (round.serverNs !== null) push(sample.serverNs, members, round.serverNs)
    bench.say(`  ${entrant.id} shared, ${members}: ${Math.round(round.perSecond).toLocaleString('en')} records/s acked`)
  }
}

export async function publish(bench: Bench, { server }: Entrant, to: ChildServer, records: number): Promise<void> {
  const workload = { payloadBytes: PAYLOAD_BYTES, batch: BATCH }
  const unansweredBytesMax = server.unansweredBytesMax(PAYLOAD_BYTES)
  await using rig = await Rig.beside(bench, to, {
    dialect: server.dialect,
    workload,
    publishers: 1,
    unansweredBytesMax,
    fanOut: 0,
  })
  await rig.round(records)
}

interface Round {
  readonly perSecond: number
  readonly serverNs: number | null
}

export async function consume(
  entrant: Entrant,
  { port, pid }: ChildServer,
  seats: readonly Seats[],
  group: string,
  members: number,
  records: number,
): Promise<Round> {
  await entrant.makeGroup(port, group)
  const used = seats.slice(0, members)
  const numbers = Array.from({ length: members }, (_, number) => number)
  const window = windowOf(members)
  const shares = used.map((_, index) => numbers.filter((number) => number % used.length === index))
  await Promise.all(used.map((each, index) => each.open(port, group, shares[index] ?? [], window)))
  const secondsBefore = processorSeconds(pid)
  const starts = await Promise.all(used.map((each) => each.begin()))
  const lastNs = await allAcked(used, records)
  const endNs = entrant.isAskedForEnd ? await saidToBeDone(entrant, port, group, records) : lastNs
  const seconds = processorSeconds(pid)
  if (!(await entrant.isDone(port, group, records)))
    throw new Error(`not all of ${records} records are acked, says the server`)
  await Promise.all(used.map((each) => each.close()))
  return {
    perSecond: (records * 1e9) / (endNs - Math.min(...starts)),
    serverNs: seconds === null || secondsBefore === null ? null : ((seconds - secondsBefore) * 1e9) / records,
  }
}

/** Answers with the moment of the last ack. Each record must have come once. */
async function allAcked(seats: readonly Seats[], records: number): Promise<number> {
  let before = -1
  let waitedMs = 0
  for (;;) {
    const states = await Promise.all(seats.map((each) => each.state()))
    const sum = (of: (state: MembersState) => number): number => states.reduce((total, each) => total + of(each), 0)
    const received = sum((state) => state.received)
    const acked = sum((state) => state.acked)
    if (received > records) throw new Error(`${received} records came, ${records} there are`)
    if (acked === records) {
      const offsets = sum((state) => state.offsetSum ?? Number.NaN)
      const expected = (records * (records - 1)) / 2
      if (!Number.isNaN(offsets) && offsets !== expected)
        throw new Error('the records that came are not those there are')
      return Math.max(...states.map(({ atNs }) => atNs))
    }
    waitedMs = acked === before ? waitedMs + LOOK_MS : 0
    if (waitedMs > STALL_MS_MAX) throw new Error(`${acked} of ${records} records are acked, ${received} came`)
    before = acked
    await sleep(LOOK_MS)
  }
}

async function saidToBeDone(entrant: Entrant, port: number, group: string, records: number): Promise<number> {
  const startNs = nowNs()
  while (!(await entrant.isDone(port, group, records))) {
    if (nowNs() - startNs > STALL_MS_MAX * 1e6) throw new Error(`the server does not say that ${records} are acked`)
  }
  return nowNs()
}

function push(map: Map<number, number[]>, key: number, value: number): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, [value])
  else known.push(value)
}
