/**
 * What the raw workers know of a peer: bytes to send, and counters that are fed with the bytes that come back.
 */

/** Pre-encoded publishes: `units` equal pieces of `unitBytes`, each with `unitRecords` records. */
export interface Blast {
  readonly bytes: Buffer
  readonly units: number
  readonly unitBytes: number
  readonly unitRecords: number
}

/** Reads what a publisher's connection gets back. */
export interface AnswerReader {
  /** The peer has answered the greeting. */
  readonly isReady: boolean
  /** Acknowledged units; null for a peer that acknowledges nothing. */
  readonly answered: number | null
  /** Throws on an answer that is a failure. The chunk is reused after the call. */
  feed(chunk: Buffer): void
}

/** Counts the records that a subscriber's connection gets. */
export interface RecordReader {
  readonly isReady: boolean
  readonly records: number
  /** Throws on a gap, a duplicate or a failure. The chunk is reused after the call. */
  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void
}

export interface Workload {
  readonly payloadBytes: number
  readonly batch: number
}

export interface Dialect {
  /** Publishers are numbered from 0: a peer may need to tell their answers apart. */
  publisherGreeting(publisher: number): Buffer
  subscriberGreeting(): Buffer
  blast(workload: Workload, publisher: number): Blast
  answers(): AnswerReader
  records(workload: Workload): RecordReader
}

/** Repeat one piece up to about `bytesMax` bytes, at least once. */
export function repeat(unit: Buffer, unitRecords: number, bytesMax: number): Blast {
  const units = Math.max(1, Math.floor(bytesMax / unit.length))
  const bytes = Buffer.allocUnsafeSlow(units * unit.length)
  for (let index = 0; index < units; index++) unit.copy(bytes, index * unit.length)
  return { bytes, units, unitBytes: unit.length, unitRecords }
}

/** How much a publisher hands to its socket at once. */
export const BLAST_BYTES = 1024 * 1024

/** Printable bytes, so that no peer sees a special case. */
export function payloadOf(bytes: number): Buffer {
  return Buffer.alloc(bytes, 'leveret runs over the fields ')
}
