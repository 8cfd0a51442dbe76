/**
 * A streaming server on the router of the NATS protocol and on the broker: its subjects, its clients and their subscriptions.
 * Recovers what it had before it answers anybody.
 */
import type { Broker } from '../../../broker/broker.js'
import { Slab } from '../../../broker/slab.js'
import type { Clock } from '../../../common/clock.js'
import { LeveretError } from '../../../common/errors.js'
import { inParallel } from '../../../common/in-parallel.js'
import type { Service, StopOptions } from '../../../common/service.js'
import type { MetricsRegistry } from '../../../metrics/registry.js'
import type { Durability } from '../../../model/topic.js'
import { StateTopic } from '../../state-topic.js'
import type { NatsMessage, NatsSubscription, Router } from '../core/router.js'
import type { DeliveryCounters } from './channel-delivery.js'
import { ChannelNotes } from './channel-notes.js'
import { Channels } from './channels.js'
import { Clients, type HeartbeatSettings } from './clients.js'
import { Deliveries } from './deliveries.js'
import { Inactivity } from './inactivity.js'
import { debugJournal, type Journal, lineByLine } from './journal.js'
import { Publishes } from './publishes.js'
import { ReachedLimits } from './reached-limits.js'
import { Requests } from './requests.js'
import { DEFAULT_STORE_LIMITS, type StoreLimits } from './store-limits.js'
import { StreamingState } from './streaming-state.js'
import { type StreamingSubjects, streamingSubjects, subjectLines } from './streaming-subjects.js'

/** No channel can be called that. */
const STATE_TOPIC = '__leveret.nats-streaming'
/** What a store keeps that cannot drop old values alone: it keeps nothing over a restart either. */
const STATE_RECORDS_MAX = 1_000
/** Channels. */
const RECOVERED_AT_ONCE = 16

export const DEFAULT_HEARTBEATS: HeartbeatSettings = { intervalMs: 30_000, timeoutMs: 10_000, failuresMax: 10 }

export interface StreamingOptions {
  readonly broker: Broker
  readonly router: Router
  readonly clock: Clock
  readonly metrics: MetricsRegistry
  readonly clusterId: string
  readonly discoverPrefix?: string
  readonly heartbeats?: HeartbeatSettings
  readonly limits?: StoreLimits
  readonly isDurableReplaced?: boolean
  readonly journal?: Journal
  /** What an answer to a publish waits for; null where there is nothing but memory. */
  readonly durability: Durability | null
  readonly recordBytesMax: number
  readonly pressure: { isHigh: boolean }
  readonly bounds: {
    readonly clientsMax: number
    readonly requestsMax: number
    readonly publishesMax: number
    readonly openingBytesMax: number
  }
}

/** What is kept is another's. In the words of the original. */
class ClusterMismatchError extends LeveretError {
  constructor(asked: string, kept: string) {
    super('LVT_CONFIG_INVALID', `cluster ID "${asked}" does not match recovered value of "${kept}"`)
  }
}

export class StreamingServer implements Service {
  readonly #router: Router
  readonly #clusterId: string
  readonly #journal: Journal
  readonly #state: StreamingState
  readonly #subjects: StreamingSubjects
  readonly #channels: Channels
  readonly #clients: Clients
  readonly #deliveries: Deliveries
  readonly #inactivity: Inactivity
  readonly #reached: ReachedLimits
  readonly #publishes: Publishes
  readonly #requests: Requests
  #subscriptions: NatsSubscription[] = []

  constructor(options: StreamingOptions) {
    const { broker, router, clock, metrics, durability, recordBytesMax, bounds, pressure } = options
    const { limits = DEFAULT_STORE_LIMITS } = options
    const journal = lineByLine(options.journal ?? debugJournal)
    this.#state = stateOf(options)
    this.#clusterId = options.clusterId
    this.#journal = journal
    this.#router = router
    this.#subjects = streamingSubjects(options.clusterId, options.discoverPrefix)
    const listener = new ChannelNotes({ state: this.#state, journal, clock })
    this.#channels = new Channels({ broker, limits, listener, metrics })
    this.#clients = new Clients({
      router,
      clock,
      heartbeats: options.heartbeats ?? DEFAULT_HEARTBEATS,
      listener: {
        failing: ({ id, isFailing }) => this.#deliveries.setFailing(id, isFailing),
        timedOut: (client) => this.#requests.timedOut(client),
      },
      metrics,
    })
    const lookups = { open: 0 }
    metrics.gauge('leveret_nats_streaming_lookups', 'Messages being read to be sent again', () => lookups.open)
    this.#deliveries = new Deliveries({
      context: {
        broker,
        router,
        clock,
        turn: broker.turn,
        channels: this.#channels,
        state: this.#state,
        journal,
        pressure,
        counters: deliveryCounters(metrics),
        slab: new Slab(),
        lookups,
      },
      channels: this.#channels,
      limits,
      isDurableReplaced: options.isDurableReplaced ?? false,
      metrics,
    })
    this.#inactivity = new Inactivity({
      broker,
      clock,
      limits,
      channels: this.#channels,
      deliveries: this.#deliveries,
      forget: (channel) => this.#forget(channel),
      journal,
      metrics,
    })
    this.#reached = new ReachedLimits({ broker, journal })
    this.#publishes = new Publishes({
      router,
      broker,
      channels: this.#channels,
      clients: this.#clients,
      durability,
      recordBytesMax,
      limits: bounds,
      metrics,
      turn: broker.turn,
      published: (channel, messages, bytes) => {
        this.#inactivity.published(channel.name)
        this.#reached.published(channel, messages, bytes)
      },
      stored: (channel) => this.#reached.stored(channel),
    })
    this.#requests = new Requests({
      router,
      clients: this.#clients,
      deliveries: this.#deliveries,
      state: this.#state,
      subjects: this.#subjects,
      journal,
      limits: bounds,
      metrics,
    })
  }

  async start(): Promise<void> {
    await this.#recover()
    const { discover, pings, publishPrefix, subscribe, unsubscribe, closeSubscription, close } = this.#subjects
    this.#listen(discover, (message) => this.#requests.connect(message))
    this.#listen(pings, (message) => this.#requests.ping(message))
    this.#hear(`${publishPrefix}.>`, (message) => this.#publishes.take(message))
    this.#listen(subscribe, (message) => this.#requests.subscribe(message))
    this.#listen(unsubscribe, (message) => this.#requests.unsubscribe(message))
    this.#listen(closeSubscription, (message) => this.#requests.closeSubscription(message))
    this.#listen(close, (message) => this.#requests.close(message))
    for (const client of this.#clients.all()) this.#clients.watch(client)
    this.#deliveries.begin()
    this.#inactivity.start()
    if (this.#journal.hasDebug) for (const line of subjectLines(this.#subjects)) this.#journal.debug(line)
  }

  async #recover(): Promise<void> {
    this.#journal.info('Recovering the state...')
    const { clusterId, clients, made, others } = await this.#state.open()
    // Before anybody can be told that it is ready: whose folder it is must not depend on who comes first.
    if (clusterId === null) await this.#state.putCluster(this.#clusterId)
    else if (clusterId !== this.#clusterId) throw new ClusterMismatchError(this.#clusterId, clusterId)
    this.#channels.start()
    const failures = await inParallel(made, RECOVERED_AT_ONCE, (channel) =>
      this.#channels.has(channel) ? this.#channels.limit(channel) : this.#state.removeChannel(channel),
    )
    if (failures.length > 0) throw failures[0]
    this.#clients.start()
    for (const facts of clients) this.#clients.add(facts)
    await this.#deliveries.recover(others, RECOVERED_AT_ONCE, (id) => this.#clients.get(id) !== null)
    const count = this.#channels.names().length
    const isNew = clusterId === null && count === 0
    this.#journal.info(isNew ? 'No recovered state' : `Recovered ${count} channel(s)`)
  }

  /**
   * Nothing is taken and nothing given out any more; acks count on. Resolves as soon as all that was taken is answered, and all that
   * was given out is sent: only then connections may end, or messages would be stored whose publishers never hear of it.
   */
  async settle(): Promise<void> {
    for (const subscription of this.#subscriptions) this.#router.remove(subscription)
    this.#subscriptions = []
    this.#inactivity.stop()
    await Promise.all([this.#deliveries.rest(), this.#publishes.settled(), this.#requests.settled()])
  }

  async stop(_options: StopOptions): Promise<void> {
    // What has not settled until now has nobody left to hear of it.
    void this.settle()
    this.#clients.stop()
    await this.#deliveries.stop()
    this.#channels.stop()
  }

  async #forget(channel: string): Promise<void> {
    await this.#deliveries.discard(channel)
    await this.#state.removeChannel(channel)
  }

  /** What was published before is before it. */
  #listen(subject: string, handle: (message: NatsMessage) => void): void {
    this.#hear(subject, (message) => {
      this.#publishes.flush()
      handle(message)
    })
  }

  #hear(subject: string, handle: (message: NatsMessage) => void): void {
    const owner = { deliver: (_subscription: NatsSubscription, message: NatsMessage) => handle(message) }
    const subscription = { subject, queue: null, sid: '', owner }
    this.#subscriptions.push(subscription)
    this.#router.add(subscription)
  }
}

function stateOf({ broker, clock, durability }: StreamingOptions): StreamingState {
  const otherwise = { records: STATE_RECORDS_MAX, bytes: null, ageMs: null }
  return new StreamingState(new StateTopic({ broker, clock, name: STATE_TOPIC, otherwise }), durability)
}

function deliveryCounters(metrics: MetricsRegistry): DeliveryCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_nats_streaming_${noun}_total`, help)
  return {
    sent: counter('messages_sent', 'Messages sent to subscriptions'),
    redelivered: counter('messages_redelivered', 'Messages sent again'),
    acks: counter('acks', 'Acks that counted'),
    strayAcks: counter('acks_stray', 'Acks of messages that nobody waits for'),
    unreadableAcks: counter('acks_unreadable', 'Messages to the inboxes of acks that are none'),
    foreignAcks: counter('acks_foreign', 'Acks that name another channel than that of their inbox'),
    held: counter('feeds_held', 'Times that a subscription rested because its connection had much to take'),
    stateFailures: counter('state_failures', 'Times that what is known of subscriptions could not be kept'),
  }
}
