/**
 * A listener that speaks the NATS protocol, and the streaming server behind it: connections, and parts of this process, on
 * one router.
 */
import type { Broker } from '../../broker/broker.js'
import type { Clock } from '../../common/clock.js'
import type { Random } from '../../common/random.js'
import { type Service, type StopOptions, startAll, stopAll } from '../../common/service.js'
import type { MetricsRegistry } from '../../metrics/registry.js'
import type { Connection } from '../../transport/connection.js'
import { TcpListener } from '../../transport/tcp-listener.js'
import { type NatsContext, type NatsCounters, type NatsLimits, NatsSession } from './core/nats-session.js'
import { Router } from './core/router.js'
import { infoLine, newServerId, SERVER_NAME } from './core/server-info.js'
import { SubjectNames } from './core/subject-names.js'
import { type StreamingOptions, StreamingServer } from './streaming/streaming-server.js'

/** High-water mark of a socket: from there on its reader has so many seconds to take it. */
const OUTBOX_BYTES_MAX = 1024 * 1024

export interface NatsStreamingOptions {
  readonly host: string
  readonly port: number
  readonly connectionsMax: number
  readonly limits: NatsLimits
  /** By chance, unless somebody has told it already. */
  readonly serverId?: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly broker: Broker
  readonly metrics: MetricsRegistry
  readonly streaming: Omit<StreamingOptions, 'broker' | 'router' | 'clock' | 'metrics' | 'pressure'>
}

export class NatsStreamingGateway implements Service {
  readonly router: Router
  readonly #listener: TcpListener
  readonly #server: StreamingServer
  readonly #services: readonly Service[]
  #settling: Promise<void> | null = null

  constructor({ limits, random, streaming, broker, serverId = newServerId(random), ...options }: NatsStreamingOptions) {
    const { clock, metrics, host } = options
    const router = new Router(random)
    const info = (connection: Connection): Buffer => {
      const { port } = this
      const server = { serverId, serverName: SERVER_NAME, host, port, payloadBytesMax: limits.payloadBytesMax }
      return infoLine(server, connection.id, addressOf(connection.remote))
    }
    const pressure = { isHigh: false }
    const context: NatsContext = {
      router,
      names: new SubjectNames(),
      clock,
      limits,
      counters: natsCounters(metrics),
      pressure,
      info,
      coarseNowMs: () => this.#listener.coarseNowMs(),
      settled: () => this.#settled(),
    }
    this.router = router
    metrics.gauge(
      'leveret_nats_subscriptions',
      'Subscriptions, those of this process included',
      () => router.subscriptions,
    )
    this.#listener = new TcpListener({
      ...options,
      turn: broker.turn,
      name: 'nats-streaming',
      metricsRoom: 'nats',
      outboxBytesMax: Math.min(OUTBOX_BYTES_MAX, limits.pendingBytesMax),
      accept: (connection) => new NatsSession(connection, context),
    })
    // Whoever connects finds everything recovered.
    this.#server = new StreamingServer({ ...streaming, broker, router, clock, metrics, pressure })
    this.#services = [this.#server, this.#listener]
  }

  get name(): string {
    return this.#listener.name
  }

  get host(): string {
    return this.#listener.host
  }

  get port(): number {
    return this.#listener.port
  }

  start(): Promise<void> {
    return startAll(this.#services)
  }

  stop(options: StopOptions): Promise<void> {
    void this.#settled()
    return stopAll(this.#services, options)
  }

  /** Asked for once the server stops. */
  #settled(): Promise<void> {
    this.#settling ??= this.#server.settle()
    return this.#settling
  }
}

function addressOf(remote: string): string {
  return remote.slice(0, remote.lastIndexOf(':'))
}

function natsCounters(metrics: MetricsRegistry): NatsCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_nats_${noun}_total`, help)
  return {
    messagesIn: counter('messages_in', 'Messages published by connections of the NATS protocol'),
    messagesOut: counter('messages_out', 'Messages handed to connections of the NATS protocol'),
    faults: counter('faults', 'Connections ended because of what they said'),
    timeouts: counter('timeouts', 'Connections ended because they said nothing in time'),
    slowConsumers: counter('slow_consumers', 'Connections ended because they did not read'),
    stalls: counter(
      'publisher_waits',
      'Times that a publisher was read no further for a moment because its readers were behind',
    ),
    unreadable: counter(
      'unreadable',
      'Messages left out because their subject and reply are longer than clients can read',
    ),
  }
}
