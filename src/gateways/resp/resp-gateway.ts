/**
 * A listener that speaks one dialect of RESP.
 */
import type { Clock } from '../../common/clock.js'
import type { Service, StopOptions } from '../../common/service.js'
import type { Turn } from '../../common/turn.js'
import type { MetricsRegistry } from '../../metrics/registry.js'
import { TcpListener } from '../../transport/tcp-listener.js'
import type { Conversation, Dialect } from './dialect.js'
import { handshakeVerbs } from './handshake.js'
import { type RespContext, type RespCounters, type RespLimits, RespSession } from './resp-session.js'

export interface RespGatewayOptions<State extends Conversation> {
  readonly dialect: Dialect<State>
  readonly host: string
  readonly port: number
  readonly connectionsMax: number
  readonly limits: RespLimits
  readonly clock: Clock
  readonly turn: Turn
  readonly metrics: MetricsRegistry
  /** Of the server. */
  readonly version: string
}

export class RespGateway<State extends Conversation> implements Service {
  readonly #listener: TcpListener
  readonly #upkeep: Dialect<State>['upkeep']

  constructor({ dialect, limits, version, ...options }: RespGatewayOptions<State>) {
    const { turn, metrics } = options
    this.#upkeep = dialect.upkeep
    const context: RespContext<State> = {
      dialect,
      handshake: handshakeVerbs({ version, connections: () => this.#listener.connections }),
      limits,
      turn,
      counters: respCounters(dialect.name, metrics),
      coarseNowMs: () => this.#listener.coarseNowMs(),
    }
    this.#listener = new TcpListener({
      ...options,
      name: dialect.name,
      metricsRoom: dialect.name,
      outboxBytesMax: limits.outboxBytesMax,
      accept: (connection) => new RespSession(connection, context),
    })
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

  get connections(): number {
    return this.#listener.connections
  }

  async start(): Promise<void> {
    await this.#listener.start()
    this.#upkeep?.start()
  }

  async stop(options: StopOptions): Promise<void> {
    await this.#listener.stop(options)
    await this.#upkeep?.stop()
  }
}

function respCounters(name: string, metrics: MetricsRegistry): RespCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_${name}_${noun}_total`, help)
  return {
    requests: counter('requests', 'Requests read'),
    errors: counter('errors', 'Requests answered with an error'),
    faults: counter('faults', 'Connections ended because nothing more could be read from them'),
    timeouts: counter('timeouts', 'Connections ended because they took too long'),
  }
}
