/**
 * Retry-safe publishing in one partition: the receipts of the last sequences of each producer. A sequence seen
 * before gets its receipt again; one that is new within the window is taken even if later ones came first, so that
 * a publish that failed alone can be tried again; one from before the window is refused.
 */
import { SequenceTooOldError } from '../../common/errors.js'
import type { Receipt } from '../engine.js'
import { type ProducedBatch, SEQUENCES_KEPT } from '../store.js'

/** Sequences remembered for each producer: what a store brings back of them after a restart. */
export const SEQUENCES_REMEMBERED = SEQUENCES_KEPT

interface Taken {
  readonly appending: Promise<Receipt>
  /** Null while the append is under way. */
  receipt: Receipt | null
}

interface Producer {
  /** Sequence to its receipt, or to the append under way; in the order they were taken. */
  readonly receipts: Map<number, Taken>
  highest: number
}

export class ProducerTable {
  readonly #producersMax: number
  readonly #producers = new Map<string, Producer>()

  /** At `producersMax` the producer that was quiet for longest is forgotten. */
  constructor(producersMax: number) {
    this.#producersMax = producersMax
  }

  get size(): number {
    return this.#producers.size
  }

  has(name: string, sequence: number): boolean {
    return this.#producers.get(name)?.receipts.has(sequence) ?? false
  }

  /** The receipt of an earlier append of this sequence, or null if it is new. Throws SequenceTooOldError. */
  find(name: string, sequence: number): Promise<Receipt> | null {
    const producer = this.#producers.get(name)
    if (producer === undefined) return null
    const receipt = producer.receipts.get(sequence)
    if (receipt !== undefined) return receipt.appending
    if (sequence > producer.highest - SEQUENCES_REMEMBERED) return null
    throw new SequenceTooOldError(
      `sequence ${sequence} of producer "${name}" is too old to tell whether it was published, the newest is ${producer.highest}`,
    )
  }

  /** Remember an append under way; one that fails is forgotten, so that it may be tried again. */
  remember(name: string, sequence: number, appending: Promise<Receipt>): void {
    const producer = this.#touch(name)
    const taken: Taken = { appending, receipt: null }
    producer.receipts.set(sequence, taken)
    if (sequence > producer.highest) producer.highest = sequence
    if (producer.receipts.size > SEQUENCES_REMEMBERED) {
      for (const known of producer.receipts.keys()) {
        if (known <= producer.highest - SEQUENCES_REMEMBERED) producer.receipts.delete(known)
      }
    }
    appending.then(
      (receipt) => {
        taken.receipt = receipt
      },
      () => producer.receipts.delete(sequence),
    )
  }

  /** Take over what was appended before the table was made. */
  restore(
    { producer: name, sequence, baseOffset, timestampMs }: ProducedBatch,
    durability: Receipt['durability'],
  ): void {
    const receipt: Receipt = { baseOffset, timestampMs, durability, replayed: false }
    this.remember(name, sequence, Promise.resolve(receipt))
    const taken = this.#producers.get(name)?.receipts.get(sequence)
    if (taken !== undefined) taken.receipt = receipt
  }

  /** What is appended, for `restore`: the producer that was quiet for longest first. */
  batches(): ProducedBatch[] {
    const batches: ProducedBatch[] = []
    for (const [producer, { receipts }] of this.#producers) {
      for (const [sequence, { receipt }] of receipts) {
        if (receipt === null) continue
        batches.push({ producer, sequence, baseOffset: receipt.baseOffset, timestampMs: receipt.timestampMs })
      }
    }
    return batches
  }

  /** Move the producer to the young end, making room if it is new. */
  #touch(name: string): Producer {
    const producer = this.#producers.get(name) ?? { receipts: new Map(), highest: -1 }
    this.#producers.delete(name)
    this.#producers.set(name, producer)
    if (this.#producers.size > this.#producersMax) {
      for (const oldest of this.#producers.keys()) {
        this.#producers.delete(oldest)
        break
      }
    }
    return producer
  }
}
