/**
 * How long a record takes from publisher to subscriber at a load far from the limit, beside core NATS.
 */
import type { Bench } from './harness/bench.js'
import { type Spread, spreadOrNull } from './harness/statistics.js'
import { createLiveTopic } from './peers/leveret.js'
import type { StampedPeer } from './wire/stamped.js'
import type { Latency, LatencyApi } from './workers/latency-subscriber.js'
import type { PacedApi } from './workers/paced-publisher.js'

const PER_SECOND = 10_000
const PAYLOAD_BYTES = 100
/** Until both servers are in their stride: code compiled, heaps grown. */
const WARM_UP_SECONDS = 5

export interface LatencyRow {
  readonly peer: StampedPeer
  readonly perSecond: Spread | null
  readonly p50Us: Spread | null
  readonly p99Us: Spread | null
  readonly p999Us: Spread | null
  readonly problems: readonly string[]
}

interface Sample extends Latency {
  readonly perSecond: number
}

export async function benchLatency(bench: Bench): Promise<LatencyRow[]> {
  const peers: StampedPeer[] = bench.nats === null ? ['leveret'] : ['nats', 'leveret']
  const samples = peers.map((peer) => ({ peer, good: [] as Sample[], problems: [] as string[] }))
  for (let run = 0; run < bench.runs; run++) {
    for (const { peer, good, problems } of samples) {
      try {
        const sample = await measure(bench, peer)
        good.push(sample)
        bench.say(`  latency ${peer}: p50 ${Math.round(sample.p50Us)} us, p99 ${Math.round(sample.p99Us)} us`)
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error))
        bench.say(`  latency ${peer}: INVALID, ${problems.at(-1)}`)
      }
    }
  }
  return samples.map(({ peer, good, problems }) => {
    const spread = (of: (sample: Sample) => number): Spread | null => spreadOrNull(good.map(of))
    return {
      peer,
      perSecond: spread((sample) => sample.perSecond),
      p50Us: spread((sample) => sample.p50Us),
      p99Us: spread((sample) => sample.p99Us),
      p999Us: spread((sample) => sample.p999Us),
      problems,
    }
  })
}

async function measure(bench: Bench, peer: StampedPeer): Promise<Sample> {
  const seconds = bench.isQuick ? 1 : 5
  const records = Math.round((WARM_UP_SECONDS + seconds) * PER_SECOND)
  await using server = await (peer === 'nats' ? bench.startNats() : bench.startLeveret('latency'))
  await using subscriber = bench.code.start<LatencyApi>('latency-subscriber')
  await using publisher = bench.code.start<PacedApi>('paced-publisher')
  const common = { port: server.port, peer, payloadBytes: PAYLOAD_BYTES, records }
  const job = { ...common, warmUp: Math.round(WARM_UP_SECONDS * PER_SECOND) }
  if (peer === 'leveret') await createLiveTopic(server.port)
  await subscriber.call('open', job)
  const perSecond = await publisher.call('run', { ...common, perSecond: PER_SECOND })
  return { perSecond, ...(await subscriber.call('result', job)) }
}
