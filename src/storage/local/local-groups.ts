/**
 * The groups of one topic in the local engine, all modes under one set of names: read from the group log when the first of
 * them is used, made when somebody takes part, and closed with the topic.
 */
import {
  GroupConflictError,
  GroupNotFoundError,
  InvalidArgumentError,
  PartitionNotFoundError,
  UnsupportedError,
} from '../../common/errors.js'
import { createLog } from '../../common/log.js'
import { namesAfter } from '../../common/name-page.js'
import type { Turn } from '../../common/turn.js'
import type { PartitionedGroupOptions } from '../../groups/partitioned/partitioned-facts.js'
import type { GroupState, Mode } from '../../model/group.js'
import { hasControls, type Start } from '../../model/topic.js'
import type { JoinHow, PartitionMember, Seat, Share, ShareHow, ShareMember } from '../engine.js'
import type { GroupFact } from './group-facts.js'
import type { FactSource, GroupLog } from './group-log.js'
import { fromTheBeginning, GroupMemory, isPositioned, type MemoryPorts } from './group-memory.js'
import { type GroupTally, type NewPartition, noTally, type SoughtPartition } from './local-group.js'
import type { LocalPartition, PartitionTopic } from './local-partition.js'
import { cursorOptions, PositionedGroup } from './positioned-group.js'
import { SharedGroup } from './shared-group.js'

const debug = createLog('storage:groups')

export const NAME_LENGTH_MAX = 255

export interface GroupPorts extends MemoryPorts {
  readonly turn: Turn
  /** Of one topic. Each costs about a kilobyte and a line in the log. */
  readonly groupsMax: number
  readonly partitioned: PartitionedGroupOptions
  partition(index: number): Promise<LocalPartition>
}

type AnyGroup = SharedGroup | PositionedGroup

export class LocalGroups {
  readonly #topic: PartitionTopic
  readonly #ports: GroupPorts
  readonly #memory: GroupMemory
  readonly #groups = new Map<string, AnyGroup>()
  /** Not to be found yet; what they say counts already. */
  readonly #making = new Set<AnyGroup>()
  /** Gone, but the log could not be told: it is, before anything else is done under the name. */
  readonly #undropped = new Set<string>()
  /** In order; null when it is to be made anew. */
  #names: readonly string[] | null = null
  #restoring: Promise<GroupLog> | null = null
  /** What is done under one name is done one after the other. */
  readonly #last = new Map<string, Promise<void>>()
  /** Of groups that were dropped. */
  readonly #past = noTally()
  #closed: Error | null = null

  constructor(topic: PartitionTopic, ports: GroupPorts) {
    this.#topic = topic
    this.#ports = ports
    this.#memory = new GroupMemory(ports, () => this.#sources())
  }

  /** See GroupMemory. */
  opened(...[index, end]: Parameters<GroupMemory['opened']>): Promise<void> {
    return this.#memory.opened(index, end)
  }

  async share(name: string, how: ShareHow, member: ShareMember): Promise<Share> {
    // It may have none here.
    this.#refuseNames(name, how.member || '-')
    return await this.#inTurn(name, async (log) => {
      const known = this.#groups.get(name)
      if (known !== undefined && known.mode !== 'shared') throw this.#conflict(known)
      const group = known ?? (await this.#make(new SharedGroup(name, this.#ports.clock, log), how.start, log))
      await this.#grow(group)
      group.configure(this.#topic.settings, how)
      return group.join(how, member)
    })
  }

  async join(name: string, how: JoinHow, member: PartitionMember): Promise<Seat> {
    this.#refuseNames(name, how.member)
    return await this.#inTurn(name, async (log) => {
      const known = this.#groups.get(name)
      if (known !== undefined && (known.mode === 'shared' || known.mode !== how.mode)) throw this.#conflict(known)
      const group = known ?? (await this.#make(this.#positioned(name, how.mode, log), how.start, log))
      await this.#grow(group)
      return await group.join(how, member)
    })
  }

  async list(after: string, limit: number): Promise<{ groups: readonly GroupState[]; more: boolean }> {
    await this.#restored()
    this.#names ??= [...this.#groups.keys()].sort()
    const { names, more } = namesAfter(this.#names, after, limit)
    const groups = await Promise.all(names.map((name) => this.group(name).catch(unlessGone)))
    return { groups: groups.filter((group) => group !== null), more }
  }

  async group(name: string): Promise<GroupState> {
    return await this.#inTurn(name, async () => {
      const group = this.#found(name)
      await this.#grow(group)
      return await group.state()
    })
  }

  async seek(name: string, start: Start, partition: number | null, keepsLeases = false): Promise<void> {
    await this.#inTurn(name, async () => {
      const group = this.#found(name)
      if (keepsLeases && group.mode !== 'shared') throw new UnsupportedError(`group "${name}" has no leases to keep`)
      await this.#grow(group)
      if (partition !== null && partition >= group.partitions) {
        throw new PartitionNotFoundError(`group "${name}" has no partition ${partition}`)
      }
      const partitions = partition === null ? [...Array(group.partitions).keys()] : [partition]
      await group.seek(await Promise.all(partitions.map((index) => this.#sought(index, start))), keepsLeases)
    })
  }

  async pause(name: string, isPaused: boolean): Promise<void> {
    await this.#inTurn(name, async () => {
      const group = this.#found(name)
      if (group.mode !== 'shared') {
        throw new UnsupportedError(`group "${name}" is no shared group: only those can be paused`)
      }
      await group.pause(isPaused)
    })
  }

  async drop(name: string): Promise<void> {
    await this.#inTurn(name, async (log) => {
      const group = this.#found(name)
      group.count(this.#past, Number.POSITIVE_INFINITY)
      for (const source of group.sources) log.forget(source)
      this.#groups.delete(name)
      this.#names = null
      this.#undropped.add(name)
      group.close(this.#notFound(name))
      await this.#writeDrop(name, log)
    })
  }

  /** Of those that are known by now, and what is counted of those that are gone. */
  count(tally: GroupTally, silentMs: number): void {
    tally.redeliveries += this.#past.redeliveries
    tally.expired += this.#past.expired
    tally.deadLetters += this.#past.deadLetters
    tally.skipped += this.#past.skipped
    tally.rebalances += this.#past.rebalances
    tally.fenced += this.#past.fenced
    for (const group of this.#groups.values()) group.count(tally, silentMs)
  }

  get size(): number {
    return this.#groups.size
  }

  /** The topic has other settings. */
  configure(): void {
    for (const group of this.#groups.values()) {
      this.#inTurn(group.name, async () => {
        await this.#grow(group)
        if (group.mode === 'shared') group.configure(this.#topic.settings)
      }).catch((error: unknown) => debug('group %j has not the settings of its topic: %O', group.name, error))
    }
  }

  close(reason: Error): void {
    this.#closed = reason
    for (const group of this.#groups.values()) group.close(reason)
  }

  /** Resolves when everything that was said is written, or has failed. */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values())
    await this.#memory.idle()
  }

  async #inTurn<T>(name: string, act: (log: GroupLog) => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const acting = (async () => {
      await before
      const log = await this.#restored()
      this.#refuseClosed()
      if (this.#undropped.has(name)) await this.#writeDrop(name, log)
      return await act(log)
    })()
    const over: Promise<void> = acting.then(
      () => this.#passOn(name, over),
      () => this.#passOn(name, over),
    )
    this.#last.set(name, over)
    return await acting
  }

  #passOn(name: string, over: Promise<void>): void {
    if (this.#last.get(name) === over) this.#last.delete(name)
  }

  /** A group that nobody has used before. */
  async #make<G extends AnyGroup>(group: G, start: Start, log: GroupLog): Promise<G> {
    const { name } = group
    if (this.#topic.settings.retention === 'none') {
      const message = `topic "${this.#topic.name}" keeps nothing: a group needs records that can come again`
      throw new UnsupportedError(message, { topic: this.#topic.name })
    }
    const { groupsMax } = this.#ports
    if (this.#groups.size + this.#making.size >= groupsMax) {
      throw new InvalidArgumentError(`a topic has at most ${groupsMax} groups`, { topic: this.#topic.name })
    }
    this.#making.add(group)
    try {
      await this.#grow(group, start)
      this.#refuseClosed()
    } catch (error) {
      for (const source of group.sources) log.forget(source)
      throw error
    } finally {
      this.#making.delete(group)
    }
    this.#groups.set(name, group)
    this.#names = null
    return group
  }

  /** Give the group what partitions it lacks. In a group that is there a new one begins with its first record. */
  async #grow(group: AnyGroup, start: Start = { kind: 'earliest' }): Promise<void> {
    const { partitions } = this.#topic.settings
    if (group.partitions >= partitions) return
    const lacking: NewPartition[] = []
    for (let index = group.partitions; index < partitions; index++) {
      const records = await this.#ports.partition(index)
      lacking.push({ records, start: await records.resolve(start) })
    }
    this.#refuseClosed()
    await group.grow(lacking)
    this.#refuseClosed()
  }

  async #sought(partition: number, start: Start): Promise<SoughtPartition> {
    const records = await this.#ports.partition(partition)
    const offset = await records.resolve(start)
    // Records that do not exist yet are not passed over: the group would have no say in it after a restart.
    return { partition, offset: offset < records.log.stableEnd ? offset : records.log.stableEnd }
  }

  async #writeDrop(name: string, log: GroupLog): Promise<void> {
    await log.write([{ group: name, partition: 0, changes: [{ kind: 'dropped' }] }])
    this.#undropped.delete(name)
  }

  #restored(): Promise<GroupLog> {
    this.#restoring ??= this.#restore().catch((error: unknown) => {
      this.#restoring = null
      throw error
    })
    return this.#restoring
  }

  /** The groups as the log tells of them. Nobody has anything: what was in flight is due. */
  async #restore(): Promise<GroupLog> {
    const { log, facts } = await this.#memory.read()
    const groups: AnyGroup[] = []
    for (const [name, partitions] of facts) groups.push(await this.#restoreGroup(name, partitions, log))
    this.#refuseClosed()
    for (const group of groups) this.#groups.set(group.name, group)
    facts.clear()
    return log
  }

  async #restoreGroup(name: string, told: readonly (GroupFact[] | undefined)[], log: GroupLog): Promise<AnyGroup> {
    const count = Math.min(told.length, this.#topic.settings.partitions)
    const records: LocalPartition[] = []
    for (let index = 0; index < count; index++) {
      const partition = await this.#ports.partition(index)
      await this.#memory.opened(index, partition.openedEnd)
      records.push(partition)
    }
    if (isPositioned(told)) return this.#restorePositioned(name, told, records, log)
    const group = new SharedGroup(name, this.#ports.clock, log)
    for (const [index, partition] of records.entries()) {
      group.restore(partition, fromTheBeginning(told[index] ?? [], partition.log.logStart))
    }
    return group
  }

  #restorePositioned(
    name: string,
    told: readonly (GroupFact[] | undefined)[],
    records: readonly LocalPartition[],
    log: GroupLog,
  ): PositionedGroup {
    let mode: JoinHow['mode'] = 'partitioned'
    let generation = 0
    for (const fact of told.flatMap((facts) => facts ?? [])) {
      if (fact.kind === 'mode' && fact.mode === 'cursor') mode = fact.mode
      else if (fact.kind === 'generation') generation = Math.max(generation, fact.generation)
    }
    const group = this.#positioned(name, mode, log, Math.max(1, records.length), generation)
    for (const [index, partition] of records.entries()) {
      const begin = told[index]?.find((fact) => fact.kind === 'seek')
      group.restore({ records: partition, start: begin?.offset ?? partition.log.logStart })
    }
    return group
  }

  #positioned(
    name: string,
    mode: JoinHow['mode'],
    log: GroupLog,
    partitions = this.#topic.settings.partitions,
    generation = 0,
  ): PositionedGroup {
    const { clock, turn, partitioned } = this.#ports
    const options = mode === 'cursor' ? cursorOptions(partitioned) : partitioned
    return new PositionedGroup(name, mode, partitions, generation, { clock, turn, log, options })
  }

  *#sources(): Generator<FactSource> {
    for (const group of this.#groups.values()) yield* group.sources
    for (const group of this.#making) yield* group.sources
  }

  #found(name: string): AnyGroup {
    const group = this.#groups.get(name)
    if (group === undefined) throw this.#notFound(name)
    return group
  }

  #notFound(name: string): GroupNotFoundError {
    return new GroupNotFoundError(`topic "${this.#topic.name}" has no group "${name}"`, { topic: this.#topic.name })
  }

  #conflict({ name, mode }: { name: string; mode: Mode }): GroupConflictError {
    return new GroupConflictError(`group "${name}" is ${mode === 'cursor' ? 'a cursor' : mode}`, {
      topic: this.#topic.name,
    })
  }

  #refuseNames(group: string, member = '-'): void {
    const isName = (name: string) => name !== '' && name.length <= NAME_LENGTH_MAX && !hasControls(name)
    const rule = `has 1 to ${NAME_LENGTH_MAX} characters, and none of them acts on a terminal`
    if (!isName(group)) throw new InvalidArgumentError(`the name of a group ${rule}`)
    if (!isName(member)) throw new InvalidArgumentError(`the name of a member ${rule}`)
  }

  #refuseClosed(): void {
    if (this.#closed !== null) throw this.#closed
  }
}

/** A group that is dropped while it is listed is in no list. */
function unlessGone(error: unknown): null {
  if (error instanceof GroupNotFoundError) return null
  throw error
}
