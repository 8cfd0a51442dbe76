/**
 * Programs through their client libraries: node-nats-streaming with leveret, the client of NATS with JetStream. Publishes with acks
 * and as many on the way for both; then everything is read and acked from the first message on.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { processorSeconds } from '../harness/process-memory.js'
import type { Worker } from '../harness/worker.js'
import type { StreamingClientApi, Timed } from '../workers/streaming-client.js'
import { type Measured, Pair, type PairRow, PairSamples, SIDES, type Side } from './pairs.js'
import { storedBy } from './publish.js'

const PAYLOADS = [100, 1024]
export const CLIENT_WINDOW = 1_000
const FIRST_RECORDS = 5_000
const WARM_UP_SECONDS = 0.7
const ROUND_SECONDS = 1

type Way = 'publish' | 'read'

export function clientCase(payloadBytes: number, way: Way): string {
  return `client ${way} ${payloadBytes} B, ${CLIENT_WINDOW} in flight`
}

export async function benchStreamingClients(bench: Bench): Promise<PairRow[]> {
  const rows: PairRow[] = []
  for (const payloadBytes of PAYLOADS) {
    const publishes = new PairSamples(bench, clientCase(payloadBytes, 'publish'))
    const reads = new PairSamples(bench, clientCase(payloadBytes, 'read'))
    const wanted = [publishes, reads].filter(({ isWanted }) => isWanted)
    for (let run = 0; wanted.length > 0 && run < bench.runs; run++) {
      const problems: string[] = []
      await bench.attempt(`clients ${payloadBytes} B`, problems, () =>
        measureBoth(bench, run, payloadBytes, publishes, reads),
      )
      for (const samples of wanted) for (const problem of problems) samples.failed(problem)
    }
    rows.push(...wanted.map((samples) => samples.row()))
  }
  return rows
}

interface Programs {
  readonly publisher: Worker<StreamingClientApi>
  readonly reader: Worker<StreamingClientApi>
  perSecond: number
  published: number
}

async function measureBoth(
  bench: Bench,
  run: number,
  payloadBytes: number,
  publishes: PairSamples,
  reads: PairSamples,
): Promise<void> {
  await using pair = await Pair.open(bench, `streaming-clients-${payloadBytes}`)
  const programs = new Map<Side, Programs>()
  for (const side of SIDES) {
    const server = pair.server(side)
    if (server === null) continue
    const start = (): Worker<StreamingClientApi> => pair.use(bench.code.start<StreamingClientApi>('streaming-client'))
    const each = { publisher: start(), reader: start(), perSecond: 0, published: 0 }
    const job = { port: server.port, peer: side, payloadBytes, window: CLIENT_WINDOW }
    await Promise.all([each.publisher.call('open', job), each.reader.call('open', job)])
    each.perSecond = (await publish(each, server, FIRST_RECORDS)).perSecond
    each.perSecond = (await publish(each, server, Math.ceil(each.perSecond * WARM_UP_SECONDS))).perSecond
    programs.set(side, each)
  }
  const programsOf = (side: Side): Programs => {
    const each = programs.get(side)
    if (each === undefined) throw new Error(`${side} has no programs`)
    return each
  }
  const seconds = bench.isQuick ? ROUND_SECONDS / 2 : ROUND_SECONDS
  if (publishes.isWanted)
    await publishes.take(run, pair, (side, server) => {
      const each = programsOf(side)
      return publish(each, server, Math.ceil(each.perSecond * seconds))
    })
  for (const [side, { published }] of programs) {
    const server = pair.server(side)
    const stored = server === null ? 0 : await storedBy(side, server)
    if (stored !== published) throw new Error(`${side}: ${published} were acknowledged, ${stored} are stored`)
  }
  if (reads.isWanted) await reads.take(run, pair, (side, server) => read(programsOf(side), server))
}

async function publish(programs: Programs, server: ChildServer, records: number): Promise<Measured> {
  programs.published += records
  return await timed(server, records, () => programs.publisher.call('publish', records))
}

/** Once to get warm, and once that counts. */
async function read({ reader, published }: Programs, server: ChildServer): Promise<Measured> {
  await reader.call('read', { durable: 'warm', records: published })
  return await timed(server, published, () => reader.call('read', { durable: 'counted', records: published }))
}

async function timed({ pid }: ChildServer, records: number, work: () => Promise<Timed>): Promise<Measured> {
  const before = processorSeconds(pid)
  const { startNs, endNs } = await work()
  const after = processorSeconds(pid)
  return {
    perSecond: (records * 1e9) / (endNs - startNs),
    serverNs: before === null || after === null ? null : ((after - before) * 1e9) / records,
  }
}
