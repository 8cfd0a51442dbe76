/**
 * The producer sequences that the opening of a partition finds: of each producer the last ones, however many batches it
 * wrote since the checkpoint. An engine remembers no more of them.
 */
import { type ProducedBatch, SEQUENCES_KEPT } from '../store.js'

interface Producer {
  readonly batches: Map<number, ProducedBatch>
  highest: number
}

export class LastSequences {
  readonly #producers = new Map<string, Producer>()

  /** In the order in which they were appended. */
  note(batch: ProducedBatch): void {
    const producer = this.#producers.get(batch.producer) ?? { batches: new Map(), highest: -1 }
    // At the young end.
    this.#producers.delete(batch.producer)
    this.#producers.set(batch.producer, producer)
    producer.batches.set(batch.sequence, batch)
    producer.highest = Math.max(producer.highest, batch.sequence)
    // Not for each one: it looks at all that are kept.
    if (producer.batches.size > 2 * SEQUENCES_KEPT) forgetOld(producer)
  }

  /** The producer that was quiet for longest first, and the sequences of each in their order. */
  get all(): ProducedBatch[] {
    const all: ProducedBatch[] = []
    for (const producer of this.#producers.values()) {
      forgetOld(producer)
      all.push(...producer.batches.values())
    }
    return all
  }
}

/** More than the window holds are left only if sequences came that far apart: then the window alone counts. */
function forgetOld({ batches, highest }: Producer): void {
  if (batches.size <= SEQUENCES_KEPT) return
  for (const sequence of batches.keys()) if (sequence <= highest - SEQUENCES_KEPT) batches.delete(sequence)
}
