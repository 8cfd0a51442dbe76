/**
 * The durable store, and the embedded default: a data directory with a lock, a catalog of topics, and a segmented log for
 * each partition that was written to. Opens partitions when they are used; after a stop that was not clean it first
 * recovers the end of each.
 */
import { join, resolve } from 'node:path'
import type { Timer } from '../../common/clock.js'
import { ClosedError, LeveretError, TopicNotFoundError } from '../../common/errors.js'
import { inParallel } from '../../common/in-parallel.js'
import { createLog } from '../../common/log.js'
import type { Random } from '../../common/random.js'
import type { SteadyTime } from '../../common/steady-time.js'
import type { MetricsRegistry } from '../../metrics/registry.js'
import { DEFAULT_TOPIC_SETTINGS, type TopicSettings } from '../../model/topic.js'
import type { EngineProblem } from '../engine.js'
import type { PartitionLog, Store } from '../store.js'
import { Catalog } from './catalog.js'
import type { CatalogLine, TopicEntry } from './catalog-lines.js'
import { COMPACT_INTERVAL_MS, Compactor } from './compactor.js'
import { DirectoryLock } from './directory-lock.js'
import { makeDurableDirectories } from './file-io.js'
import { GROUP_LOG, LOCK, partitionOf, SPARE, TOPICS, topicDirectory, topicIdOf } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { HandlePool } from './handle-pool.js'
import { IndexCache } from './index-cache.js'
import type { Keyring } from './keyring.js'
import type { LogContext, LogOptions } from './log-context.js'
import { addLogGauges, logCounters } from './log-counters.js'
import { LogPartition } from './log-partition.js'
import { partitionPlan } from './partition-plan.js'
import { Problems } from './problems.js'
import { SpareRoom } from './spare-room.js'
import { SyncPace } from './sync-pace.js'

const log = createLog('storage:log')

/** Entries of indexes in memory, 24 bytes each: about 12 MiB, for 2 GiB of log. */
const INDEX_ENTRIES_MAX = 512 * 1024
/** Partitions recovered or closed at the same time: enough to keep a disk busy. */
const AT_ONCE = 8
/** Checkpoints written in one sync interval. */
const SAVES_AT_ONCE = 8
/** A start waits so long for the recovery of all partitions; then it goes on beside the service. */
const RECOVERY_WAIT_MS = 1_000

export interface LogStoreConfig extends LogOptions {
  readonly data: string
  readonly keyring: Keyring | null
  /** False: every sync is handed to a thread, however fast the device. */
  readonly syncsInPlace?: boolean
}

export interface LogStoreSeams {
  readonly fs: FileSystem
  readonly clock: SteadyTime
  readonly random: Random
  readonly metrics: MetricsRegistry
}

export class LogStore implements Store {
  readonly name = 'log'
  readonly durabilityMax = 'disk'
  readonly keepsLatest = true
  readonly #data: string
  readonly #config: LogStoreConfig
  readonly #seams: LogStoreSeams
  readonly #context: LogContext
  readonly #problems = new Problems()
  /** By topic id: a topic that was dropped and made again is another one. */
  readonly #partitions = new Map<number, Map<number, Promise<LogPartition>>>()
  readonly #loaded = new Set<LogPartition>()
  /** Under way: a close waits for them. */
  readonly #dropping = new Set<Promise<void>>()
  #lock: DirectoryLock | null = null
  /** Under way since the start; a partition that is used before its turn is recovered at once. */
  #recovering: Promise<void> | null = null
  #isRecovered = true
  #catalog: Catalog | null = null
  #syncing: Timer | null = null
  #compacting: Timer | null = null
  readonly #compactor: Compactor
  #wasClosed = true

  constructor(config: LogStoreConfig, seams: LogStoreSeams) {
    this.#data = resolve(config.data)
    this.#config = config
    this.#seams = seams
    this.#context = {
      fs: seams.fs,
      pool: new HandlePool(seams.fs, config.openFilesMax),
      indexes: new IndexCache(INDEX_ENTRIES_MAX),
      room: new SpareRoom(seams.fs, join(this.#data, SPARE), config.spareBytes),
      clock: seams.clock,
      counters: logCounters(seams.metrics),
      keyring: config.keyring,
      options: config,
      pace: config.syncsInPlace === false ? null : new SyncPace(),
      dirty: new Set(),
      unsaved: new Set(),
      report: (problem) => this.#problems.report(problem),
      resolved: (kind, topic, partition) => this.#problems.resolved(kind, topic, partition),
    }
    this.#compactor = new Compactor(this.#context)
    addLogGauges(seams.metrics, this.#context, this.#loaded)
  }

  get identity(): string | null {
    return this.#catalog?.state.data ?? null
  }

  /** Throws LVT_DATA_IN_USE, LVT_DATA_DAMAGED, LVT_KEY_MISSING, and the system's errors. */
  async open(): Promise<void> {
    const { fs, random } = this.#seams
    await makeDurableDirectories(fs, join(this.#data, TOPICS), fs.exists(join(this.#data, LOCK)))
    const { room } = this.#context
    this.#lock = await room.within(() => DirectoryLock.acquire(fs, this.#data))
    // A full disk does not keep it from opening.
    const hadRoom = fs.exists(join(this.#data, SPARE))
    room.release()
    try {
      const present = this.#topicDirectories()
      this.#catalog = await Catalog.open(fs, this.#data, {
        newId: random.id(16),
        witness: this.#lock.witness,
        present,
        keyring: this.#config.keyring,
      })
      await this.#begin(present)
    } catch (error) {
      const catalog: Catalog | null = this.#catalog
      this.#catalog = null
      // It must not go on cutting files that will be another's.
      await this.#recovering
      catalog?.close()
      this.#partitions.clear()
      this.#loaded.clear()
      this.#context.pool.closeAll()
      // Whoever comes next must not take a process that lives on for the holder.
      await this.#lock.release().catch(() => undefined)
      this.#lock = null
      // A refusal changes nothing.
      if (hadRoom) room.make()
      throw error
    }
    room.make()
    const { clock, dirty } = this.#context
    this.#syncing = clock.every(this.#config.syncIntervalMs, () => {
      room.make()
      for (const partition of dirty) partition.syncSoon()
      this.#saveSome()
    })
    this.#compacting = clock.every(COMPACT_INTERVAL_MS, () => void this.compact())
  }

  async close(): Promise<void> {
    const catalog = this.#catalog
    if (catalog === null) return
    this.#catalog = null
    this.#syncing?.cancel()
    this.#compacting?.cancel()
    await this.#compactor.stop()
    await Promise.allSettled(this.#dropping)
    await this.#recovering
    const open = await this.#openPartitions()
    this.#partitions.clear()
    this.#loaded.clear()
    const failures = await inParallel(open, AT_ONCE, ({ partition }) => partition.close())
    const ends: CatalogLine[] = []
    for (const { id, index, partition } of open) {
      if (partition.hasPassed) ends.push({ kind: 'reserved', id, partition: index, end: partition.end })
    }
    this.#context.pool.closeAll()
    // Whoever could not write, or recover, everything leaves no mark of a clean close.
    if (failures.length === 0 && this.#isRecovered)
      await catalog.closed(ends).catch((error: unknown) => failures.push(error))
    const { generation, data } = catalog.state
    await this.#lock?.release({ generation, data }).catch((error: unknown) => failures.push(error))
    catalog.close()
    if (failures.length > 0) throw failures[0]
  }

  topics(): Promise<ReadonlyMap<string, TopicSettings>> {
    const topics = new Map<string, TopicSettings>()
    // Settings that were added since a topic was made have their defaults.
    for (const { name, settings } of this.#open.state.topics.values()) {
      topics.set(name, { ...DEFAULT_TOPIC_SETTINGS, ...settings })
    }
    return Promise.resolve(topics)
  }

  async saveTopic(topic: string, settings: TopicSettings): Promise<void> {
    await this.#open.saveTopic(topic, settings)
  }

  async dropTopic(topic: string): Promise<void> {
    const dropping = this.#drop(topic)
    this.#dropping.add(dropping)
    try {
      await dropping
    } finally {
      this.#dropping.delete(dropping)
    }
  }

  async #drop(topic: string): Promise<void> {
    const id = await this.#context.room.within(() => this.#open.dropTopic(topic))
    if (id === null) return
    const partitions = this.#partitions.get(id)
    this.#partitions.delete(id)
    for (const opening of partitions?.values() ?? []) {
      // One that could not be opened has nothing to stop.
      const partition = await opening.catch(() => undefined)
      if (partition !== undefined) await this.#compactor.leave(partition)
      await partition?.abandon()
      if (partition !== undefined) this.#loaded.delete(partition)
    }
    this.#problems.forget(topic)
    this.#seams.fs.removeTree(topicDirectory(this.#data, topic, id))
  }

  groupLog(topic: string): Promise<PartitionLog> {
    return this.partition(topic, GROUP_LOG)
  }

  async partition(topic: string, index: number): Promise<PartitionLog> {
    const entry = this.#open.state.topics.get(topic)
    if (entry === undefined) throw new TopicNotFoundError(topic)
    return await this.#partition(entry, index)
  }

  writtenPartitions(topic: string): readonly number[] {
    const entry = this.#open.state.topics.get(topic)
    if (entry === undefined) return []
    const directory = topicDirectory(this.#data, topic, entry.id)
    if (!this.#seams.fs.exists(directory)) return []
    return this.#partitionsIn(directory).filter((partition) => partition !== GROUP_LOG)
  }

  /** That of the groups among them. */
  #partitionsIn(directory: string): number[] {
    const partitions: number[] = []
    for (const name of this.#seams.fs.list(directory)) {
      const partition = name.endsWith('/') ? partitionOf(name.slice(0, -1)) : null
      if (partition !== null) partitions.push(partition)
    }
    return partitions
  }

  /** A checkpoint costs two syncs, so that a few are written at a time, of partitions that have come to rest. */
  #saveSome(): void {
    const { unsaved } = this.#context
    let saved = 0
    for (const partition of unsaved) {
      if (saved >= SAVES_AT_ONCE) return
      if (!partition.isIdle) continue
      unsaved.delete(partition)
      partition.saveSoon()
      saved++
    }
  }

  /** Compact the partitions that are open and due; by itself every few seconds. Resolves when that is done. */
  compact(): Promise<void> {
    return this.#compactor.run(async () => (await this.#openPartitions()).map(({ partition }) => partition))
  }

  problems(): readonly EngineProblem[] {
    return this.#problems.all
  }

  get #open(): Catalog {
    if (this.#catalog === null) throw new ClosedError('the store is not open')
    return this.#catalog
  }

  #partition(topic: TopicEntry, index: number): Promise<LogPartition> {
    const partitions = this.#partitions.get(topic.id) ?? new Map<number, Promise<LogPartition>>()
    this.#partitions.set(topic.id, partitions)
    const known = partitions.get(index)
    if (known !== undefined) return known
    const loading = this.#load(topic, index).catch((error: unknown) => {
      partitions.delete(index)
      const message = `could not be opened: ${error instanceof Error ? error.message : String(error)}`
      this.#problems.report({ kind: 'corrupt', topic: topic.name, partition: index, from: 0, to: null, message })
      throw error
    })
    partitions.set(index, loading)
    return loading
  }

  async #load({ name, id }: TopicEntry, index: number): Promise<LogPartition> {
    const { room } = this.#context
    const of = { catalog: this.#open, data: this.#data, room, wasClosed: this.#wasClosed }
    const partition = await LogPartition.open(this.#context, partitionPlan(of, { name, id }, index))
    this.#loaded.add(partition)
    return partition
  }

  /** Check what is there against the catalog, recover what was not closed, and mark the data as in use. */
  async #begin(present: ReadonlyMap<number, string>): Promise<void> {
    const catalog = this.#open
    const { state } = catalog
    for (const message of catalog.repairs) {
      this.#problems.report({ kind: 'repaired', topic: '', partition: 0, from: 0, to: null, message })
    }
    const { keyring } = this.#config
    if (keyring !== null && !state.keys.has(keyring.currentId)) await catalog.useKey(keyring.currentId)
    this.#removeDropped(present)
    this.#wasClosed = state.isClosed
    // Of those that somebody has removed it is told now, not when they are used.
    for (const entry of state.topics.values()) {
      if (!present.has(entry.id)) for (const index of entry.begun.keys()) await this.#partition(entry, index)
    }
    if (!state.isClosed) {
      this.#recovering = this.#recover(present)
      const { clock } = this.#seams
      const waited = new Promise<void>((done) => {
        clock.after(RECOVERY_WAIT_MS, done)
      })
      await Promise.race([this.#recovering, waited])
    }
    await catalog.opened()
    await this.#lock?.remember({ generation: state.generation, data: state.data })
  }

  /** Topic id to the name of its directory. Throws LVT_DATA_DAMAGED for what no topic explains. */
  #topicDirectories(): Map<number, string> {
    const root = join(this.#data, TOPICS)
    const found = new Map<number, string>()
    for (const name of this.#seams.fs.list(root)) {
      const id = name.endsWith('/') ? topicIdOf(name.slice(0, -1)) : null
      if (id === null) throw new LeveretError('LVT_DATA_DAMAGED', `${join(root, name)} is not of leveret's making`)
      found.set(id, join(root, name))
    }
    return found
  }

  #removeDropped(present: ReadonlyMap<number, string>): void {
    const { state } = this.#open
    const known = new Set([...state.topics.values()].map(({ id }) => id))
    for (const [id, directory] of present) {
      if (!known.has(id)) this.#seams.fs.removeTree(directory)
    }
  }

  async #recover(present: ReadonlyMap<number, string>): Promise<void> {
    const work: { entry: TopicEntry; partition: number }[] = []
    for (const entry of this.#open.state.topics.values()) {
      const directory = present.get(entry.id)
      if (directory === undefined) continue
      for (const partition of this.#partitionsIn(directory)) work.push({ entry, partition })
    }
    log('recovering %d partitions', work.length)
    await inParallel(work, AT_ONCE, async ({ entry, partition }) => {
      const isThere = this.#catalog?.state.topics.get(entry.name)?.id === entry.id
      if (this.#catalog === null) this.#isRecovered = false
      if (!isThere) return
      await this.#partition(entry, partition).catch(() => {
        // The others are none the worse for it; this one is tried again when it is used, and by the next start.
        this.#isRecovered = false
      })
    })
  }

  async #openPartitions(): Promise<{ id: number; index: number; partition: LogPartition }[]> {
    const open: { id: number; index: number; partition: LogPartition }[] = []
    for (const [id, partitions] of this.#partitions) {
      for (const [index, opening] of partitions.entries()) {
        const partition = await opening.catch(() => undefined)
        if (partition !== undefined) open.push({ id, index, partition })
      }
    }
    return open
  }
}
