/**
 * A part of a partition that is kept or removed as a whole, as all layers speak of it.
 */
import type { Offset } from './offset.js'

export interface SegmentInfo {
  readonly base: Offset
  /** One beyond its last record. */
  readonly end: Offset
  /** As they are stored. */
  readonly bytes: number
  /** Timestamps of its first and of its last record; null when it has none. The last one may be told too late, never too early. */
  readonly firstMs: number | null
  readonly lastMs: number | null
}
