/**
 * Everything about groups that the broker offers: taking part in them, looking at them, and what an operator does to them.
 * A topic is made by whoever takes part, and by nobody else; and never one that could have no group.
 */
import { InvalidArgumentError, PartitionNotFoundError, TopicNotFoundError, UnsupportedError } from '../common/errors.js'
import type { GroupState } from '../model/group.js'
import { type Offset, toOffset } from '../model/offset.js'
import { type Start, validateTopicName } from '../model/topic.js'
import type { DeadLetter } from '../storage/engine.js'
import { type AssignedHow, type AssignedListener, AssignedMember } from './assigned-member.js'
import type { DeadLetters } from './dead-letters.js'
import { type GroupListener, GroupMember, type JoinHow } from './group-member.js'
import type { PartitionReader, ReaderListener } from './partition-reader.js'
import type { Topic } from './topic.js'
import type { ControllerContext } from './topic-controller.js'
import type { TopicRegistry } from './topic-registry.js'

export class BrokerGroups {
  readonly #registry: TopicRegistry
  readonly #context: ControllerContext
  readonly #deadLetters: DeadLetters

  constructor(registry: TopicRegistry, context: ControllerContext, deadLetters: DeadLetters) {
    this.#registry = registry
    this.#context = context
    this.#deadLetters = deadLetters
  }

  async join(name: string, group: string, how: JoinHow, listener: GroupListener): Promise<GroupMember> {
    const topic = await this.#topicFor(name, group)
    const member = new GroupMember(topic, listener)
    const { engine, limits } = this.#context
    const bounds = { inFlightMax: limits.groupInFlightMax, spanMax: limits.groupSpanMax }
    const bury = (dead: DeadLetter) => this.#deadLetters.bury(topic, group, dead)
    member.sit(await engine.share(name, group, { ...how, ...bounds, bury }, member))
    return member
  }

  async joinAssigned(
    name: string,
    group: string,
    { untilOffset, ...how }: AssignedHow,
    listener: AssignedListener,
  ): Promise<AssignedMember> {
    const topic = await this.#topicFor(name, group)
    const until = untilOffset === null ? null : toOffset(untilOffset)
    const member = new AssignedMember(this.#seatsOf(topic, until), listener)
    member.sit(await this.#context.engine.join(name, group, how, member))
    return member
  }

  async list(name: string, after: string, limit: number): Promise<{ groups: readonly GroupState[]; more: boolean }> {
    this.#registry.require(name)
    return await this.#context.engine.groups(name, after, limit)
  }

  async describe(name: string, group: string): Promise<GroupState> {
    this.#registry.require(name)
    return await this.#context.engine.group(name, group)
  }

  async seek(name: string, group: string, start: Start, partition: number | null, keepsLeases: boolean): Promise<void> {
    const { partitions } = this.#registry.require(name).settings
    if (partition !== null && partition >= partitions) {
      throw new PartitionNotFoundError(`topic "${name}" has ${partitions} partitions, no number ${partition}`)
    }
    await this.#context.engine.seekGroup(name, group, start, partition, keepsLeases)
  }

  async pause(name: string, group: string, isPaused: boolean): Promise<void> {
    this.#registry.require(name)
    await this.#context.engine.pauseGroup(name, group, isPaused)
  }

  async drop(name: string, group: string): Promise<void> {
    this.#registry.require(name)
    await this.#context.engine.dropGroup(name, group)
  }

  /** Looked at before it is made: a topic that nobody wanted is not left behind by a refusal. */
  async #topicFor(name: string, group: string): Promise<Topic> {
    if (group === '') throw new InvalidArgumentError('a group needs a name', { topic: name })
    const known = this.#registry.get(name)
    if (known === undefined) validateTopicName(name)
    const { retention } = known?.settings ?? this.#context.limits.topicDefaults
    if (retention === 'none') {
      const what = known === undefined ? `topic "${name}" does not exist and would keep nothing` : keepsNothing(name)
      const remedy = `give it retention first, as \`leveret topics create ${name} --retain forever\` does`
      throw new UnsupportedError(`${what}, and a group needs records that can come again: ${remedy}`, { topic: name })
    }
    return await this.#registry.use(name)
  }

  #seatsOf(topic: Topic, until: Offset | null) {
    const open = (partition: number, from: Offset, listener: ReaderListener) =>
      this.#openReader(topic, partition, from, until, listener)
    return {
      get members(): number {
        return topic.members
      },
      set members(members: number) {
        topic.members = members
      },
      openReader: open,
    }
  }

  async #openReader(
    topic: Topic,
    partition: number,
    from: Offset,
    until: Offset | null,
    listener: ReaderListener,
  ): Promise<PartitionReader> {
    const { logStart } = await this.#context.engine.partition(topic.name, partition)
    const controller = await this.#registry.controller(topic, partition)
    if (topic.isDeleted) throw new TopicNotFoundError(topic.name)
    const reader = controller.reader(from, until, listener)
    // What retention took before it was done with is said, and never passed over in silence.
    reader.beginAt(logStart)
    return reader
  }
}

function keepsNothing(name: string): string {
  return `topic "${name}" keeps nothing`
}
