/**
 * The local engine with the manners of a disk: every call takes some turns of the event loop, and appends can be held
 * back or made to fail. With a server around it that is built as app.ts builds it.
 */
import { Broker } from '../../src/broker/broker.js'
import { type Clock, systemClock } from '../../src/common/clock.js'
import { type Service, startAll, stopAll } from '../../src/common/service.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { configWith } from '../../src/config/load.js'
import type { Config } from '../../src/config/schema.js'
import { MetricsRegistry } from '../../src/metrics/registry.js'
import type { Batch } from '../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS, type TopicSettings } from '../../src/model/topic.js'
import { NativeSession, type SessionContext } from '../../src/session/native-session.js'
import { sessionCounters } from '../../src/session/session-counters.js'
import type { PartitionInfo, PublishHow, Receipt, TopicInfo } from '../../src/storage/engine.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { TcpListener } from '../../src/transport/tcp-listener.js'

export class SlowEngine extends LocalEngine {
  /** What it stamps by; the broker over it takes the same. */
  readonly clock: SteadyTime
  /** Turns of the event loop that a call takes. */
  turns = 3
  /** Fail the next append with this, after the time that it takes. */
  failNext: Error | null = null
  #gate: Promise<void> | null = null
  #open: () => void = () => {}

  constructor(clock: Clock = systemClock) {
    const steady = new SteadyTime(clock)
    super(new MemoryStore(), { clock: steady, producersMax: 16 })
    this.clock = steady
  }

  /** Let no append settle until `release`. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  release(): void {
    this.#open()
    this.#gate = null
  }

  override async ensureTopic(name: string, settings: TopicSettings): Promise<TopicInfo> {
    await this.#pass()
    return await super.ensureTopic(name, settings)
  }

  override async partition(name: string, index: number): Promise<PartitionInfo> {
    await this.#pass()
    return await super.partition(name, index)
  }

  override async publish(name: string, index: number, batch: Batch, how: PublishHow): Promise<Receipt> {
    const failure = this.failNext
    this.failNext = null
    const receipt = failure === null ? super.publish(name, index, batch, how) : Promise.reject(failure)
    receipt.catch(() => {})
    await this.#gate
    await this.#pass()
    return await receipt
  }

  async #pass(): Promise<void> {
    for (let turn = 0; turn < this.turns; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

export interface TestServer extends AsyncDisposable {
  readonly port: number
  readonly broker: Broker
  readonly engine: SlowEngine
  stop(): Promise<void>
}

export async function startSlowServer(
  options: { readonly clock?: Clock; readonly engine?: SlowEngine; readonly config?: Partial<Config> } = {},
): Promise<TestServer> {
  const { engine = new SlowEngine(options.clock) } = options
  const { clock } = engine
  const config = configWith({ port: 0, ...options.config })
  const metrics = new MetricsRegistry()
  const broker = new Broker(engine, clock, { ...config, topicDefaults: DEFAULT_TOPIC_SETTINGS }, metrics)
  const context: SessionContext = {
    elsewhere: () => '',
    broker,
    clock,
    limits: config,
    identity: { server: 'test', nodeId: 'test', maxFrameBytes: config.maxFrameBytes },
    counters: sessionCounters(metrics),
    coarseNowMs: () => listener.coarseNowMs(),
  }
  const listener: TcpListener = new TcpListener({
    ...config,
    name: 'native',
    clock,
    turn: broker.turn,
    metrics,
    accept: (connection) => new NativeSession(connection, context),
  })
  const services: readonly Service[] = [broker, listener]
  await startAll(services)
  const stop = () => stopAll(services, { deadlineMs: 1_000 })
  return { port: listener.port, broker, engine, stop, [Symbol.asyncDispose]: stop }
}
