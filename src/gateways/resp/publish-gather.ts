/**
 * Requests of one connection that follow one another and publish a small record each to the same topic: laid side by side
 * and published as one run, so that the broker works once for all that arrived together, and one reply carries theirs.
 * One for all connections of a dialect: what is gathered is published before another one is looked at.
 *
 * Records are laid where their requests arrived, over what has been read: a request has more bytes than its record. To
 * move bytes within a buffer costs a third of copying them to another one.
 */
import type { Topic } from '../../broker/topic.js'
import type { RecordRun } from '../../model/record.js'
import type { RespRequest } from './resp-request.js'

/** A larger one is better off alone. */
export const GATHERED_RECORD_BYTES_MAX = 8 * 1024
/** Tokens of publishes are a ticket and the requests that share it; 0 of them is one request, of any number of records. */
const TOKEN_REQUESTS = 0x1_0000

/** "$" digit CRLF stands before the verb at least. */
const BULK_HEAD_BYTES_MIN = 4
const NOTHING: Buffer = Buffer.alloc(0)

export interface Gatherer {
  /** Publish a run of as many requests as it has records; it is copied before this returns. */
  publishGathered(topic: Topic, run: RecordRun): void
}

export class PublishGather {
  #buffer: Buffer = NOTHING
  #owner: Gatherer | null = null
  #topic: Topic | null = null
  #start = 0
  #end = 0
  #count = 0

  /**
   * Where in the buffer of the request its record of so many bytes goes, to be laid there at once: in front of the data, and
   * perhaps over all else that the request says. -1 when it does not fit: it is to be published alone.
   */
  room(owner: Gatherer, topic: Topic, request: RespRequest, bytes: number): number {
    if (request.shape !== 'array' || request.lines > 0 || bytes > GATHERED_RECORD_BYTES_MAX) return -1
    const isNext = request.buffer === this.#buffer && owner === this.#owner && topic === this.#topic
    const start = isNext ? this.#end : request.start(0) - BULK_HEAD_BYTES_MIN
    if (start + bytes > request.end(request.count - 1)) return -1
    if (!isNext) {
      this.#publish()
      this.#buffer = request.buffer
      this.#owner = owner
      this.#topic = topic
      this.#start = start
    }
    this.#end = start + bytes
    this.#count++
    return start
  }

  /** Publish what it has of this one. */
  flush(owner: Gatherer): void {
    if (owner === this.#owner) this.#publish()
  }

  #publish(): void {
    const owner = this.#owner
    const topic = this.#topic
    if (owner === null || topic === null) return
    const run = { buffer: this.#buffer, start: this.#start, end: this.#end, count: this.#count }
    this.#buffer = NOTHING
    this.#owner = null
    this.#topic = null
    this.#count = 0
    owner.publishGathered(topic, run)
  }
}

export function tokenOf(ticket: number, requests: number): number {
  return ticket * TOKEN_REQUESTS + requests
}

export function ticketOfToken(token: number): number {
  return Math.floor(token / TOKEN_REQUESTS)
}

export function requestsOfToken(token: number): number {
  return token % TOKEN_REQUESTS
}

/** The same reply so many times. */
export class RepeatedReply {
  readonly #one: Buffer
  #many: Buffer

  constructor(one: Buffer) {
    this.#one = one
    this.#many = one
  }

  times(count: number): Buffer {
    const bytes = this.#one.length * count
    if (bytes > this.#many.length) this.#many = Buffer.alloc(Math.max(bytes, 2 * this.#many.length), this.#one)
    return this.#many.subarray(0, bytes)
  }
}
