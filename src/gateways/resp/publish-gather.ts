/**
 * Requests of one connection that follow one another and publish a small record each to the same topic: laid side by side
 * and published as one run, so that the broker works once for all that arrived together, and one reply carries theirs.
 * One for all connections of a dialect: what is gathered is published before another one is looked at.
 */
import type { Topic } from '../../broker/topic.js'
import type { RecordRun } from '../../model/record.js'

/** Of all that is gathered. A record that fills a good part of it is better off alone. */
const GATHERED_BYTES_MAX = 64 * 1024
export const GATHERED_RECORD_BYTES_MAX = 8 * 1024
/** Tokens of publishes are a ticket and the requests that share it; 0 of them is one request, of any number of records. */
const TOKEN_REQUESTS = 0x1_0000

export interface Gatherer {
  /** Publish a run of as many requests as it has records; it is copied before this returns. */
  publishGathered(topic: Topic, run: RecordRun): void
}

export class PublishGather {
  /** Where records are laid: see `room`. */
  readonly buffer: Buffer = Buffer.allocUnsafeSlow(GATHERED_BYTES_MAX)
  #owner: Gatherer | null = null
  #topic: Topic | null = null
  #used = 0
  #count = 0

  /** Where a record of at most GATHERED_RECORD_BYTES_MAX bytes goes; to be laid there at once. */
  room(owner: Gatherer, topic: Topic, bytes: number): number {
    const isOther = owner !== this.#owner || topic !== this.#topic
    if (isOther || this.#used + bytes > GATHERED_BYTES_MAX) {
      this.#publish()
      this.#owner = owner
      this.#topic = topic
    }
    const start = this.#used
    this.#used += bytes
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
    const run = { buffer: this.buffer, start: 0, end: this.#used, count: this.#count }
    this.#owner = null
    this.#topic = null
    this.#used = 0
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
