/**
 * What clients publish: checked, handed to the broker, and answered when it is as safe as the store can make it. Whether a
 * message counts is decided when it arrives; those for a channel that is still being opened wait for it, in their order.
 */
import type { Broker } from '../../../broker/broker.js'
import { type PublishSink, plainHow } from '../../../broker/publish.js'
import type { Topic } from '../../../broker/topic.js'
import type { TopicFacts } from '../../../broker/topic-facts.js'
import type { LeveretError } from '../../../common/errors.js'
import type { Counter, MetricsRegistry } from '../../../metrics/registry.js'
import type { PublishReceipt } from '../../../model/receipt.js'
import type { Durability } from '../../../model/topic.js'
import type { NatsMessage, Router } from '../core/router.js'
import { isChannelName } from './channel-names.js'
import type { Channels } from './channels.js'
import type { Client, Clients } from './clients.js'
import { textOf } from './fault.js'
import { RecordWriter, recordBytes } from './message-record.js'
import { encodePubAck, encodePubAckError, PubMsg } from './messages.js'

const INVALID = 'stan: invalid publish request'

export interface PublishesOptions {
  readonly router: Router
  readonly broker: Broker
  readonly channels: Channels
  readonly clients: Clients
  readonly durability: Durability | null
  readonly recordBytesMax: number
  readonly limits: {
    /** Publishes of a client without an answer. */
    readonly publishesMax: number
    /** Bytes that wait for a channel to be opened, of all clients. */
    readonly openingBytesMax: number
  }
  readonly metrics: MetricsRegistry
  /** Told of each channel that is published to. */
  readonly published: (channel: string) => void
}

/** An answer that is due. */
interface Due {
  readonly client: Client
  readonly inbox: string
  /** If all goes well. */
  readonly answer: Buffer
}

/** Waits until its channel is open. */
interface Early {
  readonly token: number
  readonly data: Buffer
  readonly reply: Buffer
}

export class Publishes implements PublishSink {
  readonly #options: PublishesOptions
  readonly #how: ReturnType<typeof plainHow>
  readonly #message = new PubMsg()
  readonly #writer = new RecordWriter()
  readonly #due = new Map<number, Due>()
  /** By channel. */
  readonly #early = new Map<string, Early[]>()
  #earlyBytes = 0
  #lastToken = 0
  readonly #counters: { readonly messages: Counter; readonly bytes: Counter; readonly refused: Counter }

  constructor(options: PublishesOptions) {
    this.#options = options
    this.#how = plainHow(options.durability)
    const { metrics } = options
    const counter = (noun: string, help: string) => metrics.counter(`leveret_nats_streaming_${noun}_total`, help)
    this.#counters = {
      messages: counter('messages_published', 'Messages that clients published, refused ones included'),
      bytes: counter('bytes_published', 'Bytes of what clients published'),
      refused: counter('publishes_refused', 'Publishes answered with an error'),
    }
    metrics.gauge('leveret_nats_streaming_publishes_pending', 'Publishes without an answer', () => this.#due.size)
    metrics.gauge(
      'leveret_nats_streaming_opening_bytes',
      'Bytes published to channels that are being opened',
      () => this.#earlyBytes,
    )
  }

  /** A message on the subject for publishing. What is kept of it is copied. */
  take({ payload, reply: inbox }: NatsMessage): void {
    const message = this.#message
    const isReadable = message.read(payload)
    if (isReadable) {
      this.#counters.messages.value++
      this.#counters.bytes.value += payload.length
    }
    const client = isReadable ? this.#options.clients.publisher(message.clientId, message.connId) : null
    if (client === null || message.guid.length === 0) this.#refuse(inbox, message.guid, INVALID)
    else this.#take(message, client, inbox)
  }

  published(token: number, _topic: TopicFacts, _receipt: PublishReceipt): void {
    this.#answer(token, '')
  }

  publishFailed(token: number, _topic: TopicFacts, error: LeveretError): void {
    this.#answer(token, error.message)
  }

  #take(message: PubMsg, client: Client, inbox: string): void {
    const { channel } = message
    const topic = this.#options.channels.inUse(channel)
    const isInvalid = topic === null && !isChannelName(channel)
    const refusal = isInvalid ? INVALID : this.#refusalOf(message, client)
    if (refusal !== null) {
      this.#refuse(inbox, message.guid, refusal)
      return
    }
    const token = this.#expect(client, inbox, message.guid)
    const early = this.#early.get(channel)
    if (early !== undefined) this.#wait(early, token, message)
    else if (topic === null) this.#open(token, message)
    else this.#publish(topic, token, message.data, message.reply)
  }

  #refusalOf({ data, reply }: PubMsg, client: Client): string | null {
    const { recordBytesMax, limits } = this.#options
    if (recordBytes(data.length, reply.length) > recordBytesMax) return 'the message is too large'
    if (client.publishes >= limits.publishesMax) return 'too many publishes without an answer'
    if (this.#earlyBytes > limits.openingBytesMax) return 'too much is waiting for channels to be opened'
    return null
  }

  #publish(topic: Topic, token: number, data: Buffer, reply: Buffer): void {
    this.#options.published(topic.name)
    this.#options.broker.publish(topic, 0, this.#writer.run(data, reply), this.#how, this, token)
  }

  #wait(early: Early[], token: number, { data, reply }: PubMsg): void {
    early.push({ token, data: Buffer.from(data), reply: Buffer.from(reply) })
    this.#earlyBytes += data.length + reply.length
  }

  #open(token: number, message: PubMsg): void {
    const { channel } = message
    const early: Early[] = []
    this.#early.set(channel, early)
    this.#wait(early, token, message)
    this.#options.channels.use(channel).then(
      (topic) => {
        for (const { token, data, reply } of this.#takeEarly(channel)) this.#publish(topic, token, data, reply)
      },
      (error: unknown) => {
        for (const { token } of this.#takeEarly(channel)) this.#answer(token, textOf(error))
      },
    )
  }

  #takeEarly(channel: string): readonly Early[] {
    const early = this.#early.get(channel) ?? []
    this.#early.delete(channel)
    for (const { data, reply } of early) this.#earlyBytes -= data.length + reply.length
    return early
  }

  #expect(client: Client, inbox: string, guid: Buffer): number {
    const token = ++this.#lastToken
    this.#due.set(token, { client, inbox, answer: encodePubAck(guid) })
    client.publishes++
    return token
  }

  #answer(token: number, error: string): void {
    const due = this.#due.get(token)
    if (due === undefined) return
    this.#due.delete(token)
    due.client.publishes--
    if (error !== '') this.#counters.refused.value++
    if (due.inbox !== '') this.#send(due.inbox, error === '' ? due.answer : refused(due.answer, error))
  }

  #refuse(inbox: string, guid: Buffer, error: string): void {
    this.#counters.refused.value++
    if (inbox !== '') this.#send(inbox, refused(encodePubAck(guid), error))
  }

  #send(subject: string, payload: Buffer): void {
    this.#options.router.publish({ subject, reply: '', headers: null, payload })
  }
}

/** Fields may follow each other in pieces. */
function refused(answer: Buffer, error: string): Buffer {
  return Buffer.concat([answer, encodePubAckError(error)])
}
