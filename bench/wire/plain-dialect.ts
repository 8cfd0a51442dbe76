/**
 * No protocol at all: the bytes of a leveret publisher on a bare socket, for the limit of the loopback.
 */
import { leveretDialect } from './leveret-dialect.js'
import type { AnswerReader, Dialect, RecordReader, Workload } from './stream.js'

export const plainDialect: Dialect = {
  publisherGreeting: () => Buffer.alloc(0),
  subscriberGreeting: () => Buffer.alloc(0),
  blast: (workload) => leveretDialect.blast(workload, 0),
  answers: () => NO_ANSWERS,
  records: (workload) => new PlainRecords(workload),
}

const NO_ANSWERS: AnswerReader = { isReady: true, answered: null, feed: () => {} }

class PlainRecords implements RecordReader {
  readonly isReady = true
  readonly #unitBytes: number
  readonly #unitRecords: number
  #bytes = 0

  constructor(workload: Workload) {
    const { unitBytes, unitRecords } = leveretDialect.blast(workload, 0)
    this.#unitBytes = unitBytes
    this.#unitRecords = unitRecords
  }

  get records(): number {
    return Math.floor(this.#bytes / this.#unitBytes) * this.#unitRecords
  }

  feed(chunk: Buffer): void {
    this.#bytes += chunk.length
  }
}
