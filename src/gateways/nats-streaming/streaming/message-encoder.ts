/**
 * Messages of one channel as they are delivered, laid out from the records that they are: there is one for each delivery, so no
 * object is made of it. CRLF follows each, for it is sent from where it lies.
 *
 *   message = 0x08 sequence 0x12 length channel [ 0x1a length reply ] [ 0x22 length data ] 0x28 timestamp [ 0x30 0x01 0x38 count ] CRLF
 */

import type { Slab } from '../../../broker/slab.js'
import { putBytes } from '../../../common/put-bytes.js'
import { putFieldHead } from '../../../model/put-field.js'
import { RecordReader } from './message-record.js'

const SEQUENCE_TAG = 0x08
const CHANNEL_TAG = 0x12
const REPLY_TAG = 0x1a
const DATA_TAG = 0x22
const TIMESTAMP_TAG = 0x28
const REDELIVERED_TAG = 0x30
const COUNT_TAG = 0x38
const [CR, LF] = [13, 10]
/** Tags, numbers, lengths and the line end at their longest. */
const FRAME_BYTES = 64
const VARINT_MORE = 0x80
const NS_PER_MS = 1_000_000n
const NO_BYTES = Buffer.alloc(0)

export class MessageEncoder {
  /** Where the last one lies; what follows it is laid elsewhere. */
  buffer: Buffer = NO_BYTES
  start = 0
  end = 0
  readonly #slab: Slab
  readonly #record = new RecordReader()
  readonly #channelField: Buffer
  /** The time of the last one, and its field. */
  #timeMs = Number.NaN
  #timeField: Buffer = NO_BYTES

  /** Where messages are laid; may be that of other channels, too. */
  constructor(channel: string, slab: Slab) {
    this.#slab = slab
    const name = Buffer.from(channel)
    const field = Buffer.alloc(FRAME_BYTES)
    this.#channelField = Buffer.concat([field.subarray(0, putFieldHead(field, 0, CHANNEL_TAG, name.length)), name])
  }

  /** The record at `position` of a checked run; returns where the next one begins. */
  encode(body: Buffer, position: number, sequence: number, timeMs: number, redeliveryCount: number): number {
    const record = this.#record
    const next = record.read(body, position)
    const { dataStart, dataEnd, replyStart, replyEnd } = record
    if (timeMs !== this.#timeMs) this.#setTime(timeMs)
    const [channelField, timeField] = [this.#channelField, this.#timeField]
    const slab = this.#slab
    const reserved = slab.reserve(FRAME_BYTES + channelField.length + dataEnd - dataStart + replyEnd - replyStart)
    const { buffer } = slab
    let at = putFieldHead(buffer, reserved, SEQUENCE_TAG, sequence)
    at = putBytes(buffer, at, channelField, 0, channelField.length)
    if (replyEnd > replyStart) at = putField(buffer, at, REPLY_TAG, body, replyStart, replyEnd)
    if (dataEnd > dataStart) at = putField(buffer, at, DATA_TAG, body, dataStart, dataEnd)
    at = putBytes(buffer, at, timeField, 0, timeField.length)
    if (redeliveryCount > 0) {
      buffer[at++] = REDELIVERED_TAG
      buffer[at++] = 1
      at = putFieldHead(buffer, at, COUNT_TAG, redeliveryCount)
    }
    this.buffer = buffer
    this.start = reserved
    this.end = at
    buffer[at++] = CR
    buffer[at++] = LF
    slab.used = at
    return next
  }

  #setTime(timeMs: number): void {
    this.#timeMs = timeMs
    const field = Buffer.alloc(FRAME_BYTES)
    field[0] = TIMESTAMP_TAG
    let at = 1
    let left = BigInt.asUintN(64, BigInt(Math.floor(timeMs)) * NS_PER_MS)
    for (; left >= VARINT_MORE; left >>= 7n) field[at++] = Number(left & 0x7fn) | VARINT_MORE
    field[at++] = Number(left)
    this.#timeField = field.subarray(0, at)
  }
}

function putField(to: Buffer, position: number, tag: number, from: Buffer, start: number, end: number): number {
  return putBytes(to, putFieldHead(to, position, tag, end - start), from, start, end)
}
