/**
 * What a partitioned group promises, worked out from nothing but what was said aloud: calls, answers and the facts that
 * members were sent. It knows no slots and no rebalances. Every call of a test goes through it, and is checked at once.
 */
import assert from 'node:assert/strict'
import type {
  AssignmentFact,
  PartitionedChange,
  PartitionedGroupOptions,
  WhileOwned,
} from '../../../src/groups/partitioned/partitioned-facts.js'
import { PartitionedGroup } from '../../../src/groups/partitioned/partitioned-group.js'
import { type Offset, toOffset } from '../../../src/model/offset.js'

interface Owned {
  readonly member: string
  /** The generation of the first assignment that gave it, of those the member may still commit under. */
  since: number
  /** When the owner was told to let go, and in which generation; null while it may keep the partition. */
  revoked: { readonly atMs: number; readonly generation: number } | null
}

export class OwnershipOracle {
  group: PartitionedGroup
  nowMs = 0
  readonly options: PartitionedGroupOptions
  readonly heardMs = new Map<string, number>()
  /** Who committed a partition under a generation: one member, for ever. */
  readonly #committers = new Map<string, string>()
  readonly #positions: (number | null)[]
  readonly #owned: (Owned | null)[]
  /** The newest assignment of each member that is here. */
  readonly #told = new Map<string, AssignmentFact>()
  readonly #kept: PartitionedChange[] = []
  #generation = 0
  readonly #toldGenerations = new Set([0])

  constructor(partitions: number, options: PartitionedGroupOptions) {
    this.options = options
    this.group = new PartitionedGroup(partitions, options)
    this.#positions = new Array<number | null>(partitions).fill(null)
    this.#owned = new Array<Owned | null>(partitions).fill(null)
  }

  get partitions(): number {
    return this.#owned.length
  }

  join(member: string): readonly AssignmentFact[] {
    const isKnown = this.heardMs.has(member)
    const isFull = !isKnown && this.heardMs.size >= this.options.membersMax
    const outcome = this.group.join(member, this.nowMs)
    assert.equal(outcome, isFull ? 'group-full' : isKnown ? 'rejoined' : 'joined')
    if (!isFull) this.heardMs.set(member, this.nowMs)
    if (isKnown) {
      for (const [partition, owned] of this.#owned.entries()) {
        if (owned?.member === member) this.#restart(partition, owned)
      }
    }
    return this.#look()
  }

  leave(member: string): readonly AssignmentFact[] {
    assert.equal(this.group.leave(member, this.nowMs), this.heardMs.has(member) ? 'left' : 'unknown')
    this.#forget(member)
    return this.#look()
  }

  heartbeat(member: string): void {
    assert.equal(this.group.heartbeat(member, this.nowMs), this.#hear(member) ? 'alive' : 'unknown')
    assert.deepEqual(this.#look(), [], 'a heartbeat changes nothing')
  }

  confirm(member: string, generation: number): readonly AssignmentFact[] {
    assert.equal(this.group.confirm(member, generation, this.nowMs), this.#hear(member) ? 'confirmed' : 'unknown')
    for (const [partition, owned] of this.#owned.entries()) {
      if (owned?.member === member && owned.revoked !== null && owned.revoked.generation <= generation) {
        this.#owned[partition] = null
      }
    }
    return this.#look()
  }

  /** Returns whether it was the owner's. One that was passed over in a single step was told to nobody: then the next one is said. */
  commit(member: string, partition: number, said: number, position: number): boolean {
    const generation = this.#toldGenerations.has(said) ? said : Math.max(said, this.#generation + 1)
    const owned = this.#owned[partition] ?? null
    const before = this.#positions[partition] ?? null
    const isOwner = owned?.member === member && owned.since <= generation && generation <= this.#generation
    const isForward = before === null || position > before
    const expected = isOwner ? (isForward ? 'committed' : 'not-forward') : 'fenced'
    const outcome = this.group.commit(member, partition, generation, toOffset(position), this.nowMs)
    this.#hear(member)
    assert.equal(outcome, expected, `${member} commits ${partition} at ${position} under ${generation}`)
    if (isOwner) {
      const place = `${partition} under ${generation}`
      assert.equal(this.#committers.get(place) ?? member, member, `${place} has two committing members`)
      this.#committers.set(place, member)
      if (isForward) this.#positions[partition] = position
    }
    assert.deepEqual(this.#look(), [], 'a commit gives nothing away')
    return isOwner
  }

  setPosition(partition: number, position: number | null, whileOwned: WhileOwned): readonly AssignmentFact[] {
    const owned = this.#owned[partition] ?? null
    const isRefused = owned !== null && whileOwned === 'refuse'
    const outcome = this.group.setPosition(partition, position as Offset | null, whileOwned)
    assert.equal(outcome, isRefused ? 'owned' : 'set')
    if (!isRefused) this.#positions[partition] = position
    if (owned !== null && whileOwned === 'restart') this.#restart(partition, owned)
    return this.#look()
  }

  addPartitions(count: number): readonly AssignmentFact[] {
    for (let index = 0; index < count; index++) {
      this.#owned.push(null)
      this.#positions.push(null)
    }
    this.group.addPartitions(this.partitions, this.nowMs)
    return this.#look()
  }

  tick(): readonly AssignmentFact[] {
    const deadlineMs = this.group.nextDeadlineMs()
    const before = this.group.facts()
    this.group.tick(this.nowMs)
    if (deadlineMs === null || this.nowMs < deadlineMs) assert.deepEqual(this.group.facts(), before, 'too early a tick')
    const nextMs = this.group.nextDeadlineMs()
    assert.ok(nextMs === null || nextMs > this.nowMs, 'a tick leaves nothing to be done at once')
    for (const [member, heardMs] of this.heardMs) {
      const isSilent = this.nowMs - heardMs >= this.options.sessionTimeoutMs
      if (isSilent) this.#forget(member)
    }
    return this.#look(true)
  }

  /** Only what was kept comes back: as changes one by one, or as a snapshot and the changes since. */
  restart(isFromSnapshot: boolean): void {
    const group = new PartitionedGroup(this.partitions, this.options)
    if (isFromSnapshot) group.restore(structuredClone(this.group.snapshot()))
    else for (const change of this.#kept) group.apply(change)
    this.group = group
    for (const member of [...this.heardMs.keys()]) this.#forget(member)
    assert.equal(group.generation, this.#generation)
    this.#look()
  }

  /** Every partition is with the member it was last told to, and no member has two more than another. */
  assertSettled(members: readonly string[]): void {
    assert.equal(this.group.state, members.length > 0 ? 'stable' : 'empty')
    const owners = this.#owned.map((owned) => owned?.member ?? null)
    assert.ok(owners.every((owner) => (owner === null) === (members.length === 0)))
    if (members.length === 0) return
    const told: (string | null)[] = owners.map(() => null)
    for (const member of members) {
      for (const partition of this.#told.get(member)?.partitions ?? []) told[partition] = member
    }
    assert.deepEqual(owners, told)
    const shares = members.map((member) => owners.filter((owner) => owner === member).length)
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, `shares ${shares}`)
  }

  #hear(member: string): boolean {
    const isKnown = this.heardMs.has(member)
    if (isKnown) this.heardMs.set(member, this.nowMs)
    return isKnown
  }

  #forget(member: string): void {
    this.heardMs.delete(member)
    this.#told.delete(member)
    for (const [partition, owned] of this.#owned.entries()) if (owned?.member === member) this.#owned[partition] = null
  }

  /** Nothing that was sent before counts: not for a partition that the owner keeps, nor for one it was to let go. */
  #restart(partition: number, owned: Owned): void {
    if (owned.revoked === null) owned.since = this.#generation + 1
    else this.#owned[partition] = null
  }

  /** After every call: keep what is to be kept, take what is to be sent, and compare all that can be seen. */
  #look(mayEndWaits = false): readonly AssignmentFact[] {
    this.#kept.push(...this.group.takeChanges())
    const facts = this.group.takeAssignments()
    assert.ok(this.group.generation >= this.#generation, 'generations only grow')
    assert.equal(this.group.generation > this.#generation, facts.length > 0, 'a generation is what members are told')
    this.#generation = this.group.generation
    this.#toldGenerations.add(this.#generation)
    const given = facts.map((fact) => this.#hearOfOwned(fact))
    for (const [partition, owned] of this.#owned.entries()) {
      const waitedMs = owned?.revoked ? this.nowMs - owned.revoked.atMs : -1
      if (mayEndWaits && waitedMs >= this.options.revokeWaitMs) this.#owned[partition] = null
    }
    for (const [index, fact] of facts.entries()) this.#hearOfGiven(fact, given[index]!)
    for (const [partition, owned] of this.#owned.entries()) {
      assert.equal(this.group.ownerOf(partition), owned?.member ?? null, `the owner of ${partition}`)
      assert.equal(this.group.position(partition), this.#positions[partition], `the position of ${partition}`)
    }
    assert.deepEqual(
      this.group
        .facts()
        .members.map(({ member }) => member)
        .sort(),
      [...this.heardMs.keys()].sort(),
    )
    return facts
  }

  /** What the fact says of partitions that its member owns already. Returns the others: those it gives. */
  #hearOfOwned({ member, generation, partitions, started }: AssignmentFact): number[] {
    assert.ok(this.heardMs.has(member), 'only members are told')
    assert.equal(generation, this.#generation)
    assert.deepEqual(
      [...new Set(partitions)].sort((a, b) => a - b),
      partitions,
      'partitions come once and in order',
    )
    assert.ok(started.every((partition) => partitions.includes(partition)))
    for (const [partition, owned] of this.#owned.entries()) {
      if (owned?.member !== member) continue
      if (partitions.includes(partition)) {
        const isAnew = owned.revoked !== null || owned.since === generation
        assert.equal(started.includes(partition), isAnew, `whether ${member} starts ${partition} anew`)
        owned.revoked = null
      } else {
        owned.revoked ??= { atMs: this.nowMs, generation }
      }
    }
    return partitions.filter((partition) => this.#owned[partition]?.member !== member)
  }

  #hearOfGiven(fact: AssignmentFact, given: readonly number[]): void {
    const { member, generation } = fact
    for (const partition of given) {
      assert.equal(this.#owned[partition] ?? null, null, `${partition} is given to ${member} while another owns it`)
      assert.ok(fact.started.includes(partition), `${member} starts ${partition}`)
      this.#owned[partition] = { member, since: generation, revoked: null }
    }
    this.#told.set(member, fact)
  }
}
