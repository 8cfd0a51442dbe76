/**
 * What `subscribe` can be told, what it gives, and what the start is on the wire.
 */
import { InvalidArgumentError } from '../src/common/errors.js'
import { MODES, type Mode } from '../src/model/group.js'
import type { LossCause } from '../src/model/record.js'
import { EARLIEST, type Start } from '../src/model/topic.js'
import { requireWithin } from './options.js'
import type { ReceivedRecord } from './received-record.js'
import type { RecordHandler, RunOptions } from './run-options.js'

/** Where a subscription begins. */
export type From =
  | 'earliest'
  | 'latest'
  | 'last'
  | { readonly offset: number }
  | { readonly timeMs: number }
  | { readonly ageMs: number }
  | { readonly lastN: number }

/** Offsets `from` (inclusive) to `to` (exclusive) of a partition were not delivered and will not be. */
export interface LostRange {
  readonly topic: string
  readonly partition: number
  readonly from: number
  readonly to: number
  /**
   * `reset`: the log began again, since the server lost it or was replaced. `from` and `to` are then both the offset
   * that was expected next, and reading goes on with the first record of the new log.
   */
  readonly cause: LossCause | 'reset'
}

export interface SubscribeOptions {
  /** Default: the first record that is kept. */
  readonly from?: From
  /** Ends the iteration before this offset. */
  readonly until?: number
  /** Records in flight at most: fetched and not yet consumed. Default 1,000, and 100 for a member of a group. */
  readonly window?: number
  /** Records are given back by `record.commit()` or `ack()` only, instead of by asking for the next one. */
  readonly manualCommit?: boolean
  /** A cursor whose position the server keeps under this name: the next one who reads under it goes on there. */
  readonly name?: string
  /** With `name`: whoever else reads under it has to go, instead of this one being refused with LVT_GROUP_IN_USE. */
  readonly takeOver?: boolean
  /** A name that several members share: each record goes to one of them. */
  readonly group?: string
  /** Of a group: record by record (`shared`, the default), or partition by partition. */
  readonly mode?: Mode
  /** Who takes part under `name` or in `group`: the same one again takes its own place over. Default: a random name. */
  readonly member?: string
  /** A record of a shared group that its member says nothing of for so long goes to another one. Default 30,000. */
  readonly ackWaitMs?: number
  /** How long a record of a shared group rests after its 1st, 2nd, ... delivery in vain, unless a retry says it itself. Default: not at all. */
  readonly backoffMs?: readonly number[]
  /**
   * The iteration throws LVT_TIMEOUT when it has waited so long and cannot say that it has caught up, nor that other members
   * have all partitions. Default: never, since the client reconnects for ever; `onStalled` tells.
   */
  readonly stallTimeoutMs?: number
  readonly signal?: AbortSignal
  onLost?(lost: LostRange): void
  /** Once, when everything that was there at subscribing has been consumed; of a group, when there is nothing to be had. */
  onCaughtUp?(): void
  /** The iteration waits since two heartbeats and has not caught up. Once, until a record comes. */
  onStalled?(stall: Stall): void
  /** With `name` or mode `partitioned`: these partitions are read from now on. */
  onAssigned?(assigned: AssignedPartitions): void
}

/** Why nothing comes. */
export interface Stall {
  /**
   * `disconnected`: there is no connection, or the server has not taken the subscription on it. `paused`: the group is.
   * `unassigned`: other members have all partitions. `behind`: there are records, and the server does not send them; other
   * members may have as many as the group allows.
   */
  readonly reason: 'disconnected' | 'paused' | 'unassigned' | 'behind'
  /** For about so long. */
  readonly waitedMs: number
}

export interface AssignedPartitions {
  readonly generation: number
  readonly partitions: readonly number[]
  /** Of them: read from where the group stands; the others go on where they are. */
  readonly started: readonly number[]
}

/**
 * A running subscription: iterate it once. Leaving the loop ends it. What was fetched and not consumed is let go
 * then; whoever starts at the last offset seen plus one misses nothing.
 */
export interface Subscription<T = Uint8Array> extends AsyncIterableIterator<ReceivedRecord<T>>, AsyncDisposable {
  /** Resolves when the server has taken the subscription: what is published from then on will be delivered. */
  readonly ready: Promise<void>
  /** Nothing more will be fetched. */
  readonly isOver: boolean
  /** Records that were lost for this subscription so far; `onLost` tells which. */
  readonly lostRecords: number
  /** Asking for the next record commits the previous one, unless `manualCommit`. */
  next(): Promise<IteratorResult<ReceivedRecord<T>, undefined>>
  return(): Promise<IteratorResult<ReceivedRecord<T>, undefined>>
  /** Iterate whole deliveries: an array of at least one record each time, all of one partition. */
  batches(): AsyncGenerator<ReceivedRecord<T>[], undefined>
  /** Records that were dealt with too late: they were not this reader's any more. */
  readonly lostLeases: number
  /**
   * Instead of iterating: calls `handler` for each record, up to `concurrency` at a time, and those of a partition one after
   * the other unless the group is shared. Resolves when it is stopped, rejects with what ends the subscription.
   */
  run(handler: RecordHandler<T>, options?: RunOptions<T>): Promise<void>
  /** Stop; what was fetched and not consumed is let go. Resolves when what was said of records is answered. */
  close(): Promise<void>
  /** Of a named cursor: stop, and delete its position for good. Resolves when the server has done it. */
  forget(): Promise<void>
  [Symbol.asyncIterator](): Subscription<T>
}

const WINDOW_DEFAULT = 1_000
/** The ack wait of all that was fetched runs, so that a slow member had better not hold much. */
const GROUP_WINDOW_DEFAULT = 100
const WINDOW_MAX = 0xffff_ffff

const ACK_WAIT_MS_DEFAULT = 30_000

/** What contradicts itself. Throws InvalidArgumentError. */
export function checkOptions(options: SubscribeOptions): void {
  const { name, group, mode, takeOver, member, ackWaitMs, backoffMs, until, stallTimeoutMs, onAssigned } = options
  const isShared = group !== undefined && mode !== 'partitioned'
  const refuse = (isWrong: boolean, message: string): void => {
    if (isWrong) throw new InvalidArgumentError(message)
  }
  refuse(mode !== undefined && !MODES.includes(mode), `mode is one of ${MODES.join(', ')}, not "${mode}"`)
  refuse(name !== undefined && group !== undefined, 'a subscription has a name or a group, not both')
  refuse(name === '' || group === '' || member === '', 'a name is not empty')
  refuse(name !== undefined && mode !== undefined && mode !== 'cursor', `with a name it is a cursor, not "${mode}"`)
  refuse(group !== undefined && mode === 'cursor', 'a group is shared or partitioned; a cursor has a name')
  refuse(mode !== undefined && mode !== 'cursor' && group === undefined, `mode "${mode}" needs a group`)
  refuse(takeOver !== undefined && name === undefined, 'takeOver is for cursors with a name')
  refuse(member !== undefined && name === undefined && group === undefined, 'a member needs a name or a group')
  refuse((ackWaitMs ?? backoffMs) !== undefined && !isShared, 'ackWaitMs and backoffMs are for shared groups')
  refuse(until !== undefined && group !== undefined, 'a group has no end')
  refuse(onAssigned !== undefined && (isShared || (name ?? group) === undefined), 'nothing is assigned to it')
  if (until !== undefined) wholeNumber('until', until)
  if (ackWaitMs !== undefined) requireWithin('ackWaitMs', ackWaitMs, 1, 0x7fff_ffff)
  for (const restMs of backoffMs ?? []) requireWithin('backoffMs', restMs, 0, 0x7fff_ffff)
  if (stallTimeoutMs !== undefined) requireWithin('stallTimeoutMs', stallTimeoutMs, 1, 0x7fff_ffff)
}

/** Where it begins and how much of it may be on its way. Throws InvalidArgumentError. */
export function flowOf({ from, group, mode, window: given, ackWaitMs = ACK_WAIT_MS_DEFAULT }: SubscribeOptions) {
  const isShared = group !== undefined && mode !== 'partitioned'
  const window = given ?? (isShared ? GROUP_WINDOW_DEFAULT : WINDOW_DEFAULT)
  requireWithin('window', window, 1, WINDOW_MAX)
  return { start: startOf(from), window, ackWaitMs, isShared }
}

/** Throws InvalidArgumentError. */
export function startOf(from: From | undefined): Start {
  if (from === undefined || from === 'earliest') return EARLIEST
  if (from === 'latest' || from === 'last') return { kind: from }
  if (typeof from === 'object') {
    if ('offset' in from) return { kind: 'offset', offset: wholeNumber('from.offset', from.offset) }
    if ('timeMs' in from) return { kind: 'time', timeMs: wholeNumber('from.timeMs', from.timeMs) }
    if ('ageMs' in from) return { kind: 'age', ageMs: wholeNumber('from.ageMs', from.ageMs) }
    if ('lastN' in from) return { kind: 'last-n', records: wholeNumber('from.lastN', from.lastN) }
  }
  throw new InvalidArgumentError(`from cannot be ${JSON.stringify(from)}`)
}

export function wholeNumber(name: string, value: number): number {
  requireWithin(name, value, 0, Number.MAX_SAFE_INTEGER)
  return value
}
