/**
 * What the broker needs from whoever keeps the records: one machine or a cluster, the broker cannot tell.
 * Implementers are bound by the comments here; test/contract holds every engine to them.
 *
 * Engines fail with these codes: LVT_UNSUPPORTED, LVT_TOPIC_NOT_FOUND, LVT_TOPIC_CONFLICT, LVT_WRONG_OFFSET,
 * LVT_SEQUENCE_TOO_OLD, LVT_GROUP_NOT_FOUND, LVT_GROUP_CONFLICT, LVT_GROUP_IN_USE, LVT_FENCED, LVT_UNAVAILABLE (it did not happen), LVT_IN_DOUBT (nobody can say), LVT_READ_ONLY, LVT_CLOSED.
 */
import type { StopOptions } from '../common/service.js'
import type { Range, Verdict } from '../groups/shared/settings.js'
import type { GroupState } from '../model/group.js'
import type { Offset } from '../model/offset.js'
import type { Batch, Loss, StoredBatch } from '../model/record.js'
import type { SegmentInfo } from '../model/segment-info.js'
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

/** How a member takes part in a shared group. What concerns the group as a whole is as the last one who came says. */
export interface ShareHow {
  /** For operators. */
  readonly member: string
  /** Where the group begins, if it is new. */
  readonly start: Start
  /** A record of which its member says nothing for so long goes to another one. */
  readonly ackWaitMs: number
  /** How long a record rests after its 1st, 2nd, ... delivery in vain; the last one holds for all further ones. */
  readonly backoffMs: readonly number[]
  /** Records given out and not done with, all members together. */
  readonly inFlightMax: number
  /** Records between the oldest one that is not done with and the newest that was given out. */
  readonly spanMax: number
  /** About the most that one delivery brings, and one record at least. */
  readonly deliveryBytesMax: number
  /** What this member says is answered when it is as safe as what is published to the topic; else, as safe as it can be. */
  readonly settlesLikeTopic?: boolean
  /**
   * A record was rejected, or delivered `maxDeliveries` times: store it elsewhere, once, however often this is called for
   * it. When that is done it is acked; a rejection is tried again later.
   */
  bury(dead: DeadLetter): Promise<void>
}

export interface DeadLetter {
  readonly partition: number
  readonly offset: Offset
  /** `max-deliveries`, or what the member said that rejected it. */
  readonly reason: string
  /** How often it was given out. */
  readonly deliveries: number
  /** Of its arrival. */
  readonly timestampMs: number
  /** The record as a run of one. */
  readonly body: Buffer
}

/** Records [from, to) of one batch for one member. */
export interface ShareDelivery {
  readonly partition: number
  readonly batch: StoredBatch
  /** Seeks before it that kept leases: with the offset it names the lease. */
  readonly era: number
  /** Of an era that is over: the record comes from where the group was before. */
  readonly isAside: boolean
  readonly from: Offset
  readonly to: Offset
  /** 0 at the first delivery. */
  readonly deliveryCount: number
}

/** Whoever takes part. Called at any moment, also within `ask` and `settle`, but never after `leave`. */
export interface ShareMember {
  /** They are its own until it settles them, leaves, or lets the ack wait pass. */
  delivered(delivery: ShareDelivery): void
  /**
   * Records of which it had not said what became of them are its own no more: the ack wait is over, or the group went on
   * without them. Told before they are delivered again; an ack may still count, as `settle` says.
   */
  expired(partition: number, from: Offset, to: Offset, era: number): void
  /** Offsets that no member will get, told to one of them. */
  lost(partition: number, loss: Loss): void
  /**
   * It asks for more than there is to give out now. Told whenever that may have become so, and again when it has not changed;
   * members that do not listen cost nothing.
   */
  readonly nothingLeft?: () => void
  /** Nothing more comes: the topic is gone, or the engine. As if it had left. */
  ended(reason: Error): void
}

/** A seat in a shared group. */
export interface Share {
  /** From now on so many records are wanted; each delivery takes from that. Members that ask have their turn one by one. */
  ask(records: number): void
  /**
   * What the member says of records that it got. Resolves, when that is as safe as the engine can make it, with the
   * ranges it does not count for: they are done with, or another's by now. Rejects with what `publish` rejects with;
   * then it counts until the engine is closed. `era` is that of the deliveries; null: of several that it has of a record, the
   * newest.
   */
  settle(partition: number, from: Offset, to: Offset, verdict: Verdict, era: number | null): Promise<readonly Range[]>
  /** What the member has not settled is due again at once, to others. */
  leave(): void
}

/** How a member takes part in a group that assigns partitions. */
export interface JoinHow {
  /** A `cursor` has one member at a time, which has all partitions at once. */
  readonly mode: 'cursor' | 'partitioned'
  /** Names a member within its group, 1 to 255 characters: who joins under the same one takes the place over, with what belongs to it. */
  readonly member: string
  /** Of a cursor: whoever else reads it has to go. */
  readonly takeOver: boolean
  /** Where the group begins, if it is new. */
  readonly start: Start
}

/** What a member has from now on, instead of all that it had before. */
export interface Assignment {
  readonly generation: number
  readonly partitions: readonly AssignedPartition[]
}

export interface AssignedPartition {
  readonly partition: number
  /** To be read from here, also if it was read before; null: it goes on where it is. */
  readonly from: Offset | null
}

/** Whoever takes part. Never called within `join`, nor after `leave`. */
export interface PartitionMember {
  /**
   * Partitions that it had and that are not named any more are to be let go of: what is finished is committed, then
   * `confirm` is called, and only then, or when the time for that is over, another member gets them.
   */
  assigned(assignment: Assignment): void
  /** Nothing more comes: another took its place (LVT_FENCED), the group or topic is gone, or the engine. As if it had left. */
  ended(reason: Error): void
}

/** A place in a group that assigns partitions. */
export interface Seat {
  /** It has let go of what the assignment of this generation took from it. */
  confirm(generation: number): void
  /**
   * Everything before `position` is done with. Said under any generation since the partition was got; 0 is the newest.
   * Resolves when that is safe, rejects with LVT_FENCED when the partition is not this member's, and then nothing has
   * changed. What is not beyond what was committed before changes nothing.
   */
  commit(partition: number, position: Offset, generation: number): Promise<void>
  leave(): void
}

/** All groups that were used since the engine was opened, those that are gone by now included where something is counted. */
export interface GroupCounts {
  /** That there are now. */
  readonly groups: number
  /** Sum over their partitions, now. */
  readonly lag: number
  /** Members that have had something to speak of for as long as was asked, and say nothing; now. */
  readonly silentMembers: number
  readonly redeliveries: number
  readonly expired: number
  readonly deadLetters: number
  /** Records that limits removed before they were done with. */
  readonly skipped: number
  readonly rebalances: number
  readonly fenced: number
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
  /** What is below it is not kept any more. Of a partition that `partition` was asked for; of others it says nothing. */
  logStart(topic: string, partition: number): Offset
  /** The offset at which a reader with this start begins; not below the log start, except as `offset` says itself. */
  resolve(topic: string, partition: number, start: Start): Promise<Offset>
  read(topic: string, partition: number, from: Offset): Promise<Cursor>
  /** Apply what passes with time: retention by age. */
  tidy(): Promise<void>
  purge(topic: string, partition: number, before: Offset): Promise<void>
  /**
   * The next record gets `offset`, which is not below the end: for records that are brought along under offsets of their own.
   * What is passed over is lost to readers. Of a partition that nobody publishes to meanwhile, or reads.
   */
  skipTo(topic: string, partition: number, offset: Offset): Promise<void>
  /**
   * What there is of a partition, oldest first; the last one takes appends. From now on one is closed at about
   * `bytesMax`, until the engine is closed: that is not kept. Null: as before.
   */
  segments(topic: string, partition: number, bytesMax: number | null): Promise<readonly SegmentInfo[]>
  /** What is appended from now on goes into a segment of its own. */
  closeSegment(topic: string, partition: number): Promise<void>
  /**
   * A seat in a shared group, which is made if it is missing. With capability `share`, and of topics that keep records:
   * others are LVT_UNSUPPORTED. What is acked stays acked, also over restarts; a crash may bring records again that were
   * not, and skips none.
   */
  share(topic: string, group: string, how: ShareHow, member: ShareMember): Promise<Share>
  /**
   * A seat in a partitioned group, or the only one of a named cursor; made if it is missing. With capability `groups`, and of
   * topics that keep records. The seat has nothing before its listener is told; what is committed is as safe as what
   * is acked in a shared group. Rejects with LVT_GROUP_IN_USE when another member reads a named cursor, or the group has as
   * many members as it may.
   */
  join(topic: string, group: string, how: JoinHow, member: PartitionMember): Promise<Seat>
  /** Groups of all modes whose names come after `after`, in order, `limit` at most. */
  groups(topic: string, after: string, limit: number): Promise<{ groups: readonly GroupState[]; more: boolean }>
  /** Rejects with LVT_GROUP_NOT_FOUND, as the following do. */
  group(topic: string, group: string): Promise<GroupState>
  /**
   * Go on elsewhere, in one partition or in all; at the end where that lies before the offset. What is in flight is not this group's any more: verdicts and commits on it
   * are refused. Resolves when it is safe.
   * With `keepsLeases`, which only shared groups can, members keep what they have, and it comes back when its time is over.
   */
  seekGroup(topic: string, group: string, start: Start, partition: number | null, keepsLeases?: boolean): Promise<void>
  /** A paused group gives nothing out, also after a restart; verdicts count. LVT_UNSUPPORTED unless it is shared. */
  pauseGroup(topic: string, group: string, isPaused: boolean): Promise<void>
  /** Forget it for good; its members are ended with LVT_GROUP_NOT_FOUND. */
  dropGroup(topic: string, group: string): Promise<void>
  /** For gauges: cheap enough to be asked every few seconds, and never waits. */
  groupCounts(silentMs: number): GroupCounts
}
