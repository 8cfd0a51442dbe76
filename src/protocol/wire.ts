/**
 * Protobuf's wire format, as much of it as the native protocol needs: reading in place from a buffer that belongs
 * to somebody else, and writing into a buffer that grows. No I/O. Numbers stay below 2^53: no BigInt.
 * Source: the protobuf encoding guide (varints, tags `number << 3 | wire type`, length-delimited fields).
 */
import { isUtf8 } from 'node:buffer'
import { InvalidArgumentError, ProtocolError } from '../common/errors.js'

export const WIRE_VARINT = 0
export const WIRE_FIXED64 = 1
export const WIRE_LEN = 2
export const WIRE_FIXED32 = 5

const UINT32_MAX = 0xffff_ffff
const VARINT_BYTES_MAX = 10
/** Bytes that any 32-bit number fits into. */
const LONG_VARINT_BYTES = 5

/** Reads fields from `buffer[position, end)`. One reader serves a whole connection. */
export class WireReader {
  buffer: Buffer = EMPTY_BUFFER
  position = 0
  end = 0

  reset(buffer: Buffer, start: number, end: number): void {
    this.buffer = buffer
    this.position = start
    this.end = end
  }

  get done(): boolean {
    return this.position >= this.end
  }

  /** A varint of at most 2^53 - 1. */
  uint(): number {
    const { buffer, end } = this
    let position = this.position
    if (position >= end) throw new ProtocolError('the frame ends inside a number')
    let byte = buffer[position++] as number
    if (byte < 0x80) {
      this.position = position
      return byte
    }
    let value = byte & 0x7f
    let factor = 0x80
    for (let count = 1; count < VARINT_BYTES_MAX; count++) {
      if (position >= end) throw new ProtocolError('the frame ends inside a number')
      byte = buffer[position++] as number
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        // Stock libraries take a 32-bit number or a length of more than 5 bytes for one of 10, and lose their place.
        if (byte === 0 && count >= LONG_VARINT_BYTES) throw new ProtocolError('a number is padded with zeros')
        if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError('a number is larger than 2^53 - 1')
        this.position = position
        return value
      }
      factor *= 0x80
    }
    throw new ProtocolError('a number has more than 10 bytes')
  }

  /**
   * A field's tag. Minimal, so that a tag is known by its bytes; a stock library pads none. Its field number is
   * at least 1 and at most 2^29 - 1.
   */
  tag(): number {
    const first = this.buffer[this.position] as number
    if (this.position < this.end && first < 0x80) {
      if (first < 8) throw new ProtocolError('a field has the number 0')
      this.position++
      return first
    }
    const tag = this.uint()
    if (this.buffer[this.position - 1] === 0) throw new ProtocolError('a field tag is padded with zeros')
    if (tag > UINT32_MAX) throw new ProtocolError('a field number is larger than 2^29 - 1')
    return tag
  }

  uint32(): number {
    const value = this.uint()
    if (value > UINT32_MAX) throw new ProtocolError('a 32-bit number is larger than 2^32 - 1')
    return value
  }

  bool(): boolean {
    return this.uint32() !== 0
  }

  /** The length of a length-delimited field, checked against what is left. */
  length(): number {
    const length = this.uint()
    if (length > this.end - this.position) throw new ProtocolError('a field is longer than its frame')
    return length
  }

  string(): string {
    const length = this.length()
    const start = this.position
    this.position = start + length
    const bytes = this.buffer.subarray(start, this.position)
    if (!isUtf8(bytes)) throw new ProtocolError('a text field is not valid UTF-8')
    return bytes.toString('utf8')
  }

  /** A view, not a copy: it pins the buffer of the connection. */
  bytes(): Buffer {
    const length = this.length()
    const start = this.position
    this.position = start + length
    return this.buffer.subarray(start, this.position)
  }

  /** A nested message: narrows the reader to it and returns the end to restore with `leave`. */
  enter(): number {
    const length = this.length()
    const outer = this.end
    this.end = this.position + length
    return outer
  }

  leave(outerEnd: number): void {
    this.position = this.end
    this.end = outerEnd
  }

  /** A repeated number field, packed or not, appended to `into`. */
  uints(wireType: number, into: number[]): void {
    if (wireType === WIRE_VARINT) {
      into.push(this.uint())
      return
    }
    if (wireType !== WIRE_LEN) throw new ProtocolError('a number field has the wrong wire type')
    const outer = this.enter()
    while (!this.done) into.push(this.uint())
    this.leave(outer)
  }

  skip(wireType: number): void {
    switch (wireType) {
      case WIRE_VARINT:
        this.#skipVarint()
        return
      case WIRE_FIXED64:
        this.#advance(8)
        return
      case WIRE_LEN:
        this.#advance(this.length())
        return
      case WIRE_FIXED32:
        this.#advance(4)
        return
      default:
        throw new ProtocolError(`wire type ${wireType} is not known`)
    }
  }

  /** Throw unless a known field has the wire type that its number promises. */
  expect(wireType: number, expected: number): void {
    if (wireType !== expected) throw new ProtocolError(`a field has wire type ${wireType} instead of ${expected}`)
  }

  /** Skip a field beyond the `fields` that a message has; one of its own numbers here has the wrong wire type. */
  skipUnknown(tag: number, fields: number): void {
    if (Math.floor(tag / 8) <= fields) throw new ProtocolError('a field has the wrong wire type')
    this.skip(tag & 7)
  }

  /** Skip all that is left of a message that has no fields of its own. */
  skipRest(): void {
    while (!this.done) this.skip(this.tag() & 7)
  }

  #skipVarint(): void {
    for (let count = 0; count < VARINT_BYTES_MAX; count++) {
      if (this.position >= this.end) throw new ProtocolError('the frame ends inside a number')
      if ((this.buffer[this.position++] as number) < 0x80) return
    }
    throw new ProtocolError('a number has more than 10 bytes')
  }

  #advance(bytes: number): void {
    if (bytes > this.end - this.position) throw new ProtocolError('a field is longer than its frame')
    this.position += bytes
  }
}

const EMPTY_BUFFER = Buffer.alloc(0)

/** Bytes that `value` takes as a varint. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  if (value < 0x1000_0000) return 4
  let bytes = 5
  for (let rest = Math.floor(value / 0x8_0000_0000); rest > 0; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

/** Write a varint and return the position after it. The caller has made sure of the room. */
export function putVarint(buffer: Uint8Array, position: number, value: number): number {
  let rest = value
  while (rest >= 0x8000_0000) {
    buffer[position++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  while (rest >= 0x80) {
    buffer[position++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[position++] = rest
  return position
}

/** Appends fields to a buffer that doubles as needed. proto3: callers leave out fields with their default value. */
export class WireWriter {
  #buffer: Buffer
  #length = 0

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafeSlow(initialBytes)
  }

  get length(): number {
    return this.#length
  }

  /** The bytes so far, as a view that the next write may invalidate. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new InvalidArgumentError(`${value} is no whole number from 0 up`)
    this.#reserve(VARINT_BYTES_MAX)
    this.#length = putVarint(this.#buffer, this.#length, value)
  }

  /** A number field, left out when 0. */
  uint(field: number, value: number): void {
    if (value !== 0) this.optionalUint(field, value)
  }

  /** A number field with presence: written unless null. */
  optionalUint(field: number, value: number | null): void {
    if (value === null) return
    this.varint(field * 8 + WIRE_VARINT)
    this.varint(value)
  }

  bool(field: number, value: boolean): void {
    if (value) this.optionalUint(field, 1)
  }

  string(field: number, value: string): void {
    if (value === '') return
    this.requiredString(field, value)
  }

  requiredString(field: number, value: string): void {
    const bytes = Buffer.byteLength(value)
    this.varint(field * 8 + WIRE_LEN)
    this.varint(bytes)
    this.#reserve(bytes)
    this.#length += this.#buffer.write(value, this.#length)
  }

  /** A bytes field, written even when empty; null leaves it out. */
  optionalBytes(field: number, value: Uint8Array | null): void {
    if (value === null) return
    this.varint(field * 8 + WIRE_LEN)
    this.varint(value.length)
    this.raw(value)
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.length > 0) this.optionalBytes(field, value)
  }

  packed(field: number, values: readonly number[]): void {
    if (values.length === 0) return
    let bytes = 0
    for (const value of values) bytes += varintBytes(value)
    this.varint(field * 8 + WIRE_LEN)
    this.varint(bytes)
    for (const value of values) this.varint(value)
  }

  /** A nested message, written by `write` and then given its length. Written even when empty. */
  message(field: number, write: (writer: WireWriter) => void): void {
    this.varint(field * 8 + WIRE_LEN)
    const start = this.#length
    write(this)
    const bytes = this.#length - start
    const prefix = varintBytes(bytes)
    this.#reserve(prefix)
    this.#buffer.copyWithin(start + prefix, start, this.#length)
    putVarint(this.#buffer, start, bytes)
    this.#length += prefix
  }

  /** A nested message with nothing in it. */
  emptyMessage(field: number): void {
    this.varint(field * 8 + WIRE_LEN)
    this.varint(0)
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
