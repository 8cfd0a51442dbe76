/**
 * Publishes one record at a time, evenly paced, each with the moment of its publishing; one write a record, and
 * acknowledgements read as they come. The same for every peer.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { DIALECTS } from '../wire/dialects.js'
import { type StampedPeer, stampedPublish } from '../wire/stamped.js'

const READY_MS_MAX = 10_000

export interface PacedJob {
  readonly port: number
  readonly peer: StampedPeer
  readonly payloadBytes: number
  readonly perSecond: number
  readonly records: number
}

const sleeper = new Int32Array(new SharedArrayBuffer(4))

const api = {
  /** Answers with the rate that was reached. */
  async run(job: PacedJob): Promise<number> {
    const progress = new Progress()
    const answers = DIALECTS[job.peer].answers()
    const socket = await openRaw(job.port, DIALECTS[job.peer].publisherGreeting(0), progress, (chunk) => {
      answers.feed(chunk)
      progress.made()
    })
    await progress.until(
      () => answers.isReady,
      READY_MS_MAX,
      () => 'the greeting was not answered',
    )
    const { bytes, stampAt } = stampedPublish(job.peer, job.payloadBytes)
    const intervalNs = 1e9 / job.perSecond
    const startNs = nowNs()
    for (let sent = 0; sent < job.records; ) {
      const now = nowNs()
      const waitNs = startNs + sent * intervalNs - now
      // A timer of the event loop has a millisecond; this one has fifty microseconds, and uses no processor.
      if (waitNs > 0) Atomics.wait(sleeper, 0, 0, waitNs / 1e6)
      else {
        const copy = Buffer.from(bytes)
        copy.writeDoubleLE(now, stampAt)
        socket.write(copy)
        sent++
      }
      await turn()
      progress.throwIfFailed()
    }
    return (job.records * 1e9) / (nowNs() - startNs)
  },
}

export type PacedApi = typeof api

offer(api)
