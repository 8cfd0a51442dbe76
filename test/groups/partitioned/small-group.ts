/**
 * A partitioned group at virtual time, for tests that tell one story each: calls at the time of the story, assignments
 * kept as they are taken, so that a test can ask what a member was told last.
 */
import type { AssignmentFact, PartitionedGroupOptions } from '../../../src/groups/partitioned/partitioned-facts.js'
import { PartitionedGroup } from '../../../src/groups/partitioned/partitioned-group.js'
import { toOffset } from '../../../src/model/offset.js'

export const OPTIONS: PartitionedGroupOptions = {
  assignor: 'sticky',
  membersMax: 8,
  sessionTimeoutMs: 10_000,
  rebalanceDelayMs: 100,
  rebalanceDelayMaxMs: 500,
  revokeWaitMs: 2_000,
}

export class SmallGroup {
  readonly group: PartitionedGroup
  nowMs = 1_000
  readonly told = new Map<string, AssignmentFact>()

  constructor(partitions: number, options: Partial<PartitionedGroupOptions> = {}) {
    this.group = new PartitionedGroup(partitions, { ...OPTIONS, ...options })
  }

  join(...members: string[]): void {
    for (const member of members) this.group.join(member, this.nowMs)
    this.take()
  }

  leave(member: string): void {
    this.group.leave(member, this.nowMs)
    this.take()
  }

  /** Let time pass, with a tick at every deadline and one at the end. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms
    for (;;) {
      const deadlineMs = this.group.nextDeadlineMs()
      if (deadlineMs === null || deadlineMs > endMs) break
      this.nowMs = Math.max(this.nowMs, deadlineMs)
      this.group.tick(this.nowMs)
      this.take()
    }
    this.nowMs = endMs
    this.group.tick(endMs)
    this.take()
  }

  confirm(...members: string[]): void {
    for (const member of members) {
      this.group.confirm(member, this.generationOf(member), this.nowMs)
      this.take()
    }
  }

  /** Commit under the generation the member was told last, or under another. */
  commit(member: string, partition: number, position: number, generation = this.generationOf(member)): string {
    return this.group.commit(member, partition, generation, toOffset(position), this.nowMs)
  }

  partitionsOf(member: string): readonly number[] {
    return this.told.get(member)?.partitions ?? []
  }

  generationOf(member: string): number {
    return this.told.get(member)?.generation ?? 0
  }

  take(): void {
    for (const fact of this.group.takeAssignments()) this.told.set(fact.member, fact)
  }

  /** Members come in, and everything is handed over. */
  static settled(partitions: number, members: readonly string[], options: Partial<PartitionedGroupOptions> = {}) {
    const small = new SmallGroup(partitions, options)
    small.join(...members)
    small.pass(small.group.nextDeadlineMs()! - small.nowMs)
    return small
  }
}
