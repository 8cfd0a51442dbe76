/**
 * What Floki's maintenance does to queues, once a second: segments are closed when they are old, and go when every channel is
 * beyond them and no soft limit keeps them. Hard limits are the topic's, and the engine's business.
 *
 * Only queues that the dialect has made are touched: whoever made others may read them again.
 */
import type { Broker } from '../../../broker/broker.js'
import type { Clock, Timer } from '../../../common/clock.js'
import { createLog } from '../../../common/log.js'
import type { SegmentInfo } from '../../../model/segment-info.js'
import type { QueueConfig } from './queue-config.js'
import type { Queues } from './queues.js'

const debug = createLog('gateways:floki:upkeep')

const INTERVAL_MS = 1_000
/** Queues that are looked at in one go; the others have their turn with the next ones. */
const QUEUES_AT_ONCE = 64

/** What a segment is told by. */
type Segment = Pick<SegmentInfo, 'end' | 'bytes' | 'lastMs'>

/** Segments as a queue has them, the open one last. Returns how many of them may go. */
export function removable(
  segments: readonly Segment[],
  config: Pick<QueueConfig, 'retention_period' | 'retention_size'>,
  /** What no reader needs any more lies below; null when there are no readers, and everything is needed. */
  neededFrom: number | null,
  nowMs: number,
): number {
  let total = segments.reduce((sum, { bytes }) => sum + bytes, 0)
  let count = 0
  for (const { end, bytes, lastMs } of segments.slice(0, -1)) {
    // A clock that was set back makes nothing old.
    const ageMs = lastMs === null ? Number.POSITIVE_INFINITY : Math.max(0, nowMs - lastMs)
    const isNeeded = neededFrom === null || neededFrom < end
    const isYoung = config.retention_period !== 0 && ageMs <= config.retention_period * 1_000
    const isLittle = config.retention_size !== 0 && total <= config.retention_size
    if (isNeeded || isYoung || isLittle) break
    total -= bytes
    count++
  }
  return count
}

export interface UpkeepOptions {
  readonly broker: Broker
  readonly clock: Clock
}

export class Upkeep {
  readonly #queues: Queues
  readonly #options: UpkeepOptions
  #timer: Timer | null = null
  #running: Promise<void> | null = null
  /** Those that are still to be looked at; null: all of them. */
  #walk: Iterator<string> | null = null

  constructor(queues: Queues, options: UpkeepOptions) {
    this.#queues = queues
    this.#options = options
  }

  start(): void {
    this.#timer ??= this.#options.clock.every(INTERVAL_MS, () => {
      this.#running ??= this.#round().finally(() => {
        this.#running = null
      })
    })
  }

  async stop(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    await this.#running
  }

  /** What fails is tried again in the next round. */
  async #round(): Promise<void> {
    try {
      await this.#queues.open()
    } catch (error) {
      debug('the settings of queues cannot be read: %O', error)
      return
    }
    for (const name of this.#next()) {
      if (this.#timer === null) return
      await this.#queues
        .tend(name, (config) => this.#tend(name, config))
        .catch((error: unknown) => {
          debug('queue %j was not looked after: %O', name, error)
        })
    }
  }

  /** No more is looked at than is returned, however many queues there are. */
  #next(): string[] {
    this.#walk ??= this.#queues.made()
    const next: string[] = []
    while (next.length < QUEUES_AT_ONCE) {
      const { value, done } = this.#walk.next()
      if (done === true) {
        this.#walk = null
        break
      }
      next.push(value)
    }
    return next
  }

  async #tend(queue: string, config: QueueConfig): Promise<void> {
    const { broker, clock } = this.#options
    const nowMs = clock.now()
    const segments = await broker.segments(queue, 0, config.segment_size)
    const open = segments.at(-1)
    if (open === undefined) return
    const isOld = config.segment_period !== 0 && nowMs - (open.firstMs ?? nowMs) > config.segment_period * 1_000
    if (isOld || open.bytes >= config.segment_size) await broker.closeSegment(queue, 0)
    // The channels are asked only if what they say may matter.
    if (removable(segments, config, Number.POSITIVE_INFINITY, nowMs) === 0) return
    const count = removable(segments, config, await this.#neededFrom(queue), nowMs)
    const last = segments[count - 1]
    if (last !== undefined) await broker.purge(queue, 0, last.end)
  }

  /** The lowest record that some reader is not done with, also those that read it natively. */
  async #neededFrom(queue: string): Promise<number | null> {
    const positions = (await this.#queues.readers(queue)).map(({ partitions }) => Number(partitions[0]?.position ?? 0))
    return positions.length === 0 ? null : positions.reduce((lowest, one) => Math.min(lowest, one))
  }
}
