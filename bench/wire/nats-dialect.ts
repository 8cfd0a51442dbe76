/**
 * Core NATS seen from a raw socket, at its own limit: pre-encoded PUBs without acknowledgements, and subscribers
 * that only count bytes, since every MSG of a run is equally long.
 */
import {
  type AnswerReader,
  BLAST_BYTES,
  type Dialect,
  payloadOf,
  type RecordReader,
  repeat,
  type Workload,
} from './stream.js'

export const SUBJECT = 'bench'
export const CONNECT = 'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1","protocol":1}\r\n'
const PONG = 'PONG\r\n'

export const natsDialect: Dialect = {
  publisherGreeting: () => Buffer.from(`${CONNECT}PING\r\n`),
  subscriberGreeting: () => Buffer.from(`${CONNECT}SUB ${SUBJECT} 1\r\nPING\r\n`),
  blast: ({ payloadBytes }) => repeat(publishMessage(payloadOf(payloadBytes)), 1, BLAST_BYTES),
  answers: () => new NatsGreeting(),
  records: (workload) => new NatsRecords(workload),
}

export function publishMessage(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`PUB ${SUBJECT} ${payload.length}\r\n`), payload, Buffer.from('\r\n')])
}

/** What stands before the payload in each message of `payloadBytes`. */
export function messageHeader(payloadBytes: number): string {
  return `MSG ${SUBJECT} 1 ${payloadBytes}\r\n`
}

/** Everything up to the PONG that answers the greeting. */
export class NatsGreeting implements AnswerReader {
  isReady = false
  readonly answered = null
  #text = ''

  feed(chunk: Buffer): void {
    if (this.isReady) {
      const text = chunk.toString('latin1')
      if (text.includes('-ERR')) throw new Error(`nats-server said ${text.trim()}`)
      return
    }
    this.#text += chunk.toString('latin1')
    if (this.#text.includes('-ERR')) throw new Error(`nats-server said ${this.#text.trim()}`)
    this.isReady = this.#text.endsWith(PONG)
  }
}

class NatsRecords implements RecordReader {
  readonly #greeting = new NatsGreeting()
  readonly #messageBytes: number
  #bytes = 0

  constructor({ payloadBytes }: Workload) {
    this.#messageBytes = messageHeader(payloadBytes).length + payloadBytes + 2
  }

  get isReady(): boolean {
    return this.#greeting.isReady
  }

  /** The server's one PING, six bytes, is lost in the rounding. */
  get records(): number {
    return Math.floor(this.#bytes / this.#messageBytes)
  }

  feed(chunk: Buffer): void {
    if (this.isReady) this.#bytes += chunk.length
    else this.#greeting.feed(chunk)
  }
}
