/**
 * What the broker needs from whoever keeps the records: one machine or a cluster, the broker cannot tell.
 * Implementers are bound by the comments here; test/contract holds every engine to them.
 *
 * Engines fail with these codes: LVT_UNSUPPORTED, LVT_TOPIC_NOT_FOUND, LVT_TOPIC_CONFLICT, LVT_WRONG_OFFSET,
 * LVT_SEQUENCE_TOO_OLD, LVT_UNAVAILABLE (it did not happen), LVT_IN_DOUBT (nobody can say), LVT_READ_ONLY, LVT_CLOSED.
 */
import type { StopOptions } from '../common/service.js'
import type { Offset } from '../model/offset.js'
import type { Batch, Loss, StoredBatch } from '../model/record.js'
import type { Durability, Start, TopicSettings } from '../model/topic.js'

/** What an engine can do beyond the minimum; fixed once it is open. */
export type Capability =
  | 'dense'
  | 'dedup'
  | 'expect'
  | 'max-records'
  | 'compact'
  | 'share'
  | 'share-seek'
  | 'tickets'
  | 'groups'
  | 'purge'

export interface PartitionInfo {
  readonly logStart: Offset
  /** One beyond the newest record. */
  readonly end: Offset
  readonly bytes: number
}

/** Trouble with what is stored. */
export interface EngineProblem {
  readonly kind: 'torn' | 'corrupt' | 'read-only' | 'full' | 'repaired'
  /** Empty for trouble with the store as a whole. */
  readonly topic: string
  readonly partition: number
  /** First offset concerned, and one beyond the last where that is known. */
  readonly from: number
  readonly to: number | null
  readonly message: string
}

export interface TopicInfo {
  readonly name: string
  readonly settings: TopicSettings
}

export interface PublishHow {
  /** Wait for this level; null waits for the topic's own, or the best the engine has if that is less. */
  readonly durability: Durability | null
  /** Append only if this is the next offset. */
  readonly expectedOffset: number | null
  /** With `sequence`: append at most once per producer and sequence. */
  readonly producer: string
  readonly sequence: number | null
}

export interface Receipt {
  readonly baseOffset: Offset
  readonly timestampMs: number
  readonly durability: Durability
  /** Set when this producer sequence was appended before: this is its receipt, and nothing was appended now. */
  readonly replayed: boolean
}

/** What a cursor brings: whole batches in offset order, or the news that offsets are gone. */
export type Chunk =
  /** Offsets that are missing before a batch, or before `next`, were superseded by newer records of their keys. */
  | { readonly kind: 'batches'; readonly batches: readonly StoredBatch[]; readonly next: Offset }
  | { readonly kind: 'lost'; readonly loss: Loss }

export interface Cursor {
  /**
   * The next whole batches, up to about `maxBytes` and at least one, waiting for one at the end. The first batch may
   * begin before the cursor's offset. Rejects with LVT_ABORTED when the signal fires.
   */
  next(maxBytes: number, signal: AbortSignal): Promise<Chunk>
  close(): void
}

export interface Engine {
  readonly name: string
  readonly can: ReadonlySet<Capability>
  /** Stays the same as long as the records do, also over restarts; null when they end with the process. */
  readonly identity: string | null
  open(): Promise<void>
  close(options: StopOptions): Promise<void>
  /** Create the topic, or return it as it is; the caller compares the settings. */
  ensureTopic(topic: string, settings: TopicSettings): Promise<TopicInfo>
  topic(topic: string): Promise<TopicInfo | null>
  /** Names in no particular order. */
  topics(): Promise<string[]>
  /** The caller has checked the settings; partitions may only grow. */
  changeTopic(topic: string, settings: TopicSettings): Promise<void>
  dropTopic(topic: string): Promise<void>
  /** Trouble with what is stored, for operators; a bounded number. */
  problems(): readonly EngineProblem[]
  partition(topic: string, partition: number): Promise<PartitionInfo>
  /** Resolves at the durability asked for; calls for one partition take effect in the order they were made. */
  publish(topic: string, partition: number, batch: Batch, how: PublishHow): Promise<Receipt>
  /** Whether a publish with this sequence would get an earlier receipt. Of a partition that `partition` was asked for. */
  knows(topic: string, partition: number, producer: string, sequence: number): boolean
  /** The offset at which a reader with this start begins; not below the log start, except as `offset` says itself. */
  resolve(topic: string, partition: number, start: Start): Promise<Offset>
  read(topic: string, partition: number, from: Offset): Promise<Cursor>
  /** Apply what passes with time: retention by age. */
  tidy(): Promise<void>
  purge(topic: string, partition: number, before: Offset): Promise<void>
  share(topic: string, group: string): Promise<never>
  join(topic: string, group: string): Promise<never>
}
