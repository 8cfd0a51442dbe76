/**
 * The shared groups of one topic in the local engine: read from the group log when the first of them is used, made when
 * somebody takes part, and closed with the topic.
 */
import type { Clock } from '../../common/clock.js'
import { InvalidArgumentError, UnsupportedError } from '../../common/errors.js'
import type { Change } from '../../groups/shared/changes.js'
import type { SharedSettings } from '../../groups/shared/settings.js'
import { SharedPartition } from '../../groups/shared/shared-partition.js'
import { FIRST_OFFSET, type Offset } from '../../model/offset.js'
import type { Durability } from '../../model/topic.js'
import type { Share, ShareHow, ShareMember } from '../engine.js'
import type { PartitionLog } from '../store.js'
import { clampedTo, type GroupFacts } from './group-facts.js'
import { GroupLog } from './group-log.js'
import type { LocalPartition, PartitionTopic } from './local-partition.js'
import { SharedGroup, sharedSettings } from './shared-group.js'
import { SharedLane } from './shared-lane.js'

const NAME_LENGTH_MAX = 255
/** Groups of one topic. Each costs about a kilobyte and a line in the log. */
const GROUPS_MAX = 100_000

export interface GroupPorts {
  readonly clock: Clock
  /** The best there is. */
  readonly durability: Durability
  groupLog(): Promise<PartitionLog>
  partition(index: number): Promise<LocalPartition>
}

/** The log as it was read; the facts go when the machines have them. */
interface Loaded {
  readonly log: GroupLog
  /** By group, and partition. */
  readonly facts: Map<string, Change[][]>
}

/** Until somebody takes part, and says how. */
const FORGETFUL: SharedSettings = { ackWaitMs: 1, inFlightMax: 1, spanMax: 1, maxDeliveries: null }

export class LocalGroups {
  readonly #topic: PartitionTopic
  readonly #ports: GroupPorts
  readonly #groups = new Map<string, SharedGroup>()
  #log: GroupLog | null = null
  #loading: Promise<Loaded> | null = null
  /** By partition: it is known where it ended. */
  readonly #opened = new Map<number, Promise<void>>()
  /** What is done to the list of groups is done one after the other: few come, and they come once. */
  #last: Promise<unknown> = Promise.resolve()
  #closed: Error | null = null

  constructor(topic: PartitionTopic, ports: GroupPorts) {
    this.#topic = topic
    this.#ports = ports
  }

  async share(name: string, how: ShareHow, member: ShareMember): Promise<Share> {
    if (name === '' || name.length > NAME_LENGTH_MAX) {
      throw new InvalidArgumentError(`the name of a group has 1 to ${NAME_LENGTH_MAX} characters`)
    }
    if (this.#topic.settings.retention === 'none') {
      const message = `topic "${this.#topic.name}" keeps nothing: a shared group needs records that can come again`
      throw new UnsupportedError(message, { topic: this.#topic.name })
    }
    const opening = this.#last.then(() => this.#open(name, how))
    this.#last = opening.catch(() => undefined)
    const group = await opening
    this.#refuseClosed()
    group.configure(this.#topic.settings, how)
    return group.join(member, how.deliveryBytesMax)
  }

  /** The topic has other settings. */
  configure(): void {
    this.#last = this.#last.then(async () => {
      for (const group of this.#groups.values()) {
        if (group.how === null) continue
        await this.#grow(group, group.how).catch(() => undefined)
        group.configure(this.#topic.settings)
        group.stirred()
      }
    })
  }

  close(reason: Error): void {
    this.#closed = reason
    for (const group of this.#groups.values()) group.close(reason)
  }

  /** Resolves when everything that was said is written, or has failed. */
  async idle(): Promise<void> {
    await this.#last.catch(() => undefined)
    await this.#log?.idle()
  }

  async #open(name: string, how: ShareHow): Promise<SharedGroup> {
    const log = this.#log ?? (await this.#restore())
    const known = this.#groups.get(name)
    const group = known ?? new SharedGroup(name, this.#ports.clock)
    if (known === undefined && this.#groups.size >= GROUPS_MAX) {
      throw new InvalidArgumentError(`a topic has at most ${GROUPS_MAX} groups`, { topic: this.#topic.name })
    }
    await this.#grow(group, how, known === undefined ? how.start : null, log)
    this.#refuseClosed()
    this.#groups.set(name, group)
    return group
  }

  /** Give the group what partitions it lacks. In a group that is there a new one begins with its first record. */
  async #grow(
    group: SharedGroup,
    how: ShareHow,
    start: ShareHow['start'] | null = null,
    log: GroupLog | null = this.#log,
  ): Promise<void> {
    for (let index = group.lanes.length; index < this.#topic.settings.partitions; index++) {
      const records = await this.#ports.partition(index)
      const offset = start === null ? records.log.logStart : await records.resolve(start)
      if (log === null) return
      const machine = new SharedPartition(FIRST_OFFSET, sharedSettings(this.#topic.settings, how))
      const lane = new SharedLane(group, index, machine, records, log)
      await lane.begin(offset)
      this.#refuseClosed()
      group.add(lane)
    }
  }

  /**
   * A partition was opened, and ends there. Records that were beyond are lost with their offsets: what is remembered of them
   * is forgotten, for good, before others stand in their places. To be called before anything is appended.
   */
  opened(index: number, end: Offset): Promise<void> {
    const known = this.#opened.get(index)
    if (known !== undefined) return known
    const opening = this.#forgetBeyond(index, end)
    this.#opened.set(index, opening)
    opening.catch(() => this.#opened.delete(index))
    return opening
  }

  async #forgetBeyond(index: number, end: Offset): Promise<void> {
    const { log, facts } = await this.#load()
    const lines: GroupFacts[] = []
    for (const [group, partitions] of facts) {
      const told = partitions[index] ?? []
      const kept = told.map((change) => clampedTo(change, end)).filter((change) => change !== null)
      if (kept.length === told.length && kept.every((change, place) => change === told[place])) continue
      const changes = SharedPartition.restore(kept, FORGETFUL).snapshot()
      partitions[index] = changes
      lines.push({ group, partition: index, changes })
    }
    if (lines.length > 0) await log.write(lines)
  }

  #load(): Promise<Loaded> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#loading = null
      throw error
    })
    return this.#loading
  }

  async #read(): Promise<Loaded> {
    const seams = { clock: this.#ports.clock, durability: this.#ports.durability }
    const log = new GroupLog(await this.#ports.groupLog(), seams, () => this.#lanes())
    const facts: Loaded['facts'] = new Map()
    for (const { group, partition, changes } of await log.read()) {
      const partitions = facts.get(group) ?? []
      facts.set(group, partitions)
      const known = partitions[partition] ?? []
      // What stands before a seek says nothing any more.
      partitions[partition] = changes[0]?.kind === 'seek' ? [...changes] : [...known, ...changes]
    }
    return { log, facts }
  }

  /** The groups as the log tells of them. Nobody has anything: what was in flight is due. */
  async #restore(): Promise<GroupLog> {
    const { log, facts } = await this.#load()
    const groups: SharedGroup[] = []
    for (const [name, partitions] of facts) groups.push(await this.#restoreGroup(name, partitions, log))
    this.#refuseClosed()
    for (const group of groups) this.#groups.set(group.name, group)
    facts.clear()
    this.#log = log
    return log
  }

  async #restoreGroup(name: string, partitions: readonly Change[][], log: GroupLog): Promise<SharedGroup> {
    const group = new SharedGroup(name, this.#ports.clock)
    for (let index = 0; index < Math.min(partitions.length, this.#topic.settings.partitions); index++) {
      const records = await this.#ports.partition(index)
      await this.opened(index, records.openedEnd)
      const told = partitions[index] ?? []
      // What it began with may be damaged.
      const begin: Change = { kind: 'seek', offset: records.log.logStart }
      const machine = SharedPartition.restore(told[0]?.kind === 'seek' ? told : [begin, ...told], FORGETFUL)
      group.add(new SharedLane(group, index, machine, records, log))
    }
    return group
  }

  *#lanes(): Generator<SharedLane> {
    for (const group of this.#groups.values()) yield* group.lanes
  }

  #refuseClosed(): void {
    if (this.#closed !== null) throw this.#closed
  }
}
