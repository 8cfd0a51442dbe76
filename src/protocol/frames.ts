/**
 * The frames of the native protocol as types: what a codec decodes to and encodes from. proto/leveret.proto is the
 * published contract; zero never means "default" here, absent is null.
 */
import type { GroupAction, GroupState, Mode } from '../model/group.js'
import type { LossCause, RecordRun } from '../model/record.js'
import type { Durability, Start, TopicSettings } from '../model/topic.js'

export const PROTOCOL_VERSION = 1

/** Field number of the record run, in Publish and in Delivery; written last. */
export const RECORDS_FIELD = 15

/**
 * Room that a Delivery needs around a run beyond what the shortest Publish needs, so that every run that could be
 * published can be delivered: tags, subscription, partition, offset, time, delivery count, lengths.
 */
export const DELIVERY_OVERHEAD_BYTES = 64

/** The longest run that can be published, and so delivered, with frames of at most so many bytes. */
export function runBytesMax(frameBytesMax: number): number {
  return frameBytesMax - DELIVERY_OVERHEAD_BYTES
}

export const OUTCOMES = ['ack', 'retry', 'reject', 'extend', 'release'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** In the order of the wire's enum. */
export const LOSS_CAUSES = ['lagged', 'expired', 'trimmed', 'corrupt'] as const satisfies readonly LossCause[]

export interface HelloFrame {
  readonly kind: 'hello'
  readonly id: number
  readonly version: number
  readonly clientName: string
  readonly token: string
  readonly user: string
  readonly password: string
  readonly heartbeatMs: number | null
}

export interface CreateTopicFrame {
  readonly kind: 'create-topic'
  readonly id: number
  readonly topic: string
  readonly settings: TopicSettings
}

export interface SubscribeFrame {
  readonly kind: 'subscribe'
  readonly id: number
  readonly subscription: number
  readonly topic: string
  readonly start: Start
  readonly untilOffset: number | null
  readonly mode: Mode
  readonly group: string
  readonly window: number
  readonly ackWaitMs: number | null
  /** How long a record rests after its 1st, 2nd, ... delivery in vain; the last one holds for all further ones. */
  readonly backoffMs: readonly number[]
  /** Who takes part; the same one again takes its own place over. */
  readonly member: string
  /** Of a named cursor: whoever reads under this name has to go. */
  readonly takeOver: boolean
}

export interface UnsubscribeFrame {
  readonly kind: 'unsubscribe'
  readonly id: number
  readonly subscription: number
  readonly forget: boolean
}

export interface PublishFrame {
  readonly kind: 'publish'
  readonly id: number
  readonly topic: string
  readonly partition: number | null
  readonly durability: Durability | null
  readonly expectedOffset: number | null
  readonly producer: string
  readonly sequence: number | null
  readonly run: RecordRun
}

export interface CommitFrame {
  readonly kind: 'commit'
  readonly id: number
  readonly subscription: number
  readonly partition: number
  /** Everything up to it, itself included. */
  readonly offset: number | null
  readonly offsets: readonly number[]
  readonly outcome: Outcome
  readonly delayMs: number
  /** Of a partitioned group: of the assignment that this is said under; 0: the newest one. Without offsets: it is taken note of. */
  readonly generation: number
  /** Why it is rejected. */
  readonly reason: string
}

export interface CloseFrame {
  readonly kind: 'close'
  readonly id: number
}

export interface PingFrame {
  readonly kind: 'ping'
  readonly id: number
}

export interface DescribeFrame {
  readonly kind: 'describe'
  readonly id: number
  readonly topic: string
  readonly group: string
  readonly after: string
  /** The groups of the topic instead of the topic itself. */
  readonly groups: boolean
}

/** What an operator wants of a group; `start` and `partition` (null: all) count for a seek. */
export interface ManageGroupFrame {
  readonly kind: 'manage-group'
  readonly id: number
  readonly topic: string
  readonly group: string
  readonly action: GroupAction
  readonly start: Start
  readonly partition: number | null
}

/** A frame with a body that this version does not know; `field` is 0 when the frame has no body at all. */
export interface UnknownFrame {
  readonly kind: 'unknown'
  readonly id: number
  readonly field: number
}

export type ClientFrame =
  | HelloFrame
  | CreateTopicFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | PublishFrame
  | CommitFrame
  | CloseFrame
  | PingFrame
  | DescribeFrame
  | ManageGroupFrame
  | UnknownFrame

export interface WelcomeFrame {
  readonly kind: 'welcome'
  readonly id: number
  readonly version: number
  readonly server: string
  readonly nodeId: string
  readonly maxFrameBytes: number
  readonly features: readonly string[]
}

export interface DoneFrame {
  readonly kind: 'done'
  readonly id: number
}

/** Where the records of one Publish went in one partition. Indexes count the published records. */
export interface PublishedPart {
  readonly partition: number
  readonly baseOffset: number
  readonly count: number
  readonly records: readonly number[]
  readonly duplicates: readonly number[]
  readonly keptOffsets: readonly number[]
}

export interface PublishedFrame {
  readonly kind: 'published'
  readonly id: number
  readonly topic: string
  readonly partition: number
  readonly baseOffset: number
  readonly count: number
  readonly duplicates: readonly number[]
  readonly durability: Durability
  readonly keptOffsets: readonly number[]
  readonly parts: readonly PublishedPart[]
}

export interface FailureFrame {
  readonly kind: 'failure'
  readonly id: number
  readonly code: string
  readonly message: string
  readonly retryable: boolean
  readonly topic: string
  /** Of LVT_LEASE_LOST: the records of the Commit for which it did not count; empty where it does not say. */
  readonly offsets: readonly number[]
}

export interface DeliveryFrame {
  readonly kind: 'delivery'
  readonly id: number
  readonly subscription: number
  readonly partition: number
  readonly baseOffset: number
  readonly timestampMs: number
  readonly deliveryCount: number
  readonly run: RecordRun
}

export interface LostRangeFrame {
  readonly kind: 'lost-range'
  readonly id: number
  readonly subscription: number
  readonly partition: number
  readonly from: number
  readonly to: number
  readonly cause: LossCause
}

/** What this version says; a client takes any text. */
export type EndedReason = 'until-reached' | 'topic-deleted' | 'group-deleted' | 'taken-over' | 'failed'

export interface EndedFrame {
  readonly kind: 'ended'
  readonly id: number
  readonly subscription: number
  readonly reason: string
}

export interface PongFrame {
  readonly kind: 'pong'
  readonly id: number
}

export interface PartitionDescription {
  readonly partition: number
  readonly logStart: number
  readonly end: number
  readonly bytes: number
}

export interface TopicDescription {
  readonly name: string
  /** Null in a list of names. */
  readonly settings: TopicSettings | null
  readonly partitions: readonly PartitionDescription[]
  readonly subscribers: number
}

export type GroupDescription = GroupState

export interface DescriptionFrame {
  readonly kind: 'description'
  readonly id: number
  readonly topics: readonly TopicDescription[]
  readonly groups: readonly GroupDescription[]
  readonly more: boolean
}

export interface AssignedFrame {
  readonly kind: 'assigned'
  readonly id: number
  readonly subscription: number
  readonly partitions: readonly number[]
  readonly generation: number
  /** Of `partitions`: those that are read from their positions from now on; the others go on where they are. */
  readonly started: readonly number[]
}

export interface ClosingFrame {
  readonly kind: 'closing'
  readonly id: number
  readonly code: string
  readonly message: string
}

export type ServerFrame =
  | WelcomeFrame
  | DoneFrame
  | PublishedFrame
  | FailureFrame
  | DeliveryFrame
  | LostRangeFrame
  | EndedFrame
  | PongFrame
  | DescriptionFrame
  | AssignedFrame
  | ClosingFrame
  | UnknownFrame
