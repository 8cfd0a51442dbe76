/**
 * A client: one connection that comes back by itself, and everything that lives on it. Users get one from `connect`.
 */
import { EventEmitter } from 'eventemitter3'
import { ClosedError, InvalidArgumentError, type LeveretError, TopicNotFoundError } from '../src/common/errors.js'
import { brief, createLog } from '../src/common/log.js'
import { Turn } from '../src/common/turn.js'
import {
  DEFAULT_TOPIC_SETTINGS,
  TOPIC_NAME_BYTES_MAX,
  type TopicSettings,
  validateTopicName,
  validateTopicSettings,
} from '../src/model/topic.js'
import { publishHeadBytesMax } from '../src/protocol/encode-client.js'
import type { GroupDescription, ServerFrame, TopicDescription, WelcomeFrame } from '../src/protocol/frames.js'
import { BatchBuffers } from './batch-buffers.js'
import { callUser } from './call-user.js'
import { bytes, type Codec } from './codec.js'
import { describeGroup, listGroups, manageGroup, type SeekOptions } from './group-requests.js'
import { Link } from './link.js'
import { type ConnectOptions, settingsOf } from './options.js'
import { type PublishContext, Publisher } from './publisher.js'
import { nothing, quiet } from './quiet.js'
import type { SubscribeContext } from './reading.js'
import { type RequestOptions, Requests } from './requests.js'
import type { From, SubscribeOptions, Subscription } from './subscribe-options.js'
import { LiveSubscription } from './subscription.js'
import { Topic } from './topic.js'

const log = createLog('client')
const PRODUCER_ID_BYTES = 12
const SUBSCRIPTION_MAX = 0xffff_ffff

export interface ClientEvents {
  /** The connection was lost and is being dialled again. */
  disconnected: (error: LeveretError) => void
  reconnected: () => void
  /** It is over. `error` is null when this side closed. */
  closed: (error: LeveretError | null) => void
}

export type ClientStatus = 'connecting' | 'connected' | 'reconnecting' | 'draining' | 'closed'

/** What the server said of itself. */
export interface ServerInfo {
  readonly version: number
  readonly server: string
  readonly nodeId: string
  readonly maxFrameBytes: number
  readonly features: readonly string[]
}

export interface TopicOptions<T> {
  readonly codec?: Codec<T>
}

const NO_SERVER: ServerInfo = { version: 0, server: '', nodeId: '', maxFrameBytes: 0, features: [] }

export class Client extends EventEmitter<ClientEvents> {
  readonly #link: Link
  readonly #requests: Requests
  readonly #publishers = new Map<string, Publisher>()
  readonly #subscriptions = new Map<number, LiveSubscription<unknown>>()
  readonly #publishing: PublishContext
  readonly #subscribing: SubscribeContext
  #lastSubscription = 0
  #status: ClientStatus = 'connecting'
  #server: ServerInfo = NO_SERVER
  #draining: Promise<void> | null = null

  /** Not connected yet: use `connect`. Throws InvalidArgumentError. */
  constructor(options: ConnectOptions) {
    super()
    const settings = settingsOf(options)
    const turn = new Turn()
    this.#link = new Link(settings, {
      onUp: (welcome) => this.#onUp(welcome),
      onDown: (error) => this.#onDown(error),
      onOver: (error) => this.#onOver(error),
      onEvent: (frame) => this.#onEvent(frame),
      onWritable: () => {
        for (const publisher of this.#publishers.values()) publisher.onWritable()
      },
    })
    const link = this.#link
    this.#requests = new Requests(link, settings)
    const producer = Buffer.from(settings.random.id(PRODUCER_ID_BYTES))
    const headBytes = publishHeadBytesMax(TOPIC_NAME_BYTES_MAX, producer.length)
    const buffers = new BatchBuffers(headBytes + settings.batchBytes)
    this.#publishing = { link, settings, turn, buffers, producer, pendingBytes: 0 }
    const forget = (subscription: number): void => {
      this.#subscriptions.delete(subscription)
    }
    const nodeId = (): string => this.#server.nodeId
    this.#subscribing = { link, requests: this.#requests, settings, turn, nodeId, forget }
  }

  /** Called by `connect`, once. */
  async open(signal: AbortSignal | undefined): Promise<void> {
    await this.#link.open(signal)
  }

  get status(): ClientStatus {
    return this.#status
  }

  /** The server of the latest connection. */
  get server(): ServerInfo {
    return this.#server
  }

  /** Bytes published and not answered yet; see `maxPendingBytes`. */
  get pendingBytes(): number {
    return this.#publishing.pendingBytes
  }

  /** A handle; it asks the server nothing. Throws InvalidArgumentError on a name that no topic can have. */
  topic(name: string): Topic<Uint8Array>
  topic<T = Uint8Array>(name: string, options: TopicOptions<T> & { readonly codec: Codec<T> }): Topic<T>
  topic(name: string, options?: TopicOptions<Uint8Array>): Topic<Uint8Array>
  topic<T>(name: string, options: TopicOptions<T> | TopicOptions<Uint8Array> = {}): Topic<T> | Topic<Uint8Array> {
    validateTopicName(name)
    const ports = {
      publisher: (topic: string) => this.#publisher(topic),
      subscribe: <V>(topic: string, codec: Codec<V>, given: SubscribeOptions) => this.#subscribe(topic, codec, given),
    }
    if (options.codec === undefined) return new Topic(name, bytes(), ports)
    return new Topic(name, options.codec as Codec<T>, ports)
  }

  /** Idempotent. Settings left out have their defaults; other settings than the topic has are LVT_TOPIC_CONFLICT. */
  createTopic(name: string, settings: Partial<TopicSettings> = {}, options: RequestOptions = {}): Promise<void> {
    const whole = { ...DEFAULT_TOPIC_SETTINGS, ...settings }
    try {
      checkSettings(whole)
    } catch (error) {
      return quiet(Promise.reject(error))
    }
    const build = (id: number) => ({ kind: 'create-topic', id, topic: name, settings: whole }) as const
    return quiet(this.#requests.ask('done', build, options).then(nothing))
  }

  /** The names of all topics, in their order. */
  topics(options: RequestOptions = {}): Promise<string[]> {
    return quiet(this.#allNames(options))
  }

  async #allNames(options: RequestOptions): Promise<string[]> {
    const names: string[] = []
    for (;;) {
      const after = names[names.length - 1] ?? ''
      const page = await this.#describe('', after, options)
      for (const { name } of page.topics) names.push(name)
      if (!page.more || page.topics.length === 0) return names
    }
  }

  /** Throws TopicNotFoundError. */
  describe(name: string, options: RequestOptions = {}): Promise<TopicDescription> {
    return quiet(this.#describeOne(name, options))
  }

  async #describeOne(name: string, options: RequestOptions): Promise<TopicDescription> {
    validateTopicName(name)
    const { topics } = await this.#describe(name, '', options)
    const topic = topics[0]
    if (topic === undefined) throw new TopicNotFoundError(name)
    return topic
  }

  /** The groups of a topic, of all modes, in the order of their names. Throws TopicNotFoundError. */
  groups(topic: string, options: RequestOptions = {}): Promise<GroupDescription[]> {
    return quiet(listGroups(this.#requests, topic, options))
  }

  /** Throws GroupNotFoundError, as the following do. */
  describeGroup(topic: string, group: string, options: RequestOptions = {}): Promise<GroupDescription> {
    return quiet(describeGroup(this.#requests, topic, group, options))
  }

  /** Go on elsewhere, in one partition or in all: what members have of it now counts no more. Resolves when it is safe. */
  seekGroup(topic: string, group: string, from: From, options: SeekOptions = {}): Promise<void> {
    return quiet(manageGroup(this.#requests, topic, group, { action: 'seek', from }, options))
  }

  /** A paused group gives nothing out, also after a restart. LVT_UNSUPPORTED unless it is shared. */
  pauseGroup(topic: string, group: string, options: RequestOptions = {}): Promise<void> {
    return quiet(manageGroup(this.#requests, topic, group, { action: 'pause' }, options))
  }

  resumeGroup(topic: string, group: string, options: RequestOptions = {}): Promise<void> {
    return quiet(manageGroup(this.#requests, topic, group, { action: 'resume' }, options))
  }

  /** Forget it for good. Its members are ended with GroupNotFoundError. */
  deleteGroup(topic: string, group: string, options: RequestOptions = {}): Promise<void> {
    return quiet(manageGroup(this.#requests, topic, group, { action: 'delete' }, options))
  }

  /** There and back. */
  ping(options: RequestOptions = {}): Promise<void> {
    return quiet(this.#requests.ask('pong', (id) => ({ kind: 'ping', id }), options).then(nothing))
  }

  /** Resolves when everything published so far has its receipt or its failure. */
  async flush(): Promise<void> {
    await Promise.all(Array.from(this.#publishers.values(), (publisher) => publisher.flush()))
  }

  /** Take nothing new, wait for what was published, end the subscriptions, then close. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  /**
   * Close now: what is unanswered fails with LVT_CLOSED, or LVT_IN_DOUBT if it was sent. Only handlers of `run` may finish
   * what they have begun, and what was said of records of groups is waited for.
   */
  async close(): Promise<void> {
    const leaving = Array.from(this.#subscriptions.values(), (subscription) => subscription.close())
    if (this.#link.isUp) await Promise.all(leaving)
    await this.#link.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain()
  }

  async #drain(): Promise<void> {
    if (this.#status === 'closed') return
    this.#status = 'draining'
    await Promise.all(Array.from(this.#subscriptions.values(), (subscription) => subscription.finish()))
    await this.flush()
    await this.close()
  }

  async #describe(topic: string, after: string, options: RequestOptions) {
    return this.#requests.ask(
      'description',
      (id) => ({ kind: 'describe', id, topic, group: '', after, groups: false }),
      options,
    )
  }

  #requireOpen(): void {
    if (this.#status === 'closed') throw new ClosedError('the client is closed')
    if (this.#status === 'draining') throw new ClosedError('the client is draining')
  }

  #publisher(topic: string): Publisher {
    this.#requireOpen()
    let publisher = this.#publishers.get(topic)
    if (publisher === undefined) {
      publisher = new Publisher(topic, this.#publishing)
      this.#publishers.set(topic, publisher)
    }
    return publisher
  }

  #subscribe<T>(topic: string, codec: Codec<T>, options: SubscribeOptions): Subscription<T> {
    this.#requireOpen()
    do this.#lastSubscription = this.#lastSubscription === SUBSCRIPTION_MAX ? 1 : this.#lastSubscription + 1
    while (this.#subscriptions.has(this.#lastSubscription))
    const number = this.#lastSubscription
    const subscription = new LiveSubscription<T>(this.#subscribing, number, topic, codec, options)
    if (!subscription.isOver) this.#subscriptions.set(number, subscription as LiveSubscription<unknown>)
    return subscription
  }

  // ---- what the link tells ----

  #onUp(welcome: WelcomeFrame): void {
    const { version, server, nodeId, maxFrameBytes, features } = welcome
    this.#server = { version, server, nodeId, maxFrameBytes, features }
    const isFirst = this.#status === 'connecting'
    if (this.#status !== 'draining') this.#status = 'connected'
    for (const subscription of this.#subscriptions.values()) subscription.onUp()
    for (const publisher of this.#publishers.values()) publisher.onUp()
    this.#requests.onUp()
    if (!isFirst) callUser(() => this.emit('reconnected'))
  }

  #onDown(error: LeveretError): void {
    if (this.#status !== 'draining') this.#status = 'reconnecting'
    for (const subscription of this.#subscriptions.values()) subscription.onDown()
    for (const publisher of this.#publishers.values()) publisher.onDown()
    callUser(() => this.emit('disconnected', error))
  }

  #onOver(error: LeveretError | null): void {
    this.#status = 'closed'
    const reason = error ?? new ClosedError('the client was closed')
    for (const subscription of [...this.#subscriptions.values()]) subscription.fail(error)
    for (const publisher of this.#publishers.values()) publisher.fail(reason)
    this.#requests.fail(reason)
    callUser(() => this.emit('closed', error))
  }

  #onEvent(frame: ServerFrame): void {
    switch (frame.kind) {
      case 'delivery':
      case 'lost-range':
      case 'assigned':
      case 'ended':
        this.#subscriptions.get(frame.subscription)?.onFrame(frame)
        return
      case 'failure':
        log('the server refused a frame: %s %s', frame.code, brief(frame.message))
        return
      default:
    }
  }
}

/** What no server could take, told here and with the name of the field. */
function checkSettings(settings: TopicSettings): void {
  for (const name of Object.keys(settings)) {
    if (!Object.hasOwn(DEFAULT_TOPIC_SETTINGS, name))
      throw new InvalidArgumentError(`"${name}" is no setting of a topic`)
  }
  validateTopicSettings(settings)
}
