/**
 * A consumer of a Redis consumer group on a raw socket: one XACK with the ids of all entries that an XREADGROUP
 * brought, and the next XREADGROUP in the same write. One more is asked for while that is read.
 */
import type { MemberDialect, MemberJob } from './group-member.js'
import { KEY } from './redis-dialect.js'
import { COLON, command, DOLLAR, PLUS, RespPieces, STAR } from './resp.js'

/** Entries of one XREADGROUP. Fewer are slower, more no faster. */
const READ_ENTRIES = 1_000
/** Strings of an entry: id, field, payload. */
const STRINGS = 3

export function redisMember(job: MemberJob): MemberDialect {
  return new RedisMember(job)
}

class RedisMember implements MemberDialect {
  isReady = false
  received = 0
  acked = 0
  readonly offsetSum = null
  readonly #job: MemberJob
  readonly #read: Buffer
  readonly #pieces = new RespPieces()
  #hasKey = false
  /** Entries of this answer that are still to come; null between two answers. */
  #left: number | null = null
  #strings = 0
  #ids: string[] = []

  constructor(job: MemberJob) {
    this.#job = job
    const { group, member } = job
    const count = String(Math.min(READ_ENTRIES, Math.max(1, job.window >> 1)))
    this.#read = command('XREADGROUP', 'GROUP', group, member, 'COUNT', count, 'BLOCK', '0', 'STREAMS', KEY, '>')
  }

  greeting(): Buffer {
    return command('PING')
  }

  begin(): Buffer {
    return this.#read
  }

  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void {
    const pieces = this.#pieces
    pieces.push(chunk)
    while (pieces.next()) {
      if (pieces.kind === PLUS) this.isReady = true
      else if (pieces.kind === COLON) this.acked += Number(pieces.text())
      else if (pieces.kind === STAR) this.#onArray(pieces.length)
      else if (pieces.kind === DOLLAR) this.#onString(reply)
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
    if (++this.#strings === 1) this.#ids.push(pieces.text())
    if (this.#strings < STRINGS) return
    if (pieces.length !== this.#job.payloadBytes) throw new Error('a record has another length')
    this.#strings = 0
    this.received++
    this.#left = (this.#left as number) - 1
    if (this.#left > 0) return
    this.#left = null
    this.#hasKey = false
    reply(Buffer.concat([command('XACK', KEY, this.#job.group, ...this.#ids), this.#read]))
    this.#ids = []
  }
}
