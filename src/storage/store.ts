/**
 * What the local engine needs from a place to keep bytes. Six verbs per partition; test/contract holds every store
 * to them. A store knows no readers and no groups.
 */
import type { Offset } from '../model/offset.js'
import type { Batch, StoredBatch } from '../model/record.js'
import type { Durability, RetentionLimits, TopicSettings } from '../model/topic.js'

export interface AppendHow {
  readonly timestampMs: number
  readonly durability: Durability
  /** False: assign offsets and keep nothing, for topics without retention. */
  readonly keep: boolean
}

export interface Appended {
  readonly baseOffset: Offset
  /** The level that was reached; less than asked for if the store has no more to give. */
  readonly durability: Durability
}

export interface PartitionLog {
  /** First kept offset; equal to `end` when nothing is kept. */
  readonly logStart: Offset
  readonly end: Offset
  readonly bytes: number
  /** Timestamp of the newest append, or 0. The next one may not be lower. */
  readonly lastTimestampMs: number
  /** Assigns `end` as base offset before it returns; resolves when the durability is reached. */
  append(batch: Batch, how: AppendHow): Promise<Appended>
  /**
   * Whole batches from the one that holds `from` on, up to about `maxBytes` and at least one; none at the end.
   * `from` is not below the log start.
   */
  read(from: Offset, maxBytes: number): Promise<StoredBatch[]>
  /** Offset of the first kept record that is not older; `end` if all are. */
  offsetAt(timestampMs: number): Promise<Offset>
  /** Drop what the limits no longer keep at `nowMs`; cheap when there is nothing to drop. */
  retain(limits: RetentionLimits, nowMs: number): void
  trimTo(offset: Offset): Promise<void>
}

export interface Store {
  readonly name: string
  /** The strongest level that an append here can reach. */
  readonly durabilityMax: Durability
  open(): Promise<void>
  close(): Promise<void>
  /** Names and settings of all topics. */
  topics(): Promise<ReadonlyMap<string, TopicSettings>>
  saveTopic(topic: string, settings: TopicSettings): Promise<void>
  dropTopic(topic: string): Promise<void>
  partition(topic: string, index: number): Promise<PartitionLog>
}
