/**
 * The engine on one machine: an Engine over a Store. Adds to the store what needs no disk: arrival times, expected
 * offsets, producer sequences, cursors that wait at the end, and retention.
 */

import { ClosedError, PartitionNotFoundError, TopicNotFoundError, UnsupportedError } from '../../common/errors.js'
import { createLog } from '../../common/log.js'
import type { SteadyTime } from '../../common/steady-time.js'
import type { Offset } from '../../model/offset.js'
import type { Batch } from '../../model/record.js'
import type { Start, TopicSettings } from '../../model/topic.js'
import type {
  Capability,
  Cursor,
  Engine,
  EngineProblem,
  PartitionInfo,
  PublishHow,
  Receipt,
  TopicInfo,
} from '../engine.js'
import type { Store } from '../store.js'
import { LocalPartition } from './local-partition.js'

const debug = createLog('storage:local')

/** Partitions that one `tidy` opens, at about. */
const VISITS_MAX = 64

export interface LocalEngineOptions {
  /** The same that readers tell ages by. */
  readonly clock: SteadyTime
  readonly producersMax: number
}

interface LocalTopic {
  readonly name: string
  settings: TopicSettings
  /** Null until one is used: a server may hold a million topics. */
  partitions: (LocalPartition | undefined)[] | null
  /** Until the store has it: one of its name that is being dropped may still be there. */
  creating: Promise<void> | null
}

export class LocalEngine implements Engine {
  readonly name: string
  readonly can: ReadonlySet<Capability>
  readonly #store: Store
  readonly #options: LocalEngineOptions
  readonly #topics = new Map<string, LocalTopic>()
  /** Topics with limits that pass with time; the only ones that `tidy` looks at. */
  readonly #aging = new Set<LocalTopic>()
  /** Topics of the store with work to be done that nobody may ever use: `tidy` opens them, some at a time. */
  readonly #unvisited = new Set<LocalTopic>()
  #closed = false

  constructor(store: Store, options: LocalEngineOptions) {
    this.name = store.name
    const can: Capability[] = ['dense', 'dedup', 'expect', 'max-records', 'purge']
    this.can = new Set(store.keepsLatest ? [...can, 'compact'] : can)
    this.#store = store
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#store.open()
    for (const [name, settings] of await this.#store.topics()) {
      const topic = this.#adopt(name, settings)
      if (this.#aging.has(topic) || settings.keepLatestPerKey) this.#unvisited.add(topic)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const topic of this.#topics.values()) closePartitions(topic, new ClosedError('the engine is closed'))
    await this.#store.close()
  }

  async ensureTopic(name: string, settings: TopicSettings): Promise<TopicInfo> {
    if (this.#closed) throw new ClosedError('the engine is closed')
    const known = this.#topics.get(name)
    if (known !== undefined) {
      await known.creating
      return known
    }
    this.#refuseUnsupported(settings)
    const topic = this.#adopt(name, settings)
    topic.creating = this.#store.saveTopic(name, settings)
    try {
      await topic.creating
      topic.creating = null
    } catch (error) {
      this.#forget(topic)
      throw error
    }
    return topic
  }

  topic(name: string): Promise<TopicInfo | null> {
    return Promise.resolve(this.#topics.get(name) ?? null)
  }

  topics(): Promise<string[]> {
    return Promise.resolve([...this.#topics.keys()])
  }

  async changeTopic(name: string, settings: TopicSettings): Promise<void> {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicNotFoundError(name)
    this.#refuseUnsupported(settings)
    await this.#store.saveTopic(name, settings)
    topic.settings = settings
    this.#noteAging(topic)
    await this.#visit(topic)
  }

  async dropTopic(name: string): Promise<void> {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicNotFoundError(name)
    this.#forget(topic)
    closePartitions(topic, new TopicNotFoundError(name))
    await this.#store.dropTopic(name)
  }

  async partition(name: string, index: number): Promise<PartitionInfo> {
    const { log } = await this.#partition(name, index)
    return { logStart: log.logStart, end: log.stableEnd, bytes: log.bytes }
  }

  publish(name: string, index: number, batch: Batch, how: PublishHow): Promise<Receipt> {
    // Without a hop when the partition is open: the order of calls is the order of appends.
    const open = this.#topics.get(name)?.partitions?.[index]
    if (open !== undefined) return open.publish(batch, how)
    return this.#partition(name, index).then((partition) => partition.publish(batch, how))
  }

  knows(name: string, index: number, producer: string, sequence: number): boolean {
    return this.#topics.get(name)?.partitions?.[index]?.knows(producer, sequence) ?? false
  }

  async resolve(name: string, index: number, start: Start): Promise<Offset> {
    return (await this.#partition(name, index)).resolve(start)
  }

  async read(name: string, index: number, from: Offset): Promise<Cursor> {
    return (await this.#partition(name, index)).read(from)
  }

  async tidy(): Promise<void> {
    for (const topic of this.#aging) for (const partition of topic.partitions ?? []) await partition?.retain()
    let visits = 0
    for (const topic of this.#unvisited) {
      if (visits >= VISITS_MAX || this.#closed) return
      this.#unvisited.delete(topic)
      visits += await this.#visit(topic)
    }
  }

  /** Apply the limits to all that is kept of a topic, used or not. Returns the number of its partitions. */
  async #visit(topic: LocalTopic): Promise<number> {
    const indexes = this.#store.writtenPartitions(topic.name)
    for (const index of indexes) {
      try {
        await (await this.#partition(topic.name, index)).retain()
      } catch (error) {
        // It was dropped meanwhile, or cannot be opened: whoever uses it is told.
        debug('partition %d of topic %j was not visited: %O', index, topic.name, error)
      }
    }
    return indexes.length
  }

  async purge(name: string, index: number, before: Offset): Promise<void> {
    await (await this.#partition(name, index)).log.trimTo(before)
  }

  get identity(): string | null {
    return this.#store.identity
  }

  problems(): readonly EngineProblem[] {
    return this.#store.problems()
  }

  share(): Promise<never> {
    return Promise.reject(new UnsupportedError('shared groups are not offered by this engine'))
  }

  join(): Promise<never> {
    return Promise.reject(new UnsupportedError('partitioned groups are not offered by this engine'))
  }

  async #partition(name: string, index: number): Promise<LocalPartition> {
    if (this.#closed) throw new ClosedError('the engine is closed')
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicNotFoundError(name)
    if (index >= topic.settings.partitions) {
      throw new PartitionNotFoundError(
        `topic "${name}" has ${topic.settings.partitions} partitions, no number ${index}`,
      )
    }
    if (topic.creating !== null) await topic.creating
    const log = await this.#store.partition(name, index)
    topic.partitions ??= []
    if (topic.partitions[index] === undefined) {
      const produced = await log.produced()
      topic.partitions[index] ??= new LocalPartition(log, topic, produced, this.#store.durabilityMax, this.#options)
    }
    return topic.partitions[index]
  }

  #refuseUnsupported(settings: TopicSettings): void {
    if (settings.durability === 'replicated') {
      throw new UnsupportedError(`the ${this.name} engine is on one machine and cannot replicate`)
    }
    if (settings.keepLatestPerKey && !this.can.has('compact')) {
      throw new UnsupportedError(`keep_latest_per_key is not offered by the ${this.name} store`)
    }
  }

  #adopt(name: string, settings: TopicSettings): LocalTopic {
    const topic: LocalTopic = { name, settings, partitions: null, creating: null }
    this.#topics.set(name, topic)
    this.#noteAging(topic)
    return topic
  }

  #noteAging(topic: LocalTopic): void {
    const { retention } = topic.settings
    if (retention !== 'none' && retention.ageMs !== null) this.#aging.add(topic)
    else this.#aging.delete(topic)
  }

  #forget(topic: LocalTopic): void {
    this.#topics.delete(topic.name)
    this.#aging.delete(topic)
    this.#unvisited.delete(topic)
  }
}

function closePartitions(topic: LocalTopic, reason: Error): void {
  for (const partition of topic.partitions ?? []) partition?.close(reason)
}
