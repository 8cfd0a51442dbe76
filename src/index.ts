/**
 * leveret inside a process: `createBroker()` starts a broker of its own, on a port of its own, with no state shared
 * with any other.
 */
import { App, type ListenerInfo } from './app.js'
import type { BrokerHealth } from './broker/broker.js'
import type { Clock } from './common/clock.js'
import type { Random } from './common/random.js'
import { configWith } from './config/load.js'
import type { Config } from './config/schema.js'
import type { MetricSample } from './metrics/registry.js'
import type { TopicSettings } from './model/topic.js'

export type { ListenerInfo } from './app.js'
export type { BrokerHealth } from './broker/broker.js'
export type { Clock, Timer } from './common/clock.js'
export { type ErrorCode, LeveretError } from './common/errors.js'
export type { Random } from './common/random.js'
export type { Config } from './config/schema.js'
export type { MetricSample } from './metrics/registry.js'
export type { Durability, Retention, RetentionLimits, SlowConsumerPolicy, TopicSettings } from './model/topic.js'
export type { EngineProblem } from './storage/engine.js'

/** Every setting of docs/configuration.md; `port` is 0 here unless given, which picks a free one. */
export type BrokerOptions = Partial<Config> & {
  /** Where time comes from. */
  readonly clock?: Clock
  /** Where chance comes from. */
  readonly random?: Random
}

/** A running broker. `await using` stops it. */
export interface EmbeddedBroker extends AsyncDisposable {
  /** Port of the native listener; 0 with `dialectsOnly`. */
  readonly port: number
  readonly listeners: readonly ListenerInfo[]
  /** All counters and gauges, as they are now. */
  metrics(): MetricSample[]
  /** Whether everything can be written, and what is wrong with stored records. */
  health(): BrokerHealth
  /**
   * Change some settings of a topic while it is in use; partitions may only grow, and subscribers of the moment get the new
   * ones too. Throws LeveretError LVT_TOPIC_NOT_FOUND, LVT_INVALID_ARGUMENT, LVT_UNSUPPORTED.
   */
  changeTopic(name: string, changes: Partial<TopicSettings>): Promise<void>
  /** Delete a topic and all its records. Throws LeveretError LVT_TOPIC_NOT_FOUND. */
  deleteTopic(name: string): Promise<void>
  /** Drain for at most `deadlineMs` (default: the setting `drainMs`), then close. Idempotent. */
  stop(options?: { deadlineMs?: number }): Promise<void>
}

/**
 * Start a broker in this process. Resolves when it listens. With `data` it keeps its records in that folder; without, and
 * without `store`, it keeps them in memory.
 * Throws ConfigError for settings out of range, LeveretError LVT_ADDRESS_IN_USE for a taken port, LVT_DATA_IN_USE for a
 * folder that another broker holds, LVT_DATA_DAMAGED and LVT_KEY_MISSING for one that cannot be opened.
 */
export async function createBroker({ clock, random, ...overrides }: BrokerOptions = {}): Promise<EmbeddedBroker> {
  const store = overrides.data === undefined ? 'memory' : 'log'
  const config = configWith({ port: 0, store, ...overrides })
  const app = new App(config, { ...(clock && { clock }), ...(random && { random }) })
  await app.start()
  const { listeners } = app
  const stop = ({ deadlineMs = config.drainMs }: { deadlineMs?: number } = {}) => app.stop({ deadlineMs })
  return {
    port: listeners.find(({ name }) => name === 'native')?.port ?? 0,
    listeners,
    metrics: () => app.metrics.samples(),
    health: () => app.broker.health(),
    changeTopic: async (name, changes) => {
      const { settings } = await app.broker.describeTopic(name)
      await app.broker.changeTopic(name, { ...settings, ...changes })
    },
    deleteTopic: (name) => app.broker.deleteTopic(name),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}
