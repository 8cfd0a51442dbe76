/**
 * What a publisher is told: where its records went, which were dropped as duplicates, and how safe they are.
 */
import type { Durability } from './topic.js'

/** Records of one publish in one partition. The records that are no duplicates have contiguous offsets. */
export interface PublishReceipt {
  readonly partition: number
  /** Offset of the first appended record; without meaning when `count` is 0. */
  readonly baseOffset: number
  readonly count: number
  /** The level that was reached. */
  readonly durability: Durability
  /** Indexes into the published records that were dropped; null when there are none. */
  readonly duplicates: readonly number[] | null
  /** For each duplicate, the offset that was kept. */
  readonly keptOffsets: readonly number[] | null
  /** Where the records went when they were spread over several partitions; the other fields are then empty. */
  readonly parts: readonly PartReceipt[] | null
}

/** One partition's share of a spread publish; indexes count the published records. */
export interface PartReceipt {
  readonly partition: number
  readonly baseOffset: number
  readonly count: number
  readonly records: readonly number[]
  readonly duplicates: readonly number[]
  readonly keptOffsets: readonly number[]
}
