/**
 * What goes into a partitioned group and what comes out of it, as plain values: its options, what its members are to be
 * told, what is to be kept, and what operators see.
 */
import type { Offset } from '../../model/offset.js'
import type { AssignorName, MemberId } from './assignors.js'
import type { GroupState } from './rebalance-table.js'

export interface PartitionedGroupOptions {
  readonly assignor: AssignorName
  readonly membersMax: number
  /** A member not heard from for so long is gone. */
  readonly sessionTimeoutMs: number
  /** How long a change of members waits for more of them; 0 lets the next tick assign. */
  readonly rebalanceDelayMs: number
  /** How long it waits at most, however many more there are. */
  readonly rebalanceDelayMaxMs: number
  /** How long an owner that was told to let go is waited for. */
  readonly revokeWaitMs: number
}

/** To be sent to the member. Partitions are in order, and replace all that it was told before. */
export interface AssignmentFact {
  readonly member: MemberId
  readonly generation: number
  readonly partitions: readonly number[]
  /** Those to be read from their committed position from now on; the others go on where they are. */
  readonly started: readonly number[]
}

/** To be kept, in this order. A later change of the same kind and partition replaces an earlier one. */
export type PartitionedChange =
  | { readonly kind: 'generation'; readonly generation: number }
  | { readonly kind: 'position'; readonly partition: number; readonly position: Offset | null }

/** All that outlives a restart; plain values. */
export interface PartitionedSnapshot {
  readonly generation: number
  /** By partition; those after the last one are null too. */
  readonly positions: readonly (Offset | null)[]
}

export interface MemberFacts {
  readonly member: MemberId
  readonly partitions: readonly number[]
  /** Owned still, and told to let go. */
  readonly revoking: readonly number[]
  readonly heardMs: number
  /** When a commit last moved a position; null if none did. */
  readonly committedMs: number | null
}

export interface PartitionedFacts {
  readonly state: GroupState
  readonly generation: number
  readonly members: readonly MemberFacts[]
  /** Counted since the group was made or restored. */
  readonly rebalances: number
  readonly sessionsExpired: number
  readonly revokesOverdue: number
  readonly commitsFenced: number
  readonly joinsRefused: number
}

export type CommitOutcome = 'committed' | 'not-forward' | 'fenced'

/** What to do with a partition that has an owner when its position is set by hand. */
export type WhileOwned = 'refuse' | 'restart' | 'overwrite'
