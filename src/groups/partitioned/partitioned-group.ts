/**
 * A partitioned group of one topic: each partition has one member at a time, in order, with a cumulative commit. Pure:
 * no I/O, no timers; `nowMs` is monotonic time, and waits end only in `tick`. Called by an engine that has no groups of
 * its own, in one order: a call, then `takeChanges` (keep them), then `takeAssignments` (send them once they are kept),
 * then `nextDeadlineMs` (one timer a group).
 *
 * - Whenever partitions change hands the generation goes up by one, so that a partition has at most one owner in a
 *   generation. A commit says under which one it was made; only the owner's counts, from the generation in which it got
 *   the partition. All others are fenced: answered as such, and nothing moves.
 * - A partition moves in two steps. Its owner is told the smaller assignment, commits what it finished, and confirms;
 *   then the new one gets it. An owner that does not confirm loses it when `revokeWaitMs` is over.
 * - A member that joins under a name that is taken takes over from the one before it, which is fenced.
 * - Members are not kept: after a restart they join again, and generations go on from the number that was kept.
 */
import { assert } from '../../common/assert.js'
import type { Offset } from '../../model/offset.js'
import { ASSIGNORS, type MemberId } from './assignors.js'
import { CommittedPositions } from './committed-positions.js'
import { Membership } from './membership.js'
import type { Round } from './ownership.js'
import type {
  AssignmentFact,
  CommitOutcome,
  PartitionedChange,
  PartitionedFacts,
  PartitionedGroupOptions,
  PartitionedSnapshot,
  WhileOwned,
} from './partitioned-facts.js'
import type { GroupState } from './rebalance-table.js'

export class PartitionedGroup {
  readonly #options: PartitionedGroupOptions
  readonly #positions = new CommittedPositions()
  /** Exists while there are members. */
  #membership: Membership | null = null
  #partitions: number
  #generation = 0
  #isGenerationNew = false
  #rebalances = 0
  #sessionsExpired = 0
  #revokesOverdue = 0
  #commitsFenced = 0
  #joinsRefused = 0

  /** The options may be shared by all groups. */
  constructor(partitions: number, options: PartitionedGroupOptions) {
    assert(partitions > 0, 'a topic has a partition')
    this.#partitions = partitions
    this.#options = options
  }

  get state(): GroupState {
    return this.#membership?.state ?? 'empty'
  }

  get generation(): number {
    return this.#generation
  }

  get partitions(): number {
    return this.#partitions
  }

  get memberCount(): number {
    return this.#membership?.size ?? 0
  }

  /**
   * Come in, or begin anew: a member that is here already keeps its partitions from their committed positions, under a
   * new generation, and what the one before it under the same name sends from now on is fenced.
   */
  join(member: MemberId, nowMs: number): 'joined' | 'rejoined' | 'group-full' {
    const known = this.#membership
    if (known?.has(member)) {
      known.heard(member, nowMs)
      this.#round((round) => known.restart(member, round))
      return 'rejoined'
    }
    if (this.memberCount >= this.#options.membersMax) {
      this.#joinsRefused += 1
      return 'group-full'
    }
    this.#membership ??= new Membership(this.#partitions, this.#options)
    this.#membership.add(member, nowMs)
    return 'joined'
  }

  /** Go, with all that was committed before. Whatever the member owns is free at once. */
  leave(member: MemberId, nowMs: number): 'left' | 'unknown' {
    if (!this.#membership?.has(member)) return 'unknown'
    this.#remove([member], nowMs)
    return 'left'
  }

  /** Never makes the next deadline earlier. A member that is unknown must join again. */
  heartbeat(member: MemberId, nowMs: number): 'alive' | 'unknown' {
    return this.#membership?.heard(member, nowMs) ? 'alive' : 'unknown'
  }

  /** The member has let go of what the assignment of this generation took from it. More than once does no harm. */
  confirm(member: MemberId, generation: number, nowMs: number): 'confirmed' | 'unknown' {
    const membership = this.#membership
    if (!membership?.heard(member, nowMs)) return 'unknown'
    this.#round((round) => membership.confirm(member, generation, round))
    return 'confirmed'
  }

  /**
   * Everything before `position` is done. `generation` is that of any assignment the member was sent since it got the
   * partition, or of the one that took it away, until that is confirmed. Partitions that do not exist are fenced too.
   */
  commit(member: MemberId, partition: number, generation: number, position: Offset, nowMs: number): CommitOutcome {
    const membership = this.#membership
    const isMember = membership?.heard(member, nowMs) ?? false
    if (!isMember || generation > this.#generation || !membership?.isOwnedIn(partition, member, generation)) {
      this.#commitsFenced += 1
      return 'fenced'
    }
    if (!this.#positions.advance(partition, position)) return 'not-forward'
    membership.committed(member, nowMs)
    return 'committed'
  }

  position(partition: number): Offset | null {
    return this.#positions.get(partition)
  }

  ownerOf(partition: number): MemberId | null {
    return this.#membership?.ownerOf(partition) ?? null
  }

  /**
   * Administration: move a position anywhere; null is as if nothing had ever been committed. A partition that somebody
   * owns is refused, unless its owner is to `restart` there (a new generation: commits on their way are fenced, so that
   * they cannot undo the move), or is not to notice (`overwrite`: the move counts at the next assignment, unless the
   * owner commits beyond it before; what protocols whose last ack wins need).
   */
  setPosition(partition: number, position: Offset | null, whileOwned: WhileOwned): 'set' | 'owned' {
    assert(partition >= 0 && partition < this.#partitions, 'a position belongs to a partition of the topic')
    const membership = this.#membership
    const isOwned = this.ownerOf(partition) !== null
    if (isOwned && whileOwned === 'refuse') return 'owned'
    this.#positions.set(partition, position)
    if (isOwned && whileOwned === 'restart') {
      this.#round((round) => membership?.restartPartition(partition, round))
    }
    return 'set'
  }

  /** The topic has more partitions now; they are assigned like all others, after the delay. */
  addPartitions(partitions: number, nowMs: number): void {
    assert(partitions >= this.#partitions, 'partitions of a topic are never taken away')
    if (partitions === this.#partitions) return
    this.#partitions = partitions
    this.#membership?.grow(partitions, nowMs)
  }

  /** End what was waited for long enough: sessions, revocations, the delay of a rebalance. Early or twice does no harm. */
  tick(nowMs: number): void {
    const silent = this.#membership?.silent(nowMs) ?? []
    this.#sessionsExpired += silent.length
    if (silent.length > 0) this.#remove(silent, nowMs)
    const membership = this.#membership
    if (membership === null) return
    if (membership.isSettled(nowMs)) {
      this.#rebalances += 1
      this.#round((round) => membership.assign(ASSIGNORS[this.#options.assignor], nowMs, round))
    }
    // Last, so that what is overdue goes to whom it is meant for by now.
    this.#round((round) => {
      this.#revokesOverdue += membership.endOverdue(nowMs, round)
    })
  }

  /** When `tick` has something to do; null if it never has unless something else happens first. */
  nextDeadlineMs(): number | null {
    return this.#membership?.nextDeadlineMs() ?? null
  }

  /** This process stood still for so long, and heard nobody: no session and no wait may end because of it. */
  stoodStill(forMs: number): void {
    this.#membership?.postpone(forMs)
  }

  /** What the members must be told since it was last taken, one fact for each, with the newest generation. */
  takeAssignments(): readonly AssignmentFact[] {
    return this.#membership?.takeAssignments(this.#generation) ?? []
  }

  /** What must be kept since it was last taken. */
  takeChanges(): readonly PartitionedChange[] {
    const changes: PartitionedChange[] = []
    if (this.#isGenerationNew) changes.push({ kind: 'generation', generation: this.#generation })
    this.#isGenerationNew = false
    for (const partition of this.#positions.takeChanged()) {
      changes.push({ kind: 'position', partition, position: this.#positions.get(partition) })
    }
    return changes
  }

  /** Replay a change that was kept, before the first member joins. */
  apply(change: PartitionedChange): void {
    assert(this.#membership === null, 'changes are replayed before members join')
    if (change.kind === 'generation') this.#generation = Math.max(this.#generation, change.generation)
    else this.#positions.replay(change.partition, change.position)
  }

  snapshot(): PartitionedSnapshot {
    return { generation: this.#generation, positions: this.#positions.all() }
  }

  /** Into a group that is new; changes made after the snapshot are applied after it. */
  restore({ generation, positions }: PartitionedSnapshot): void {
    this.apply({ kind: 'generation', generation })
    for (const [partition, position] of positions.entries()) {
      if (position !== null) this.apply({ kind: 'position', partition, position })
    }
  }

  /** Records not yet committed in each partition, given where each log begins and ends. */
  lags(logs: readonly { readonly start: Offset; readonly end: Offset }[]): number[] {
    return logs.map(({ start, end }, partition) =>
      Math.max(0, end - Math.max(start, this.position(partition) ?? start)),
    )
  }

  facts(): PartitionedFacts {
    return {
      state: this.state,
      generation: this.#generation,
      members: this.#membership?.facts() ?? [],
      rebalances: this.#rebalances,
      sessionsExpired: this.#sessionsExpired,
      revokesOverdue: this.#revokesOverdue,
      commitsFenced: this.#commitsFenced,
      joinsRefused: this.#joinsRefused,
    }
  }

  #remove(members: readonly MemberId[], nowMs: number): void {
    const membership = this.#membership
    if (membership === null) return
    this.#round((round) => membership.remove(members, nowMs, round))
    if (membership.size === 0) this.#membership = null
  }

  /** Whatever changes hands in here does so in one new generation; if nothing does, the generation stays. */
  #round(act: (round: Round) => void): void {
    const round: Round = { generation: this.#generation + 1, changed: new Set() }
    act(round)
    this.#membership?.finish(round)
    if (round.changed.size === 0) return
    this.#generation = round.generation
    this.#isGenerationNew = true
  }
}
