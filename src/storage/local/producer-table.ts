/**
 * Retry-safe publishing in one partition: the receipts of the last sequences of each producer. A sequence seen
 * before gets its receipt again; one that is new within the window is taken even if later ones came first, so that
 * a publish that failed alone can be tried again; one from before the window is refused.
 */
import { SequenceTooOldError } from '../../common/errors.js'
import type { Receipt } from '../engine.js'

/** Sequences remembered for each producer; a client keeps fewer publishes in flight. */
export const SEQUENCES_REMEMBERED = 64

interface Producer {
  /** Sequence to its receipt, or to the append under way; in the order they were taken. */
  readonly receipts: Map<number, Promise<Receipt>>
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

  /** The receipt of an earlier append of this sequence, or null if it is new. Throws SequenceTooOldError. */
  find(name: string, sequence: number): Promise<Receipt> | null {
    const producer = this.#producers.get(name)
    if (producer === undefined) return null
    const receipt = producer.receipts.get(sequence)
    if (receipt !== undefined) return receipt
    if (sequence > producer.highest - SEQUENCES_REMEMBERED) return null
    throw new SequenceTooOldError(
      `sequence ${sequence} of producer "${name}" is too old to tell whether it was published, the newest is ${producer.highest}`,
    )
  }

  /** Remember an append under way; one that fails is forgotten, so that it may be tried again. */
  remember(name: string, sequence: number, appending: Promise<Receipt>): void {
    const producer = this.#touch(name)
    producer.receipts.set(sequence, appending)
    if (sequence > producer.highest) producer.highest = sequence
    if (producer.receipts.size > SEQUENCES_REMEMBERED) {
      for (const known of producer.receipts.keys()) {
        if (known <= producer.highest - SEQUENCES_REMEMBERED) producer.receipts.delete(known)
      }
    }
    appending.catch(() => producer.receipts.delete(sequence))
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
