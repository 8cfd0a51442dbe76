/**
 * Publishes evenly paced, one write a publish, and measures how long each acknowledgement takes. Answers are matched
 * by their order, which is that of the publishes with every peer. The same for every peer.
 *
 * A thread of its own keeps the pace. If the one that reads slept until the next publish, it would see an answer only
 * when it woke, and every peer would seem to take as long as the pace.
 */
import type { Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { percentile } from '../harness/statistics.js'
import { nowNs } from '../harness/time.js'
import { DIALECTS, type DialectName } from '../wire/dialects.js'
import type { Blast, Dialect, Workload } from '../wire/stream.js'

const ANSWER_MS_MAX = 30_000

export interface PacedAcksJob {
  readonly port: number
  readonly dialect: DialectName
  readonly workload: Workload
}

export interface Pace {
  /** Publishes, not records. */
  readonly perSecond: number
  readonly units: number
  /** The first ones, that are not counted. */
  readonly warmUpUnits: number
}

export interface PacedAcks {
  readonly unitsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
}

const progress = new Progress()
let socket: Socket | null = null
let blast: Blast | null = null
let stop: () => void = () => {}
let sentNs = new Float64Array(0)
/** Until its answer, for each publish. */
let tookUs = new Float64Array(0)
let acked = 0

const api = {
  async open(job: PacedAcksJob): Promise<void> {
    const dialect: Dialect = DIALECTS[job.dialect]
    const answers = dialect.answers()
    blast = dialect.blast(job.workload, 0)
    socket = await openRaw(job.port, dialect.publisherGreeting(0), progress, (chunk) => {
      answers.feed(chunk)
      const now = nowNs()
      for (const due = answers.answered ?? 0; acked < due; acked++) {
        tookUs[acked] = (now - (sentNs[acked] as number)) / 1000
      }
      progress.made()
    })
    await progress.until(
      () => answers.isReady,
      ANSWER_MS_MAX,
      () => 'the greeting was not answered',
    )
  },

  /** Publish so many units, or until `stop`, and wait for their answers. */
  async run({ perSecond, units, warmUpUnits }: Pace): Promise<PacedAcks> {
    if (socket === null || blast === null) throw new Error('not open')
    const unit = blast.bytes.subarray(0, blast.unitBytes)
    sentNs = new Float64Array(units)
    tookUs = new Float64Array(units)
    const target = socket
    let sent = 0
    const startNs = nowNs()
    const ticker = new Worker(new URL(import.meta.url), { workerData: { perSecond, units } satisfies Ticks })
    await new Promise<void>((resolve, reject) => {
      stop = resolve
      ticker.on('error', reject)
      ticker.on('exit', () => resolve())
      ticker.on('message', () => {
        sentNs[sent++] = nowNs()
        target.write(unit)
      })
    })
    await ticker.terminate()
    const unitsPerSecond = (sent * 1e9) / (nowNs() - startNs)
    await progress.until(
      () => acked >= sent,
      ANSWER_MS_MAX,
      () => `${acked} of ${sent} answers`,
    )
    const sorted = tookUs.slice(warmUpUnits, sent).sort()
    return {
      unitsPerSecond,
      p50Us: percentile(sorted, 0.5),
      p99Us: percentile(sorted, 0.99),
      p999Us: percentile(sorted, 0.999),
    }
  },

  async stop(_: null): Promise<void> {
    stop()
  },
}

export type PacedAcksApi = typeof api

interface Ticks {
  readonly perSecond: number
  readonly units: number
}

/** Of the thread that keeps the pace: a message whenever a publish is due. */
function tick({ perSecond, units }: Ticks): void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  const startNs = nowNs()
  for (let ticks = 0; ticks < units; ) {
    const waitNs = startNs + (ticks * 1e9) / perSecond - nowNs()
    // A timer of the event loop has a millisecond; this one has fifty microseconds, and uses no processor.
    if (waitNs > 0) Atomics.wait(sleeper, 0, 0, waitNs / 1e6)
    else {
      parentPort?.postMessage(null)
      ticks++
    }
  }
}

if (isMainThread) offer(api)
else tick(workerData as Ticks)
