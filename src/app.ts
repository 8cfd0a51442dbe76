/**
 * The composition root: builds every part from a configuration, starts them in order and stops them in reverse.
 */
import { createRequire } from 'node:module'
import { Broker } from './broker/broker.js'
import { type Clock, systemClock } from './common/clock.js'
import { ConfigError } from './common/errors.js'
import { type Random, systemRandom } from './common/random.js'
import { type Service, type StopOptions, startAll, stopAll, together } from './common/service.js'
import { SteadyTime } from './common/steady-time.js'
import { isLoopback } from './config/load.js'
import type { Config } from './config/schema.js'
import type { NatsLimits } from './gateways/nats-streaming/core/nats-session.js'
import { NatsStreamingGateway } from './gateways/nats-streaming/nats-streaming-gateway.js'
import type { StreamingOptions } from './gateways/nats-streaming/streaming/streaming-server.js'
import { flokiDialect } from './gateways/resp/floki/floki-dialect.js'
import { configOf } from './gateways/resp/floki/queue-config.js'
import { meiliesDialect } from './gateways/resp/meilies/meilies-dialect.js'
import { RespGateway } from './gateways/resp/resp-gateway.js'
import type { RespLimits } from './gateways/resp/resp-session.js'
import { MetricsRegistry } from './metrics/registry.js'
import { DEFAULT_TOPIC_SETTINGS, type Durability } from './model/topic.js'
import { runBytesMax } from './protocol/frames.js'
import { NativeSession, type SessionContext } from './session/native-session.js'
import { sessionCounters } from './session/session-counters.js'
import type { Engine } from './storage/engine.js'
import { createEngine, type EngineSeams } from './storage/open-engine.js'
import { TcpListener } from './transport/tcp-listener.js'

const { version } = createRequire(import.meta.url)('leveret/package.json') as { version: string }

/** What the drop-in command of NATS Streaming chooses beyond the table of settings. */
export type StreamingChoices = Pick<
  StreamingOptions,
  'discoverPrefix' | 'heartbeats' | 'limits' | 'isDurableReplaced' | 'journal'
> & {
  /** What an answer to a publish waits for, where there is a disk. */
  readonly durability?: Durability
  /** That clients are told of. */
  readonly serverId?: string
}

/** Where time, chance and files come from; the system's unless a test says otherwise. */
export type Seams = Partial<Omit<EngineSeams, 'clock'>> & {
  readonly clock?: Clock
  readonly streaming?: StreamingChoices
}

/** An open listener. */
export interface ListenerInfo {
  readonly name: string
  readonly host: string
  readonly port: number
}

export class App implements Service {
  readonly broker: Broker
  readonly metrics = new MetricsRegistry()
  readonly #listener: TcpListener
  readonly #listeners: readonly (Service & ListenerInfo)[]
  readonly #services: readonly Service[]
  #stopping: Promise<void> | null = null

  /** Throws ConfigError and UnsupportedError; opens nothing. */
  constructor(
    config: Config,
    { clock: machineClock = systemClock, random = systemRandom, streaming = {}, ...others }: Seams = {},
  ) {
    if (!isLoopback(config.host) && !config.insecure) {
      throw new ConfigError([`host ${config.host} is reachable from outside and nothing authenticates: needs insecure`])
    }
    const { metrics } = this
    const { engine, broker, clock } = brokerOf(config, { clock: machineClock, random, metrics, ...others })
    this.broker = broker
    const processId = random.id(8)
    const context: SessionContext = {
      broker: this.broker,
      clock,
      limits: { ...config, deliveryBytesMax: Math.min(config.deliveryBytesMax, runBytesMax(config.maxFrameBytes)) },
      identity: {
        server: `leveret/${version}`,
        // Clients take another node for a loss of records: it is another one if the records are.
        get nodeId() {
          return engine.identity ?? processId
        },
        maxFrameBytes: config.maxFrameBytes,
      },
      counters: sessionCounters(metrics),
      coarseNowMs: () => this.#listener.coarseNowMs(),
      elsewhere: () => gateways.map(({ name, port }) => `${name} on ${port}`).join(', '),
    }
    this.#listener = new TcpListener({
      ...config,
      name: 'native',
      clock,
      turn: this.broker.turn,
      metrics,
      accept: (connection) => new NativeSession(connection, context),
    })
    // Readers and publishers last in, first out: listeners stop before what they lean on.
    const gateways = gatewaysOf(config, this.broker, { clock, random, metrics, streaming })
    this.#listeners = config.dialectsOnly ? gateways : [this.#listener, ...gateways]
    this.#services = [this.broker, together(this.#listeners)]
  }

  get listeners(): readonly ListenerInfo[] {
    return this.#listeners.map(({ name, host, port }) => ({ name, host, port }))
  }

  start(): Promise<void> {
    return startAll(this.#services)
  }

  stop(options: StopOptions): Promise<void> {
    this.#stopping ??= stopAll(this.#services, options)
    return this.#stopping
  }
}

/** Engine and broker, not yet started: all there is to a command that works on a data directory by itself. */
export function brokerOf(
  config: Config,
  { clock: machineClock, metrics, ...others }: Omit<EngineSeams, 'clock'> & { readonly clock: Clock },
): { readonly engine: Engine; readonly broker: Broker; readonly clock: Clock } {
  const clock = new SteadyTime(machineClock)
  const topicDefaults = {
    ...DEFAULT_TOPIC_SETTINGS,
    partitions: config.defaultPartitions,
    retention: config.defaultRetention,
    compactionWindowMs: config.defaultCompactionWindowMs,
  }
  const engine = createEngine(config, { clock, metrics, ...others })
  return { engine, broker: new Broker(engine, clock, { ...config, topicDefaults }, metrics), clock }
}

interface GatewayContext {
  readonly clock: Clock
  readonly random: Random
  readonly metrics: MetricsRegistry
  readonly streaming: StreamingChoices
}

/** The dialects that were asked for. */
function gatewaysOf(config: Config, broker: Broker, context: GatewayContext): readonly (Service & ListenerInfo)[] {
  const gateways: (Service & ListenerInfo)[] = []
  if (config.meilies !== null) gateways.push(meiliesGateway(config, broker, context, config.meilies))
  if (config.floki !== null) gateways.push(flokiGateway(config, broker, context, config.floki))
  if (config.natsStreaming !== null) {
    gateways.push(natsStreamingGateway(config, broker, context, config.natsStreaming))
  }
  return gateways
}

function meiliesGateway(config: Config, broker: Broker, { clock, metrics }: GatewayContext, port: number) {
  const recordBytesMax = runBytesMax(config.maxFrameBytes)
  const dialect = meiliesDialect({
    broker,
    clock,
    recordBytesMax,
    limits: { ...config, deliveryBytesMax: Math.min(config.deliveryBytesMax, recordBytesMax) },
    durability: config.store === 'memory' ? null : 'disk',
    hasClassicFrames: !config.meiliesMessages,
    hasStrictNames: config.meiliesStrictNames,
  })
  const { turn } = broker
  return new RespGateway({ ...config, dialect, port, limits: respLimits(config), clock, turn, metrics, version })
}

function flokiGateway(config: Config, broker: Broker, { clock, random, metrics }: GatewayContext, port: number) {
  const dialect = flokiDialect({
    broker,
    clock,
    random,
    version,
    metrics,
    recordBytesMax: runBytesMax(config.maxFrameBytes),
    waitersMax: config.flokiWaitersMax,
    deliveryBytesMax: config.deliveryBytesMax,
    fetchCountMax: config.flokiFetchMax,
    fetchBytesMax: config.flokiFetchBytesMax,
    queueDefaults: configOf(config),
    server: {
      dataDirectory: config.data,
      connectionsMax: config.connectionsMax,
      nowSeconds: () => Math.floor(clock.now() / 1_000),
      reportBytesMax: config.flokiReportBytesMax,
      connections: () => gateway.connections,
      address: () => `${gateway.host}:${gateway.port}`,
    },
  })
  const { turn } = broker
  // What is too large for a record is refused by its verb, and the connection goes on.
  const limits = { ...respLimits(config), bulkBytesMax: config.respRequestBytesMax }
  const gateway = new RespGateway({ ...config, dialect, port, limits, clock, turn, metrics, version })
  return gateway
}

function natsStreamingGateway(config: Config, broker: Broker, context: GatewayContext, port: number) {
  const { durability = 'disk', serverId, ...choices } = context.streaming
  const streaming = {
    ...choices,
    clusterId: config.natsStreamingCluster,
    durability: config.store === 'memory' ? null : durability,
    recordBytesMax: runBytesMax(config.maxFrameBytes),
    bounds: {
      clientsMax: config.natsStreamingClientsMax,
      requestsMax: config.natsStreamingRequestsMax,
      publishesMax: config.natsStreamingPublishesMax,
      openingBytesMax: config.publishPendingBytesMax,
    },
  }
  const limits = natsLimits(config)
  return new NatsStreamingGateway({ ...config, ...context, broker, port, limits, serverId, streaming })
}

function natsLimits(config: Config): NatsLimits {
  return {
    controlLineBytesMax: config.natsControlLineBytesMax,
    payloadBytesMax: config.natsMaxPayloadBytes,
    pendingBytesMax: config.natsPendingBytesMax,
    writeDeadlineMs: config.natsWriteDeadlineMs,
    subscriptionsMax: config.natsSubscriptionsMax,
    pingIntervalMs: config.natsPingIntervalMs,
    pingsOutMax: config.natsPingsOutMax,
    handshakeTimeoutMs: config.handshakeTimeoutMs,
    operationTimeoutMs: config.frameTimeoutMs,
  }
}

function respLimits(config: Config): RespLimits {
  return {
    elementsMax: config.respElementsMax,
    bulkBytesMax: config.maxFrameBytes,
    requestBytesMax: config.respRequestBytesMax,
    outboxBytesMax: config.outboxBytesMax,
    requestTimeoutMs: config.frameTimeoutMs,
    handshakeTimeoutMs: config.handshakeTimeoutMs,
    drainTimeoutMs: config.respDrainTimeoutMs === 0 ? null : config.respDrainTimeoutMs,
  }
}
