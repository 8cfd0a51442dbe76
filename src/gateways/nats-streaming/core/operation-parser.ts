/**
 * Cuts a byte stream into operations of the NATS protocol: synchronous, incremental at every byte, and in place as long as an
 * operation lies in one chunk. Every length is checked against its limit before anything is set aside for it. One per
 * connection; no I/O.
 *
 *   operation = name { sep argument } [ CR ] LF [ payload CR LF ]      sep = one or more spaces or tabs
 *   PUB subject [ reply ] bytes  |  HPUB subject [ reply ] header-bytes bytes  |  SUB subject [ queue ] sid  |  UNSUB sid [ max ]
 *   CONNECT json  |  PING  |  PONG  |  INFO json  |  +OK  |  -ERR text
 *
 * Names are letters of either case. What follows PING, PONG and those that only servers say is ignored, as the original does.
 */
import { NatsFault } from './nats-fault.js'

export const OP = {
  none: 0,
  pub: 1,
  hpub: 2,
  sub: 3,
  unsub: 4,
  connect: 5,
  ping: 6,
  pong: 7,
  other: 8,
  err: 9,
} as const
export type Op = (typeof OP)[keyof typeof OP]

export interface OperationLimits {
  /** Arguments of one operation. */
  readonly controlLineBytesMax: number
  /** Headers and payload of one message. */
  readonly payloadBytesMax: number
}

const NAMES: readonly (readonly [name: string, op: Op])[] = [
  ['PUB', OP.pub],
  ['HPUB', OP.hpub],
  ['SUB', OP.sub],
  ['UNSUB', OP.unsub],
  ['PING', OP.ping],
  ['PONG', OP.pong],
  ['CONNECT', OP.connect],
  ['INFO', OP.other],
  ['+OK', OP.other],
  ['-ERR', OP.err],
]
/** One more than any operation takes, so that too many are seen. */
const ARGUMENTS_MAX = 5
/** A name, and the spaces before its first argument. */
const NAME_BYTES_MAX = 64
/** More digits than any number that fits; the original reads no more either. */
const DIGITS_MAX = 9
const FIRST_CAPACITY_BYTES = 512
const NOTHING = Buffer.alloc(0)

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const ZERO = 48

export class OperationParser {
  /** Where the operation lies that `next` found. Its bytes never change. */
  buffer: Buffer = NOTHING
  op: Op = OP.none
  /** Its arguments. CONNECT has one, the rest of its line. */
  count = 0
  readonly starts = new Int32Array(ARGUMENTS_MAX)
  readonly ends = new Int32Array(ARGUMENTS_MAX)
  /** Of PUB and HPUB: where headers and payload begin, how long both are, and the headers of it. */
  bodyAt = 0
  bodyBytes = 0
  headerBytes = 0
  /** Of PUB and HPUB: whether what follows the subject is written just as MSG and HMSG write it. */
  isPlain = false
  /** Whether HPUB is known: who has not said so in CONNECT may not say it. */
  hasHeaders = false
  readonly #limits: OperationLimits
  #chunk: Buffer = NOTHING
  #chunkAt = 0
  /** An operation that comes in pieces, while it is not whole. */
  #held: Buffer = NOTHING
  #heldBytes = 0
  /** Where an operation ends whose line was read; 0 before. */
  #end = 0

  constructor(limits: OperationLimits) {
    this.#limits = limits
  }

  /** Whether an operation has begun and not ended. */
  get inOperation(): boolean {
    return this.#heldBytes > 0
  }

  /** Bytes set aside for an operation that came in pieces. */
  get heldCapacity(): number {
    return this.#held.length
  }

  /** Take the next bytes. All operations of the previous ones must have been taken. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#chunkAt = 0
  }

  /** The next whole operation; `none` when there is no other yet. Throws NatsFault: nothing more can be read. */
  next(): Op {
    if (this.#heldBytes > 0) return this.#goOn()
    const chunk = this.#chunk
    const start = this.#chunkAt
    if (start === chunk.length) return this.#none()
    this.#end = 0
    if (this.#line(chunk, start, chunk.length) && this.#end <= chunk.length) {
      this.#chunkAt = this.#end
      return this.#whole(chunk)
    }
    this.#hold(start)
    return this.#none()
  }

  /** Nothing is pinned by a connection that is silent. */
  #none(): Op {
    this.#chunk = NOTHING
    this.#chunkAt = 0
    this.buffer = NOTHING
    return OP.none
  }

  #whole(buffer: Buffer): Op {
    if (this.op === OP.pub || this.op === OP.hpub) {
      if (buffer[this.#end - 2] !== CR || buffer[this.#end - 1] !== LF) {
        throw new NatsFault('Unknown Protocol Operation', 'a payload does not end where it was said to')
      }
    }
    this.buffer = buffer
    return this.op
  }

  /** Go on with the operation that came in pieces. */
  #goOn(): Op {
    for (;;) {
      const chunk = this.#chunk
      const from = this.#chunkAt
      if (from === chunk.length) return this.#none()
      if (this.#end > 0) {
        this.#append(chunk, from, Math.min(chunk.length, from + this.#end - this.#heldBytes))
        if (this.#heldBytes < this.#end) continue
        return this.#release()
      }
      const lineEnd = chunk.indexOf(LF, from)
      this.#append(chunk, from, lineEnd < 0 ? chunk.length : lineEnd + 1)
      if (lineEnd < 0) {
        this.#checkCut(this.#held, 0, this.#heldBytes)
        continue
      }
      this.#line(this.#held, 0, this.#heldBytes)
      if (this.#heldBytes === this.#end) return this.#release()
    }
  }

  #release(): Op {
    const held = this.#held
    this.#held = NOTHING
    this.#heldBytes = 0
    return this.#whole(held)
  }

  /** Keep what the chunk has of an operation that is not whole. */
  #hold(start: number): void {
    const chunk = this.#chunk
    if (this.#end > 0) {
      for (let index = 0; index < this.count; index++) {
        this.starts[index] = (this.starts[index] as number) - start
        this.ends[index] = (this.ends[index] as number) - start
      }
      this.bodyAt -= start
      this.#end -= start
    } else this.#checkCut(chunk, start, chunk.length)
    this.#append(chunk, start, chunk.length)
  }

  /** The buffer grows with what arrives, never with what is announced. */
  #append(source: Buffer, from: number, to: number): void {
    const needed = this.#heldBytes + to - from
    if (needed > this.#held.length) {
      // Once an eighth of it is there the room for all of it is made at once.
      const capacity =
        needed * 8 >= this.#end && this.#end > 0
          ? Math.max(needed, this.#end)
          : Math.max(needed, Math.min(FIRST_CAPACITY_BYTES, needed * 2), this.#held.length * 2)
      const larger = Buffer.allocUnsafeSlow(capacity)
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    source.copy(this.#held, this.#heldBytes, from, to)
    this.#heldBytes = needed
    this.#chunkAt = to
  }

  /** A line that has no end yet: wrong from its first letter on, or too long already? */
  #checkCut(buffer: Buffer, start: number, limit: number): void {
    this.#name(buffer, start, limit)
    this.#checkLength(limit - start - NAME_BYTES_MAX)
  }

  /** Read a line; whether its end is there. Sets `op`, the arguments and `#end`. */
  #line(buffer: Buffer, start: number, limit: number): boolean {
    let at = this.#name(buffer, start, limit)
    if (at < 0) return false
    switch (this.op) {
      case OP.pub:
      case OP.hpub:
      case OP.sub:
      case OP.unsub: {
        const byte = buffer[at]
        if (byte !== SPACE && byte !== TAB) throw unknown(buffer, start)
        at = this.#arguments(buffer, at + 1, limit)
        break
      }
      default:
        at = this.#rest(buffer, at, limit)
    }
    if (at < 0) return false
    this.#end = at
    if (this.op === OP.pub || this.op === OP.hpub) this.#body(buffer)
    return true
  }

  /** Where the name ends, and `op`; -1 when there is too little of it to tell. */
  #name(buffer: Buffer, start: number, limit: number): number {
    if (limit - start > 3 && buffer[start] === 80 && buffer[start + 1] === 85 && buffer[start + 2] === 66) {
      this.op = OP.pub
      return start + 3
    }
    for (const [name, op] of NAMES) {
      let index = 0
      while (index < name.length && start + index < limit && upper(buffer[start + index]) === name.charCodeAt(index))
        index++
      if (index === name.length) {
        this.op = op
        return start + index < limit ? start + index : -1
      }
      if (start + index === limit) return -1
    }
    throw unknown(buffer, start)
  }

  /** Behind the end of the line; -1 when it is not there. */
  #arguments(buffer: Buffer, from: number, limit: number): number {
    let at = from
    let first = -1
    let count = 0
    for (;;) {
      let byte = 0
      for (; at < limit; at++) {
        byte = buffer[at] as number
        if (byte !== SPACE && byte !== TAB && byte !== CR) break
      }
      if (at >= limit) return -1
      if (byte === LF) break
      if (first < 0) first = at
      if (count === ARGUMENTS_MAX) throw new NatsFault(null, 'an operation has too many arguments')
      this.starts[count] = at
      for (; at < limit; at++) {
        byte = buffer[at] as number
        if (byte === SPACE || byte === TAB || byte === CR || byte === LF) break
      }
      if (at >= limit) return -1
      this.ends[count++] = at
    }
    this.count = count
    if (first >= 0) this.#checkLength(at - first - (buffer[at - 1] === CR ? 1 : 0))
    return at + 1
  }

  /** An argument of the operation at hand as a number; -1 if it is none. */
  number(index: number): number {
    return this.#number(this.buffer, index)
  }

  /** An argument of the operation at hand, one character a byte. */
  text(index: number): string {
    return this.buffer.toString('latin1', this.starts[index], this.ends[index])
  }

  #number(buffer: Buffer, index: number): number {
    const start = this.starts[index] as number
    const end = this.ends[index] as number
    if (end - start > DIGITS_MAX) return -1
    let value = 0
    for (let at = start; at < end; at++) {
      const digit = (buffer[at] as number) - ZERO
      if (digit < 0 || digit > 9) return -1
      value = value * 10 + digit
    }
    return value
  }

  /** All that follows as one argument. */
  #rest(buffer: Buffer, from: number, limit: number): number {
    const lineEnd = buffer.indexOf(LF, from)
    if (lineEnd < 0 || lineEnd >= limit) return -1
    let start = from
    while (buffer[start] === SPACE || buffer[start] === TAB) start++
    const end = lineEnd > start && buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd
    this.#checkLength(end - start)
    this.starts[0] = start
    this.ends[0] = end
    this.count = 1
    return lineEnd + 1
  }

  #checkLength(bytes: number): void {
    if (bytes <= this.#limits.controlLineBytesMax) return
    throw new NatsFault('maximum control line exceeded', 'a control line is too long')
  }

  /** The lengths of PUB and HPUB. */
  #body(buffer: Buffer): void {
    const lengths = this.op === OP.hpub ? 2 : 1
    if (lengths === 2 && !this.hasHeaders) throw new NatsFault(null, 'message headers not supported')
    if (this.count !== lengths + 1 && this.count !== lengths + 2) {
      throw new NatsFault(null, 'a message with too few or too many arguments')
    }
    const bytes = this.#number(buffer, this.count - 1)
    const headerBytes = lengths === 2 ? this.#number(buffer, this.count - 2) : 0
    if (bytes < 0 || headerBytes < 0 || headerBytes > bytes) throw new NatsFault(null, 'a length is none')
    if (bytes > this.#limits.payloadBytesMax) {
      throw new NatsFault('Maximum Payload Violation', `a message has at most ${this.#limits.payloadBytesMax} bytes`)
    }
    this.bodyAt = this.#end
    this.bodyBytes = bytes
    this.headerBytes = headerBytes
    this.isPlain = this.#isPlainBehindSubject(buffer)
    this.#end += bytes + 2
  }

  /** One space between arguments, and CR LF behind the last. */
  #isPlainBehindSubject(buffer: Buffer): boolean {
    for (let index = 2; index < this.count; index++) {
      const before = this.ends[index - 1] as number
      if (this.starts[index] !== before + 1 || buffer[before] !== SPACE) return false
    }
    return this.#end === (this.ends[this.count - 1] as number) + 2 && buffer[this.#end - 2] === CR
  }
}

function upper(byte: number | undefined): number {
  if (byte === undefined) return -1
  return byte >= 97 && byte <= 122 ? byte - 32 : byte
}

function unknown(buffer: Buffer, start: number): NatsFault {
  const shown = JSON.stringify(buffer.toString('latin1', start, start + 16))
  return new NatsFault('Unknown Protocol Operation', `no operation begins with ${shown}`)
}
