/**
 * Batches that a group has read of one partition and gives out of: those of the last two reads, since members go on in
 * front while records behind come again. Dropped when nothing is given out.
 */
import type { StoredBatch } from '../../model/record.js'

const READS = 2

export class BatchShelf {
  /** Newest first. */
  #reads: (readonly StoredBatch[])[] = []

  put(batches: readonly StoredBatch[]): void {
    this.#reads = [batches, ...this.#reads].slice(0, READS)
  }

  /** The batch that holds the offset, or null. */
  find(offset: number): StoredBatch | null {
    for (const read of this.#reads) {
      const batch = findIn(read, offset)
      if (batch !== null) return batch
    }
    return null
  }

  clear(): void {
    if (this.#reads.length > 0) this.#reads = []
  }
}

function findIn(batches: readonly StoredBatch[], offset: number): StoredBatch | null {
  let low = 0
  let high = batches.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const { baseOffset, count } = batches[middle] as StoredBatch
    if (baseOffset + count <= offset) low = middle + 1
    else high = middle
  }
  const batch = batches[low]
  return batch !== undefined && batch.baseOffset <= offset ? batch : null
}
