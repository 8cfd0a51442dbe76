/**
 * The broadcast ring of one partition: its newest batches, in offset order, for every local reader. Bounded in bytes
 * and records; the newest batch always fits. A reader inside the ring costs no I/O.
 *
 * Batches have a sequence of their own that grows by one with each push, so that a reader finds its next batch
 * without a search:   head <= sequence < tail,  batch of `sequence` in slot `sequence & mask`.
 */
import { advance, type Offset, toOffset } from '../model/offset.js'
import type { StoredBatch } from '../model/record.js'

const FIRST_SLOTS = 16

export class TopicRing {
  /** Offset of the oldest record in the ring, `end` when it is empty. */
  start: Offset
  /** One beyond the newest record: the high-water mark of the partition. */
  end: Offset
  bytes = 0
  #bytesMax: number
  #recordsMax: number
  #slots: (StoredBatch | undefined)[] = []
  #mask = -1
  #head = 0
  #tail = 0

  constructor(end: Offset, bytesMax: number, recordsMax: number) {
    this.start = end
    this.end = end
    this.#bytesMax = bytesMax
    this.#recordsMax = recordsMax
  }

  get isEmpty(): boolean {
    return this.#head === this.#tail
  }

  /** Other limits from now on; the oldest batches that no longer fit go at once. */
  resize(bytesMax: number, recordsMax: number): void {
    this.#bytesMax = bytesMax
    this.#recordsMax = recordsMax
    while (this.#tail - this.#head > 1 && this.#isOver()) this.#evict()
  }

  /** Append the batch whose base offset is `end`, and let go of the oldest ones that no longer fit. */
  push(batch: StoredBatch): void {
    if (batch.baseOffset !== this.end) this.#restart(batch.baseOffset)
    if (this.#tail - this.#head >= this.#slots.length) this.#grow()
    this.#slots[this.#tail & this.#mask] = batch
    this.#tail++
    this.bytes += batch.body.length
    this.end = advance(batch.baseOffset, batch.count)
    while (this.#tail - this.#head > 1 && this.#isOver()) this.#evict()
  }

  /** Whether a push of so much leaves everything from `unread` on in the ring. */
  hasRoom(bytes: number, records: number, unread: Offset): boolean {
    let unreadBytes = 0
    let first = this.end
    for (let sequence = this.#tail - 1; sequence >= this.#head && first > unread; sequence--) {
      const batch = this.#slots[sequence & this.#mask] as StoredBatch
      unreadBytes += batch.body.length
      first = batch.baseOffset
    }
    return unreadBytes + bytes <= this.#bytesMax && this.end - first + records <= this.#recordsMax
  }

  /** The batch with this sequence, if it is still in the ring. */
  at(sequence: number): StoredBatch | undefined {
    return sequence >= this.#head && sequence < this.#tail ? this.#slots[sequence & this.#mask] : undefined
  }

  /** Sequence of the batch that holds `offset`, which is within `start` and `end`. */
  sequenceOf(offset: Offset): number {
    let low = this.#head
    let high = this.#tail - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      const batch = this.#slots[middle & this.#mask] as StoredBatch
      if (batch.baseOffset + batch.count <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #isOver(): boolean {
    return this.bytes > this.#bytesMax || this.end - this.start > this.#recordsMax
  }

  #evict(): void {
    const slot = this.#head & this.#mask
    const batch = this.#slots[slot] as StoredBatch
    this.#slots[slot] = undefined
    this.#head++
    this.bytes -= batch.body.length
    this.start = advance(batch.baseOffset, batch.count)
  }

  /** Another node or an operator moved the end: what is here no longer joins what comes. */
  #restart(at: Offset): void {
    while (this.#head < this.#tail) this.#evict()
    this.start = toOffset(at)
    this.end = toOffset(at)
  }

  #grow(): void {
    const slots = new Array<StoredBatch | undefined>(Math.max(FIRST_SLOTS, this.#slots.length * 2)).fill(undefined)
    const mask = slots.length - 1
    for (let sequence = this.#head; sequence < this.#tail; sequence++) {
      slots[sequence & mask] = this.#slots[sequence & this.#mask]
    }
    this.#slots = slots
    this.#mask = mask
  }
}
