/**
 * leveret seen from a raw socket: publishes with an id each, so that each is acknowledged, and deliveries counted
 * from their headers: the offsets of a subscription must follow one another without a gap.
 */
import type { Durability } from '../../src/model/topic.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import { durabilityToWire } from '../../src/protocol/topic-settings.js'
import {
  commit,
  complaint,
  createTopic,
  DONE,
  headOf,
  KEPT_TOPIC,
  LIVE_TOPIC,
  publish,
  runOf,
  subscribe,
} from './leveret-frames.js'
import {
  type AnswerReader,
  BLAST_BYTES,
  type Dialect,
  payloadOf,
  type RecordReader,
  repeat,
  type Workload,
} from './stream.js'

export const TOPIC = 'bench'
const WINDOW = 1_000_000
const COMMIT_RECORDS = 200_000
export const FRAME_BYTES_MAX = 16 * 1024 * 1024
/** More than a Delivery has before its records. */
const HEADER_BYTES_MAX = 64
/** Two bytes as a varint; one id for all, since answers are counted and not matched. */
export const PUBLISH_ID = 200

const ID_TAG = 0x08
const PUBLISHED_TAG = 0x22
export const DELIVERY_TAG = 0x32
const BASE_OFFSET_TAG = 0x18
const RECORDS_TAG = 0x7a

export const leveretDialect: Dialect = {
  publisherGreeting: () => createTopic(1, TOPIC, LIVE_TOPIC),
  subscriberGreeting: () => subscribe(1, 1, TOPIC, WINDOW),
  blast: ({ payloadBytes, batch }) =>
    repeat(publish(PUBLISH_ID, TOPIC, runOf(payloadOf(payloadBytes), batch)), batch, BLAST_BYTES),
  answers: () => new LeveretAnswers(null),
  records: (workload) => new LeveretRecords(workload),
}

/** A topic that keeps everything, and publishes that wait for a durability. An answer that states less fails the run. */
export function keptDialect(durability: Durability, topic = TOPIC): Dialect {
  return {
    publisherGreeting: () => createTopic(1, topic, KEPT_TOPIC),
    subscriberGreeting: () => Buffer.concat([createTopic(1, topic, KEPT_TOPIC), subscribe(2, 1, topic, WINDOW)]),
    blast: ({ payloadBytes, batch }) =>
      repeat(publish(PUBLISH_ID, topic, runOf(payloadOf(payloadBytes), batch), durability), batch, BLAST_BYTES),
    answers: () => new LeveretAnswers(durability),
    records: (workload) => new LeveretRecords(workload),
  }
}

export const PARTITIONS = 8

/** A topic of several partitions that keeps everything, a frame for each of them in turn; for publishers alone. */
export const partitionedDialect: Dialect = {
  ...keptDialect('disk'),
  publisherGreeting: () => createTopic(1, TOPIC, { ...KEPT_TOPIC, partitions: PARTITIONS }),
  blast: ({ payloadBytes, batch }) => {
    const run = runOf(payloadOf(payloadBytes), batch)
    const frames = Array.from({ length: PARTITIONS }, (_, partition) =>
      publish(PUBLISH_ID, TOPIC, run, 'disk', partition),
    )
    const round = repeat(Buffer.concat(frames), batch, BLAST_BYTES)
    const units = round.units * PARTITIONS
    return { ...round, units, unitBytes: round.bytes.length / units }
  },
}

/** What stands in a Delivery before its records. One object reads them all. */
export class DeliveryHeader {
  baseOffset = 0
  recordsStart = 0

  /** Of the frame whose body begins at `start`: the tag of a Delivery. */
  read(bytes: Buffer, start: number): void {
    let at = start + 1
    while ((bytes[at++] as number) >= 0x80);
    this.baseOffset = 0
    for (let tag = bytes[at]; tag !== RECORDS_TAG; tag = bytes[at]) {
      let value = 0
      let factor = 1
      let byte: number
      do {
        byte = bytes[++at] as number
        value += (byte & 0x7f) * factor
        factor *= 0x80
      } while (byte >= 0x80)
      at++
      if (tag === BASE_OFFSET_TAG) this.baseOffset = value
    }
    this.recordsStart = at
  }
}

class LeveretAnswers implements AnswerReader {
  isReady = false
  answered = 0
  readonly #durabilityMin: number

  constructor(durability: Durability | null) {
    this.#durabilityMin = durabilityToWire(durability)
  }

  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX)

  feed(chunk: Buffer): void {
    const splitter = this.#splitter
    splitter.push(chunk)
    while (splitter.next()) {
      const { buffer, start, end } = splitter
      if (buffer[start] === ID_TAG && buffer[start + 3] === PUBLISHED_TAG) {
        // The durability is the last field of the receipt, in two bytes.
        if ((buffer[end - 1] as number) < this.#durabilityMin) throw new Error(complaint(buffer, start, end))
        this.answered++
      } else if (headOf(buffer, start, end).field === DONE) this.isReady = true
      else throw new Error(complaint(buffer, start, end))
    }
  }
}

class LeveretRecords implements RecordReader {
  isReady = false
  records = 0
  readonly #recordBytes: number
  /** The beginning of a frame whose header has not arrived. */
  #held = Buffer.alloc(0)
  /** Bytes still to come of a frame that has been counted. */
  #skip = 0
  #committed = 0
  readonly #header = new DeliveryHeader()

  constructor({ payloadBytes }: Workload) {
    this.#recordBytes = runOf(payloadOf(payloadBytes), 1).length
  }

  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void {
    if (this.#skip >= chunk.length) {
      this.#skip -= chunk.length
      return
    }
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    let position = this.#skip
    while (position < bytes.length) {
      const frameEnd = this.#count(bytes, position)
      if (frameEnd === 0) break
      position = frameEnd
    }
    this.#held = Buffer.from(bytes.subarray(Math.min(position, bytes.length)))
    this.#skip = Math.max(0, position - bytes.length)
    if (this.records - this.#committed >= COMMIT_RECORDS) {
      this.#committed = this.records
      reply(commit(1, this.records - 1))
    }
  }

  /** Count the frame at `position` and return where it ends, or 0 if too little of it is here. */
  #count(bytes: Buffer, position: number): number {
    let at = position
    let length = 0
    for (let factor = 1; ; factor *= 0x80) {
      if (at === bytes.length) return 0
      const byte = bytes[at++] as number
      length += (byte & 0x7f) * factor
      if (byte < 0x80) break
    }
    const frameEnd = at + length
    if (bytes[at] !== DELIVERY_TAG) return frameEnd > bytes.length ? 0 : this.#onOther(bytes, at, frameEnd)
    if (frameEnd > bytes.length && bytes.length - at < HEADER_BYTES_MAX) return 0
    this.#onDelivery(bytes, at, frameEnd)
    return frameEnd
  }

  #onDelivery(bytes: Buffer, start: number, frameEnd: number): void {
    const header = this.#header
    header.read(bytes, start)
    const count = (frameEnd - header.recordsStart) / this.#recordBytes
    if (!Number.isInteger(count)) throw new Error('a delivery does not hold whole records')
    if (header.baseOffset !== this.records) throw new Error(`offset ${this.records} was due, ${header.baseOffset} came`)
    this.records += count
  }

  #onOther(bytes: Buffer, start: number, end: number): number {
    if (headOf(bytes, start, end).field !== DONE) throw new Error(complaint(bytes, start, end))
    this.isReady = true
    return end
  }
}
