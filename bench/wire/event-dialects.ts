/**
 * Live events seen from raw sockets: MeiliES' classic frames, and Redis' pub/sub. Frames of one length each, but for the
 * number in MeiliES', so that a subscriber steps from frame to frame: the same little work for both.
 */
import { command } from './resp.js'
import { LineCounter } from './resp-lines.js'
import { type AnswerReader, BLAST_BYTES, type Dialect, payloadOf, type RecordReader, repeat } from './stream.js'

const STREAM = 'bench'
const EVENT = 'placed'
const DIGIT_0 = 0x30
const CR = 0x0d

export const meiliesDialect: Dialect = {
  publisherGreeting: () => command('PING'),
  subscriberGreeting: () => command('subscribe', STREAM),
  blast: ({ payloadBytes }) => repeat(command('publish', STREAM, EVENT, payloadOf(payloadBytes)), 1, BLAST_BYTES),
  answers: () => new Answers(),
  records: ({ payloadBytes }) => {
    const head = `*5\r\n+event\r\n+${STREAM}\r\n:`
    const tail = `\r\n+${EVENT}\r\n$${payloadBytes}\r\n${payloadOf(payloadBytes).toString('latin1')}\r\n`
    return new Frames(`*2\r\n+subscribed\r\n+${STREAM}\r\n`.length, head, tail, true)
  },
}

export const redisPubSubDialect: Dialect = {
  publisherGreeting: () => command('PING'),
  subscriberGreeting: () => command('SUBSCRIBE', STREAM),
  blast: ({ payloadBytes }) => repeat(command('PUBLISH', STREAM, payloadOf(payloadBytes)), 1, BLAST_BYTES),
  answers: () => new Answers(),
  records: ({ payloadBytes }) => {
    const frame = command('message', STREAM, payloadOf(payloadBytes)).toString('latin1')
    return new Frames(`*3\r\n$9\r\nsubscribe\r\n$${STREAM.length}\r\n${STREAM}\r\n:1\r\n`.length, frame, '', false)
  },
}

/** The first line answers the greeting. */
class Answers implements AnswerReader {
  readonly #lines = new LineCounter()

  get isReady(): boolean {
    return this.#lines.lines > 0
  }

  get answered(): number {
    return Math.max(0, this.#lines.lines - 1)
  }

  feed(chunk: Buffer): void {
    this.#lines.feed(chunk)
  }
}

class Frames implements RecordReader {
  isReady = false
  records = 0
  readonly #head: number
  readonly #tail: number
  readonly #isNumbered: boolean
  /** Bytes of the confirmation that are to come. */
  #confirmation: number
  /** Bytes of the frame at hand that are to come. */
  #left = 0
  /** What has come of a number that a chunk cut off. */
  #cut: Buffer | null = null
  #number = 0

  constructor(confirmationBytes: number, head: string, tail: string, isNumbered: boolean) {
    this.#confirmation = confirmationBytes
    this.#head = head.length
    this.#tail = tail.length
    this.#isNumbered = isNumbered
  }

  feed(arrived: Buffer): void {
    const chunk = this.#cut === null ? arrived : Buffer.concat([this.#cut, arrived])
    this.#cut = null
    let at = 0
    if (!this.isReady) {
      at = Math.min(chunk.length, this.#confirmation)
      this.#confirmation -= at
      this.isReady = this.#confirmation === 0
    }
    if (this.#left > 0) {
      const bytes = Math.min(this.#left, chunk.length - at)
      this.#left -= bytes
      at += bytes
      if (this.#left > 0) return
      this.records++
    }
    this.#frames(chunk, at)
  }

  #frames(chunk: Buffer, from: number): void {
    let at = from
    while (at < chunk.length) {
      let end = at + this.#head
      if (this.#isNumbered) {
        let number = 0
        for (; end < chunk.length && chunk[end] !== CR; end++) number = number * 10 + (chunk[end] as number) - DIGIT_0
        if (end >= chunk.length) {
          this.#cut = Buffer.from(chunk.subarray(at))
          return
        }
        if (number !== this.#number++) throw new Error(`event ${number} came after ${this.#number - 2}`)
      }
      end += this.#tail
      if (end > chunk.length) {
        this.#left = end - chunk.length
        return
      }
      this.records++
      at = end
    }
  }
}
