/**
 * Consumers of one channel or consumer group, each on a raw connection: when the messages of a fetch are there, one ack
 * with the names of all of them and the next fetch leave in one write.
 */
import type { Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { QUEUE_VERBS, type QueueDialect, type QueueVerbs } from '../wire/queue-verbs.js'
import { COLON, command, DOLLAR, PLUS, RespPieces } from '../wire/resp.js'

const ANSWER_MS_MAX = 60_000

export interface ConsumersJob {
  readonly port: number
  readonly dialect: QueueDialect
  readonly queue: string
  readonly group: string
  readonly payloadBytes: number
  readonly connections: number
  /** Messages of one fetch. */
  readonly count: number
  /** Fetches that each connection has under way. */
  readonly depth: number
}

export interface Consumed {
  readonly startNs: number
  readonly endNs: number
}

const progress = new Progress()
const consumers: Consumer[] = []
/** Messages that are still to be asked for, and acks that are still to be confirmed. */
let unasked = 0
let unacked = 0

class Consumer {
  isReady = false
  readonly #job: ConsumersJob
  readonly #verbs: QueueVerbs
  readonly #fetch: Buffer
  readonly #pieces = new RespPieces()
  /** Acks whose answers come before the next messages. */
  readonly #acks: number[] = []
  /** Strings and numbers of the answer that have been read. */
  #place = 0
  #names: string[] = []

  constructor(job: ConsumersJob) {
    this.#job = job
    this.#verbs = QUEUE_VERBS[job.dialect]
    this.#fetch = this.#verbs.fetch(job.queue, job.group, job.count)
  }

  begin(socket: Socket): void {
    for (let fetches = 0; fetches < this.#job.depth && unasked > 0; fetches++) {
      unasked -= this.#job.count
      this.#acks.push(0)
      socket.write(this.#fetch)
    }
  }

  feed(chunk: Buffer, socket: Socket): void {
    const pieces = this.#pieces
    pieces.push(chunk)
    while (pieces.next()) {
      if (pieces.kind === PLUS) this.isReady = true
      else if (pieces.kind === COLON || pieces.kind === DOLLAR) this.#onPiece(socket)
    }
  }

  /** A string or a number; those of an ack are numbers. */
  #onPiece(socket: Socket): void {
    const pieces = this.#pieces
    const { namePlace, piecesBefore, pieces: each } = this.#verbs
    if (this.#acks[0] !== 0) {
      this.#acked(Number(pieces.text()))
      return
    }
    this.#place++
    if (this.#place <= piecesBefore) return
    const place = (this.#place - piecesBefore - 1) % each
    if (place === namePlace - 1) this.#names.push(pieces.text())
    if (place < each - 1) return
    if (pieces.length !== this.#job.payloadBytes) throw new Error('a message has another length')
    if (this.#names.length === this.#job.count) this.#answer(socket)
  }

  #acked(acked: number): void {
    if (acked !== this.#acks.shift()) throw new Error(`${acked} were acked`)
    unacked -= acked
    if (unacked === 0) progress.made()
  }

  #answer(socket: Socket): void {
    const { queue, group, count } = this.#job
    this.#acks.shift()
    this.#acks.push(count)
    const ack = this.#verbs.ack(queue, group, this.#names)
    this.#names = []
    this.#place = 0
    if (unasked <= 0) {
      socket.write(ack)
      return
    }
    unasked -= count
    this.#acks.push(0)
    socket.write(Buffer.concat([ack, this.#fetch]))
  }
}

const sockets: Socket[] = []

const api = {
  async open(job: ConsumersJob): Promise<void> {
    for (let index = 0; index < job.connections; index++) {
      const consumer = new Consumer(job)
      consumers.push(consumer)
      const socket = await openRaw(job.port, command('PING'), progress, (chunk, from) => {
        consumer.feed(chunk, from)
        if (unacked === 0) progress.made()
      })
      sockets.push(socket)
    }
    await progress.until(
      () => consumers.every(({ isReady }) => isReady),
      ANSWER_MS_MAX,
      () => 'not all were greeted',
    )
  },

  /** Take so many messages, a multiple of what one fetch brings, and ack them all. */
  async consume(messages: number): Promise<Consumed> {
    unasked = messages
    unacked = messages
    const startNs = nowNs()
    for (const [index, consumer] of consumers.entries()) consumer.begin(sockets[index] as Socket)
    await progress.until(
      () => unacked <= 0,
      ANSWER_MS_MAX,
      () => `${unacked} of ${messages} messages are not acked`,
    )
    return { startNs, endNs: nowNs() }
  },
}

export type QueueConsumersApi = typeof api

offer(api)
