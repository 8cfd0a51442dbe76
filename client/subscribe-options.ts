/**
 * What `subscribe` can be told, what it gives, and what the start is on the wire.
 */
import { InvalidArgumentError } from '../src/common/errors.js'
import type { Mode } from '../src/model/group.js'
import type { LossCause } from '../src/model/record.js'
import { EARLIEST, type Start } from '../src/model/topic.js'
import { requireWithin } from './options.js'
import type { ReceivedRecord } from './received-record.js'

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
  /** A name that several members share, with mode `shared`: each record goes to one of them, until it is acked. */
  readonly group?: string
  readonly mode?: Mode
  /** A record of a group that its member says nothing of for so long goes to another one. Default 30,000. */
  readonly ackWaitMs?: number
  readonly signal?: AbortSignal
  onLost?(lost: LostRange): void
  /** Once, when everything that was there at subscribing has been consumed. */
  onCaughtUp?(): void
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
  /** Stop; what was fetched and not consumed is let go. */
  close(): Promise<void>
  [Symbol.asyncIterator](): Subscription<T>
}

export const WINDOW_DEFAULT = 1_000
/** The ack wait of all that was fetched runs, so that a slow member had better not hold much. */
export const GROUP_WINDOW_DEFAULT = 100

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
