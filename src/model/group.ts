/**
 * Groups, as all layers speak of them: a name under which a topic is read, and what an operator sees of it. One name has
 * one mode, that of whoever used it first.
 */
import type { Offset } from './offset.js'

/** How a topic is read: by one reader alone, record by record among members, or partition by partition among them. */
export const MODES = ['cursor', 'shared', 'partitioned'] as const
export type Mode = (typeof MODES)[number]

/** What an operator does to a group. */
export const GROUP_ACTIONS = ['seek', 'pause', 'resume', 'delete'] as const
export type GroupAction = (typeof GROUP_ACTIONS)[number]

export interface GroupPartition {
  readonly partition: number
  /** Everything below is done with. */
  readonly position: Offset
  /** One beyond the highest record that was given out. Of a shared group, in the process that has it. */
  readonly next?: Offset
  /** Records that the limits of the topic removed before they were done with, since the engine was opened. As `next`. */
  readonly skipped?: number
  /** One beyond the newest record of the log. */
  readonly end: Offset
  /** Records that are not done with, those in flight included. */
  readonly lag: number
  /**
   * That members of a shared group have now; else 0. What was given back, or expired, and waits for its next delivery is
   * not among them, nor are dead letters on their way.
   */
  readonly inFlight: number
  /** Who reads it, of a group that assigns partitions; else empty. */
  readonly member: string
}

export interface GroupMemberState {
  readonly name: string
  /** Assigned to it; empty in a shared group. */
  readonly partitions: readonly number[]
  /** Records that it has, in a shared group. */
  readonly held: number
  /** Its leases that ran out. */
  readonly expired: number
  /** Since it has said something of a record, while it has something to speak of; else null. */
  readonly silentMs: number | null
}

export interface GroupState {
  readonly name: string
  readonly mode: Mode
  readonly isPaused: boolean
  readonly generation: number
  /** Sum over its partitions. */
  readonly lag: number
  readonly inFlight: number
  /**
   * Since the oldest record that is not done with was first given out; in a group that assigns partitions, since it arrived.
   * Null if there is none.
   */
  readonly oldestMs: number | null
  /** Counted since the engine was opened. */
  readonly redeliveries: number
  readonly expired: number
  readonly deadLetters: number
  readonly rebalances: number
  readonly fenced: number
  readonly partitions: readonly GroupPartition[]
  readonly members: readonly GroupMemberState[]
}
