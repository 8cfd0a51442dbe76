/**
 * The engine on one machine: an Engine over a Store. Adds to the store what needs no disk: arrival times, expected
 * offsets, producer sequences, cursors that wait at the end, and retention. Long because an Engine can do much; each
 * method only finds the part that does it.
 */
import { ClosedError, PartitionNotFoundError, TopicNotFoundError, UnsupportedError } from '../../common/errors.js'
import { createLog } from '../../common/log.js'
import type { SteadyTime } from '../../common/steady-time.js'
import { Turn } from '../../common/turn.js'
import type { PartitionedGroupOptions } from '../../groups/partitioned/partitioned-facts.js'
import type { GroupState } from '../../model/group.js'
import { FIRST_OFFSET, type Offset } from '../../model/offset.js'
import type { Batch } from '../../model/record.js'
import type { SegmentInfo } from '../../model/segment-info.js'
import type { Start, TopicSettings } from '../../model/topic.js'
import type {
  Capability,
  Cursor,
  Engine,
  EngineProblem,
  GroupCounts,
  JoinHow,
  PartitionInfo,
  PartitionMember,
  PublishHow,
  Receipt,
  Seat,
  Share,
  ShareHow,
  ShareMember,
  TopicInfo,
} from '../engine.js'
import type { Store } from '../store.js'
import { noTally } from './local-group.js'
import { LocalGroups } from './local-groups.js'
import { LocalPartition } from './local-partition.js'
import { closeTopic, type LocalTopic, newTopic } from './local-topic.js'
import { PARTITIONED } from './positioned-group.js'

const debug = createLog('storage:local')

/** Partitions that one `tidy` opens, at about. */
const VISITS_MAX = 64
const GROUPS_MAX = 100_000

const CAN: Capability[] = ['dense', 'dedup', 'expect', 'max-records', 'purge', 'share', 'share-seek', 'groups']

export interface LocalEngineOptions {
  /** The same that readers tell ages by. */
  readonly clock: SteadyTime
  readonly producersMax: number
  /** Groups of one topic, 100 000 unless it says. */
  readonly groupsMax?: number
  /** Of groups that assign partitions; what is missing is as PARTITIONED says. */
  readonly partitioned?: Partial<PartitionedGroupOptions>
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
  /** By name, until the store has dropped them or refused to; nobody finds them meanwhile. */
  readonly #dropping = new Map<string, Promise<void>>()
  readonly #partitioned: PartitionedGroupOptions
  readonly #turn = new Turn()
  /** Those of topics that have any, and what is counted of topics that are gone. */
  readonly #grouped = new Set<LocalGroups>()
  readonly #past = noTally()
  #closed = false

  constructor(store: Store, options: LocalEngineOptions) {
    this.name = store.name
    this.can = new Set(store.keepsLatest ? [...CAN, 'compact'] : CAN)
    this.#store = store
    this.#options = options
    this.#partitioned = { ...PARTITIONED, ...options.partitioned }
  }

  async open(): Promise<void> {
    await this.#store.open()
    for (const [name, settings] of await this.#store.topics()) this.#adoptStored(newTopic(name, settings))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const topic of this.#topics.values()) closeTopic(topic, engineClosed())
    for (const topic of this.#topics.values()) await topic.groups?.idle()
    await this.#store.close()
  }

  async ensureTopic(name: string, settings: TopicSettings): Promise<TopicInfo> {
    // It may be there again: whether it was dropped is known only then.
    while (this.#dropping.has(name)) await this.#dropping.get(name)?.catch(() => undefined)
    if (this.#closed) throw engineClosed()
    const known = this.#topics.get(name)
    if (known !== undefined) {
      await known.creating
      return known
    }
    this.#refuseUnsupported(settings)
    const topic = newTopic(name, settings)
    this.#adopt(topic)
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
    if (topic.creating !== null) await topic.creating
    // Saving one that is not there would make it.
    if (!this.#isCurrent(topic)) throw new TopicNotFoundError(name)
    await this.#store.saveTopic(name, settings)
    topic.settings = settings
    if (!this.#isCurrent(topic)) throw new TopicNotFoundError(name)
    this.#noteAging(topic)
    topic.groups?.configure()
    await this.#visit(topic)
  }

  async dropTopic(name: string): Promise<void> {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicNotFoundError(name)
    this.#forget(topic)
    this.#dropping.set(
      name,
      this.#drop(topic).finally(() => this.#dropping.delete(name)),
    )
    await this.#dropping.get(name)
  }

  /** Its partitions are closed when the store has dropped it, and not before: if that fails it is used as it was. */
  async #drop(topic: LocalTopic): Promise<void> {
    const { name } = topic
    // One that could not be made is not there.
    await topic.creating?.catch(() => {
      throw new TopicNotFoundError(name)
    })
    try {
      await this.#store.dropTopic(name)
    } catch (error) {
      if ((await this.#isStored(name)) && !this.#closed) this.#adoptStored(topic)
      else closeTopic(topic, this.#closed ? engineClosed() : new TopicNotFoundError(name))
      throw error
    }
    closeTopic(topic, new TopicNotFoundError(name))
    topic.groups?.count(this.#past, Number.POSITIVE_INFINITY)
    if (topic.groups !== null) this.#grouped.delete(topic.groups)
  }

  async #isStored(name: string): Promise<boolean> {
    try {
      return (await this.#store.topics()).has(name)
    } catch {
      // It is closed.
      return false
    }
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

  logStart(name: string, index: number): Offset {
    return this.#topics.get(name)?.partitions?.[index]?.log.logStart ?? FIRST_OFFSET
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
    // Those that are put back have their next turn in the next round.
    let left = this.#unvisited.size
    for (const topic of this.#unvisited) {
      if (left-- === 0 || visits >= VISITS_MAX || this.#closed) return
      this.#unvisited.delete(topic)
      visits += await this.#visit(topic)
    }
  }

  /**
   * Apply the limits to all that is kept of a topic, used or not; what fails is tried again by a later `tidy`. Returns
   * the number of partitions that it tried.
   */
  async #visit(topic: LocalTopic): Promise<number> {
    const indexes = this.#writtenPartitions(topic)
    let isDone = indexes !== null
    for (const index of indexes ?? []) isDone = (await this.#visitPartition(topic, index)) && isDone
    if (!isDone && this.#isCurrent(topic)) this.#unvisited.add(topic)
    return indexes?.length ?? 1
  }

  /** False when it was dropped meanwhile, or cannot be opened: whoever uses it is told. */
  async #visitPartition({ name }: LocalTopic, index: number): Promise<boolean> {
    try {
      await (await this.#partition(name, index)).retain()
      return true
    } catch (error) {
      debug('partition %d of topic %j was not visited: %O', index, name, error)
      return false
    }
  }

  /** Null when they cannot be told. */
  #writtenPartitions({ name }: LocalTopic): readonly number[] | null {
    try {
      return this.#store.writtenPartitions(name)
    } catch (error) {
      debug('the partitions of topic %j were not found: %O', name, error)
      return null
    }
  }

  async purge(name: string, index: number, before: Offset): Promise<void> {
    await (await this.#partition(name, index)).log.trimTo(before)
  }

  async skipTo(name: string, index: number, offset: Offset): Promise<void> {
    await (await this.#partition(name, index)).log.skipTo(offset)
  }

  async segments(name: string, index: number, bytesMax: number | null): Promise<readonly SegmentInfo[]> {
    const { log } = await this.#partition(name, index)
    if (bytesMax !== null) log.segmentBytesMax = bytesMax
    return await log.parts()
  }

  async closeSegment(name: string, index: number): Promise<void> {
    await (await this.#partition(name, index)).log.closeSegment()
  }

  get identity(): string | null {
    return this.#store.identity
  }

  problems(): readonly EngineProblem[] {
    return this.#store.problems()
  }

  async share(name: string, group: string, how: ShareHow, member: ShareMember): Promise<Share> {
    return await (await this.#groupsIn(name)).share(group, how, member)
  }

  async join(name: string, group: string, how: JoinHow, member: PartitionMember): Promise<Seat> {
    return await (await this.#groupsIn(name)).join(group, how, member)
  }

  async groups(name: string, after: string, limit: number): ReturnType<Engine['groups']> {
    return await (await this.#groupsIn(name)).list(after, limit)
  }

  async group(name: string, group: string): Promise<GroupState> {
    return await (await this.#groupsIn(name)).group(group)
  }

  async seekGroup(...[name, group, start, partition, keepsLeases]: Parameters<Engine['seekGroup']>): Promise<void> {
    await (await this.#groupsIn(name)).seek(group, start, partition, keepsLeases)
  }

  async pauseGroup(name: string, group: string, isPaused: boolean): Promise<void> {
    await (await this.#groupsIn(name)).pause(group, isPaused)
  }

  async dropGroup(name: string, group: string): Promise<void> {
    await (await this.#groupsIn(name)).drop(group)
  }

  groupCounts(silentMs: number): GroupCounts {
    const tally = { ...this.#past, lag: 0, silentMembers: 0, groups: 0 }
    for (const groups of this.#grouped) {
      groups.count(tally, silentMs)
      tally.groups += groups.size
    }
    return tally
  }

  async #groupsIn(name: string): Promise<LocalGroups> {
    return this.#groupsOf(await this.#usable(name))
  }

  /** The topic, once the store has it. */
  async #usable(name: string): Promise<LocalTopic> {
    if (this.#closed) throw engineClosed()
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicNotFoundError(name)
    if (topic.creating !== null) await topic.creating
    if (!this.#isCurrent(topic)) throw new TopicNotFoundError(name)
    return topic
  }

  #groupsOf(topic: LocalTopic): LocalGroups {
    const { name } = topic
    topic.groups ??= new LocalGroups(topic, {
      clock: this.#options.clock,
      turn: this.#turn,
      durability: this.#store.durabilityMax,
      groupsMax: this.#options.groupsMax ?? GROUPS_MAX,
      partitioned: this.#partitioned,
      groupLog: () => this.#store.groupLog(name),
      partition: (index) => this.#partition(name, index),
    })
    this.#grouped.add(topic.groups)
    return topic.groups
  }

  async #partition(name: string, index: number): Promise<LocalPartition> {
    const topic = await this.#usable(name)
    const { partitions } = topic.settings
    if (index >= partitions) {
      throw new PartitionNotFoundError(`topic "${name}" has ${partitions} partitions, no number ${index}`)
    }
    const log = await this.#store.partition(name, index)
    // With less than the disk promised, records may be lost that a group has acked.
    const { durability, retention } = topic.settings
    if (durability !== 'disk' && retention !== 'none' && topic.partitions?.[index] === undefined) {
      await this.#groupsOf(topic).opened(index, log.end)
    }
    const produced = topic.partitions?.[index] === undefined ? await log.produced() : []
    // What was not there when the engine was closed, or the topic dropped, is closed by nobody.
    if (this.#closed) throw engineClosed()
    if (!this.#isCurrent(topic)) throw new TopicNotFoundError(name)
    topic.partitions ??= []
    topic.partitions[index] ??= new LocalPartition(log, topic, produced, this.#store.durabilityMax, this.#options)
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

  #adopt(topic: LocalTopic): void {
    this.#topics.set(topic.name, topic)
    this.#noteAging(topic)
  }

  /** One that may hold records which no append will look at. */
  #adoptStored(topic: LocalTopic): void {
    this.#adopt(topic)
    if (this.#aging.has(topic) || topic.settings.keepLatestPerKey) this.#unvisited.add(topic)
  }

  /** False for one that was dropped, even if there is another of its name. */
  #isCurrent(topic: LocalTopic): boolean {
    return this.#topics.get(topic.name) === topic
  }

  #noteAging(topic: LocalTopic): void {
    const { retention } = topic.settings
    if (retention !== 'none' && retention.ageMs !== null) this.#aging.add(topic)
    else this.#aging.delete(topic)
  }

  #forget(topic: LocalTopic): void {
    if (this.#isCurrent(topic)) this.#topics.delete(topic.name)
    this.#aging.delete(topic)
    this.#unvisited.delete(topic)
  }
}

function engineClosed(): ClosedError {
  return new ClosedError('the engine is closed')
}
