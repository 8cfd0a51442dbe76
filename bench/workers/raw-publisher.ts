/**
 * Publishes pre-encoded blasts through one raw socket as fast as the peer takes them, and counts the answers.
 */
import type { Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { DIALECTS, type DialectName } from '../wire/dialects.js'
import type { AnswerReader, Blast, Workload } from '../wire/stream.js'

const ANSWER_MS_MAX = 30_000
/** A publisher that wants acknowledgements keeps no more than this on their way. */
const UNANSWERED_BYTES_MAX = 16 * 1024 * 1024

export interface PublisherJob {
  readonly port: number
  readonly dialect: DialectName
  readonly workload: Workload
}

export interface Blasted {
  readonly startNs: number
  /** When the last acknowledgement arrived; null for a peer that has none. */
  readonly endNs: number | null
}

interface Publisher {
  readonly socket: Socket
  readonly answers: AnswerReader
  readonly blast: Blast
}

const progress = new Progress()
let publisher: Publisher | null = null

const api = {
  async open(job: PublisherJob): Promise<void> {
    const dialect = DIALECTS[job.dialect]
    const answers = dialect.answers()
    const socket = await openRaw(job.port, dialect.publisherGreeting(), progress, (chunk) => {
      answers.feed(chunk)
      progress.made()
    })
    publisher = { socket, answers, blast: dialect.blast(job.workload) }
    await progress.until(
      () => answers.isReady,
      ANSWER_MS_MAX,
      () => 'the greeting was not answered',
    )
  },

  /** Publish `records` records, a multiple of the batch, and wait for their answers. */
  async blast(records: number): Promise<Blasted> {
    if (publisher === null) throw new Error('not open')
    const { socket, answers, blast } = publisher
    const units = records / blast.unitRecords
    const due = answers.answered === null ? null : answers.answered + units
    const startNs = nowNs()
    for (let left = units; left > 0; left -= blast.units) {
      const bytes = left >= blast.units ? blast.bytes : blast.bytes.subarray(0, left * blast.unitBytes)
      if (!socket.write(bytes)) await drained(socket)
      progress.throwIfFailed()
      if (due !== null) await answered(answers, due - left - UNANSWERED_BYTES_MAX / blast.unitBytes)
    }
    if (due === null) return { startNs, endNs: null }
    await answered(answers, due)
    return { startNs, endNs: nowNs() }
  },
}

export type PublisherApi = typeof api

offer(api)

async function answered(answers: AnswerReader, least: number): Promise<void> {
  if ((answers.answered ?? 0) >= least) return
  await progress.until(
    () => (answers.answered ?? 0) >= least,
    ANSWER_MS_MAX,
    () => `${answers.answered} of ${least} answers`,
  )
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
