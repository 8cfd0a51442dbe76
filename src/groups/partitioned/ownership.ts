/**
 * Who owns each partition of a group that has members, since which generation, and for whom it is meant. The owner is
 * the one member whose commits count; a partition that is to move stays with its owner, told to let go, until that has
 * confirmed, is gone, or was waited for long enough. Called by partitioned-group.ts, which numbers the generations.
 */
import { assert } from '../../common/assert.js'
import type { Assignment, MemberId } from './assignors.js'

interface Slot {
  owner: MemberId | null
  /** The generation in which the owner got it: its commits of earlier ones are fenced. */
  since: number
  /** The generation in which the owner was last told to read it from the committed position. */
  startedIn: number
  target: MemberId | null
  /** The generation in which the owner was told to let go; null while it may keep it. */
  revokedIn: number | null
  /** How long the owner is waited for; counts only while revoked. */
  revokeUntilMs: number
}

/** What a change of ownership has to say: the generation it makes, and the members that must be told of it. */
export interface Round {
  readonly generation: number
  readonly changed: Set<MemberId>
}

export interface OwnedPartitions {
  /** What the member is to read. */
  readonly partitions: readonly number[]
  /** Those of them that it is to read from the committed position, because they began after the given generation. */
  readonly started: readonly number[]
  /** What it still owns and was told to let go. */
  readonly revoking: readonly number[]
}

export class Ownership {
  readonly #slots: Slot[] = []
  #revoking = 0

  constructor(partitions: number) {
    this.grow(partitions)
  }

  /** How many partitions wait for their owner to let go. */
  get revoking(): number {
    return this.#revoking
  }

  grow(partitions: number): void {
    assert(partitions >= this.#slots.length, 'partitions of a topic are never taken away')
    while (this.#slots.length < partitions) {
      this.#slots.push({ owner: null, since: 0, startedIn: 0, target: null, revokedIn: null, revokeUntilMs: 0 })
    }
  }

  ownerOf(partition: number): MemberId | null {
    return this.#slots[partition]?.owner ?? null
  }

  /** Whether a commit made under a generation is the owner's: it got the partition then or before, and has it still. */
  isOwnedIn(partition: number, member: MemberId, generation: number): boolean {
    const slot = this.#slots[partition]
    return slot !== undefined && slot.owner === member && slot.since <= generation
  }

  /** Where each partition is, or is on its way to: what an assignor is told was before. */
  intended(): Assignment {
    return this.#slots.map(({ owner, target }) => target ?? owner)
  }

  isComplete(): boolean {
    return this.#slots.every(({ owner, target, revokedIn }) => owner !== null && owner === target && revokedIn === null)
  }

  /**
   * What is free is given at once; what somebody else owns is revoked first; what was revoked in vain is given back.
   * `toldIn` is the generation of the last assignment that a member was sent: there is no need to ask for a partition
   * back that its owner does not know of yet.
   */
  retarget(targets: Assignment, toldIn: (member: MemberId) => number, revokeUntilMs: number, round: Round): void {
    for (const [partition, slot] of this.#slots.entries()) {
      slot.target = targets[partition] ?? null
      if (slot.owner === null) this.#give(slot, round)
      else if (slot.owner === slot.target) this.#giveBack(slot, round)
      else if (slot.since > toldIn(slot.owner)) this.#release(slot, round)
      else this.#revoke(slot, revokeUntilMs, round)
    }
  }

  /** The member let go of all that it was told to by this generation, and knows nothing of what was revoked later. */
  confirm(member: MemberId, generation: number, round: Round): void {
    for (const slot of this.#slots) {
      const isConfirmed = slot.owner === member && slot.revokedIn !== null && slot.revokedIn <= generation
      if (isConfirmed) this.#release(slot, round)
    }
  }

  /** Take away what was waited for long enough. Returns how many partitions that were. */
  endOverdue(nowMs: number, round: Round): number {
    if (this.#revoking === 0) return 0
    const overdue = this.#slots.filter(({ revokedIn, revokeUntilMs }) => revokedIn !== null && revokeUntilMs <= nowMs)
    for (const slot of overdue) this.#release(slot, round)
    return overdue.length
  }

  /** The members are gone: what they owned goes to whom it was meant for, or is free until the next assignment. */
  remove(members: ReadonlySet<MemberId>, round: Round): void {
    for (const slot of this.#slots) {
      if (slot.target !== null && members.has(slot.target)) slot.target = null
      if (slot.owner !== null && members.has(slot.owner)) this.#release(slot, round)
    }
  }

  /** The member began anew under its old name: it keeps what is meant for it, and what it sent before counts no more. */
  restartMember(member: MemberId, round: Round): void {
    for (const slot of this.#slots) if (slot.owner === member) this.#release(slot, round)
  }

  /** The partition's position was moved under its owner: it is to start there, and what it sent before counts no more. */
  restartPartition(partition: number, round: Round): void {
    const slot = this.#slots[partition]
    if (slot !== undefined && slot.owner !== null) this.#release(slot, round)
  }

  partitionsOf(member: MemberId, startedAfter: number): OwnedPartitions {
    const partitions: number[] = []
    const started: number[] = []
    const revoking: number[] = []
    for (const [partition, { owner, revokedIn, startedIn }] of this.#slots.entries()) {
      if (owner !== member) continue
      if (revokedIn !== null) revoking.push(partition)
      else partitions.push(partition)
      if (revokedIn === null && startedIn > startedAfter) started.push(partition)
    }
    return { partitions, started, revoking }
  }

  earliestRevokeMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY
    if (this.#revoking === 0) return earliestMs
    for (const { revokedIn, revokeUntilMs } of this.#slots) {
      if (revokedIn !== null && revokeUntilMs < earliestMs) earliestMs = revokeUntilMs
    }
    return earliestMs
  }

  postpone(byMs: number): void {
    for (const slot of this.#slots) slot.revokeUntilMs += byMs
  }

  #give(slot: Slot, round: Round): void {
    assert(slot.owner === null && slot.revokedIn === null, 'a partition is given to one member at a time')
    if (slot.target === null) return
    slot.owner = slot.target
    slot.since = round.generation
    slot.startedIn = round.generation
    round.changed.add(slot.owner)
  }

  /** An owner that was told already is not given more time because the partition is now meant for another. */
  #revoke(slot: Slot, untilMs: number, round: Round): void {
    if (slot.owner === null || slot.revokedIn !== null) return
    slot.revokedIn = round.generation
    slot.revokeUntilMs = untilMs
    this.#revoking += 1
    round.changed.add(slot.owner)
  }

  /** Nobody else owned it in between, so that commits on their way still count. */
  #giveBack(slot: Slot, round: Round): void {
    if (slot.revokedIn === null) return
    this.#endRevocation(slot)
    slot.startedIn = round.generation
    if (slot.owner !== null) round.changed.add(slot.owner)
  }

  /** To whom it is meant for; to the same owner anew if that is the one. */
  #release(slot: Slot, round: Round): void {
    this.#endRevocation(slot)
    slot.owner = null
    this.#give(slot, round)
  }

  #endRevocation(slot: Slot): void {
    if (slot.revokedIn === null) return
    slot.revokedIn = null
    this.#revoking -= 1
  }
}
