/**
 * A group that assigns partitions, or a named cursor, which is one of a single member: who takes part, one timer, and the
 * order in which things are said. The machine in groups/partitioned decides; what it changes goes to the group log, and
 * members are told of a generation when it is stored, so that no generation is ever given twice.
 */
import type { Clock, Timer } from '../../common/clock.js'
import { ClosedError, FencedError, GroupInUseError, InvalidArgumentError } from '../../common/errors.js'
import { createLog } from '../../common/log.js'
import type { Turn } from '../../common/turn.js'
import type { PartitionedGroupOptions } from '../../groups/partitioned/partitioned-facts.js'
import { PartitionedGroup } from '../../groups/partitioned/partitioned-group.js'
import type { GroupState } from '../../model/group.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { AssignedPartition, JoinHow, PartitionMember, Seat } from '../engine.js'
import type { GroupLog } from './group-log.js'
import type { GroupTally, LocalGroup, NewPartition, SoughtPartition } from './local-group.js'
import { PositionLane, type PositionOwner } from './position-lane.js'
import { countPositioned, positionedState } from './positioned-state.js'
import { StallGrace } from './stall-grace.js'

const debug = createLog('storage:groups')

export const PARTITIONED: PartitionedGroupOptions = {
  assignor: 'sticky',
  membersMax: 1_000,
  // A member has a connection, and that knows when its peer is gone.
  sessionTimeoutMs: Number.POSITIVE_INFINITY,
  rebalanceDelayMs: 50,
  rebalanceDelayMaxMs: 500,
  revokeWaitMs: 10_000,
}

/** Of a named cursor: nobody else is waited for. */
export function cursorOptions(options: PartitionedGroupOptions): PartitionedGroupOptions {
  return { ...options, membersMax: 1, rebalanceDelayMs: 0, rebalanceDelayMaxMs: 0 }
}

export interface PositionedSeams {
  readonly clock: Clock
  readonly turn: Turn
  readonly log: GroupLog
  readonly options: PartitionedGroupOptions
}

/** A member that has its place. */
interface Place {
  readonly name: string
  readonly member: PartitionMember
  /** Of the last assignment that it was told. */
  generation: number
}

export class PositionedGroup implements LocalGroup, PositionOwner {
  readonly name: string
  readonly mode: JoinHow['mode']
  /** From the first partitions on. */
  readonly machine: PartitionedGroup
  readonly #seams: PositionedSeams
  readonly #lanes: PositionLane[] = []
  /** By the names of the members; null while there are none: most groups are idle. */
  #places: Map<string, Place> | null = null
  /** Members were told of this one. */
  #toldGeneration: number
  #isTelling = false
  #timer: Timer | null = null
  #timerMs = Number.POSITIVE_INFINITY
  readonly #stall = new StallGrace()
  /** Commits of those who lost their place. */
  #fenced = 0
  #closed: Error | null = null

  /** A group that was there before goes on with its generation. */
  constructor(name: string, mode: JoinHow['mode'], partitions: number, generation: number, seams: PositionedSeams) {
    this.name = name
    this.mode = mode
    this.#seams = seams
    this.machine = new PartitionedGroup(partitions, seams.options)
    this.machine.apply({ kind: 'generation', generation })
    this.#toldGeneration = generation
  }

  get partitions(): number {
    return this.#lanes.length
  }

  get sources(): readonly PositionLane[] {
    return this.#lanes
  }

  /** A partition as the log tells of it. They come in the order of their numbers, before anything else happens. */
  restore({ records, start }: NewPartition): void {
    const partition = this.#lanes.length
    this.#lanes.push(new PositionLane(this, partition, records))
    this.machine.apply({ kind: 'position', partition, position: start })
  }

  async grow(partitions: readonly NewPartition[]): Promise<void> {
    const first = this.#lanes.length
    this.machine.addPartitions(Math.max(this.machine.partitions, first + partitions.length), this.#nowMs)
    for (const [index, { records, start }] of partitions.entries()) {
      this.#lanes.push(new PositionLane(this, first + index, records))
      this.machine.setPosition(first + index, start, 'overwrite')
    }
    this.#acted()
    await this.#written(this.#lanes.slice(first))
  }

  /** Never tells the member anything before whoever called has the seat. */
  async join(how: JoinHow, member: PartitionMember): Promise<Seat> {
    const { member: name } = how
    // What was not written when it was last tried is, or nobody joins.
    await this.#written(this.#lanes)
    if (this.#closed !== null) throw this.#closed
    this.#makeRoom(how)
    if (this.machine.join(name, this.#nowMs) === 'group-full') {
      throw new GroupInUseError(`group "${this.name}" has as many members as it may`)
    }
    const place: Place = { name, member, generation: 0 }
    this.#places ??= new Map()
    this.#places.set(name, place)
    // Nobody else is waited for.
    if (this.mode === 'cursor') this.machine.tick(this.#nowMs)
    this.#acted()
    return {
      confirm: (generation) => this.#confirm(place, generation),
      commit: (partition, position, generation) => this.#commit(place, partition, position, generation),
      leave: () => this.#leave(place),
    }
  }

  async seek(partitions: readonly SoughtPartition[]): Promise<void> {
    for (const { partition, offset } of partitions) this.machine.setPosition(partition, offset, 'restart')
    this.#acted()
    await this.#written(partitions.map(({ partition }) => this.#lanes[partition] as PositionLane))
  }

  state(): Promise<GroupState> {
    return positionedState(this, this.#lanes, this.#fenced, this.#seams.clock)
  }

  count(tally: GroupTally, silentMs: number): void {
    tally.fenced += this.#fenced
    countPositioned(tally, this, this.#lanes, silentMs, this.#nowMs)
  }

  close(reason: Error): void {
    if (this.#closed !== null) return
    this.#closed = reason
    this.#timer?.cancel()
    this.#endAll(reason)
  }

  get #nowMs(): number {
    return this.#seams.clock.monotonic()
  }

  #has(place: Place): boolean {
    return this.#places?.get(place.name) === place
  }

  /** Whoever is in the way of the one who comes has to go, if it may be sent away. */
  #makeRoom({ member: name, takeOver }: JoinHow): void {
    const former = this.#places?.get(name)
    if (former !== undefined) this.#end(former, new FencedError(`member "${name}" of group "${this.name}" came again`))
    if (this.mode !== 'cursor') return
    for (const place of this.#places?.values() ?? []) {
      if (!takeOver) throw new GroupInUseError(`cursor "${this.name}" is read by member "${place.name}"`)
      this.machine.leave(place.name, this.#nowMs)
      this.#end(place, new FencedError(`cursor "${this.name}" was taken over by member "${name}"`))
    }
  }

  #end(place: Place, reason: Error): void {
    this.#places?.delete(place.name)
    place.member.ended(reason)
  }

  #endAll(reason: Error): void {
    const places = [...(this.#places?.values() ?? [])]
    this.#places = null
    for (const { name } of places) this.machine.leave(name, this.#nowMs)
    for (const { member } of places) member.ended(reason)
  }

  #confirm(place: Place, generation: number): void {
    if (!this.#has(place)) return
    this.machine.confirm(place.name, generation, this.#nowMs)
    this.#acted()
  }

  async #commit(place: Place, partition: number, position: Offset, generation: number): Promise<void> {
    if (this.#closed !== null) throw new ClosedError('the group is closed')
    const lane = this.#lanes[partition]
    if (lane !== undefined && position > Math.max(lane.end, lane.position)) {
      throw new InvalidArgumentError(`position ${position} is beyond the end of partition ${partition}, ${lane.end}`)
    }
    if (!this.#has(place)) this.#fenced++
    const { name } = place
    const isOwned =
      this.#has(place) &&
      this.machine.commit(name, partition, generation || place.generation, position, this.#nowMs) !== 'fenced'
    if (lane === undefined || !isOwned) {
      throw new FencedError(
        `partition ${partition} is not, or not any more, with member "${name}" of group "${this.name}"`,
      )
    }
    lane.lagsSinceMs = null
    this.#noteChanges()
    await this.#seams.log.commit(lane)
  }

  #leave(place: Place): void {
    if (!this.#has(place)) return
    this.#places?.delete(place.name)
    if (this.#places?.size === 0) this.#places = null
    this.machine.leave(place.name, this.#nowMs)
    this.#acted()
  }

  /** After every call of the machine that may have given a partition to somebody. */
  #acted(): void {
    this.#noteChanges()
    if (!this.#isTelling) void this.#tell()
    this.#setTimer()
  }

  #noteChanges(): void {
    for (const change of this.machine.takeChanges()) {
      const lane = this.#lanes[change.kind === 'generation' ? 0 : change.partition]
      if (lane !== undefined) lane.hasNews = true
    }
  }

  async #written(lanes: readonly PositionLane[]): Promise<void> {
    await Promise.all(lanes.map((lane) => this.#seams.log.commit(lane)))
  }

  /** Bring the news of generations to the members, each when it is stored. If it cannot be stored they hear why. */
  async #tell(): Promise<void> {
    this.#isTelling = true
    while (this.#toldGeneration < this.machine.generation && this.#closed === null) {
      const stored = this.machine.generation
      const failure = await this.#written(this.#lanes.slice(0, 1)).then(
        () => null,
        (error: Error) => error,
      )
      // By the next turn whoever joined has its seat.
      await this.#seams.turn.next()
      if (failure === null && stored < this.machine.generation) continue
      if (failure === null) this.#assign()
      else this.#giveUp(failure)
      this.#toldGeneration = failure === null ? stored : this.machine.generation
    }
    this.#isTelling = false
  }

  /** Who joins next has it written first, or is refused. */
  #giveUp(failure: Error): void {
    debug('a generation of group %j was not written: %O', this.name, failure)
    this.#endAll(failure)
    this.#noteChanges()
  }

  #assign(): void {
    for (const { member, generation, partitions, started } of this.machine.takeAssignments()) {
      const place = this.#places?.get(member)
      if (place === undefined) continue
      place.generation = generation
      const anew = new Set(started)
      place.member.assigned({ generation, partitions: partitions.map((partition) => this.#assigned(partition, anew)) })
    }
  }

  #assigned(partition: number, anew: ReadonlySet<number>): AssignedPartition {
    const lane = this.#lanes[partition]
    return { partition, from: anew.has(partition) ? (lane?.position ?? toOffset(0)) : null }
  }

  #setTimer(): void {
    const deadlineMs =
      this.#closed === null ? (this.machine.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY
    if (deadlineMs === this.#timerMs) return
    this.#timer?.cancel()
    this.#timer = null
    this.#timerMs = deadlineMs
    if (deadlineMs === Number.POSITIVE_INFINITY) return
    this.#timer = this.#seams.clock.after(Math.max(0, deadlineMs - this.#nowMs), () => this.#pass(deadlineMs))
  }

  #pass(deadlineMs: number): void {
    this.#timerMs = Number.POSITIVE_INFINITY
    const graceMs = this.#stall.graceFor(this.#nowMs - deadlineMs)
    if (graceMs > 0) this.machine.stoodStill(graceMs)
    else this.machine.tick(this.#nowMs)
    this.#acted()
  }
}
