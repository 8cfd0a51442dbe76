/**
 * What a durable reader gets from the first message on when it acknowledges each: a durable subscription of leveret, a durable
 * pull consumer of JetStream, both on raw sockets.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { processorSeconds } from '../harness/process-memory.js'
import { Rig } from '../harness/rig.js'
import { sleep } from '../harness/time.js'
import type { Worker } from '../harness/worker.js'
import { createConsumer } from '../peers/jetstream.js'
import type { GroupMembersApi, MembersState } from '../workers/group-members.js'
import { type Measured, Pair, type PairRow, PairSamples, SIDES, type Side } from './pairs.js'

const PAYLOADS = [100, 1024]
/** In flight; pulled at once, too. */
export const DELIVERY_WINDOW = 1_000
const RECORDS = 100_000
const STORE_WINDOW = 1_024
const LOOK_MS = 2
const STALL_MS_MAX = 20_000

export function deliveryCase(payloadBytes: number): string {
  return `deliver ${payloadBytes} B from the first, ${DELIVERY_WINDOW} in flight`
}

export async function benchStreamingDelivery(bench: Bench): Promise<PairRow[]> {
  const rows: PairRow[] = []
  for (const payloadBytes of PAYLOADS) {
    const samples = new PairSamples(bench, deliveryCase(payloadBytes))
    if (!samples.isWanted) continue
    for (let run = 0; run < bench.runs; run++) {
      const problems: string[] = []
      await bench.attempt(`deliver ${payloadBytes} B`, problems, async () => {
        await using pair = await Pair.open(bench, `streaming-delivery-${payloadBytes}`)
        const records = bench.isQuick ? RECORDS / 2 : RECORDS
        for (const side of SIDES) await store(bench, pair, side, payloadBytes, records)
        await using reader = bench.code.start<GroupMembersApi>('group-members')
        const read = (group: string) => (side: Side, server: ChildServer) =>
          consume(reader, side, server, group, payloadBytes, records)
        // The first reading compiles what the second one measures.
        for (const side of SIDES) {
          const server = pair.server(side)
          if (server !== null) await read('warm')(side, server)
        }
        await samples.take(run, pair, read('counted'))
      })
      for (const problem of problems) samples.failed(problem)
    }
    rows.push(samples.row())
  }
  return rows
}

async function store(bench: Bench, pair: Pair, side: Side, payloadBytes: number, records: number): Promise<void> {
  const server = pair.server(side)
  if (server === null) return
  const dialect = side === 'leveret' ? 'streaming' : 'jetstream'
  const workload = { payloadBytes, batch: 1 }
  await using rig = await Rig.beside(bench, server, {
    dialect,
    workload,
    publishers: 1,
    unansweredBytesMax: 0,
    fanOut: 0,
  })
  await rig.limit(STORE_WINDOW)
  await rig.round(records)
}

async function consume(
  reader: Worker<GroupMembersApi>,
  side: Side,
  { port, pid }: ChildServer,
  group: string,
  payloadBytes: number,
  records: number,
): Promise<Measured> {
  if (side === 'jetstream') await createConsumer(port, group, DELIVERY_WINDOW)
  const dialect = side === 'leveret' ? 'streaming' : 'jetstream'
  await reader.call('open', { port, dialect, group, payloadBytes, window: DELIVERY_WINDOW, members: [0] })
  const before = processorSeconds(pid)
  const startNs = await reader.call('begin', null)
  const { atNs } = await allReceived(reader, records)
  const after = processorSeconds(pid)
  await reader.call('close', null)
  return {
    perSecond: (records * 1e9) / (atNs - startNs),
    serverNs: before === null || after === null ? null : ((after - before) * 1e9) / records,
  }
}

async function allReceived(reader: Worker<GroupMembersApi>, records: number): Promise<MembersState> {
  let before = -1
  let waitedMs = 0
  for (;;) {
    const state = await reader.call('state', null)
    const { received, offsetSum } = state
    if (received > records) throw new Error(`${received} messages came, ${records} there are`)
    if (received === records) {
      if (offsetSum !== null && offsetSum !== (records * (records - 1)) / 2) throw new Error('other messages came')
      return state
    }
    waitedMs = received === before ? waitedMs + LOOK_MS : 0
    if (waitedMs > STALL_MS_MAX) throw new Error(`${received} of ${records} messages came`)
    before = received
    await sleep(LOOK_MS)
  }
}
