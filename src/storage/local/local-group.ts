/**
 * What the list of groups of a topic asks of each of them, whatever its mode.
 */
import type { GroupState, Mode } from '../../model/group.js'
import type { Offset } from '../../model/offset.js'
import type { GroupCounts } from '../engine.js'
import type { FactSource } from './group-log.js'
import type { LocalPartition } from './local-partition.js'

/** A partition that a group does not have yet. */
export interface NewPartition {
  readonly records: LocalPartition
  /** Where the group begins in it. */
  readonly start: Offset
}

/** A partition that it goes on in. */
export interface SoughtPartition {
  readonly partition: number
  readonly offset: Offset
}

/** What is counted, and what is so now, summed up over groups: thousands of them add to one of these. */
export type GroupTally = { -readonly [Name in keyof Omit<GroupCounts, 'groups'>]: number }

export interface LocalGroup {
  readonly name: string
  readonly mode: Mode
  /** How many partitions it has. */
  readonly partitions: number
  /** What it says to the log, by partition. */
  readonly sources: readonly FactSource[]
  /** Its next partitions; resolves when it is written where they begin. What fails may be tried again. */
  grow(partitions: readonly NewPartition[]): Promise<void>
  /** Resolves when it is written. Leases are kept by shared groups only. */
  seek(partitions: readonly SoughtPartition[], keepsLeases: boolean): Promise<void>
  state(): Promise<GroupState>
  count(tally: GroupTally, silentMs: number): void
  /** Its members are told; nothing more comes of it. */
  close(reason: Error): void
}

export function noTally(): GroupTally {
  return { lag: 0, silentMembers: 0, redeliveries: 0, expired: 0, deadLetters: 0, skipped: 0, rebalances: 0, fenced: 0 }
}
