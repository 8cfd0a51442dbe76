/**
 * What clients publish: checked, handed to the broker, and answered when it is as safe as the store can make it. Whether a
 * message counts is decided when it arrives; those for a channel that is still being opened wait for it, in their order.
 *
 * What one chunk of a connection holds for one channel is handed on as one run and settled as one: no object is made for a message.
 */
import type { Broker } from '../../../broker/broker.js'
import { type PublishSink, plainHow } from '../../../broker/publish.js'
import type { Topic } from '../../../broker/topic.js'
import type { TopicFacts } from '../../../broker/topic-facts.js'
import type { LeveretError } from '../../../common/errors.js'
import type { Turn, TurnTask } from '../../../common/turn.js'
import type { Counter, MetricsRegistry } from '../../../metrics/registry.js'
import type { PublishReceipt } from '../../../model/receipt.js'
import type { Durability } from '../../../model/topic.js'
import { ReceivedMessage } from '../core/received-message.js'
import type { NatsMessage, Router } from '../core/router.js'
import { isChannelName } from './channel-names.js'
import type { Channels } from './channels.js'
import type { Client, Clients } from './clients.js'
import { AnswerGatherer, type DueAnswers, refuse } from './due-answers.js'
import { textOf } from './fault.js'
import { RunWriter, recordBytes } from './message-record.js'
import { PubMsg } from './pub-msg.js'

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
  readonly turn: Turn
  /** Told of each channel that is published to: what is on its way, and when it is there. */
  readonly published: (channel: TopicFacts, messages: number, bytes: number) => void
  readonly stored: (channel: TopicFacts) => void
}

/** Waits until its channel is open. */
interface Early {
  readonly client: Client
  readonly inbox: string
  readonly bytes: Buffer
}

export class Publishes implements PublishSink, TurnTask {
  readonly #options: PublishesOptions
  readonly #how: ReturnType<typeof plainHow>
  readonly #message = new PubMsg()
  readonly #run = new RunWriter()
  readonly #answers = new AnswerGatherer()
  /** What is gathered is for this one. */
  #topic: Topic | null = null
  #isScheduled = false
  /** The inbox for answers that was named last. */
  #inbox = ''
  readonly #due = new Map<number, DueAnswers>()
  /** By channel. */
  readonly #early = new Map<string, Early[]>()
  #earlyBytes = 0
  #lastToken = 0
  #pending = 0
  readonly #onSettled: (() => void)[] = []
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
    metrics.gauge('leveret_nats_streaming_publishes_pending', 'Publishes without an answer', () => this.#pending)
    metrics.gauge(
      'leveret_nats_streaming_opening_bytes',
      'Bytes published to channels that are being opened',
      () => this.#earlyBytes,
    )
  }

  /** A message on the subject for publishing. What is kept of it is copied. */
  take(published: NatsMessage): void {
    if (published instanceof ReceivedMessage) {
      const { buffer, bodyAt, headerBytes, bodyBytes } = published
      if (!published.repliesTo(this.#inbox)) this.#inbox = published.reply
      this.#read(buffer, bodyAt + headerBytes, bodyAt + bodyBytes, this.#inbox)
    } else this.#read(published.payload, 0, published.payload.length, published.reply)
  }

  /** Hand on what is gathered: called before anything else is done that comes later. */
  flush(): void {
    const topic = this.#topic
    if (topic === null) return
    this.#topic = null
    const answers = this.#answers.take()
    const token = ++this.#lastToken
    this.#due.set(token, answers)
    this.#pending += answers.count
    const run = this.#run.take()
    this.#options.published(topic, run.count, run.end - run.start)
    this.#options.broker.publish(topic, 0, run, this.#how, this, token)
  }

  /** Resolves as soon as all that were taken are answered. */
  settled(): Promise<void> {
    this.flush()
    if (this.#pending === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onSettled.push(resolve)
    })
  }

  runTurn(): void {
    this.#isScheduled = false
    this.flush()
    this.#message.release()
  }

  published(token: number, topic: TopicFacts, _receipt: PublishReceipt): void {
    this.#settle(token, '')
    this.#options.stored(topic)
  }

  publishFailed(token: number, _topic: TopicFacts, error: LeveretError): void {
    this.#settle(token, error.message)
  }

  #read(buffer: Buffer, start: number, end: number, inbox: string): void {
    const message = this.#message
    const isReadable = message.read(buffer, start, end)
    if (isReadable) {
      this.#counters.messages.value++
      this.#counters.bytes.value += end - start
    }
    const client = isReadable ? this.#options.clients.publisher(message.clientId, message.connId) : null
    if (client === null || message.guidStart === message.guidEnd) this.#refuse(inbox, INVALID)
    else this.#take(client, inbox, start, end)
  }

  #take(client: Client, inbox: string, start: number, end: number): void {
    const { channel, buffer } = this.#message
    const gathering = this.#topic
    const isSame = gathering !== null && gathering.name === channel
    const topic = isSame ? gathering : this.#options.channels.inUse(channel)
    const isInvalid = topic === null && !isChannelName(channel)
    const refusal = isInvalid ? INVALID : this.#refusalOf(client)
    if (refusal !== null) {
      this.#refuse(inbox, refusal)
      return
    }
    const early = topic === null || this.#early.size > 0 ? this.#early.get(channel) : undefined
    if (topic !== null && early === undefined) {
      this.#gather(topic, client, inbox)
      return
    }
    client.publishes++
    this.#pending++
    const waiting = { client, inbox, bytes: Buffer.from(buffer.subarray(start, end)) }
    this.#earlyBytes += waiting.bytes.length
    if (early !== undefined) early.push(waiting)
    else this.#open(channel, waiting)
  }

  #refusalOf(client: Client): string | null {
    const { dataStart, dataEnd, replyStart, replyEnd } = this.#message
    const { recordBytesMax, limits } = this.#options
    if (recordBytes(dataEnd - dataStart, replyEnd - replyStart) > recordBytesMax) return 'the message is too large'
    if (client.publishes >= limits.publishesMax) return 'too many publishes without an answer'
    if (this.#earlyBytes > limits.openingBytesMax) return 'too much is waiting for channels to be opened'
    return null
  }

  /** The message at hand goes with its neighbours. */
  #gather(topic: Topic, client: Client, inbox: string): void {
    const { buffer, dataStart, dataEnd, replyStart, replyEnd } = this.#message
    if (this.#topic !== topic || !this.#run.hasRoom(recordBytes(dataEnd - dataStart, replyEnd - replyStart))) {
      this.flush()
      this.#topic = topic
    }
    this.#run.add(buffer, dataStart, dataEnd, replyStart, replyEnd)
    this.#answers.add(client, inbox, this.#message)
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#options.turn.afterwards(this)
  }

  #open(channel: string, first: Early): void {
    this.#early.set(channel, [first])
    this.#options.channels.use(channel).then(
      (topic) => this.#takeEarly(channel, (client, inbox) => this.#gather(topic, client, inbox)),
      (error: unknown) => this.#takeEarly(channel, (_, inbox) => this.#refuse(inbox, textOf(error))),
    )
  }

  /** `handle` is called with each of those that waited at hand. */
  #takeEarly(channel: string, handle: (client: Client, inbox: string) => void): void {
    const early = this.#early.get(channel) ?? []
    this.#early.delete(channel)
    for (const { client, inbox, bytes } of early) {
      this.#earlyBytes -= bytes.length
      this.#pending--
      client.publishes--
      this.#message.read(bytes, 0, bytes.length)
      handle(client, inbox)
    }
    this.flush()
    this.#lookSettled()
  }

  #settle(token: number, error: string): void {
    const due = this.#due.get(token)
    if (due === undefined) return
    this.#due.delete(token)
    this.#pending -= due.count
    if (error !== '') this.#counters.refused.value += due.count
    due.send(this.#options.router, error)
    this.#lookSettled()
  }

  #lookSettled(): void {
    if (this.#pending > 0) return
    for (const resolve of this.#onSettled.splice(0)) resolve()
  }

  #refuse(inbox: string, error: string): void {
    this.#counters.refused.value++
    refuse(this.#options.router, inbox, this.#message, error)
  }
}
