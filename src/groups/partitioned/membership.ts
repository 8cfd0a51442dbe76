/**
 * The members of a group while it has any: when each was heard from, what it must be told, and where the group is in
 * its rebalance. Made at the first join and dropped with the last member, so that an idle group is small. Called by
 * partitioned-group.ts.
 */
import { assert } from '../../common/assert.js'
import type { Assignor, MemberId } from './assignors.js'
import { Ownership, type Round } from './ownership.js'
import type { AssignmentFact, MemberFacts, PartitionedGroupOptions } from './partitioned-facts.js'
import { type GroupMove, type GroupState, stateAfter } from './rebalance-table.js'

interface Member {
  heardMs: number
  committedMs: number | null
  /** The generation of the last assignment that was taken for it; null until its first. */
  toldIn: number | null
}

export class Membership {
  readonly #options: PartitionedGroupOptions
  readonly #members = new Map<MemberId, Member>()
  readonly #ownership: Ownership
  /** Members whose assignment changed since it was last taken; null for none, which it is nearly always. */
  #toTell: Set<MemberId> | null = null
  #state: GroupState = 'empty'
  /** While gathering: when to assign, and when at the latest. */
  #settleMs = 0
  #settleMaxMs = 0

  constructor(partitions: number, options: PartitionedGroupOptions) {
    this.#ownership = new Ownership(partitions)
    this.#options = options
  }

  get state(): GroupState {
    return this.#state
  }

  get size(): number {
    return this.#members.size
  }

  has(member: MemberId): boolean {
    return this.#members.has(member)
  }

  ownerOf(partition: number): MemberId | null {
    return this.#ownership.ownerOf(partition)
  }

  isOwnedIn(partition: number, member: MemberId, generation: number): boolean {
    return this.#ownership.isOwnedIn(partition, member, generation)
  }

  add(member: MemberId, nowMs: number): void {
    this.#members.set(member, { heardMs: nowMs, committedMs: null, toldIn: null })
    this.#gather(nowMs)
  }

  /** False if there is no such member. */
  heard(member: MemberId, nowMs: number): boolean {
    const known = this.#members.get(member)
    if (known === undefined) return false
    known.heardMs = Math.max(known.heardMs, nowMs)
    return true
  }

  committed(member: MemberId, nowMs: number): void {
    const known = this.#members.get(member)
    if (known !== undefined) known.committedMs = nowMs
  }

  /** Told anew in any case, even that it has nothing, unless it waits for its first assignment. */
  restart(member: MemberId, round: Round): void {
    this.#ownership.restartMember(member, round)
    if (this.#members.get(member)?.toldIn !== null) round.changed.add(member)
  }

  restartPartition(partition: number, round: Round): void {
    this.#ownership.restartPartition(partition, round)
  }

  confirm(member: MemberId, generation: number, round: Round): void {
    this.#ownership.confirm(member, generation, round)
  }

  endOverdue(nowMs: number, round: Round): number {
    return this.#ownership.endOverdue(nowMs, round)
  }

  remove(members: readonly MemberId[], nowMs: number, round: Round): void {
    for (const member of members) {
      this.#members.delete(member)
      this.#toTell?.delete(member)
    }
    this.#ownership.remove(new Set(members), round)
    if (this.#members.size === 0) this.#move('deserted')
    else this.#gather(nowMs)
  }

  grow(partitions: number, nowMs: number): void {
    this.#ownership.grow(partitions)
    this.#gather(nowMs)
  }

  isSettled(nowMs: number): boolean {
    return this.#state === 'gathering' && nowMs >= this.#settleMs
  }

  assign(assignor: Assignor, nowMs: number, round: Round): void {
    const ownership = this.#ownership
    const previous = ownership.intended()
    const targets = assignor(previous.length, [...this.#members.keys()], previous)
    const toldIn = (member: MemberId) => this.#members.get(member)?.toldIn ?? 0
    ownership.retarget(targets, toldIn, nowMs + this.#options.revokeWaitMs, round)
    for (const [member, { toldIn }] of this.#members) if (toldIn === null) round.changed.add(member)
    this.#move(ownership.revoking > 0 ? 'assigned-in-part' : 'assigned')
  }

  /** The end of every round: remember whom to tell, and see whether that was the last partition to be handed over. */
  finish({ changed }: Round): void {
    for (const member of changed) {
      assert(this.#members.has(member), 'partitions are given to members')
      this.#toTell ??= new Set()
      this.#toTell.add(member)
    }
    if (this.#state === 'revoking' && this.#ownership.revoking === 0) this.#move('handed-over')
    if (this.#state === 'stable') assert(this.#ownership.isComplete(), 'a stable group owns every partition')
  }

  silent(nowMs: number): MemberId[] {
    const silent: MemberId[] = []
    for (const [member, { heardMs }] of this.#members) {
      if (nowMs - heardMs >= this.#options.sessionTimeoutMs) silent.push(member)
    }
    return silent
  }

  nextDeadlineMs(): number {
    let deadlineMs = this.#ownership.earliestRevokeMs()
    if (this.#state === 'gathering') deadlineMs = Math.min(deadlineMs, this.#settleMs)
    for (const { heardMs } of this.#members.values()) {
      deadlineMs = Math.min(deadlineMs, heardMs + this.#options.sessionTimeoutMs)
    }
    return deadlineMs
  }

  postpone(byMs: number): void {
    for (const member of this.#members.values()) member.heardMs += byMs
    this.#settleMs += byMs
    this.#settleMaxMs += byMs
    this.#ownership.postpone(byMs)
  }

  takeAssignments(generation: number): AssignmentFact[] {
    const facts: AssignmentFact[] = []
    for (const name of this.#toTell ?? []) {
      const member = this.#members.get(name)
      if (member === undefined) continue
      const { partitions, started } = this.#ownership.partitionsOf(name, member.toldIn ?? 0)
      facts.push({ member: name, generation, partitions, started })
      member.toldIn = generation
    }
    this.#toTell = null
    return facts
  }

  facts(): MemberFacts[] {
    return Array.from(this.#members, ([member, { heardMs, committedMs }]) => {
      const { partitions, revoking } = this.#ownership.partitionsOf(member, 0)
      return { member, partitions, revoking, heardMs, committedMs }
    })
  }

  #gather(nowMs: number): void {
    if (this.#state !== 'gathering') this.#settleMaxMs = nowMs + this.#options.rebalanceDelayMaxMs
    this.#settleMs = Math.min(nowMs + this.#options.rebalanceDelayMs, this.#settleMaxMs)
    this.#move('changed')
  }

  #move(move: GroupMove): void {
    this.#state = stateAfter(this.#state, move)
  }
}
