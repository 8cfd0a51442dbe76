/**
 * One connection that speaks Floki. Tickets and messages in flight are the channel's: when the connection ends, nothing of
 * them does.
 */
import type { Broker } from '../../../broker/broker.js'
import { type PublishSink, plainHow } from '../../../broker/publish.js'
import type { Topic } from '../../../broker/topic.js'
import type { TopicFacts } from '../../../broker/topic-facts.js'
import { asLeveretError, type LeveretError, RecordTooLargeError } from '../../../common/errors.js'
import type { PublishReceipt } from '../../../model/receipt.js'
import type { RecordRun } from '../../../model/record.js'
import type { Conversation, RespPeer } from '../dialect.js'
import { infoText } from '../handshake.js'
import {
  type Gatherer,
  type PublishGather,
  RepeatedReply,
  requestsOfToken,
  ticketOfToken,
  tokenOf,
} from '../publish-gather.js'
import { array, bulk, EMPTY_ARRAY, integer, nil, RESP_OK, respError } from '../resp-encode.js'
import type { RespRequest } from '../resp-request.js'
import type { Channel, Fetched, Waiter } from './channel.js'
import { digitsOf, isName, isQueueName, ticketOf, unsigned, unsigned32 } from './floki-arguments.js'
import { FlokiFault, FlokiLimit, wordFailure } from './floki-fault.js'
import { LastText } from './last-text.js'
import { layMessage, MessageReplies, messageBytes, messageRun } from './message-record.js'
import type { Queues } from './queues.js'
import { configReport, infoReport, type ServerFacts, sectionOf } from './reports.js'

const NO_NAME = 'IPA Invalid Identifier Name'
/** Together they are one batch of the log. */
const PUSH_BYTES_MAX = 192 * 1024 * 1024
/** A queue with all its channels. */
const ALL = '*'

export interface ConversationContext {
  readonly broker: Broker
  readonly queues: Queues
  readonly server: ServerFacts
  /** A record has at most so many bytes: what every reader can be sent. */
  readonly recordBytesMax: number
  /** Connections that wait for messages of one channel. */
  readonly waitersMax: number
  readonly gather: PublishGather
  /** The reply to a push of one message. */
  readonly pushedOne: RepeatedReply
  /** Messages that one HMGET brings. */
  readonly fetchCountMax: number
  /** Of the server. */
  readonly version: string
}

export class FlokiConversation implements Conversation, PublishSink, Gatherer {
  readonly isListening = false
  readonly #peer: RespPeer
  readonly #context: ConversationContext
  readonly #queues: Queues
  /** The fetch that the connection waits for. */
  #waiter: Waiter | null = null
  /** Pushes that are not stored yet, and who waits for them: a fetch sees what was pushed before it. */
  #pushing = 0
  #pushed: (() => void) | null = null
  readonly #queue = new LastText(1)
  readonly #channel = new LastText(2)
  #hasEnded = false
  #isClosed = false

  constructor(peer: RespPeer, context: ConversationContext) {
    this.#peer = peer
    this.#context = context
    this.#queues = context.queues
  }

  flush(): void {
    this.#context.gather.flush(this)
  }

  drained(): void {
    // What is fetched was asked for, and one answer at a time.
  }

  /** Nobody may be there any more, and a message would be lost to the others until its time is over. */
  ended(): void {
    this.#hasEnded = true
    this.#waiter?.hurry()
  }

  reset(): void {
    // Tickets are the channel's.
  }

  close(): void {
    this.#isClosed = true
    this.#waiter?.cancel()
  }

  /** Whether the queues are known. */
  get isReady(): boolean {
    return this.#queues.isOpen
  }

  /** Do it when they are. */
  ready(act: () => Promise<void> | null): Promise<void> {
    return this.#queues.open().then(async () => {
      await act()
    })
  }

  async set(request: RespRequest): Promise<void> {
    requireCount(request, 3, 'Queue or Channel Missing')
    const isGentle =
      request.shown(0).toLowerCase() === 'setnx' ||
      (request.count > 3 && request.shown(request.count - 1).toLowerCase() === 'nx')
    const [queue, channel] = [request.shown(1), request.shown(2)]
    if (!isQueueName(queue) || !isName(channel)) throw new FlokiFault(NO_NAME)
    await this.#queues.create(queue, channel, isGentle)
    this.#peer.reply(RESP_OK)
  }

  async del(request: RespRequest): Promise<void> {
    requireCount(request, 2, 'Queue Missing')
    const queue = request.shown(1)
    const isDone =
      request.count === 2 ? await this.#queues.delete(queue) : await this.#queues.deleteChannel(queue, request.shown(2))
    this.#peer.reply(integer(Number(isDone)))
  }

  push(request: RespRequest): Promise<void> | null {
    requireCount(request, 3, 'Queue or Value Missing')
    const queue = this.#queue.of(request)
    const topic = this.#queues.topicInUse(queue)
    return topic === null ? this.#pushLater(queue, request) : this.#pushTo(topic, request)
  }

  published(token: number, _topic: TopicFacts, { count }: PublishReceipt): void {
    const requests = requestsOfToken(token)
    this.#settlePush(token, requests === 0 ? integer(count) : this.#context.pushedOne.times(requests))
  }

  publishFailed(token: number, _topic: TopicFacts, error: LeveretError): void {
    const reply = respError(wordFailure(error))
    this.#settlePush(token, new RepeatedReply(reply).times(Math.max(1, requestsOfToken(token))))
  }

  publishGathered(topic: Topic, run: RecordRun): void {
    this.#publish(topic, run, run.count)
  }

  fetch(request: RespRequest): Promise<void> | null {
    this.flush()
    if (this.#pushing === 0) return this.#fetch(request)
    return new Promise<void>((resolve) => {
      this.#pushed = resolve
    }).then(async () => {
      this.#pushed = null
      await this.#fetch(request)
    })
  }

  #settlePush(token: number, reply: Buffer): void {
    this.#peer.settle(ticketOfToken(token), reply)
    this.#pushing--
    if (this.#pushing === 0) this.#pushed?.()
  }

  #fetch(request: RespRequest): Promise<void> | null {
    requireCount(request, 4, 'Queue or Channel or Count Missing')
    const digits = digitsOf(request.buffer, request.start(3), request.end(3))
    const count = digits < 0 ? unsigned(request.shown(3), 'IPA Invalid count value') : digits
    const seconds = request.count > 4 ? unsigned32(request.shown(4), 'IPA Invalid timeout value') : 0
    const queue = this.#queue.of(request)
    const name = this.#channel.of(request)
    const channel = this.#queues.channelInUse(queue, name)
    if (channel === null) this.#queues.require(queue)
    if (count === 0) {
      this.#peer.reply(EMPTY_ARRAY)
      return null
    }
    if (channel !== null) return this.#fetchFrom(channel, count, seconds)
    return this.#queues.useChannel(queue, name).then(async (used) => {
      await this.#fetchFrom(used, count, seconds)
    })
  }

  ack(request: RespRequest): Promise<void> | null {
    requireCount(request, 4, 'Queue, Channel or Id Missing')
    const queue = this.#queue.of(request)
    const channel = this.#queues.channelInUse(queue, this.#channel.of(request))
    if (channel === null) this.#queues.require(queue)
    const tickets: number[] = []
    for (let index = 3; index < request.count; index++) {
      const digits = digitsOf(request.buffer, request.start(index), request.end(index))
      tickets.push(digits < 0 ? ticketOf(request.shown(index)) : digits)
    }
    if (channel === null) this.#peer.reply(integer(0))
    else {
      const place = this.#peer.later()
      channel.ack(tickets).then(
        (acked) => this.#peer.settle(place, integer(acked)),
        (error: unknown) => this.#peer.settle(place, respError(wordFailure(asLeveretError(error)))),
      )
    }
    return null
  }

  async seek(request: RespRequest): Promise<void> {
    requireCount(request, 5, 'Queue or Channel or TS|ID or Value Missing')
    const [queue, name, value] = [request.shown(1), request.shown(2), request.shown(4)]
    this.#queues.require(queue)
    switch (request.shown(3).toLowerCase()) {
      case 'ts':
        await this.#queues.seekToTime(queue, name, unsigned32(value, 'IPA Invalid Timestamp'))
        break
      case 'id':
        await this.#queues.seekTo(queue, name, unsigned(value, 'IPA Invalid ID'))
        break
      default:
        throw new FlokiFault('IPA Invalid Seek Type Expected TS or ID')
    }
    this.#peer.reply(integer(2))
  }

  async purge(request: RespRequest): Promise<void> {
    requireCount(request, 3, 'Queue or Channel Missing')
    const [queue, name] = [request.shown(1), request.shown(2)]
    const isDone = name === ALL ? await this.#queues.purge(queue) : await this.#queues.purgeChannel(queue, name)
    this.#peer.reply(integer(Number(isDone)))
  }

  async info(request: RespRequest): Promise<void> {
    if (request.count < 2) {
      const { server, version } = this.#context
      if (!this.#peer.hasSpoken) this.#peer.isLibrary = true
      this.#peer.reply(bulk(infoText({ version, connections: server.connections })))
      return
    }
    const section = sectionOf(request.shown(1))
    if (section === null) throw new FlokiFault('IPA Invalid INFO parameter')
    this.#report(request, await infoReport(this.#queues, section, this.#context.server))
  }

  async config(request: RespRequest): Promise<void> {
    const isPlain = request.shown(0).toLowerCase() === 'qconfig'
    const what = isPlain ? 'get' : request.shown(1).toLowerCase()
    const argument = isPlain ? 1 : 2
    if (request.count <= argument || (what === 'set' && request.count < 4)) {
      throw new FlokiFault('MPA Missing CONFIG Parameter')
    }
    if (what === 'set') {
      await this.#changeConfig(request.shown(2), request.shown(3))
      this.#peer.reply(RESP_OK)
      return
    }
    if (what !== 'get') throw new FlokiFault('IPA Invalid CONFIG Parameter')
    const section = sectionOf(request.shown(argument))
    if (section === null) throw new FlokiFault('IPA Invalid CONFIG parameter')
    this.#report(request, configReport(this.#queues, section, this.#context.server))
  }

  async #changeConfig(path: string, value: string): Promise<void> {
    const [scope = '', first, second, ...rest] = path.split('.')
    const isServer = scope.toLowerCase() === 'server'
    if (isServer && first !== undefined && second === undefined) {
      await this.#queues.changeDefaults(first, value)
    } else if (scope.toLowerCase() === 'queues' && first !== undefined && second !== undefined && rest.length === 0) {
      await this.#queues.changeConfig(first, second, value)
    } else throw new FlokiFault('IPA Invalid CONFIG SET parameter')
  }

  /** Under Floki's own verbs it is an array of one. */
  #report(request: RespRequest, json: string): void {
    const isPlain = request.shown(0).toLowerCase().startsWith('q')
    this.#peer.reply(isPlain ? bulk(json) : array([bulk(json)]))
  }

  async #pushLater(queue: string, request: RespRequest): Promise<void> {
    const topic = await this.#queues.useTopic(queue)
    await this.#pushTo(topic, request)
  }

  /** What is returned, if anything, resolves when there is room for more. */
  #pushTo(topic: Topic, request: RespRequest): Promise<void> | null {
    const { recordBytesMax } = this.#context
    let bytes = 0
    for (let index = 2; index < request.count; index++) {
      const record = messageBytes(request.length(index))
      if (record > recordBytesMax) throw new RecordTooLargeError(`a message of ${record} bytes does not fit`)
      bytes += record
    }
    if (bytes > PUSH_BYTES_MAX) {
      throw new FlokiLimit(`ERR the messages of one RPUSH have ${PUSH_BYTES_MAX} bytes together at most`)
    }
    const place = request.count === 3 ? this.#context.gather.room(this, topic, request, bytes) : -1
    if (place < 0) this.#publish(topic, messageRun(request, 2, bytes), 0)
    else layMessage(request, 2, place)
    return topic.room()
  }

  /** For so many requests; 0 for one whose reply says how many records it has. */
  #publish(topic: Topic, run: RecordRun, requests: number): void {
    const token = tokenOf(this.#peer.later(), requests)
    this.#pushing++
    try {
      this.#context.broker.publish(topic, 0, run, plainHow(null), this, token)
    } catch (error) {
      // The error that is thrown would be answered behind the place that was opened for it.
      this.publishFailed(token, topic, asLeveretError(error))
    }
  }

  #fetchFrom(channel: Channel, asked: number, seconds: number): Promise<void> | null {
    // It went while it waited for something else: a message for it would rest until its time is over.
    if (this.#isClosed) return null
    const { fetchCountMax, waitersMax } = this.#context
    const count = Math.min(asked, fetchCountMax)
    if (seconds > 0 && channel.waiting >= waitersMax) throw new FlokiLimit('ERR too many waiting clients')
    let isAnswered = false
    let resolve: (() => void) | null = null
    const waiter = channel.fetch(count, this.#hasEnded ? 0 : seconds * 1_000, (fetched) => {
      isAnswered = true
      this.#waiter = null
      // Who has said all that it will may be gone, so that nobody waits for it; it is told as if somebody had.
      this.#answer(fetched === 'nothing' && seconds > 0 ? 'late' : fetched)
      resolve?.()
    })
    if (isAnswered) return null
    this.#waiter = waiter
    return new Promise((done) => {
      resolve = done
    })
  }

  #answer(fetched: Fetched): void {
    if (fetched === 'nothing') this.#peer.reply(EMPTY_ARRAY)
    else if (fetched === 'late') this.#peer.reply(nil(this.#peer.version))
    else if (fetched instanceof MessageReplies) this.#peer.reply(fetched.answer())
    else this.#peer.fail(wordFailure(fetched))
  }
}

function requireCount(request: RespRequest, count: number, missing: string): void {
  if (request.count < count) throw new FlokiFault(`MPA ${missing}`)
}
