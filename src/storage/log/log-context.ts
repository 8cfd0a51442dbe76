/**
 * What all partitions of one log store share, and what they tell of trouble.
 */
import type { SteadyTime } from '../../common/steady-time.js'
import type { EngineProblem } from '../engine.js'
import type { FileSystem } from './file-system.js'
import type { HandlePool } from './handle-pool.js'
import type { IndexCache } from './index-cache.js'
import type { Keyring } from './keyring.js'
import type { LogCounters } from './log-counters.js'
import type { SpareRoom } from './spare-room.js'
import type { SyncPace } from './sync-pace.js'

export interface LogOptions {
  /** A segment that would grow beyond this is sealed and another one begun. */
  readonly segmentBytes: number
  /** What was written but not synced is synced after this time at the latest. */
  readonly syncIntervalMs: number
  /** Appends at level `disk` wait so long for others before they are written; not at all if left out. */
  readonly syncDelayMs?: number
  /** With so much nobody waits. */
  readonly syncDelayBytes?: number
  readonly openFilesMax: number
  /** Acknowledged at level `memory` and not written yet, in one partition; beyond it such publishes wait for the write. */
  readonly unwrittenBytesMax: number
  /** Kept free for the day when the disk is full; a size of its own choice if left out. */
  readonly spareBytes?: number
  /** So much must have come during a sync to be written beside it; a size of its own choice if left out. */
  readonly besideBytes?: number
  /** Keys that one round of log compaction holds in memory; a bounded number of its own choice if left out. */
  readonly compactedKeysMax?: number
}

export interface LogContext {
  readonly fs: FileSystem
  readonly pool: HandlePool
  readonly indexes: IndexCache
  readonly room: SpareRoom
  readonly clock: SteadyTime
  readonly counters: LogCounters
  readonly keyring: Keyring | null
  readonly options: LogOptions
  /** How fast the device syncs; null where waiting in place is not wanted. */
  readonly pace: SyncPace | null
  /** Partitions with something written that is not synced. */
  readonly dirty: Set<{ syncSoon(): void }>
  /** Partitions whose checkpoint does not say yet how far they are synced. */
  readonly unsaved: Set<{ readonly isIdle: boolean; saveSoon(): void }>
  report(problem: EngineProblem): void
  /** The problem of this kind with this partition is over. */
  resolved(kind: EngineProblem['kind'], topic: string, partition: number): void
}

/** Which partition something belongs to, for messages. */
export interface PartitionName {
  readonly topic: string
  readonly partition: number
}
