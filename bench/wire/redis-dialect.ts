/**
 * Redis Streams seen from a raw socket: pipelined XADD whose answers are the ids of the entries, and a reader that
 * asks for so many entries after the last it has, again and again.
 */
import { command, DOLLAR, PLUS, RespPieces, STAR } from './resp.js'
import {
  type AnswerReader,
  BLAST_BYTES,
  type Dialect,
  payloadOf,
  type RecordReader,
  repeat,
  type Workload,
} from './stream.js'

export const KEY = 'bench'
const FIELD = 'd'
/** Entries in one answer. More are not faster. */
const READ_ENTRIES = 1_000

export const redisDialect: Dialect = {
  publisherGreeting: () => command('PING'),
  subscriberGreeting: () => Buffer.concat([command('PING'), readAfter('0-0')]),
  blast: ({ payloadBytes }) => repeat(addEntry(payloadOf(payloadBytes)), 1, BLAST_BYTES),
  answers: () => new EntryIds(),
  records: (workload) => new Entries(workload),
}

export function streamLength(): Buffer {
  return command('XLEN', KEY)
}

function addEntry(payload: Buffer): Buffer {
  return command('XADD', KEY, '*', FIELD, payload)
}

function readAfter(id: string): Buffer {
  return command('XREAD', 'COUNT', String(READ_ENTRIES), 'BLOCK', '0', 'STREAMS', KEY, id)
}

class EntryIds implements AnswerReader {
  isReady = false
  answered = 0
  readonly #pieces = new RespPieces()

  feed(chunk: Buffer): void {
    const pieces = this.#pieces
    pieces.push(chunk)
    while (pieces.next()) {
      if (pieces.kind === DOLLAR) this.answered++
      else this.isReady = true
    }
  }
}

/**
 * An answer is `[[key, [[id, [field, payload]], ...]]]`: strings are told apart by their place, the key first, then
 * three for each entry.
 */
class Entries implements RecordReader {
  isReady = false
  records = 0
  readonly #payloadBytes: number
  readonly #pieces = new RespPieces()
  /** Entries of this answer that are still to come; null between two answers. */
  #left: number | null = null
  /** Strings of the entry that have been read. */
  #strings = 0
  #hasKey = false
  #id = ''

  constructor({ payloadBytes }: Workload) {
    this.#payloadBytes = payloadBytes
  }

  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void {
    const pieces = this.#pieces
    pieces.push(chunk)
    while (pieces.next()) {
      if (pieces.kind === PLUS) this.isReady = true
      else if (pieces.kind === STAR) this.#onArray(pieces.length)
      else this.#onString(reply)
    }
  }

  /** The array right after the key holds the entries. */
  #onArray(items: number): void {
    if (this.#hasKey && this.#left === null) this.#left = items
  }

  #onString(reply: (bytes: Buffer) => void): void {
    const pieces = this.#pieces
    if (!this.#hasKey) {
      this.#hasKey = true
      return
    }
    const left = this.#left as number
    this.#strings++
    // Of the ids only the last of an answer is wanted.
    if (this.#strings === 1 && left === 1) this.#id = pieces.text()
    if (this.#strings < 3) return
    if (pieces.length !== this.#payloadBytes) throw new Error('a record has another length')
    this.#strings = 0
    this.records++
    if (left > 1) this.#left = left - 1
    else {
      this.#left = null
      this.#hasKey = false
      reply(readAfter(this.#id))
    }
  }
}
