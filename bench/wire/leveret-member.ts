/**
 * A member of a shared group of leveret on a raw socket: each chunk that arrives is answered with one Commit that names
 * every record in it, or with a Commit for each of them; their Dones confirm them.
 */
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import type { MemberDialect, MemberJob } from './group-member.js'
import { DELIVERY_TAG, DeliveryHeader, FRAME_BYTES_MAX, TOPIC } from './leveret-dialect.js'
import { ackEach, complaint, DONE, headOf, hello, joinShared, runOf, WELCOME } from './leveret-frames.js'
import { payloadOf } from './stream.js'

const HELLO_ID = 1
const SUBSCRIBE_ID = 2

export function leveretMember(job: MemberJob): MemberDialect {
  return new LeveretMember(job, Number.POSITIVE_INFINITY)
}

export function leveretSingleMember(job: MemberJob): MemberDialect {
  return new LeveretMember(job, 1)
}

class LeveretMember implements MemberDialect {
  isReady = false
  received = 0
  acked = 0
  offsetSum = 0
  readonly #job: MemberJob
  readonly #recordBytes: number
  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX)
  readonly #header = new DeliveryHeader()
  /** In one Commit. */
  readonly #offsetsMax: number
  #offsets: number[] = []
  /** How many records the Commit with an id named. */
  readonly #unconfirmed = new Map<number, number>()
  #lastId = SUBSCRIBE_ID

  constructor(job: MemberJob, offsetsMax: number) {
    this.#job = job
    this.#offsetsMax = offsetsMax
    this.#recordBytes = runOf(payloadOf(job.payloadBytes), 1).length
  }

  greeting(): Buffer {
    return hello(HELLO_ID)
  }

  begin(): Buffer {
    return joinShared(SUBSCRIBE_ID, 1, TOPIC, this.#job)
  }

  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void {
    const splitter = this.#splitter
    splitter.push(chunk)
    while (splitter.next()) {
      const { buffer, start, end } = splitter
      if (buffer[start] === DELIVERY_TAG) this.#onDelivery(buffer, start, end)
      else this.#onAnswer(buffer, start, end)
    }
    if (this.#offsets.length === 0) return
    const commits: Buffer[] = []
    for (let from = 0; from < this.#offsets.length; from += this.#offsetsMax) {
      const offsets = this.#offsets.slice(from, from + this.#offsetsMax)
      const id = ++this.#lastId
      this.#unconfirmed.set(id, offsets.length)
      commits.push(ackEach(id, 1, offsets))
    }
    reply(Buffer.concat(commits))
    this.#offsets = []
  }

  #onDelivery(buffer: Buffer, start: number, end: number): void {
    const header = this.#header
    header.read(buffer, start)
    const count = (end - header.recordsStart) / this.#recordBytes
    if (!Number.isInteger(count)) throw new Error('a delivery does not hold whole records')
    for (let offset = header.baseOffset; offset < header.baseOffset + count; offset++) {
      this.#offsets.push(offset)
      this.offsetSum += offset
    }
    this.received += count
  }

  #onAnswer(buffer: Buffer, start: number, end: number): void {
    const { id, field } = headOf(buffer, start, end)
    if (field === WELCOME) this.isReady = true
    else if (field !== DONE) throw new Error(complaint(buffer, start, end))
    this.acked += this.#unconfirmed.get(id) ?? 0
    this.#unconfirmed.delete(id)
  }
}
