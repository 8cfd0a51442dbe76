/**
 * A durable subscription of NATS Streaming on a raw socket, from the first message on: acknowledges each one, and the acks of one
 * chunk go out in one write.
 */
import type { MemberDialect, MemberJob } from './group-member.js'
import { NatsMessages } from './nats-messages.js'
import { CHANNEL, firstOfSubject, greeting, isWelcome } from './streaming-dialect.js'
import { ackInboxOf, CLUSTER, request, sequenceAt, subscriptionRequest } from './streaming-messages.js'

const DELIVERIES = 'deliveries'
const SUBSCRIBED = 'subscribed'
/** A subject, a channel and numbers. */
const ACK_BYTES_MAX = 256
const VARINT_MORE = 0x80

export function streamingMember(job: MemberJob): MemberDialect {
  return new StreamingMember(job)
}

class StreamingMember implements MemberDialect {
  isReady = false
  received = 0
  /** Of sequences from 0 on. */
  offsetSum = 0
  readonly #job: MemberJob
  readonly #client: string
  readonly #inbox: string
  readonly #messages = new NatsMessages()
  /** What arrived before it is known where its acks go: nothing, as servers do it. */
  #ackHead: Buffer | null = null
  #acks = Buffer.allocUnsafeSlow(ACK_BYTES_MAX)
  #acksBytes = 0

  constructor(job: MemberJob) {
    this.#job = job
    this.#client = `${job.group}-${job.member}`
    this.#inbox = `${DELIVERIES}.${this.#client}`
  }

  /** Acks are not answered. */
  get acked(): number {
    return this.received
  }

  greeting(): Buffer {
    return Buffer.concat([greeting(this.#client, this.#inbox), Buffer.from(`SUB ${SUBSCRIBED}.${this.#client} 4\r\n`)])
  }

  begin(): Buffer {
    const asked = subscriptionRequest({
      client: this.#client,
      channel: CHANNEL,
      inbox: this.#inbox,
      maxInFlight: this.#job.window,
      durable: this.#job.group,
      from: 'first',
    })
    return request(`_STAN.sub.${CLUSTER}`, `${SUBSCRIBED}.${this.#client}`, asked)
  }

  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void {
    const messages = this.#messages
    messages.push(chunk)
    while (messages.next()) {
      if (!messages.isMessage) {
        if (messages.text().startsWith('-ERR')) throw new Error(`leveret said ${messages.text()}`)
        continue
      }
      const first = firstOfSubject(messages)
      if (first === DELIVERIES.charCodeAt(0)) this.#onMessage()
      else if (first === SUBSCRIBED.charCodeAt(0)) this.#ackHead = headOf(ackInboxOf(messages.body))
      else if (isWelcome(messages)) this.isReady = true
    }
    if (this.#acksBytes === 0) return
    // The socket may keep it.
    reply(Buffer.from(this.#acks.subarray(0, this.#acksBytes)))
    this.#acksBytes = 0
  }

  #onMessage(): void {
    const { bytes, payload, end } = this.#messages
    if (end - payload < this.#job.payloadBytes) throw new Error('a message is too short')
    const sequence = sequenceAt(bytes, payload)
    this.received++
    this.offsetSum += sequence - 1
    this.#ack(sequence)
  }

  /** `PUB inbox bytes`, and the channel and the sequence as fields 1 and 2. */
  #ack(sequence: number): void {
    const head = this.#ackHead
    if (head === null) throw new Error('a message came before the answer to its subscription')
    if (this.#acksBytes + ACK_BYTES_MAX > this.#acks.length) {
      const larger = Buffer.allocUnsafeSlow(this.#acks.length * 2)
      this.#acks.copy(larger, 0, 0, this.#acksBytes)
      this.#acks = larger
    }
    const to = this.#acks
    let digits = 1
    for (let rest = sequence; rest >= VARINT_MORE; rest = Math.floor(rest / VARINT_MORE)) digits++
    let at = this.#acksBytes
    at += head.copy(to, at)
    at += to.write(`${CHANNEL.length + 3 + digits}\r\n\n`, at, 'latin1')
    to[at++] = CHANNEL.length
    at += to.write(`${CHANNEL}\x10`, at, 'latin1')
    let rest = sequence
    for (; rest >= VARINT_MORE; rest = Math.floor(rest / VARINT_MORE)) to[at++] = (rest % VARINT_MORE) + VARINT_MORE
    to[at++] = rest
    at += to.write('\r\n', at, 'latin1')
    this.#acksBytes = at
  }
}

function headOf(ackInbox: string): Buffer {
  return Buffer.from(`PUB ${ackInbox} `)
}
