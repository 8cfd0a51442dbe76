/**
 * NATS Streaming seen from a raw socket: each connection is a client of its own that publishes PubMsgs and counts PubAcks.
 */
import { CONNECT } from './nats-dialect.js'
import { NatsMessages } from './nats-messages.js'
import { type AnswerReader, BLAST_BYTES, type Dialect, payloadOf, repeat } from './stream.js'
import { CLUSTER, connectRequest, isLetIn, pubMsg, request } from './streaming-messages.js'

export const CHANNEL = 'bench'
/** As long as those of real clients. It comes back with every answer; leveret does not look at it. */
const GUID = 'bench-0123456789-abcde'
/** An answer without an error is the guid with its tag and its length; and the line end. */
const PUB_ACK_BYTES = GUID.length + 2 + 2
/** Different in their first letters: what arrives is told apart by that. */
const ANSWERS = 'answers'
const GREETED = 'greeted'
const HEARTBEATS = 'heartbeats'

/** Clients that share a server have names of their own, those of another process too. */
const OWN = `publisher-${process.pid}`

export const streamingDialect: Dialect = {
  publisherGreeting: (publisher) => greeting(`${OWN}-${numbered(publisher)}`, inboxOf(publisher)),
  subscriberGreeting: () => {
    throw new Error('read by members of the bench of deliveries')
  },
  blast: ({ payloadBytes }, publisher) => {
    const message = pubMsg(`${OWN}-${numbered(publisher)}`, GUID, CHANNEL, payloadOf(payloadBytes))
    return repeat(request(`_STAN.pub.${CLUSTER}.${CHANNEL}`, inboxOf(publisher), message), 1, BLAST_BYTES)
  },
  answers: () => new PubAcks(),
  records: () => {
    throw new Error('read by members of the bench of deliveries')
  },
}

/** Subscribes to `inbox`, says who is there, and asks to be let in. */
export function greeting(client: string, inbox: string): Buffer {
  const [greeted, heartbeats] = [`${GREETED}.${client}`, `${HEARTBEATS}.${client}`]
  const subscribed = `${CONNECT}SUB ${inbox} 1\r\nSUB ${greeted} 2\r\nSUB ${heartbeats} 3\r\n`
  const asked = request(`_STAN.discover.${CLUSTER}`, greeted, connectRequest(client, heartbeats))
  return Buffer.concat([Buffer.from(subscribed), asked])
}

/** Whether this message lets a client in; throws when it says why not. */
export function isWelcome(messages: NatsMessages): boolean {
  if (firstOfSubject(messages) !== GREETED.charCodeAt(0)) return false
  if (!isLetIn(messages.body)) throw new Error(`leveret answered ${messages.text()}`)
  return true
}

/** `MSG subject ...` */
export function firstOfSubject({ bytes, start }: NatsMessages): number {
  return bytes[start + 4] as number
}

/** All equally long, so that a unit has the same bytes for each publisher. */
function inboxOf(publisher: number): string {
  return `${ANSWERS}.${process.pid}.${numbered(publisher)}`
}

function numbered(publisher: number): string {
  return String(publisher).padStart(3, '0')
}

class PubAcks implements AnswerReader {
  isReady = false
  answered = 0
  readonly #messages = new NatsMessages()

  feed(chunk: Buffer): void {
    const messages = this.#messages
    messages.push(chunk)
    while (messages.next()) {
      if (!messages.isMessage) {
        if (messages.text().startsWith('-ERR')) throw new Error(`leveret said ${messages.text()}`)
      } else if (firstOfSubject(messages) === ANSWERS.charCodeAt(0)) {
        if (messages.end - messages.payload !== PUB_ACK_BYTES) throw new Error(`leveret answered ${messages.text()}`)
        this.answered++
      } else if (isWelcome(messages)) this.isReady = true
    }
  }
}
