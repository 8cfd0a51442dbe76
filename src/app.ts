/**
 * The composition root: builds every part from a configuration, starts them in order and stops them in reverse.
 */
import { createRequire } from 'node:module'
import { Broker } from './broker/broker.js'
import { type Clock, systemClock } from './common/clock.js'
import { ConfigError } from './common/errors.js'
import { systemRandom } from './common/random.js'
import { type Service, type StopOptions, startAll, stopAll, together } from './common/service.js'
import { SteadyTime } from './common/steady-time.js'
import { isLoopback } from './config/load.js'
import type { Config } from './config/schema.js'
import { meiliesDialect } from './gateways/resp/meilies/meilies-dialect.js'
import { RespGateway } from './gateways/resp/resp-gateway.js'
import { MetricsRegistry } from './metrics/registry.js'
import { DEFAULT_TOPIC_SETTINGS } from './model/topic.js'
import { runBytesMax } from './protocol/frames.js'
import { NativeSession, type SessionContext } from './session/native-session.js'
import { sessionCounters } from './session/session-counters.js'
import { createEngine, type EngineSeams } from './storage/open-engine.js'
import { TcpListener } from './transport/tcp-listener.js'

const { version } = createRequire(import.meta.url)('leveret/package.json') as { version: string }

/** Where time, chance and files come from; the system's unless a test says otherwise. */
export type Seams = Partial<Omit<EngineSeams, 'clock'>> & { readonly clock?: Clock }

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
  readonly #gateways: readonly (Service & ListenerInfo)[]
  readonly #services: readonly Service[]
  #stopping: Promise<void> | null = null

  /** Throws ConfigError and UnsupportedError; opens nothing. */
  constructor(config: Config, { clock: machineClock = systemClock, random = systemRandom, ...others }: Seams = {}) {
    if (!isLoopback(config.host) && !config.insecure) {
      throw new ConfigError([`host ${config.host} is reachable from outside and nothing authenticates: needs insecure`])
    }
    const { metrics } = this
    const clock = new SteadyTime(machineClock)
    const topicDefaults = {
      ...DEFAULT_TOPIC_SETTINGS,
      partitions: config.defaultPartitions,
      retention: config.defaultRetention,
      compactionWindowMs: config.defaultCompactionWindowMs,
    }
    const engine = createEngine(config, { clock, random, metrics, ...others })
    this.broker = new Broker(engine, clock, { ...config, topicDefaults }, metrics)
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
    this.#gateways = gatewaysOf(config, this.broker, { clock, metrics })
    this.#services = [this.broker, together([this.#listener, ...this.#gateways])]
  }

  get listeners(): readonly ListenerInfo[] {
    return [this.#listener, ...this.#gateways].map(({ name, host, port }) => ({ name, host, port }))
  }

  start(): Promise<void> {
    return startAll(this.#services)
  }

  stop(options: StopOptions): Promise<void> {
    this.#stopping ??= stopAll(this.#services, options)
    return this.#stopping
  }
}

/** The dialects that were asked for. */
function gatewaysOf(
  config: Config,
  broker: Broker,
  { clock, metrics }: { clock: Clock; metrics: MetricsRegistry },
): readonly (Service & ListenerInfo)[] {
  if (config.meilies === null) return []
  const recordBytesMax = runBytesMax(config.maxFrameBytes)
  const dialect = meiliesDialect({
    broker,
    clock,
    recordBytesMax,
    limits: { ...config, deliveryBytesMax: Math.min(config.deliveryBytesMax, recordBytesMax) },
    durability: config.store === 'memory' ? null : 'disk',
    hasClassicFrames: !config.meiliesMessages,
  })
  const limits = {
    elementsMax: config.respElementsMax,
    bulkBytesMax: config.maxFrameBytes,
    requestBytesMax: config.respRequestBytesMax,
    outboxBytesMax: config.outboxBytesMax,
    requestTimeoutMs: config.frameTimeoutMs,
    drainTimeoutMs: config.respDrainTimeoutMs === 0 ? null : config.respDrainTimeoutMs,
  }
  const gateway = new RespGateway({
    ...config,
    dialect,
    port: config.meilies,
    limits,
    clock,
    turn: broker.turn,
    metrics,
    version,
  })
  return [gateway]
}
