/**
 * What queues and the server were told and no topic has a place for, over restarts: the options of queues, the options of
 * queues to come, and ids that channels wait for.
 */
import { type QueueConfig, readConfig } from './queue-config.js'
import type { SettingsLog } from './settings-log.js'

const SERVER_KEY = 'server'
const QUEUE_KEYS = 'queues.'

/** What is kept of a queue besides its topic. */
export interface KeptQueue {
  readonly config: QueueConfig
  /** Ids that channels begin with, which were not there yet when they were told to. */
  readonly starts: Readonly<Record<string, number>>
  /** By the dialect: what no channel needs any more may go. */
  readonly isMade: boolean
}

export class KeptSettings {
  readonly #log: SettingsLog
  readonly #shipped: QueueConfig

  /** `shipped` is what holds for new queues where nothing else was said. */
  constructor(log: SettingsLog, shipped: QueueConfig) {
    this.#log = log
    this.#shipped = shipped
  }

  /** To be called before anything else. */
  open(): Promise<void> {
    return this.#log.open()
  }

  /** Of queues that are made from now on. */
  get defaults(): QueueConfig {
    return readConfig(this.#log.get(SERVER_KEY), this.#shipped)
  }

  putDefaults(change: Partial<QueueConfig>): Promise<void> {
    const kept = (this.#log.get(SERVER_KEY) ?? {}) as Partial<QueueConfig>
    return this.#log.put(SERVER_KEY, { ...kept, ...change })
  }

  /** Of every queue, also of one that somebody else has made. */
  of(queue: string): KeptQueue {
    const kept = this.#log.get(keyOf(queue)) as Partial<KeptQueue> | null
    if (kept === null) return { config: this.defaults, starts: {}, isMade: false }
    return {
      config: readConfig(kept.config, this.defaults),
      starts: kept.starts ?? {},
      isMade: kept.isMade === true,
    }
  }

  put(queue: string, kept: KeptQueue): Promise<void> {
    return this.#log.put(keyOf(queue), kept)
  }

  async remove(queue: string): Promise<void> {
    await this.#log.put(keyOf(queue), null)
  }

  /** What is known is of a queue that is gone. */
  forget(queue: string): void {
    this.#log.forget(keyOf(queue))
  }

  /** Queues that the dialect has made, some of which may be gone. */
  *made(): IterableIterator<string> {
    for (const key of this.#log.keys()) {
      const queue = key.slice(QUEUE_KEYS.length)
      if (key.startsWith(QUEUE_KEYS) && this.of(queue).isMade) yield queue
    }
  }

  /** The channel begins with the message of this id; 0: with what is there. */
  async putStart(queue: string, channel: string, id: number): Promise<void> {
    const kept = this.of(queue)
    if ((kept.starts[channel] ?? 0) === id) return
    const { [channel]: _, ...others } = kept.starts
    await this.put(queue, { ...kept, starts: id === 0 ? others : { ...others, [channel]: id } })
  }
}

function keyOf(queue: string): string {
  return `${QUEUE_KEYS}${queue}`
}
