/**
 * Records a second from program to program, record by record: leveret's client beside the client of NATS.
 */
import type { Bench } from './harness/bench.js'
import { type Spread, spreadOrNull } from './harness/statistics.js'
import { createLiveTopic } from './peers/leveret.js'
import type { ClientPeer, ClientPublisherApi } from './workers/client-publisher.js'
import type { ClientSubscriberApi } from './workers/client-subscriber.js'

const PAYLOAD_BYTES = 100
const FIRST_RECORDS = 50_000

export interface ClientRow {
  readonly peer: ClientPeer
  readonly perSecond: Spread | null
  readonly problems: readonly string[]
}

export async function benchClient(bench: Bench): Promise<ClientRow[]> {
  const peers: ClientPeer[] = bench.nats === null ? ['leveret'] : ['nats', 'leveret']
  const samples = peers.map((peer) => ({ peer, rates: [] as number[], problems: [] as string[] }))
  for (let run = 0; run < bench.runs; run++) {
    for (const { peer, rates, problems } of samples) {
      try {
        rates.push(await measure(bench, peer))
        bench.say(`  client ${peer}: ${Math.round(rates.at(-1) ?? 0).toLocaleString('en')} records/s`)
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error))
        bench.say(`  client ${peer}: INVALID, ${problems.at(-1)}`)
      }
    }
  }
  return samples.map(({ peer, rates, problems }) => ({
    peer,
    perSecond: spreadOrNull(rates),
    problems,
  }))
}

async function measure(bench: Bench, peer: ClientPeer): Promise<number> {
  await using server = await (peer === 'nats' ? bench.startNats() : bench.startLeveret('client'))
  await using subscriber = bench.code.start<ClientSubscriberApi>('client-subscriber')
  await using publisher = bench.code.start<ClientPublisherApi>('client-publisher')
  const job = { port: server.port, peer, payloadBytes: PAYLOAD_BYTES }
  if (peer === 'leveret') await createLiveTopic(server.port)
  await subscriber.call('open', job)
  await publisher.call('open', job)

  let total = 0
  const rateOf = async (records: number): Promise<number> => {
    total += records
    await subscriber.call('expect', total)
    const arrival = subscriber.call('arrived', null)
    const [{ startNs, endNs }, atNs] = await Promise.all([publisher.call('publish', records), arrival])
    return (records * 1e9) / (Math.max(atNs, endNs) - startNs)
  }
  const cold = await rateOf(FIRST_RECORDS)
  const warm = await rateOf(Math.round(cold * 0.5))
  return await rateOf(Math.round(warm * (bench.isQuick ? 0.5 : 1.5)))
}
