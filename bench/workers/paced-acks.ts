/**
 * Publishes evenly paced, one write a publish, and measures how long each acknowledgement takes. Answers are matched
 * by their order, which is that of the publishes with every peer. The same for every peer.
 */
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
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
const sleeper = new Int32Array(new SharedArrayBuffer(4))
let socket: Socket | null = null
let blast: Blast | null = null
let isStopped = false
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
    const intervalNs = 1e9 / perSecond
    const startNs = nowNs()
    let sent = 0
    while (sent < units && !isStopped) {
      const now = nowNs()
      const waitNs = startNs + sent * intervalNs - now
      // A timer of the event loop has a millisecond; this one has fifty microseconds, and uses no processor.
      if (waitNs > 0) Atomics.wait(sleeper, 0, 0, waitNs / 1e6)
      else {
        sentNs[sent++] = now
        socket.write(unit)
      }
      await turn()
      progress.throwIfFailed()
    }
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
    isStopped = true
  },
}

export type PacedAcksApi = typeof api

offer(api)
