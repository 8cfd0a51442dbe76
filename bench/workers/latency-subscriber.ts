/**
 * A raw subscriber that compares the moment in each record with the moment at which it has it.
 */
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { percentile } from '../harness/statistics.js'
import { nowNs } from '../harness/time.js'
import { DIALECTS } from '../wire/dialects.js'
import { type StampedPeer, stampReader } from '../wire/stamped.js'

const ARRIVAL_MS_MAX = 30_000

export interface LatencyJob {
  readonly port: number
  readonly peer: StampedPeer
  readonly payloadBytes: number
  readonly records: number
  /** The first ones, that are not counted. */
  readonly warmUp: number
}

export interface Latency {
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

const progress = new Progress()
let latencies = new Float64Array(0)
let received = 0

const api = {
  async open(job: LatencyJob): Promise<void> {
    latencies = new Float64Array(job.records - job.warmUp)
    const reader = stampReader(job.peer, job.payloadBytes)
    const onStamp = (stampNs: number): void => {
      const index = received++ - job.warmUp
      if (index >= 0) latencies[index] = (nowNs() - stampNs) / 1000
    }
    await openRaw(job.port, DIALECTS[job.peer].subscriberGreeting(), progress, (chunk) => {
      reader.feed(chunk, onStamp)
      if (received === 0 || received >= job.records) progress.made()
    })
    await progress.until(
      () => reader.isReady,
      ARRIVAL_MS_MAX,
      () => 'not subscribed',
    )
  },

  async result(job: LatencyJob): Promise<Latency> {
    await progress.until(
      () => received >= job.records,
      ARRIVAL_MS_MAX,
      () => `${received} of ${job.records} records`,
    )
    const sorted = latencies.sort()
    return {
      p50Us: percentile(sorted, 0.5),
      p99Us: percentile(sorted, 0.99),
      p999Us: percentile(sorted, 0.999),
      maxUs: sorted.at(-1) ?? Number.NaN,
    }
  },
}

export type LatencyApi = typeof api

offer(api)
