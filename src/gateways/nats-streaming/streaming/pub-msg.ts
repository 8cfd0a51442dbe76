/**
 * A message as a client publishes it, read in place: there is one for each message, so no view is made of what is copied
 * anyway, and no string anew of what the one before said, too. What is laid out otherwise than clients do it, the library reads.
 */
import type protobuf from 'protobufjs/minimal.js'
import { decode, expect, WIRE_BYTES } from './messages.js'

type Reader = protobuf.Reader

const NO_BYTES = Buffer.alloc(0)
const ONE_BYTE_MAX = 0x7f
/** Nothing longer is kept. */
const REMEMBERED_BYTES_MAX = 256
const FIELDS = 6
const TAG_FIRST = 0x0a
const TAG_LAST = FIELDS * 8 + WIRE_BYTES
const [CLIENT_ID, GUID, CHANNEL, REPLY, DATA, CONN_ID] = [1, 2, 3, 4, 5, 6] as const

/** A text, and the bytes it was made of: what says the same again is the same string. */
class Remembered {
  readonly #encoding: 'utf8' | 'latin1'
  #bytes: Uint8Array = NO_BYTES
  #text = ''

  constructor(encoding: 'utf8' | 'latin1') {
    this.#encoding = encoding
  }

  get(buffer: Buffer, start: number, end: number): string {
    if (this.#isSame(buffer, start, end)) return this.#text
    const text = buffer.toString(this.#encoding, start, end)
    if (end - start <= REMEMBERED_BYTES_MAX) {
      this.#bytes = Uint8Array.prototype.slice.call(buffer, start, end)
      this.#text = text
    }
    return text
  }

  #isSame(buffer: Buffer, start: number, end: number): boolean {
    const bytes = this.#bytes
    if (bytes.length !== end - start) return false
    for (let index = 0; index < bytes.length; index++) if (bytes[index] !== buffer[start + index]) return false
    return true
  }
}

/** Read over and over again; what is not a string lies in `buffer`. */
export class PubMsg {
  buffer: Buffer = NO_BYTES
  clientId = ''
  channel = ''
  /** Bytes as Latin-1: names a connection of the client. */
  connId = ''
  readonly #clientIds = new Remembered('utf8')
  readonly #channels = new Remembered('utf8')
  readonly #connIds = new Remembered('latin1')
  /** By field; empty at 0 when it is not there. */
  readonly #starts = new Int32Array(FIELDS + 1)
  readonly #ends = new Int32Array(FIELDS + 1)
  /** Where the view begins that the library reads. */
  #viewAt = 0

  get guidStart(): number {
    return this.#starts[GUID] as number
  }

  get guidEnd(): number {
    return this.#ends[GUID] as number
  }

  get dataStart(): number {
    return this.#starts[DATA] as number
  }

  get dataEnd(): number {
    return this.#ends[DATA] as number
  }

  get replyStart(): number {
    return this.#starts[REPLY] as number
  }

  get replyEnd(): number {
    return this.#ends[REPLY] as number
  }

  /** False if it cannot be decoded; then what came before the mistake is there. */
  read(buffer: Buffer, start: number, end: number): boolean {
    this.buffer = buffer
    this.#clear()
    let isValid = this.#readPlain(buffer, start, end)
    if (!isValid) {
      this.#clear()
      this.#viewAt = start
      isValid = decode(buffer.subarray(start, end), this.#field)
    }
    const [starts, ends] = [this.#starts, this.#ends]
    this.clientId = this.#clientIds.get(buffer, starts[CLIENT_ID] as number, ends[CLIENT_ID] as number)
    this.channel = this.#channels.get(buffer, starts[CHANNEL] as number, ends[CHANNEL] as number)
    this.connId = this.#connIds.get(buffer, starts[CONN_ID] as number, ends[CONN_ID] as number)
    return isValid
  }

  /** Between two turns nothing is kept of the last one. */
  release(): void {
    this.buffer = NO_BYTES
  }

  /** The fields that are known, each with a length of one or two bytes; false for everything else. */
  #readPlain(buffer: Buffer, start: number, end: number): boolean {
    let at = start
    while (at + 1 < end) {
      const tag = buffer[at] as number
      let length = buffer[at + 1] as number
      at += 2
      if (tag < TAG_FIRST || tag > TAG_LAST || (tag & 7) !== WIRE_BYTES) return false
      if (length > ONE_BYTE_MAX) {
        const high = at < end ? (buffer[at++] as number) : ONE_BYTE_MAX + 1
        if (high > ONE_BYTE_MAX) return false
        length += (high - 1) * (ONE_BYTE_MAX + 1)
      }
      if (length > end - at) return false
      this.#set(tag >>> 3, at, at + length)
      at += length
    }
    return at === end
  }

  readonly #field = (reader: Reader, field: number, wireType: number): void => {
    if (field > FIELDS) {
      reader.skipType(wireType)
      return
    }
    expect(wireType, WIRE_BYTES)
    const length = reader.uint32()
    const start = this.#viewAt + reader.pos
    reader.skip(length)
    this.#set(field, start, start + length)
  }

  #set(field: number, start: number, end: number): void {
    this.#starts[field] = start
    this.#ends[field] = end
  }

  #clear(): void {
    this.#starts.fill(0)
    this.#ends.fill(0)
  }
}
