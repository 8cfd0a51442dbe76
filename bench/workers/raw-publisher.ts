/**
 * Publishes pre-encoded blasts through one or more raw sockets as fast as the peer takes them, and counts the answers.
 */
import type { Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { DIALECTS, type DialectName } from '../wire/dialects.js'
import type { AnswerReader, Blast, Dialect, Workload } from '../wire/stream.js'

const ANSWER_MS_MAX = 60_000

export interface PublisherJob {
  readonly port: number
  readonly dialect: DialectName
  readonly workload: Workload
  readonly publishers: number
  /** All publishers together keep no more than this on the way, where there are acknowledgements. */
  readonly unansweredBytesMax: number
}

export interface Blasted {
  readonly startNs: number
  /** When the last acknowledgement arrived; null for a peer that has none. */
  readonly endNs: number | null
}

interface Publisher {
  readonly socket: Socket
  readonly progress: Progress
  readonly answers: AnswerReader
  readonly blast: Blast
}

const publishers: Publisher[] = []
let unansweredUnitsMax = 0
/** Units that are handed to a socket at once: small enough that the answers of one are read beside the next. */
let chunkUnits = 0

const api = {
  async open(job: PublisherJob): Promise<void> {
    const dialect: Dialect = DIALECTS[job.dialect]
    const { units, unitBytes } = dialect.blast(job.workload, 0)
    limit(units, Math.max(1, Math.floor(job.unansweredBytesMax / job.publishers / unitBytes)))
    for (let index = 0; index < job.publishers; index++) {
      const answers = dialect.answers()
      const progress = new Progress()
      const socket = await openRaw(job.port, dialect.publisherGreeting(index), progress, (chunk) => {
        answers.feed(chunk)
        progress.made()
      })
      publishers.push({ socket, progress, answers, blast: dialect.blast(job.workload, index) })
      await progress.until(
        () => answers.isReady,
        ANSWER_MS_MAX,
        () => 'the greeting was not answered',
      )
    }
  },

  /** From now on each publisher keeps no more than so many units on the way. */
  async limit(unansweredUnits: number): Promise<void> {
    limit(publishers[0]?.blast.units ?? 1, unansweredUnits)
  },

  /** Publish `records` records, a multiple of the batch, shared out among the publishers, and wait for their answers. */
  async blast(records: number): Promise<Blasted> {
    const [one] = publishers
    if (one === undefined) throw new Error('not open')
    const units = records / one.blast.unitRecords
    const share = Math.floor(units / publishers.length)
    const first = units - share * (publishers.length - 1)
    const startNs = nowNs()
    const ends = await Promise.all(publishers.map((each, index) => send(each, index === 0 ? first : share)))
    return { startNs, endNs: ends.includes(null) ? null : Math.max(...ends.map(Number)) }
  },
}

export type PublisherApi = typeof api

offer(api)

function limit(units: number, unansweredMax: number): void {
  unansweredUnitsMax = unansweredMax
  chunkUnits = Math.min(units, Math.ceil(unansweredMax / 4))
}

/** Answers with the moment of the last answer; null for a peer that gives none. */
async function send({ socket, progress, answers, blast }: Publisher, units: number): Promise<number | null> {
  const due = answers.answered === null ? null : answers.answered + units
  for (let left = units; left > 0; left -= chunkUnits) {
    const bytes = blast.bytes.subarray(0, Math.min(left, chunkUnits) * blast.unitBytes)
    if (!socket.write(bytes)) await drained(socket)
    progress.throwIfFailed()
    if (due !== null) await answered(progress, answers, due - left + 2 * chunkUnits - unansweredUnitsMax)
  }
  if (due === null) return null
  await answered(progress, answers, due)
  if (answers.answered !== due) throw new Error(`${answers.answered} answers to ${due} publishes`)
  return nowNs()
}

async function answered(progress: Progress, answers: AnswerReader, least: number): Promise<void> {
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
