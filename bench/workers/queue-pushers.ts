/**
 * Pushes to a queue on any number of raw connections, so many requests in one write on each, and the next when all of
 * them are answered: what a library does with pipelines of that depth, without a library.
 */
import type { Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { QUEUE_VERBS, type QueueDialect } from '../wire/queue-verbs.js'
import { command } from '../wire/resp.js'
import { LineCounter } from '../wire/resp-lines.js'

const ANSWER_MS_MAX = 60_000

export interface PushersJob {
  readonly port: number
  readonly dialect: QueueDialect
  readonly queue: string
  readonly payloadBytes: number
  readonly connections: number
  /** Requests in one pipeline. */
  readonly depth: number
}

export interface Pushed {
  readonly startNs: number
  readonly endNs: number
}

interface Pusher {
  readonly socket: Socket
  readonly answers: LineCounter
  /** Lines at which all that was sent is answered. */
  due: number
  /** Pipelines to go. */
  left: number
}

const progress = new Progress()
let pushers: Pusher[] = []
let pipeline = Buffer.alloc(0)
let pipelineLines = 0
/** Pushers that are not done. */
let busy = 0

const api = {
  async open(job: PushersJob): Promise<void> {
    const { push, pushLines } = QUEUE_VERBS[job.dialect]
    const request = push(job.queue, job.payloadBytes)
    pipeline = Buffer.concat(Array.from({ length: job.depth }, () => request))
    pipelineLines = job.depth * pushLines
    pushers = []
    for (let index = 0; index < job.connections; index++) {
      const answers = new LineCounter()
      const socket = await openRaw(job.port, command('PING'), progress, (chunk) => {
        answers.feed(chunk)
        if (pusher.due > 0 && answers.lines >= pusher.due) goOn(pusher)
        else progress.made()
      })
      const pusher: Pusher = { socket, answers, due: 0, left: 0 }
      pushers.push(pusher)
      await progress.until(
        () => answers.lines === 1,
        ANSWER_MS_MAX,
        () => 'the greeting was not answered',
      )
    }
  },

  /** So many pipelines on each connection, until the last is answered. */
  async push(pipelines: number): Promise<Pushed> {
    busy = pushers.length
    const startNs = nowNs()
    for (const pusher of pushers) {
      pusher.left = pipelines
      pusher.due = pusher.answers.lines
      goOn(pusher)
    }
    await progress.until(
      () => busy === 0,
      ANSWER_MS_MAX,
      () => `${busy} connections wait for answers`,
    )
    return { startNs, endNs: nowNs() }
  },
}

export type QueuePushersApi = typeof api

offer(api)

function goOn(pusher: Pusher): void {
  if (pusher.answers.lines > pusher.due) throw new Error('more was answered than was asked')
  if (pusher.left === 0) {
    pusher.due = 0
    busy--
    if (busy === 0) progress.made()
    return
  }
  pusher.left--
  pusher.due += pipelineLines
  pusher.socket.write(pipeline)
}
