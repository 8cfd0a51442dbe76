/**
 * Records and the runs they travel in. A run is the protobuf encoding of field 15 of Publish and Delivery, one
 * after the other; it is the unit of the wire, the ring and the disk, and it is never re-encoded.
 */
import type { Offset } from './offset.js'

export interface Header {
  readonly name: string
  readonly value: Uint8Array
}

/** A record as it is published. An absent key differs from an empty one. */
export interface NewRecord {
  readonly key: Uint8Array | null
  readonly payload: Uint8Array
  readonly headers: readonly Header[]
}

/** A place in somebody's buffer that holds a validated run. Valid only until the owner reuses the buffer. */
export interface RecordRun {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
  readonly count: number
  /** The buffer is nobody else's, and may be kept instead of copied. Absent: it is somebody's. */
  readonly isOwned?: boolean
}

/** Records accepted together. `body` is a run of `count` records and belongs to whoever holds the batch. */
export interface Batch {
  readonly body: Buffer
  readonly count: number
}

/** A batch with its place: offsets `baseOffset` to `baseOffset + count - 1`, and one arrival time. */
export interface StoredBatch extends Batch {
  readonly baseOffset: Offset
  readonly timestampMs: number
}

/** Why offsets will not be delivered. */
export type LossCause = 'lagged' | 'expired' | 'trimmed' | 'corrupt'

/** Offsets `from` (inclusive) to `to` (exclusive) will not be delivered. */
export interface Loss {
  readonly from: Offset
  readonly to: Offset
  readonly cause: LossCause
}
