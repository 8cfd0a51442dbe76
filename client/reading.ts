/**
 * What the ways to consume have in common: a plain cursor (cursor-reading.ts), a member of a shared group
 * (shared-reading.ts), and a named cursor or member of a partitioned group (positioned-reading.ts). A subscription has one
 * of them, and tells it what came, what was consumed and what the user says of it.
 */
import type { LeveretError } from '../src/common/errors.js'
import type { Turn } from '../src/common/turn.js'
import type { Mode } from '../src/model/group.js'
import type { LossCause } from '../src/model/record.js'
import type { Start } from '../src/model/topic.js'
import type { AssignedFrame } from '../src/protocol/frames.js'
import type { Link } from './link.js'
import type { ClientSettings } from './options.js'
import type { DeliveredRun, Verdict } from './received-record.js'
import type { RecordQueue } from './record-queue.js'
import type { Requests } from './requests.js'
import type { SubscribeOptions } from './subscribe-options.js'

/** What all subscriptions of a client share. */
export interface SubscribeContext {
  readonly link: Link
  readonly requests: Requests
  readonly settings: ClientSettings
  readonly turn: Turn
  /** Of the server of the latest connection; another one has other logs. */
  nodeId(): string
  /** The subscription is over, and its number will not be used again. */
  forget(subscription: number): void
}

/** What a reading needs of its subscription. */
export interface ReadingHost<T> {
  readonly context: SubscribeContext
  readonly number: number
  readonly topicName: string
  readonly options: SubscribeOptions
  readonly start: Start
  readonly window: number
  /** Of a shared group. */
  readonly ackWaitMs: number
  readonly queue: RecordQueue<T>
  /** Counts connections: what an earlier one delivered is not in flight on this one. */
  readonly epoch: number
  readonly isOver: boolean
  /** Send the Subscribe, with the words of the reading. */
  subscribe(start: Start): void
  lost(partition: number, from: number, to: number, cause: LossCause | 'reset'): void
  /** So many records that the user was done with were not this member's any more. */
  leasesLost(records: number): void
}

/** How the Subscribe names whoever reads. */
export interface ReaderName {
  readonly mode: Mode
  readonly group: string
  readonly member: string
  readonly takeOver: boolean
}

/** Where it stands when everything that was fetched is consumed. */
export type Progress = 'caught-up' | 'behind' | 'paused' | 'unassigned'

export interface Reading<T> {
  readonly name: ReaderName
  /** Records of a partition have to be dealt with one after the other. */
  readonly isOrdered: boolean
  /** There is a connection: `isFirst` until the server has taken the subscription once. */
  up(isFirst: boolean): void
  down(): void
  delivered(run: DeliveredRun<T>): void
  assigned(frame: AssignedFrame): void
  /** Below it, the loss concerns what is had already. */
  lostFrom(partition: number, from: number, to: number): number
  /** The first record of this delivery is handed out. */
  begun(run: DeliveredRun<T>): void
  /** The last `records` handed out of this delivery are consumed, by asking for more. */
  consumed(run: DeliveredRun<T>, records: number): void
  commitUpTo(run: DeliveredRun<T>, offset: number): void
  acknowledge(run: DeliveredRun<T>, offset: number): Promise<void>
  settle(run: DeliveredRun<T>, offset: number, verdict: Verdict): Promise<void>
  /** Aborts when the record is this reader's no more. */
  signalOf(run: DeliveredRun<T>, offset: number): AbortSignal
  progress(): Progress | Promise<Progress>
  /**
   * It ends, and what is fetched will not be handed out. True if the server is told so, and what is on its way yet is to be
   * said something of before the Unsubscribe.
   */
  leaving(): boolean
  /** Of a shared group: the ack wait of what was fetched and not handed out begins anew. */
  extendFetched(): void
  /** Came after the end. */
  late(run: DeliveredRun<T>): void
  /** Send what is consumed and not committed: the subscription ends after this. */
  flush(): void
  /** Resolves when everything that was said is answered, or cannot be any more. */
  answered(): Promise<void>
  /**
   * Of a named cursor that was sent everything: resolves with true when all of it is committed, so that the server has let go
   * of the seat, and with false when that cannot be any more.
   */
  drained(): Promise<boolean>
  /** The subscription is over: nothing that was handed out is its own any more. */
  over(reason: LeveretError): void
  /** Nobody waits any longer for an answer. */
  close(reason: LeveretError): void
}
