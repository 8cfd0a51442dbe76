/**
 * Cuts a byte stream into RESP requests: synchronous, incremental at every byte, and in place as long as a request lies in
 * one chunk. Every length is checked against its limit before anything is set aside for it. One per connection; no I/O.
 *
 *   request  = array | inline
 *   array    = "*" number CRLF { element }
 *   element  = "$" number CRLF bytes CRLF  |  ( "+" | "-" ) text CRLF  |  ":" number CRLF  |  array (one level, and never valid)
 *   inline   = letter text [ CR ] LF
 */
import { splitInline } from './inline-command.js'
import { RespFault } from './resp-fault.js'
import { RespRequest } from './resp-request.js'

export interface RequestLimits {
  /** Elements of one request, those of nested arrays included. */
  readonly elementsMax: number
  readonly bulkBytesMax: number
  /** All of a request, its framing included. */
  readonly requestBytesMax: number
}

/** A simple string, an error or an inline command. */
const LINE_BYTES_MAX = 64 * 1024
/** More digits than any number has that fits. */
const DIGITS_MAX = 20
const FIRST_CAPACITY_BYTES = 1024
const NOTHING = Buffer.alloc(0)

const LF = 10
const SPACE = 32
const TAB = 9
const CR = 13
const PLUS = 43
const MINUS = 45
const ZERO = 48
const NINE = 57
const COLON = 58
const DOLLAR = 36
const STAR = 42
const TLS_HANDSHAKE = 22
const TLS_MAJOR = 3
/** Not whole yet; no length is ever this. */
const CUT = -3

export class RequestParser {
  /** The request that `next` found; valid until it is called again. */
  readonly request = new RespRequest()
  readonly #limits: RequestLimits
  #chunk: Buffer = NOTHING
  #chunkAt = 0
  /** What is parsed: the chunk, or a buffer that gathers a request which came in pieces. */
  #buffer: Buffer = NOTHING
  #isGathering = false
  /** Bytes of `#buffer` that are there. */
  #limit = 0
  /** Where the request begins, and where parsing goes on. */
  #start = 0
  #at = 0
  /** How far an unfinished line has been searched for its end. */
  #searched = 0
  /** Elements to come; -1 before the head of a request. */
  #left = -1
  /** Of those, how many belong to a nested array. */
  #nested = 0
  #elements = 0
  /** Length of the bulk string that begins at `#at`; -1 at the head of an element. */
  #bulk = -1

  constructor(limits: RequestLimits) {
    this.#limits = limits
  }

  /** Whether a request has begun and not ended. */
  get inRequest(): boolean {
    return this.#isGathering && this.#limit > 0
  }

  /** Bytes set aside for a request that came in pieces. */
  get heldBytes(): number {
    return this.#isGathering ? this.#buffer.length : 0
  }

  /** Take the next bytes. All requests of the previous ones must have been taken. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#chunkAt = 0
    if (!this.#isGathering) this.#readFrom(chunk, 0)
  }

  /** Whether there is another whole request: it is in `request` then. Throws RespFault: nothing more can be read. */
  next(): boolean {
    if (this.#left === 0) this.#begin()
    for (;;) {
      if (this.#parse()) {
        this.request.isOwned = this.#isGathering
        return true
      }
      if (!this.#more()) return false
    }
  }

  /** The last request is done with; the next one begins behind it. */
  #begin(): void {
    this.#left = -1
    this.request.reset()
    if (!this.#isGathering) return
    this.#isGathering = false
    this.#readFrom(this.#chunk, this.#chunkAt)
  }

  #readFrom(chunk: Buffer, at: number): void {
    this.#buffer = chunk
    this.#limit = chunk.length
    this.#start = at
    this.#at = at
    this.#searched = at
  }

  /** Go on in what is there; whether the request is whole. */
  #parse(): boolean {
    if (this.#left < 0 && !this.#head()) return false
    const { request } = this
    while (this.#left > 0) {
      if (this.#bulk >= 0) {
        const end = this.#at + this.#bulk
        if (this.#limit < end + 2) return false
        if (this.#buffer[end] !== CR || this.#buffer[end + 1] !== LF) throw new RespFault('bulk-end', '')
        if (this.#nested === 0) request.add(this.#at, end)
        this.#took(end + 2)
      } else if (!this.#element()) return false
    }
    if (request.shape !== 'inline') request.buffer = this.#buffer
    return true
  }

  /** The first bytes of a request. */
  #head(): boolean {
    const { request } = this
    const buffer = this.#buffer
    while (this.#at < this.#limit && isBlank(buffer[this.#at] as number)) this.#at++
    // What a connection does not say has not begun.
    this.#start = this.#at
    if (this.#at >= this.#limit) return false
    const type = buffer[this.#at] as number
    if (type === STAR) {
      const count = this.#length()
      if (count === CUT) return false
      if (count < 0) request.shape = 'nil'
      this.#elements = 0
      this.#expect(Math.max(count, 0))
      this.#left = this.#elements
      return true
    }
    if ((type | 32) >= 97 && (type | 32) <= 122) return this.#inline()
    // A value that is no array: read as if it were the only element of one.
    request.shape = 'odd'
    this.#elements = 1
    this.#left = 1
    return true
  }

  /** The head of an element, and all of it unless it is a bulk string. */
  #element(): boolean {
    if (this.#at >= this.#limit) return false
    switch (this.#buffer[this.#at]) {
      case DOLLAR: {
        const bytes = this.#length()
        if (bytes === CUT) return false
        if (bytes < 0) this.#tookOddity()
        else this.#expectBulk(bytes)
        return true
      }
      case PLUS:
      case MINUS:
        return this.#line()
      case COLON:
        if (this.#number(false) === CUT) return false
        this.#tookOddity()
        return true
      case STAR: {
        if (this.#nested > 0) throw new RespFault('depth', 'arrays in arrays in an array')
        const count = this.#length()
        if (count === CUT) return false
        this.#tookOddity()
        this.#expect(Math.max(count, 0))
        this.#left += Math.max(count, 0)
        this.#nested = Math.max(count, 0)
        return true
      }
      default:
        throw new RespFault('prefix', this.#complaintOnPrefix())
    }
  }

  #complaintOnPrefix(): string {
    const byte = this.#buffer[this.#at]
    // The first bytes of a connection that is to be encrypted.
    const isTls = byte === TLS_HANDSHAKE && this.#limit > this.#at + 1 && this.#buffer[this.#at + 1] === TLS_MAJOR
    return isTls ? `${byte}; this port does not speak TLS` : String(byte)
  }

  #expect(count: number): void {
    this.#elements += count
    if (this.#elements > this.#limits.elementsMax) {
      throw new RespFault('elements', `a request has at most ${this.#limits.elementsMax} elements`)
    }
  }

  #expectBulk(bytes: number): void {
    const { bulkBytesMax, requestBytesMax } = this.#limits
    if (bytes > bulkBytesMax) throw new RespFault('bulk-bytes', `a bulk string has at most ${bulkBytesMax} bytes`)
    if (this.#at - this.#start + bytes > requestBytesMax) {
      throw new RespFault('request-bytes', `a request has at most ${requestBytesMax} bytes`)
    }
    this.#bulk = bytes
  }

  /** An element is whole; the next one begins at `end`. */
  #took(end: number): void {
    this.#at = end
    this.#searched = end
    this.#bulk = -1
    this.#left--
    if (this.#nested > 0) this.#nested--
  }

  /** An element that is no string, and that ends at `#at`. */
  #tookOddity(): void {
    this.request.oddities++
    if (this.#nested === 0) this.request.add(this.#at, this.#at)
    this.#took(this.#at)
  }

  /** A length behind its type: -1 is nil. Moves on behind it unless it is cut. */
  #length(): number {
    const length = this.#number(true)
    if (length < -1 && length !== CUT) throw new RespFault('integer', 'a length is negative')
    return length
  }

  /** A number of which only lengths are looked at: those below -1 are all the same. */
  #number(isLength: boolean): number {
    const buffer = this.#buffer
    const limit = this.#limit
    let at = this.#at + 1
    const sign = buffer[at]
    if (at < limit && (sign === MINUS || sign === PLUS)) at++
    const first = at
    let value = 0
    let byte = 0
    for (; at < limit; at++) {
      byte = buffer[at] as number
      if (byte < ZERO || byte > NINE) break
      value = value * 10 + byte - ZERO
    }
    if (at - first > DIGITS_MAX) throw new RespFault('integer', 'too many digits')
    if (at === limit) return CUT
    if (byte !== CR) throw new RespFault('integer', 'not a decimal number')
    if (at === first) throw new RespFault('integer', 'no digits')
    if (at + 1 === limit) return CUT
    if (buffer[at + 1] !== LF) throw new RespFault('integer', 'no line feed')
    this.#at = at + 2
    this.#searched = this.#at
    if (!isLength) return 0
    if (sign !== MINUS || value === 0) return value
    return value === 1 ? -1 : -2
  }

  /** A simple string or an error. */
  #line(): boolean {
    const buffer = this.#buffer
    const start = this.#at + 1
    let from = Math.max(this.#searched, start)
    for (;;) {
      const end = buffer.indexOf(CR, from)
      if (end < 0 || end + 1 >= this.#limit) return this.#cutLine(start)
      if (buffer[end + 1] === LF) {
        this.#refuseLine(end - start)
        if (this.#nested === 0) this.request.add(start, end)
        this.request.lines++
        this.#took(end + 2)
        return true
      }
      from = end + 1
    }
  }

  /** No end of line yet; go on with the last byte, which may be half of one. */
  #cutLine(start: number): false {
    this.#refuseLine(this.#limit - start)
    this.#searched = Math.max(start, this.#limit - 1)
    return false
  }

  #refuseLine(bytes: number): void {
    if (bytes > LINE_BYTES_MAX) throw new RespFault('line-bytes', `a line has at most ${LINE_BYTES_MAX} bytes`)
    const { requestBytesMax } = this.#limits
    if (this.#at - this.#start + bytes > requestBytesMax) {
      throw new RespFault('request-bytes', `a request has at most ${requestBytesMax} bytes`)
    }
  }

  #inline(): boolean {
    const buffer = this.#buffer
    const start = this.#at
    const end = buffer.indexOf(LF, Math.max(this.#searched, start))
    if (end < 0 || end >= this.#limit) return this.#cutLine(start)
    this.#refuseLine(end - start)
    const words = splitInline(buffer.subarray(start, buffer[end - 1] === CR ? end - 1 : end))
    const { request } = this
    request.shape = 'inline'
    request.buffer = Buffer.concat(words)
    let at = 0
    for (const word of words) {
      request.add(at, at + word.length)
      at += word.length
    }
    this.#at = end + 1
    this.#searched = this.#at
    this.#left = 0
    return true
  }

  /** The request is not whole: gather what there is of it. Whether there is more to parse now. */
  #more(): boolean {
    if (!this.#isGathering) {
      const bytes = this.#limit - this.#start
      if (bytes > 0) this.#gather(bytes)
      // All of it was taken: an idle connection pins nothing.
      else this.#readFrom(NOTHING, 0)
      this.#chunk = NOTHING
      this.#chunkAt = 0
      return false
    }
    const available = this.#chunk.length - this.#chunkAt
    if (available === 0) {
      this.#chunk = NOTHING
      this.#chunkAt = 0
      return false
    }
    let bytes = available
    if (this.#bulk >= 0) bytes = Math.min(available, this.#at + this.#bulk + 2 - this.#limit)
    else {
      const end = this.#chunk.indexOf(LF, this.#chunkAt)
      if (end >= 0) bytes = end + 1 - this.#chunkAt
    }
    this.#append(this.#chunk, this.#chunkAt, bytes)
    this.#chunkAt += bytes
    return true
  }

  /** Move what the chunk has of the request into a buffer of its own. */
  #gather(bytes: number): void {
    const chunk = this.#buffer
    const from = this.#start
    this.request.shift(from)
    this.#at -= from
    this.#searched = Math.max(0, this.#searched - from)
    this.#start = 0
    this.#isGathering = true
    this.#buffer = NOTHING
    this.#limit = 0
    this.#append(chunk, from, bytes)
  }

  /** The buffer grows with what arrives, never with what is announced. */
  #append(source: Buffer, from: number, bytes: number): void {
    const needed = this.#limit + bytes
    if (needed > this.#buffer.length) {
      const expected = this.#bulk < 0 ? 0 : this.#at + this.#bulk + 2
      // Once an eighth is there the room for all of it is made at once.
      const capacity =
        needed * 8 >= expected && expected > 0
          ? Math.max(needed, expected)
          : Math.max(needed, Math.min(FIRST_CAPACITY_BYTES, needed * 2), this.#buffer.length * 2)
      const larger = Buffer.allocUnsafeSlow(capacity)
      this.#buffer.copy(larger, 0, 0, this.#limit)
      this.#buffer = larger
    }
    source.copy(this.#buffer, this.#limit, from, from + bytes)
    this.#limit = needed
  }
}

/** Of what may stand before a request and says nothing; people who type begin lines with spaces. */
function isBlank(byte: number): boolean {
  return byte === LF || byte === CR || byte === SPACE || byte === TAB
}
