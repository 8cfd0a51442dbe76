/**
 * The store that forgets everything with the process: for tests, and for topics that need nothing more.
 */
import type { TopicSettings } from '../../model/topic.js'
import type { EngineProblem } from '../engine.js'
import type { PartitionLog, Store } from '../store.js'
import { MemoryPartitionLog } from './memory-partition-log.js'

interface MemoryTopic {
  settings: TopicSettings
  /** Null until one is used: a server may hold a million topics. */
  partitions: MemoryPartitionLog[] | null
  groupLog: MemoryPartitionLog | null
}

export class MemoryStore implements Store {
  readonly name = 'memory'
  readonly durabilityMax = 'memory'
  readonly keepsLatest = false
  readonly identity = null
  readonly #topics = new Map<string, MemoryTopic>()

  open(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#topics.clear()
    return Promise.resolve()
  }

  topics(): Promise<ReadonlyMap<string, TopicSettings>> {
    return Promise.resolve(new Map([...this.#topics].map(([name, { settings }]) => [name, settings])))
  }

  saveTopic(topic: string, settings: TopicSettings): Promise<void> {
    const known = this.#topics.get(topic)
    if (known === undefined) this.#topics.set(topic, { settings, partitions: null, groupLog: null })
    else known.settings = settings
    return Promise.resolve()
  }

  dropTopic(topic: string): Promise<void> {
    this.#topics.delete(topic)
    return Promise.resolve()
  }

  partition(topic: string, index: number): Promise<PartitionLog> {
    const known = this.#topics.get(topic)
    // A topic dropped in this very moment: an empty log that nobody finds again.
    if (known === undefined) return Promise.resolve(new MemoryPartitionLog())
    known.partitions ??= []
    known.partitions[index] ??= new MemoryPartitionLog()
    return Promise.resolve(known.partitions[index])
  }

  groupLog(topic: string): Promise<PartitionLog> {
    const known = this.#topics.get(topic)
    if (known === undefined) return Promise.resolve(new MemoryPartitionLog())
    known.groupLog ??= new MemoryPartitionLog()
    return Promise.resolve(known.groupLog)
  }

  writtenPartitions(topic: string): readonly number[] {
    return [...(this.#topics.get(topic)?.partitions ?? []).keys()]
  }

  problems(): readonly EngineProblem[] {
    return []
  }
}
