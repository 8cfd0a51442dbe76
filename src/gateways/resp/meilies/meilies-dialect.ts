/**
 * The dialect of MeiliES: its verbs, and its words for what goes wrong. What it stores are records of topics like all others
 * (streams.ts, event-record.ts).
 */
import { isUtf8 } from 'node:buffer'
import type { Broker } from '../../../broker/broker.js'
import { type PublishSink, plainHow } from '../../../broker/publish.js'
import type { Topic } from '../../../broker/topic.js'
import type { TopicFacts } from '../../../broker/topic-facts.js'
import type { Clock } from '../../../common/clock.js'
import { asLeveretError, InvalidArgumentError, type LeveretError, RecordTooLargeError } from '../../../common/errors.js'
import type { PublishReceipt } from '../../../model/receipt.js'
import type { RecordRun } from '../../../model/record.js'
import type { Durability } from '../../../model/topic.js'
import type { Conversation, Dialect, RespPeer, Verb, Wording } from '../dialect.js'
import {
  type Gatherer,
  PublishGather,
  RepeatedReply,
  requestsOfToken,
  ticketOfToken,
  tokenOf,
} from '../publish-gather.js'
import { array, integer, nil, RESP_OK, respError, simple } from '../resp-encode.js'
import type { RespFault } from '../resp-fault.js'
import type { RespRequest } from '../resp-request.js'
import { keyOf } from './active-spec.js'
import { EventFrames, type FrameMode } from './event-frames.js'
import { eventBytes, isEventName, layEvent, NameHeader, putEvent } from './event-record.js'
import { parseSpec, requireEventName, requireNoSpaces, requireStreamName, type StreamSpec } from './stream-spec.js'
import { Streams } from './streams.js'
import { type SubscriptionContext, Subscriptions } from './subscriptions.js'

const PREFIX = 'invalid request message; '
const BAD_ARGUMENT = `${PREFIX}Invalid argument resp type`
const MISSING = `${PREFIX}Missing argument`
const TOO_MANY = `${PREFIX}Too many arguments`

export interface MeiliesOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly limits: SubscriptionContext['limits']
  /** The largest record that every reader can be sent. */
  readonly recordBytesMax: number
  /** What the answer to a publish waits for; null is the best that there is. */
  readonly durability: Durability | null
  /** Whether plain subscriptions get frames as MeiliES' own clients need them. */
  readonly hasClassicFrames: boolean
  /** Whether a name with a space in it is refused where it is published. */
  readonly hasStrictNames: boolean
}

export function meiliesDialect(options: MeiliesOptions): Dialect<MeiliesConversation> {
  const { broker, clock, limits } = options
  const { turn } = broker
  const frames = new EventFrames(turn)
  const context = { streams: new Streams(broker), frames, clock, turn, limits, open: { count: 0 } }
  const gathered = { gather: new PublishGather(), names: new NameHeader(), ok: new RepeatedReply(RESP_OK) }
  return {
    name: 'meilies',
    verbs: VERBS,
    wording: WORDING,
    open: (peer) => new MeiliesConversation(peer, options, context, gathered),
  }
}

const WORDING: Wording = {
  noArray: `${PREFIX}Invalid command resp type`,
  empty: `${PREFIX}Missing command name`,
  odd: BAD_ARGUMENT,
  unknown: () => `${PREFIX}Unknown command name`,
  lines: complaintOnLines,
  fault: wordFault,
  failure: wordFailure,
}

function complaintOnLines(request: RespRequest): string | null {
  for (let index = 0; index < request.count; index++) {
    if (request.isLine(index) && !isUtf8(request.bytes(index))) {
      return `${PREFIX}invalid utf8 string: element ${index} is no UTF-8`
    }
  }
  return null
}

function wordFault({ kind, detail }: RespFault): string {
  switch (kind) {
    case 'prefix':
      return `${PREFIX}invalid prefix byte: ${detail}`
    case 'integer':
      return `${PREFIX}invalid integer: ${detail}`
    case 'bulk-end':
      return `${PREFIX}missing bulk string final crlf`
    default:
      return `${PREFIX}${detail}`
  }
}

function wordFailure(error: LeveretError): string {
  return error.code === 'LVT_INVALID_ARGUMENT'
    ? `${BAD_ARGUMENT}; ${error.message}`
    : `internal error; ${error.message}`
}

/** Of all connections. */
interface Gathered {
  readonly gather: PublishGather
  readonly names: NameHeader
  readonly ok: RepeatedReply
}

/** One connection. */
class MeiliesConversation implements Conversation, PublishSink, Gatherer {
  readonly #peer: RespPeer
  readonly #options: MeiliesOptions
  readonly #streams: Streams
  readonly #subscriptions: Subscriptions
  readonly #gathered: Gathered
  /** What `subscription-frames` asked for. */
  #frames: FrameMode | null = null
  /** A stream whose name has been checked. */
  #lastStream = ''
  #lastBytes: Buffer = Buffer.alloc(0)

  constructor(peer: RespPeer, options: MeiliesOptions, context: SubscriptionContext, gathered: Gathered) {
    this.#gathered = gathered
    this.#peer = peer
    this.#options = options
    this.#streams = context.streams
    this.#subscriptions = new Subscriptions(peer, context)
  }

  get isListening(): boolean {
    return this.#subscriptions.hasMessages
  }

  flush(): void {
    this.#gathered.gather.flush(this)
  }

  drained(): void {
    this.#subscriptions.drained()
  }

  ended(): void {
    // What it has asked for is answered, and then the connection ends.
  }

  reset(): void {
    this.#subscriptions.reset()
    this.#frames = null
  }

  close(): void {
    this.#subscriptions.close()
  }

  publish(request: RespRequest): Promise<void> | null {
    if (request.count !== 4) return this.#refuse(request.count < 4 ? MISSING : TOO_MANY)
    const stream = this.#streamOf(request)
    const { names } = this.#gathered
    const isKnown = names.isLast(request.buffer, request.start(2), request.end(2))
    if (!isKnown && !isEventName(request.buffer, request.start(2), request.end(2))) {
      requireEventName(textOf(request, 2))
    }
    if (this.#options.hasStrictNames) requireNoSpaces(stream, textOf(request, 2))
    const topic = this.#streams.inUse(stream)
    return topic === null ? this.#publishLater(stream, request) : this.#publishTo(topic, request)
  }

  published(token: number, _topic: TopicFacts, _receipt: PublishReceipt): void {
    this.#peer.settle(ticketOfToken(token), this.#gathered.ok.times(requestsOfToken(token)))
  }

  publishFailed(token: number, _topic: TopicFacts, error: LeveretError): void {
    const reply = new RepeatedReply(respError(wordFailure(error)))
    this.#peer.settle(ticketOfToken(token), reply.times(requestsOfToken(token)))
  }

  publishGathered(topic: Topic, run: RecordRun): void {
    this.#publish(topic, run)
  }

  subscribe(request: RespRequest): Promise<void> | null {
    const mode = this.#modeOf(request)
    // MeiliES' own client says this whenever it connects again before it was asked for anything.
    if (request.count === 1) return mode === 'classic' ? null : this.#refuse(MISSING)
    const specs: StreamSpec[] = []
    for (let index = 1; index < request.count; index++) specs.push(parseSpec(textOf(request, index)))
    return this.#subscriptions.subscribe(specs, mode)
  }

  unsubscribe(request: RespRequest): null {
    const specs: { text: string; key: string }[] = []
    for (let index = 1; index < request.count; index++) {
      const text = textOf(request, index)
      specs.push({ text, key: keyOf(parseSpec(text)) })
    }
    this.#peer.reply(this.#subscriptions.unsubscribe(request.count === 1 ? null : specs))
    return null
  }

  subscriptionFrames(request: RespRequest): null {
    if (request.count !== 2) return this.#refuse(request.count < 2 ? MISSING : TOO_MANY)
    const mode = request.shown(1).toLowerCase()
    if (mode !== 'classic' && mode !== 'push' && mode !== 'message') {
      throw new InvalidArgumentError('frames are classic, push or message')
    }
    if (mode === 'push' && this.#peer.version !== 3) throw new InvalidArgumentError('push needs HELLO 3')
    this.#frames = mode
    this.#peer.reply(RESP_OK)
    return null
  }

  async lastEventNumber(request: RespRequest): Promise<void> {
    if (request.count !== 2) {
      this.#refuse(request.count < 2 ? MISSING : TOO_MANY)
      return
    }
    const stream = textOf(request, 1)
    requireStreamName(stream)
    const last = await this.#streams.lastNumber(stream)
    const value = last === null ? nil(this.#peer.version) : integer(last)
    this.#peer.reply(array([simple('last-event-number'), simple(stream), value]))
  }

  streamNames(): null {
    this.#peer.reply(array([simple('stream-names'), ...this.#streams.names().map(simple)]))
    return null
  }

  /** Throws InvalidArgumentError. */
  #streamOf(request: RespRequest): string {
    if (this.#lastStream !== '' && request.is(1, this.#lastBytes)) return this.#lastStream
    const stream = textOf(request, 1)
    requireStreamName(stream)
    this.#lastStream = stream
    this.#lastBytes = Buffer.from(stream)
    return stream
  }

  #refuse(text: string): null {
    this.#peer.fail(text)
    return null
  }

  #modeOf(request: RespRequest): FrameMode {
    if (this.#frames !== null) return this.#frames
    if (this.#peer.isLibrary || request.shown(0) !== 'subscribe') return 'message'
    if (this.#peer.version === 3) return 'push'
    return this.#options.hasClassicFrames ? 'classic' : 'message'
  }

  async #publishLater(stream: string, request: RespRequest): Promise<void> {
    const topic = await this.#streams.useKept(stream)
    await this.#publishTo(topic, request)
  }

  /** What is returned, if anything, resolves when there is room for more. */
  #publishTo(topic: Topic, request: RespRequest): Promise<void> | null {
    const { recordBytesMax } = this.#options
    const name = { start: request.start(2), end: request.end(2) }
    const data = { start: request.start(3), end: request.end(3) }
    const bytes = eventBytes(name.end - name.start, data.end - data.start)
    if (bytes > recordBytesMax) {
      throw new RecordTooLargeError(`an event of ${bytes} bytes does not fit, ${recordBytesMax} is the most`)
    }
    const { gather, names } = this.#gathered
    const place = gather.room(this, topic, request, bytes)
    if (place >= 0) {
      layEvent(request.buffer, place, names.of(request.buffer, name.start, name.end), data.start, data.end)
    } else {
      const buffer = Buffer.allocUnsafeSlow(bytes)
      putEvent(buffer, 0, request.buffer, name, data)
      this.#publish(topic, { buffer, start: 0, end: bytes, count: 1, isOwned: true })
    }
    return topic.room()
  }

  /** Of as many requests as there are records. */
  #publish(topic: Topic, run: RecordRun): void {
    const { broker, durability } = this.#options
    const token = tokenOf(this.#peer.later(), run.count)
    try {
      broker.publish(topic, 0, run, plainHow(durability), this, token)
    } catch (error) {
      // The error that is thrown would be answered behind the place that was opened for it.
      this.publishFailed(token, topic, asLeveretError(error))
    }
  }
}

const VERBS: ReadonlyMap<string, Verb<MeiliesConversation>> = new Map([
  ['publish', { isOrdered: false, run: (conversation, request) => conversation.publish(request) }],
  ['subscribe', { isOrdered: true, run: (conversation, request) => conversation.subscribe(request) }],
  ['unsubscribe', { isOrdered: true, run: (conversation, request) => conversation.unsubscribe(request) }],
  [
    'subscription-frames',
    { isOrdered: true, run: (conversation, request) => conversation.subscriptionFrames(request) },
  ],
  ['last-event-number', { isOrdered: true, run: (conversation, request) => conversation.lastEventNumber(request) }],
  ['stream-names', { isOrdered: true, run: (conversation) => conversation.streamNames() }],
] satisfies [string, Verb<MeiliesConversation>][])

/** Throws InvalidArgumentError unless it is UTF-8. */
function textOf(request: RespRequest, index: number): string {
  const text = request.text(index)
  if (text === null) throw new InvalidArgumentError('a name is UTF-8')
  return text
}
