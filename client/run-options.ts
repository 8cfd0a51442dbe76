/**
 * What `run` can be told.
 */
import type { ReceivedRecord } from './received-record.js'

/** Deals with one record, which is done with when what is returned is resolved. `record.signal` says when that is in vain. */
export type RecordHandler<T> = (record: ReceivedRecord<T>) => unknown

/** What becomes of a record whose handler failed. */
export type OnError = 'retry' | 'reject'

export interface RunOptions<T> {
  /** Handlers at a time, at most. Default 1. */
  readonly concurrency?: number
  /**
   * Default: retry. `reject` is for shared groups, and says why with the message of the error. In all others a retry is the
   * next call for the same record, since those after it have to wait. What a function throws stops everything and comes
   * out of `run`; the record comes again, to the next reader.
   */
  readonly onError?: OnError | ((error: unknown, record: ReceivedRecord<T>) => OnError)
  /** Before a record is tried again. Default: what the group says, and 1,000 where there is no shared group. */
  readonly retryDelayMs?: number
  /** Begin the ack wait of a record anew, every third of it, while its handler runs. Default true. */
  readonly autoExtend?: boolean
  /** After a stop, handlers may go on for so long. Default 30,000. */
  readonly drainTimeoutMs?: number
  /** Stops: no more records are begun, and the promise of `run` resolves when the handlers are done. */
  readonly signal?: AbortSignal
}
