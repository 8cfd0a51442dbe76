/**
 * NATS JetStream seen from a raw socket: publishes that each ask for a PubAck, an inbox for each connection (in a
 * shared one every connection would get, and count, the PubAcks of all), and a push
 * consumer without acknowledgements whose messages are found by their headers, since those differ in length.
 */
import { CONNECT, SUBJECT } from './nats-dialect.js'
import { NatsMessages } from './nats-messages.js'
import {
  type AnswerReader,
  BLAST_BYTES,
  type Dialect,
  payloadOf,
  type RecordReader,
  repeat,
  type Workload,
} from './stream.js'

export const STREAM = 'BENCH'
/** Of the subscriber; publishers have their own. */
const INBOX = 'created'
const DELIVERIES = 'd'
/** What the payload of a PubAck and of a failure begin with: `{"stream"` and `{"error"`. */
const KEY_AT = 2
const S_OF_STREAM = 0x73

/** As `nats stream add` makes one: files, one replica, no limits. */
export const STREAM_CONFIG = {
  name: STREAM,
  subjects: [SUBJECT],
  storage: 'file',
  retention: 'limits',
  discard: 'old',
  num_replicas: 1,
  max_consumers: -1,
  max_msgs: -1,
  max_bytes: -1,
} as const

const CONSUMER_CONFIG = {
  stream_name: STREAM,
  config: { deliver_subject: DELIVERIES, ack_policy: 'none', deliver_policy: 'all', replay_policy: 'instant' },
} as const

export const jetstreamDialect: Dialect = {
  publisherGreeting: (publisher) => Buffer.from(`${CONNECT}SUB ${inboxOf(publisher)} 1\r\nPING\r\n`),
  subscriberGreeting: () => {
    const asked = JSON.stringify(CONSUMER_CONFIG)
    const create = `PUB $JS.API.CONSUMER.CREATE.${STREAM} ${INBOX} ${asked.length}\r\n${asked}\r\n`
    return Buffer.from(`${CONNECT}SUB ${DELIVERIES} 1\r\nSUB ${INBOX} 2\r\n${create}`)
  },
  blast: ({ payloadBytes }, publisher) =>
    repeat(publishWithReply(payloadOf(payloadBytes), inboxOf(publisher)), 1, BLAST_BYTES),
  answers: () => new PubAcks(),
  records: (workload) => new PushedRecords(workload),
}

/** All equally long, so that a unit has the same bytes for each publisher; other processes have other ones. */
function inboxOf(publisher: number): string {
  return `acks-${process.pid}-${String(publisher).padStart(3, '0')}`
}

function publishWithReply(payload: Buffer, inbox: string): Buffer {
  return Buffer.concat([Buffer.from(`PUB ${SUBJECT} ${inbox} ${payload.length}\r\n`), payload, Buffer.from('\r\n')])
}

class PubAcks implements AnswerReader {
  isReady = false
  answered = 0
  readonly #messages = new NatsMessages()

  feed(chunk: Buffer): void {
    const messages = this.#messages
    messages.push(chunk)
    while (messages.next()) {
      if (messages.isMessage) {
        if (messages.bytes[messages.payload + KEY_AT] !== S_OF_STREAM) {
          throw new Error(`JetStream answered ${messages.text()}`)
        }
        this.answered++
      } else this.isReady ||= greeted(messages.text())
    }
  }
}

class PushedRecords implements RecordReader {
  isReady = false
  records = 0
  readonly #payloadBytes: number
  readonly #messages = new NatsMessages()

  constructor({ payloadBytes }: Workload) {
    this.#payloadBytes = payloadBytes
  }

  feed(chunk: Buffer): void {
    const messages = this.#messages
    messages.push(chunk)
    while (messages.next()) {
      if (!messages.isMessage) greeted(messages.text())
      else if (isDelivery(messages.bytes, messages.start)) {
        if (messages.end - messages.payload - 2 !== this.#payloadBytes) throw new Error('a record has another length')
        this.records++
      } else {
        const answer = JSON.parse(messages.text()) as { error?: unknown }
        if (answer.error !== undefined) throw new Error(`JetStream answered ${messages.text()}`)
        this.isReady = true
      }
    }
  }
}

/** `MSG bench 1 ...` rather than `MSG created 2 ...`. */
function isDelivery(bytes: Buffer, start: number): boolean {
  return bytes[start + 4] === SUBJECT.charCodeAt(0)
}

/** True for the PONG that answers the greeting; throws on a complaint. */
function greeted(line: string): boolean {
  if (line.startsWith('-ERR')) throw new Error(`nats-server said ${line}`)
  return line === 'PONG'
}
