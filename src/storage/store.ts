/**
 * What the local engine needs from a place to keep bytes. Six verbs per partition; test/contract holds every store
 * to them. A store knows no readers, and of groups only that they have a log.
 */
import type { Offset } from '../model/offset.js'
import type { Batch, Loss, StoredBatch } from '../model/record.js'
import type { SegmentInfo } from '../model/segment-info.js'
import type { Durability, RetentionLimits, TopicSettings } from '../model/topic.js'
import type { EngineProblem } from './engine.js'

/** A batch that was published with a producer sequence. */
export interface ProducedBatch {
  readonly producer: string
  readonly sequence: number
  readonly baseOffset: Offset
  readonly timestampMs: number
}

export interface AppendHow {
  readonly timestampMs: number
  /** Resolve at this level: at least the topic's own, since nothing is seen that has not reached it. */
  readonly durability: Durability
  /** False: assign offsets and keep nothing, for topics without retention. */
  readonly keep: boolean
  /** Kept with the batch, so that the sequence is known after a restart. */
  readonly producer: { readonly name: string; readonly sequence: number } | null
}

export interface Appended {
  readonly baseOffset: Offset
  /** The level that was reached; less than asked for if the store has no more to give. */
  readonly durability: Durability
}

export interface ReadResult {
  /** In offset order. Where offsets are missing before one of them, newer records of their keys have superseded them. */
  readonly batches: readonly StoredBatch[]
  /** Instead of batches: what stands at the offset is damaged. */
  readonly loss: Loss | null
  /** Where to read on. */
  readonly next: Offset
}

export interface PartitionLog {
  /** First kept offset; equal to `end` when nothing is kept. */
  readonly logStart: Offset
  /** The next offset to be assigned. */
  readonly end: Offset
  /** Everything below has reached the durability that its topic promises, and may be seen. */
  readonly stableEnd: Offset
  readonly bytes: number
  /** Timestamp of the newest append, or 0. The next one may not be lower. */
  readonly lastTimestampMs: number
  /**
   * Assigns `end` as base offset before it returns; resolves when the durability is reached. Rejects with
   * LVT_UNAVAILABLE (it did not happen), LVT_IN_DOUBT or LVT_READ_ONLY.
   */
  append(batch: Batch, how: AppendHow): Promise<Appended>
  /** Called whenever `stableEnd` has moved. One listener: the engine's partition. */
  onStable: (() => void) | null
  /**
   * Whole batches from the one that holds `from` on, up to about `maxBytes` and at least one; none at `stableEnd`.
   * `from` is not below the log start.
   */
  read(from: Offset, maxBytes: number): Promise<ReadResult>
  /** Offset of the first kept record that is not older; `stableEnd` if all are. */
  offsetAt(timestampMs: number): Promise<Offset>
  /** Drop what the limits no longer keep at `nowMs`; resolves at once, and cheaply, when there is nothing to drop. */
  retain(limits: RetentionLimits, nowMs: number): Promise<void>
  trimTo(offset: Offset): Promise<void>
  /**
   * Go on at `offset`, which is not below `end`: what is between is given out and was never here. For records that are brought
   * along under offsets of their own; nothing is appended meanwhile.
   */
  skipTo(offset: Offset): Promise<void>
  /** See Engine. */
  parts(): Promise<readonly SegmentInfo[]>
  closeSegment(): Promise<void>
  /** A segment is closed at about this size; null: at what the store has for all. Not kept. */
  segmentBytesMax: number | null
  /** The last producer sequences that were appended before this log was opened, oldest first; a bounded number. */
  produced(): Promise<readonly ProducedBatch[]>
  /** Asked for what `produced` shall bring after the next opening. */
  producedNow: (() => readonly ProducedBatch[]) | null
}

/** Sequences remembered of each producer, below its newest; a client keeps fewer publishes in flight. */
export const SEQUENCES_KEPT = 64

export interface Store {
  readonly name: string
  /** The strongest level that an append here can reach. */
  readonly durabilityMax: Durability
  /** It can rewrite old data so that only the newest record of each key stays. */
  readonly keepsLatest: boolean
  /** Stays the same as long as the records do; null when they end with the process. */
  readonly identity: string | null
  open(): Promise<void>
  close(): Promise<void>
  /** Names and settings of all topics. */
  topics(): Promise<ReadonlyMap<string, TopicSettings>>
  saveTopic(topic: string, settings: TopicSettings): Promise<void>
  dropTopic(topic: string): Promise<void>
  partition(topic: string, index: number): Promise<PartitionLog>
  /**
   * What the groups of a topic remember: a log beside its partitions. It keeps everything whatever the topic keeps, and is
   * stable at `durabilityMax`; a batch in it is of its writer's making, and counts as one record.
   */
  groupLog(topic: string): Promise<PartitionLog>
  /** The partitions of a topic that something was ever written to, opened or not. */
  writtenPartitions(topic: string): readonly number[]
  /** What is wrong now, and what was found when it was opened; a bounded number. */
  problems(): readonly EngineProblem[]
}
