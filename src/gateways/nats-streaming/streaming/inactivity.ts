/**
 * Deletes channels that nobody has used for as long as their limit says: no publish, and no active subscription. Durables that
 * are offline keep nothing alive; readers of other protocols do.
 */
import type { Broker } from '../../../broker/broker.js'
import type { Clock, Timer } from '../../../common/clock.js'
import type { Counter, MetricsRegistry } from '../../../metrics/registry.js'
import type { Channels } from './channels.js'
import type { Deliveries } from './deliveries.js'
import { textOf } from './fault.js'
import type { Journal } from './journal.js'
import { lookUp } from './lookups.js'
import type { StoreLimits } from './store-limits.js'

const LOOK_MS = 100

export interface InactivityOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly limits: StoreLimits
  readonly channels: Channels
  readonly deliveries: Deliveries
  /** What is known of a channel besides its messages. */
  readonly forget: (channel: string) => Promise<void>
  readonly journal: Journal
  readonly metrics: MetricsRegistry
}

interface Watched {
  readonly limitMs: number
  usedMs: number
}

export class Inactivity {
  readonly #options: InactivityOptions
  readonly #watched = new Map<string, Watched>()
  readonly #deleted: Counter
  #unwatch: (() => void) | null = null
  #timer: Timer | null = null
  #isLooking = false

  constructor(options: InactivityOptions) {
    this.#options = options
    this.#deleted = options.metrics.counter(
      'leveret_nats_streaming_channels_deleted_total',
      'Channels that were deleted because nobody used them',
    )
  }

  start(): void {
    const { broker, channels, clock } = this.#options
    for (const name of channels.names()) this.#watch(name)
    this.#unwatch = broker.watchTopics((name) => this.#watch(name))
    this.#timer = clock.every(LOOK_MS, () => void this.#look())
  }

  stop(): void {
    this.#unwatch?.()
    this.#timer?.cancel()
  }

  published(channel: string): void {
    const watched = this.#watched.get(channel)
    if (watched !== undefined) watched.usedMs = this.#options.clock.monotonic()
  }

  #watch(channel: string): void {
    const { limits, channels, clock } = this.#options
    const limitMs = limits.of(channel).inactivityMsMax
    if (limitMs === null || !channels.has(channel)) return
    this.#watched.set(channel, { limitMs, usedMs: clock.monotonic() })
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#watched.size === 0) return
    this.#isLooking = true
    const { broker, clock, deliveries, channels } = this.#options
    for (const [channel, watched] of this.#watched) {
      const nowMs = clock.monotonic()
      if (!channels.has(channel)) this.#watched.delete(channel)
      else if (deliveries.isActive(channel) || (broker.topicInUse(channel)?.subscribers ?? 0) > 0)
        watched.usedMs = nowMs
      else if (nowMs - watched.usedMs >= watched.limitMs) await this.#expire(channel, watched)
    }
    this.#isLooking = false
  }

  async #expire(channel: string, watched: Watched): Promise<void> {
    const { clock, channels, deliveries, journal } = this.#options
    try {
      // Others publish too, and somebody may have come while that was asked.
      const ageMs = await this.#newestAgeMs(channel)
      watched.usedMs = Math.max(watched.usedMs, clock.monotonic() - ageMs)
      if (deliveries.isActive(channel) || clock.monotonic() - watched.usedMs < watched.limitMs) return
      await channels.delete(channel, () => this.#options.forget(channel))
      this.#watched.delete(channel)
      this.#deleted.value++
      journal.info(`Channel "${channel}" has been deleted`)
    } catch (error) {
      watched.usedMs = clock.monotonic()
      journal.error(`deleting channel "${channel}" failed: ${textOf(error)}`)
    }
  }

  /** Of its newest message; Infinity if there is none any more. */
  async #newestAgeMs(channel: string): Promise<number> {
    const { broker, clock } = this.#options
    const { partitions } = await broker.describeTopic(channel)
    const newest = { sequence: partitions[0]?.end ?? 0 }
    let ageMs = Number.POSITIVE_INFINITY
    if (newest.sequence === 0) return ageMs
    await lookUp(broker, clock, channel, [newest], {
      found: (...[, , , timestampMs]) => {
        ageMs = clock.now() - timestampMs
      },
      missing: () => undefined,
      failed: (_, error) => {
        throw error
      },
    })
    return ageMs
  }
}
