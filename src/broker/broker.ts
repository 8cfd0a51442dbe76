/**
 * What sessions and gateways see: topics, publishing and reading, and nothing of how they work inside.
 * Owns the registry, the turn and the housekeeping timer; knows no sockets and no frames.
 */
import type { Timer } from '../common/clock.js'
import {
  InvalidArgumentError,
  type LeveretError,
  PartitionNotFoundError,
  TopicNotFoundError,
} from '../common/errors.js'
import { createLog } from '../common/log.js'
import type { Service, StopOptions } from '../common/service.js'
import type { SteadyTime } from '../common/steady-time.js'
import { Turn } from '../common/turn.js'
import type { MetricsRegistry } from '../metrics/registry.js'
import type { GroupState } from '../model/group.js'
import { FIRST_OFFSET, type Offset, toOffset } from '../model/offset.js'
import type { RecordRun } from '../model/record.js'
import type { SegmentInfo } from '../model/segment-info.js'
import type { Start, TopicSettings } from '../model/topic.js'
import type { Engine, EngineProblem, PublishHow } from '../storage/engine.js'
import type { AssignedHow, AssignedListener, AssignedMember } from './assigned-member.js'
import { BrokerGroups } from './broker-groups.js'
import { type DeadLetterCounters, DeadLetters } from './dead-letters.js'
import type { GroupListener, GroupMember, JoinHow } from './group-member.js'
import { GroupWatch } from './group-watch.js'
import type { BrokerLimits } from './limits.js'
import type { PartitionReader, ReaderListener } from './partition-reader.js'
import type { PublishSink } from './publish.js'
import { publishSpread } from './spread.js'
import type { Topic } from './topic.js'
import type { BrokerCounters, ControllerContext, TopicController } from './topic-controller.js'
import { TopicRegistry } from './topic-registry.js'

const HOUSEKEEPING_MS = 1_000
const log = createLog('broker')

/** One partition as an operator sees it. */
export interface PartitionState {
  readonly partition: number
  readonly logStart: number
  readonly end: number
  readonly bytes: number
}

export interface TopicState {
  readonly name: string
  readonly settings: TopicSettings
  readonly partitions: readonly PartitionState[]
  readonly subscribers: number
}

/** How the broker is, for operators. */
export interface BrokerHealth {
  /** False while something cannot be written: a failed disk, or a full one. */
  readonly isHealthy: boolean
  /** What is wrong with stored records now, and what was found when they were opened; a bounded number. */
  readonly problems: readonly EngineProblem[]
}

export class Broker implements Service {
  readonly turn = new Turn()
  readonly #engine: Engine
  readonly #clock: SteadyTime
  readonly #registry: TopicRegistry
  readonly #groups: BrokerGroups
  readonly #groupWatch: GroupWatch
  #housekeeping: Timer | null = null
  #isTidying = false

  /** The engine stamps by the same `clock`: what it showed when tells how old a record is. */
  constructor(engine: Engine, clock: SteadyTime, limits: BrokerLimits, metrics: MetricsRegistry) {
    this.#engine = engine
    this.#clock = clock
    const context: ControllerContext = { engine, clock, turn: this.turn, limits, counters: brokerCounters(metrics) }
    this.#registry = new TopicRegistry(context)
    const deadLetters = new DeadLetters(this.#registry, context, deadLetterCounters(metrics))
    this.#groups = new BrokerGroups(this.#registry, context, deadLetters)
    this.#groupWatch = new GroupWatch(engine, this.turn, metrics)
    this.#addGauges(metrics)
  }

  async start(): Promise<void> {
    await this.#engine.open()
    await this.#registry.open()
    this.#housekeeping = this.#clock.every(HOUSEKEEPING_MS, () => void this.tidy())
  }

  async stop(options: StopOptions): Promise<void> {
    this.#housekeeping?.cancel()
    this.#housekeeping = null
    const deadline = this.#clock.monotonic() + options.deadlineMs
    while (!this.#registry.isSettled && this.#clock.monotonic() < deadline) await this.turn.next()
    this.#registry.close()
    await this.#engine.close(options)
  }

  /** The topic if it can be published to at once; else ask `useTopic`. */
  topicInUse(name: string): Topic | null {
    const topic = this.#registry.get(name)
    return topic === undefined || topic.controllers === null ? null : topic
  }

  /** The topic ready for use, created with the default settings if it is missing. */
  useTopic(name: string): Promise<Topic> {
    return this.#registry.use(name)
  }

  async createTopic(name: string, settings: TopicSettings): Promise<void> {
    await this.#registry.create(name, settings)
  }

  /** Throws TopicNotFoundError, InvalidArgumentError, UnsupportedError. */
  async changeTopic(name: string, settings: TopicSettings): Promise<void> {
    await this.#registry.change(name, settings)
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#registry.delete(name)
  }

  /** Remove the records of a partition that come before `before`, whoever has not read them yet. Throws TopicNotFoundError. */
  async purge(name: string, partition: number, before: number): Promise<void> {
    this.#registry.require(name)
    await this.#engine.purge(name, partition, toOffset(before))
  }

  /** What there is of a partition, in the parts that are removed as a whole; see Engine. Throws TopicNotFoundError. */
  async segments(name: string, partition: number, bytesMax: number | null): Promise<readonly SegmentInfo[]> {
    this.#registry.require(name)
    return await this.#engine.segments(name, partition, bytesMax)
  }

  async closeSegment(name: string, partition: number): Promise<void> {
    this.#registry.require(name)
    await this.#engine.closeSegment(name, partition)
  }

  health(): BrokerHealth {
    const problems = this.#engine.problems()
    return { isHealthy: !problems.some(({ kind }) => kind === 'read-only' || kind === 'full'), problems }
  }

  /** Names after `after`, in order; `more` says that there are others behind them. */
  topicNames(after: string, limit: number): { names: readonly string[]; more: boolean } {
    return this.#registry.list(after, limit)
  }

  /** Null when there is no such topic. */
  topicSettings(name: string): TopicSettings | null {
    return this.#registry.get(name)?.settings ?? null
  }

  /** Be told the name of every topic that is made from now on, and of every one that is gone, until what is returned is called. */
  watchTopics(created: (name: string) => void, deleted: (name: string) => void = () => undefined): () => void {
    return this.#registry.watch(created, deleted)
  }

  async describeTopic(name: string): Promise<TopicState> {
    const { settings, subscribers } = this.#registry.require(name)
    const partitions: PartitionState[] = []
    for (let partition = 0; partition < settings.partitions; partition++) {
      const { logStart, end, bytes } = await this.#engine.partition(name, partition)
      partitions.push({ partition, logStart, end, bytes })
    }
    return { name, settings, partitions, subscribers }
  }

  /**
   * Publish a checked run to a topic from `topicInUse` or `useTopic`. The run is copied before this returns and the
   * sink is told when it is appended. Throws what the publish itself got wrong: PartitionNotFoundError,
   * InvalidArgumentError.
   */
  publish(
    topic: Topic,
    partition: number | null,
    run: RecordRun,
    how: PublishHow,
    sink: PublishSink,
    token: number,
  ): void {
    if (run.count === 0) throw new InvalidArgumentError('a publish needs at least one record', { topic: topic.name })
    const controllers = topic.controllers ?? []
    topic.wasUsed = true
    if (partition === null && controllers.length > 1) {
      if (how.expectedOffset !== null) {
        throw new InvalidArgumentError('an expected offset needs a partition', { topic: topic.name })
      }
      publishSpread(topic, run, how, sink, token)
      return
    }
    this.#controller(topic, partition ?? 0).publish(run, how, sink, token)
  }

  /**
   * Readers for all partitions of a topic, created if it is missing. From the moment this resolves no record after
   * the start is missed. `untilOffset` is exclusive and counts in each partition.
   */
  async subscribe(
    name: string,
    start: Start,
    untilOffset: number | null,
    listener: ReaderListener,
  ): Promise<PartitionReader[]> {
    const topic = await this.useTopic(name)
    const starts: { next: Offset; logStart: Offset }[] = []
    for (let partition = 0; partition < topic.settings.partitions; partition++) {
      const next = await this.#engine.resolve(name, partition, start)
      starts.push({ next, logStart: (await this.#engine.partition(name, partition)).logStart })
    }
    // The controllers may have been let go of while the engine was asked.
    await this.#registry.openControllers(topic)
    const until = untilOffset === null ? null : toOffset(untilOffset)
    if (topic.controllers === null) throw new TopicNotFoundError(name)
    topic.wasUsed = true
    return topic.controllers.map((controller, partition) => {
      // A partition that was made meanwhile has nothing before its first record.
      const { next, logStart } = starts[partition] ?? { next: FIRST_OFFSET, logStart: FIRST_OFFSET }
      // "latest" is the high-water mark of this very step, so that a publish acknowledged before is not delivered.
      const reader = controller.reader(start.kind === 'latest' ? controller.ring.end : next, until, listener)
      // The ring may still hold what retention has let go of; a reader from afar gets what is kept.
      if (topic.keepsRecords) reader.beginAt(logStart)
      // Without retention that is the ring, and who comes too late for it is no slow consumer.
      else if (start.kind === 'offset') reader.beginAt(controller.ring.start)
      return reader
    })
  }

  /**
   * A member of a shared group of a topic, both made if they are missing. It gets nothing before it asks. Throws
   * UnsupportedError for a topic that keeps nothing, InvalidArgumentError.
   */
  join(name: string, group: string, how: JoinHow, listener: GroupListener): Promise<GroupMember> {
    return this.#groups.join(name, group, how, listener)
  }

  /**
   * The reader of a named cursor, or a member of a partitioned group, both made if they are missing. Throws as `join`
   * does, and GroupInUseError, GroupConflictError.
   */
  joinAssigned(name: string, group: string, how: AssignedHow, listener: AssignedListener): Promise<AssignedMember> {
    return this.#groups.joinAssigned(name, group, how, listener)
  }

  /** Groups of a topic whose names come after `after`. Throws TopicNotFoundError. */
  groups(name: string, after: string, limit: number): Promise<{ groups: readonly GroupState[]; more: boolean }> {
    return this.#groups.list(name, after, limit)
  }

  /** Throws TopicNotFoundError, GroupNotFoundError; so do those that follow. */
  describeGroup(name: string, group: string): Promise<GroupState> {
    return this.#groups.describe(name, group)
  }

  /**
   * Let a group go on elsewhere, in one partition or (null) in all; members of a shared one may keep what they have. Throws
   * PartitionNotFoundError.
   */
  seekGroup(name: string, group: string, start: Start, partition: number | null, keepsLeases = false): Promise<void> {
    return this.#groups.seek(name, group, start, partition, keepsLeases)
  }

  /** Throws UnsupportedError unless it is shared. */
  pauseGroup(name: string, group: string, isPaused: boolean): Promise<void> {
    return this.#groups.pause(name, group, isPaused)
  }

  /** Forget how far it has come; its members are ended. */
  deleteGroup(name: string, group: string): Promise<void> {
    return this.#groups.drop(name, group)
  }

  /** Apply what passes with time; once a second by itself. */
  async tidy(): Promise<void> {
    if (this.#isTidying) return
    this.#isTidying = true
    try {
      await this.#engine.tidy()
      await this.#registry.tidy(this.#clock.monotonic())
      this.#groupWatch.look(this.#clock.monotonic())
    } catch (error) {
      log('housekeeping failed: %O', error)
    } finally {
      this.#isTidying = false
    }
  }

  #controller(topic: Topic, partition: number): TopicController {
    const controller = topic.controllers?.[partition]
    if (controller === undefined) throw partitionNotFound(topic, partition)
    return controller
  }

  #addGauges(metrics: MetricsRegistry): void {
    metrics.gauge('leveret_broker_topics', 'Topics that exist', () => this.#registry.size)
    metrics.gauge('leveret_broker_group_members', 'Seats taken in groups', () => {
      let members = 0
      for (const topic of this.#registry.topics()) members += topic.members
      return members
    })
    metrics.gauge('leveret_broker_problems', 'Troubles with stored records', () => this.#engine.problems().length)
    metrics.gauge('leveret_broker_healthy', '1 unless something cannot be written', () =>
      Number(this.health().isHealthy),
    )
    const sum = (read: (controller: TopicController) => number) => () => {
      let total = 0
      for (const topic of this.#registry.topics())
        for (const controller of topic.controllers ?? []) total += read(controller)
      return total
    }
    metrics.gauge(
      'leveret_broker_readers',
      'Readers of partitions',
      sum((controller) => controller.readers),
    )
    metrics.gauge(
      'leveret_broker_ring_bytes',
      'Bytes held by rings',
      sum((controller) => controller.ring.bytes),
    )
    metrics.gauge(
      'leveret_broker_publish_pending_bytes',
      'Bytes waiting to be appended',
      sum((c) => c.pendingBytes),
    )
    metrics.gauge(
      'leveret_broker_compaction_keys',
      'Keys in compaction windows',
      sum((c) => c.windowKeys),
    )
  }
}

function partitionNotFound(topic: Topic, partition: number): LeveretError {
  const message = `topic "${topic.name}" has ${topic.settings.partitions} partitions, no number ${partition}`
  return new PartitionNotFoundError(message, { topic: topic.name })
}

function deadLetterCounters(metrics: MetricsRegistry): DeadLetterCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_broker_${noun}_total`, help)
  return {
    stored: counter('dead_letters_stored', 'Records of groups that went to a dead-letter topic'),
    discarded: counter(
      'dead_letters_discarded',
      'Records of groups that nobody gets, of topics without a dead-letter topic',
    ),
  }
}

function brokerCounters(metrics: MetricsRegistry): BrokerCounters {
  const counter = (noun: string, help: string) => metrics.counter(`leveret_broker_${noun}_total`, help)
  return {
    publishes: counter('publishes', 'Publishes taken'),
    recordsAppended: counter('records_appended', 'Records appended'),
    bytesAppended: counter('bytes_appended', 'Bytes of records appended'),
    duplicates: counter('duplicates', 'Records dropped by compaction windows'),
    recordsLagged: counter('records_lagged', 'Records that slow readers of topics without retention lost'),
    overloaded: counter('publishes_overloaded', 'Publishes refused because too much was waiting'),
  }
}
