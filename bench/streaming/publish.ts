/**
 * Publishes that raw sockets get acknowledged: PubMsgs for leveret, publishes with a reply for JetStream, encoded before; as many
 * connections and as many on the way for both.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { Rig } from '../harness/rig.js'
import { streamRecords } from '../peers/jetstream.js'
import { lastSequence } from '../peers/streaming.js'
import type { DialectName } from '../wire/dialects.js'
import { type Measured, Pair, type PairRow, PairSamples, SIDES, type Side } from './pairs.js'

const PAYLOADS = [100, 1024]
const CONNECTIONS = [1, 16]
const WINDOWS = [1, 64, 1024]
const WARM_UP_SECONDS = 0.5
const ROUND_SECONDS = 0.5
const FIRST_ROUNDS = 4
const FIRST_RECORDS_MIN = 500

const DIALECT: Readonly<Record<Side, DialectName>> = { leveret: 'streaming', jetstream: 'jetstream' }

interface Case {
  readonly connections: number
  readonly window: number
  readonly samples: PairSamples
}

export function publishCase(payloadBytes: number, connections: number, window: number): string {
  return `publish ${payloadBytes} B from ${connections}, ${window} in flight each`
}

export async function benchStreamingPublish(bench: Bench): Promise<PairRow[]> {
  const rows: PairRow[] = []
  for (const payloadBytes of PAYLOADS) {
    const cases = CONNECTIONS.flatMap((connections) =>
      WINDOWS.map((window): Case => {
        const samples = new PairSamples(bench, publishCase(payloadBytes, connections, window))
        return { connections, window, samples }
      }),
    ).filter(({ samples }) => samples.isWanted)
    if (cases.length === 0) continue
    for (let run = 0; run < bench.runs; run++) {
      const problems: string[] = []
      await bench.attempt(`publish ${payloadBytes} B`, problems, () => measureAll(bench, run, payloadBytes, cases))
      for (const { samples } of cases) for (const problem of problems) samples.failed(problem)
    }
    rows.push(...cases.map(({ samples }) => samples.row()))
  }
  return rows
}

/** One run of all cases, on two new servers. */
async function measureAll(bench: Bench, run: number, payloadBytes: number, cases: readonly Case[]): Promise<void> {
  await using pair = await Pair.open(bench, `streaming-publish-${payloadBytes}`)
  const rigs = new Map<string, Rig>()
  for (const side of SIDES) {
    const server = pair.server(side)
    if (server === null) continue
    for (const publishers of new Set(cases.map(({ connections }) => connections))) {
      const sides = { dialect: DIALECT[side], workload: { payloadBytes, batch: 1 }, publishers }
      const rig = pair.use(await Rig.beside(bench, server, { ...sides, unansweredBytesMax: 0, fanOut: 0 }))
      rigs.set(`${side} ${publishers}`, rig)
    }
    await warmUp([...rigs].filter(([name]) => name.startsWith(side)).map(([, rig]) => rig))
  }
  for (const { connections, window, samples } of cases) {
    await samples.take(run, pair, (side) => measure(bench, rigs.get(`${side} ${connections}`), connections, window))
  }
  await audit(pair, rigs)
}

/** Until its code is compiled. */
async function warmUp(rigs: readonly Rig[]): Promise<void> {
  for (const rig of rigs) {
    await rig.limit(64)
    const { perSecond } = await rig.round(5_000)
    await rig.round(Math.ceil(perSecond * WARM_UP_SECONDS))
  }
}

async function measure(bench: Bench, rig: Rig | undefined, connections: number, window: number): Promise<Measured> {
  if (rig === undefined) throw new Error('there is no publisher')
  await rig.limit(window)
  const inFlight = connections * window
  const { perSecond } = await rig.round(Math.max(FIRST_RECORDS_MIN, FIRST_ROUNDS * inFlight))
  const seconds = bench.isQuick ? ROUND_SECONDS / 2 : ROUND_SECONDS
  return await rig.round(Math.max(FIRST_ROUNDS * inFlight, Math.ceil(perSecond * seconds)))
}

/** What was acknowledged must be what the server has. */
async function audit(pair: Pair, rigs: ReadonlyMap<string, Rig>): Promise<void> {
  for (const side of SIDES) {
    const server = pair.server(side)
    if (server === null) continue
    const acknowledged = [...rigs].reduce((sum, [name, { total }]) => sum + (name.startsWith(side) ? total : 0), 0)
    const stored = await storedBy(side, server)
    if (stored !== acknowledged) throw new Error(`${side}: ${acknowledged} were acknowledged, ${stored} are stored`)
  }
}

export function storedBy(side: Side, { port }: ChildServer): Promise<number> {
  return side === 'leveret' ? lastSequence(port) : streamRecords(port)
}
