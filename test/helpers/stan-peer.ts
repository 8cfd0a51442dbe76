/**
 * A client of NATS Streaming in words of its own: every request and every answer as they are, and nothing done by itself but
 * answering heartbeats.
 */
import assert from 'node:assert/strict'
import { NatsWire, within } from './nats-wire.js'
import { stanBytes, stanFields } from './stan-messages.js'

export interface StanMessage {
  readonly sequence: number
  readonly data: string
  readonly reply: string
  readonly isRedelivered: boolean
  readonly redeliveryCount: number
  readonly timestampNs: bigint
}

export interface SubscribeFields {
  readonly clientID?: string
  readonly subject: string
  readonly qGroup?: string
  readonly inbox?: string
  readonly maxInFlight?: number
  readonly ackWaitInSecs?: number
  readonly durableName?: string
  readonly startPosition?: number
  readonly startSequence?: number
  readonly startTimeDelta?: string
}

/** What is said of a subscription. */
export interface Subscribed {
  readonly subject: string
  readonly ackInbox: string
}

export const FIRST = 4
let lastName = 0

function newName(prefix: string): string {
  return `${prefix}${String(++lastName).padStart(22, '0')}`
}

export class StanSubscription {
  readonly subject: string
  readonly inbox: string
  readonly sid: string
  ackInbox = ''
  error = ''
  readonly messages: StanMessage[] = []
  #waiters: (() => void)[] = []

  constructor(subject: string, inbox: string, peer: NatsWire) {
    this.subject = subject
    this.inbox = inbox
    this.sid = peer.subscribe(inbox, ({ payload }) => {
      const fields = stanFields('MsgProto', payload)
      assert.equal(fields.subject, subject)
      this.messages.push({
        sequence: Number(fields.sequence),
        data: String(fields.data ?? ''),
        reply: String(fields.reply ?? ''),
        isRedelivered: fields.redelivered === true,
        redeliveryCount: Number(fields.redeliveryCount ?? 0),
        timestampNs: BigInt(String(fields.timestamp)),
      })
      for (const waiter of this.#waiters) waiter()
    })
  }

  /** Sequences so far. */
  get sequences(): number[] {
    return this.messages.map(({ sequence }) => sequence)
  }

  /** All messages, as soon as there are so many. */
  async until(count: number): Promise<readonly StanMessage[]> {
    await within(
      `message ${count} of ${this.subject} (${this.messages.length} are here)`,
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (this.messages.length >= count) resolve()
        }
        this.#waiters.push(look)
        look()
      }),
    )
    this.#waiters = []
    return this.messages
  }
}

export class StanPeer {
  readonly wire: NatsWire
  readonly clientId: string
  readonly connId = newName('C')
  readonly heartbeatInbox = newName('_INBOX.H')
  /** Answers of publishes, in the order they came: guid and error. */
  readonly acks: { readonly guid: string; readonly error: string }[] = []
  answersHeartbeats = true
  heartbeats = 0
  /** What the server said when it registered. */
  welcome: Record<string, unknown> = {}
  readonly #acksInbox = newName('_STAN.acks.')
  readonly #replies = newName('_INBOX.R')
  readonly #waiting = new Map<string, (payload: Buffer) => void>()
  #lastRequest = 0
  #lastGuid = 0
  #ackWaiters: (() => void)[] = []

  constructor(wire: NatsWire, clientId: string) {
    this.wire = wire
    this.clientId = clientId
    this.listen()
  }

  /** A connection without a word of NATS Streaming. */
  static async open(port: number, clientId = newName('client')): Promise<StanPeer> {
    return new StanPeer(await NatsWire.open(port), clientId)
  }

  /** Registered. */
  static async connect(port: number, clientId?: string, protocol = 1): Promise<StanPeer> {
    const peer = await StanPeer.open(port, clientId)
    assert.equal(await peer.register(protocol), '')
    return peer
  }

  listen(): void {
    this.wire.subscribe(this.heartbeatInbox, ({ reply }) => {
      this.heartbeats++
      if (this.answersHeartbeats) this.wire.publish(reply, Buffer.alloc(0))
    })
    this.wire.subscribe(this.#acksInbox, ({ payload }) => {
      const { guid, error } = stanFields('PubAck', payload)
      this.acks.push({ guid: String(guid ?? ''), error: String(error ?? '') })
      for (const waiter of this.#ackWaiters) waiter()
    })
    this.wire.subscribe(`${this.#replies}.*`, ({ subject, payload }) => {
      this.#waiting.get(subject)?.(payload)
      this.#waiting.delete(subject)
    })
  }

  request(subject: string, payload: Buffer): Promise<Buffer> {
    const reply = `${this.#replies}.${++this.#lastRequest}`
    const answer = new Promise<Buffer>((resolve) => this.#waiting.set(reply, resolve))
    this.wire.publish(subject, payload, reply)
    return within(`the answer to ${subject}`, answer)
  }

  /** What is wrong, or nothing. */
  async register(protocol = 1, fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const request = {
      clientID: this.clientId,
      heartbeatInbox: this.heartbeatInbox,
      ...(protocol === 0 ? {} : { protocol, connID: Buffer.from(this.connId), pingInterval: 5, pingMaxOut: 3 }),
      ...fields,
    }
    const answer = await this.request('_STAN.discover.test-cluster', stanBytes('ConnectRequest', request))
    this.welcome = stanFields('ConnectResponse', answer)
    return String(this.welcome.error ?? '')
  }

  /** Send it, and return its guid. */
  send(subject: string, data: string | Buffer, fields: Readonly<Record<string, unknown>> = {}): string {
    const guid = `${this.clientId}-${++this.#lastGuid}`
    const message = {
      clientID: this.clientId,
      guid,
      subject,
      data: Buffer.from(data),
      connID: Buffer.from(this.connId),
      ...fields,
    }
    this.wire.publish(
      `_STAN.pub.test-cluster.${subject.replaceAll(' ', '_')}`,
      stanBytes('PubMsg', message),
      this.#acksInbox,
    )
    return guid
  }

  /** What is wrong, or nothing. */
  async publish(
    subject: string,
    data: string | Buffer,
    fields: Readonly<Record<string, unknown>> = {},
  ): Promise<string> {
    const guid = this.send(subject, data, fields)
    await this.acked(this.acks.length + 1)
    const ack = this.acks.find((each) => each.guid === guid)
    assert.ok(ack !== undefined)
    return ack.error
  }

  /** Publish `count` messages with data `1`, `2`... behind those that were published before. */
  async fill(subject: string, count: number, first = 1): Promise<void> {
    const before = this.acks.length
    for (let number = first; number < first + count; number++) this.send(subject, String(number))
    await this.acked(before + count)
    assert.deepEqual([...new Set(this.acks.slice(before).map(({ error }) => error))], [''])
  }

  async acked(count: number): Promise<void> {
    await within(
      `answer ${count} to a publish (${this.acks.length} are here)`,
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (this.acks.length >= count) resolve()
        }
        this.#ackWaiters.push(look)
        look()
      }),
    )
    this.#ackWaiters = []
  }

  async trySubscribe(fields: SubscribeFields): Promise<StanSubscription> {
    const subscription = new StanSubscription(fields.subject, fields.inbox ?? newName('_INBOX.M'), this.wire)
    const answer = stanFields(
      'SubscriptionResponse',
      await this.requestSubscribe({ inbox: subscription.inbox, ...fields }),
    )
    subscription.ackInbox = String(answer.ackInbox ?? '')
    subscription.error = String(answer.error ?? '')
    return subscription
  }

  requestSubscribe(fields: SubscribeFields): Promise<Buffer> {
    return this.request('_STAN.sub.test-cluster', this.subscribeBytes(fields))
  }

  subscribeBytes(fields: SubscribeFields): Buffer {
    const request = { clientID: this.clientId, maxInFlight: 1024, ackWaitInSecs: 30, ...fields }
    return stanBytes('SubscriptionRequest', request)
  }

  async subscribe(fields: SubscribeFields): Promise<StanSubscription> {
    const subscription = await this.trySubscribe(fields)
    assert.equal(subscription.error, '')
    assert.notEqual(subscription.ackInbox, '')
    return subscription
  }

  ack({ subject, ackInbox }: Subscribed, ...sequences: number[]): void {
    for (const sequence of sequences) this.wire.publish(ackInbox, stanBytes('Ack', { subject, sequence }))
  }

  /** What is wrong, or nothing. */
  unsubscribe(subscription: Subscribed, inbox = subscription.ackInbox): Promise<string> {
    return this.#leave('_STAN.unsub.test-cluster', subscription.subject, inbox)
  }

  /** What is wrong, or nothing. */
  closeSubscription(subscription: Subscribed, inbox = subscription.ackInbox): Promise<string> {
    return this.#leave('_STAN.subclose.test-cluster', subscription.subject, inbox)
  }

  /** What is wrong, or nothing; the connection stays. */
  async close(): Promise<string> {
    const answer = await this.request(
      '_STAN.close.test-cluster',
      stanBytes('CloseRequest', { clientID: this.clientId }),
    )
    return String(stanFields('CloseResponse', answer).error ?? '')
  }

  /** What is wrong, or nothing. */
  async ping(connId = this.connId): Promise<string> {
    const answer = await this.request(
      '_STAN.discover.test-cluster.pings',
      stanBytes('Ping', { connID: Buffer.from(connId) }),
    )
    return String(stanFields('PingResponse', answer).error ?? '')
  }

  async #leave(subject: string, channel: string, inbox: string): Promise<string> {
    const request = { clientID: this.clientId, subject: channel, inbox }
    const answer = await this.request(subject, stanBytes('UnsubscribeRequest', request))
    return String(stanFields('SubscriptionResponse', answer).error ?? '')
  }
}
