/**
 * A member of a durable pull consumer of JetStream on a raw socket: asks for batches, the next one when half of the last has
 * come, and acknowledges each message to its reply subject; the acks of one chunk go out in one write.
 */
import type { MemberDialect, MemberJob } from './group-member.js'
import { STREAM } from './jetstream-dialect.js'
import { CONNECT } from './nats-dialect.js'
import { NatsMessages, SPACE } from './nats-messages.js'

const DELIVERED_TO = 'pulled'
/** Asked for at once. More is no faster. */
const PULL_RECORDS = 1_000
const PULL_NS = 60e9
const PUB = Buffer.from('PUB ')
/** An empty ack is a plain one. */
const ACK = Buffer.from(' 0\r\n\r\n')
/** No reply subject is longer. */
const ACK_BYTES_MAX = 256
/** `$JS.ACK`: a status has none. */
const DOLLAR = 0x24

export function jetstreamMember(job: MemberJob): MemberDialect {
  return new JetstreamMember(job)
}

class JetstreamMember implements MemberDialect {
  isReady = false
  received = 0
  readonly offsetSum = null
  readonly #job: MemberJob
  readonly #inbox: string
  readonly #pullRecords: number
  readonly #messages = new NatsMessages()
  #acks = Buffer.allocUnsafeSlow(ACK_BYTES_MAX)
  #acksBytes = 0
  #asked = 0

  constructor(job: MemberJob) {
    this.#job = job
    this.#inbox = `${DELIVERED_TO}-${job.member}`
    this.#pullRecords = Math.min(PULL_RECORDS, job.window)
  }

  /** Acks are not answered: that all have been taken says the consumer. */
  get acked(): number {
    return this.received
  }

  greeting(): Buffer {
    return Buffer.from(`${CONNECT}SUB ${this.#inbox} 1\r\nPING\r\n`)
  }

  begin(): Buffer {
    return this.#pull(this.#pullRecords)
  }

  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void {
    const messages = this.#messages
    messages.push(chunk)
    while (messages.next()) {
      if (messages.isMessage) this.#onMessage()
      else this.#onLine(messages.text())
    }
    if (this.#acksBytes === 0) return
    // The socket may keep it.
    const acks = Buffer.from(this.#acks.subarray(0, this.#acksBytes))
    this.#acksBytes = 0
    const outstanding = this.#asked - this.received
    const half = this.#pullRecords >> 1
    reply(outstanding <= half ? Buffer.concat([acks, this.#pull(this.#pullRecords - outstanding)]) : acks)
  }

  /** `MSG bench 1 $JS.ACK.BENCH.group... 100`, and the payload. */
  #onMessage(): void {
    const { bytes, start, payload, end } = this.#messages
    if (end - payload - 2 !== this.#job.payloadBytes) throw new Error('a record has another length')
    let at = start
    for (let spaces = 0; spaces < 3; at++) if (bytes[at] === SPACE) spaces++
    const from = at
    while (bytes[at] !== SPACE) at++
    if (bytes[from] !== DOLLAR) throw new Error('a message asks for no ack')
    this.#reserve()
    PUB.copy(this.#acks, this.#acksBytes)
    this.#acksBytes += PUB.length
    this.#acksBytes += bytes.copy(this.#acks, this.#acksBytes, from, at)
    ACK.copy(this.#acks, this.#acksBytes)
    this.#acksBytes += ACK.length
    this.received++
  }

  #onLine(line: string): void {
    if (line.startsWith('-ERR')) throw new Error(`nats-server said ${line}`)
    if (line === 'PONG') this.isReady = true
  }

  #reserve(): void {
    if (this.#acksBytes + ACK_BYTES_MAX <= this.#acks.length) return
    const larger = Buffer.allocUnsafeSlow(this.#acks.length * 2)
    this.#acks.copy(larger, 0, 0, this.#acksBytes)
    this.#acks = larger
  }

  #pull(batch: number): Buffer {
    this.#asked += batch
    const asked = JSON.stringify({ batch, expires: PULL_NS })
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${this.#job.group}`
    return Buffer.from(`PUB ${subject} ${this.#inbox} ${asked.length}\r\n${asked}\r\n`)
  }
}
