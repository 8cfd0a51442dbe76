/**
 * A message as a record: its body is the payload. What others published is a message too, whatever else it carries.
 *
 *   record = 0x7a length [ 0x12 length body ]
 */

import { digits, putBytes, putNumber } from '../../../common/put-bytes.js'
import { fieldBytes, putFieldHead } from '../../../model/put-field.js'
import type { RecordRun } from '../../../model/record.js'
import { PAYLOAD_TAG, RECORD_TAG, recordBounds, skipField } from '../../../model/run.js'
import type { RespRequest } from '../resp-request.js'

/** Messages of this size together are laid into a buffer that the broker keeps, instead of being copied once more. */
const OWN_BYTES_MIN = 16 * 1024
const THREE = Buffer.from('*3\r\n')
const LF = 10
const CR = 13
const DOLLAR = 36
const STAR = 42
const COLON = 58
/** Of three numbers of at most 16 digits, and what stands around them. */
const REPLY_HEAD_BYTES_MAX = 4 + 3 * 19 + 2
const ANSWER_HEAD_BYTES_MAX = 19

/** Bytes of the record of a message. */
export function messageBytes(bodyBytes: number): number {
  return fieldBytes(contentBytes(bodyBytes))
}

/**
 * The arguments from `first` on, each as a record; `bytes` is what they have together. One alone stays where it is: what
 * stands before it there, "$" length CRLF, has no fewer bytes than the head of a record, which is laid over it.
 */
export function messageRun(request: RespRequest, first: number, bytes: number): RecordRun {
  if (request.count === first + 1 && request.isBulk(first)) return runInPlace(request, first, bytes)
  const isOwned = bytes >= OWN_BYTES_MIN
  const buffer = isOwned ? Buffer.allocUnsafeSlow(bytes) : Buffer.allocUnsafe(bytes)
  let at = 0
  for (let index = first; index < request.count; index++) {
    const length = request.length(index)
    at = putFieldHead(buffer, at, RECORD_TAG, contentBytes(length))
    if (length === 0) continue
    at = putBytes(
      buffer,
      putFieldHead(buffer, at, PAYLOAD_TAG, length),
      request.buffer,
      request.start(index),
      request.end(index),
    )
  }
  return { buffer, start: 0, end: bytes, count: request.count - first, isOwned }
}

/** One message by itself. */
export function messageRecord(body: Buffer): Buffer {
  const record = Buffer.allocUnsafe(messageBytes(body.length))
  let at = putFieldHead(record, 0, RECORD_TAG, contentBytes(body.length))
  if (body.length > 0) {
    at = putFieldHead(record, at, PAYLOAD_TAG, body.length)
    body.copy(record, at)
  }
  return record
}

/** Lay the argument as a record at `place` of the buffer that it is in, in front of it. */
export function layMessage(request: RespRequest, index: number, place: number): void {
  const { buffer } = request
  const length = request.length(index)
  const at = putFieldHead(buffer, place, RECORD_TAG, contentBytes(length))
  if (length > 0)
    buffer.copyWithin(putFieldHead(buffer, at, PAYLOAD_TAG, length), request.start(index), request.end(index))
}

function runInPlace(request: RespRequest, index: number, bytes: number): RecordRun {
  const { buffer, isOwned } = request
  const length = request.length(index)
  const end = request.end(index)
  const start = end - bytes
  const at = putFieldHead(buffer, start, RECORD_TAG, contentBytes(length))
  if (length > 0) putFieldHead(buffer, at, PAYLOAD_TAG, length)
  return { buffer, start, end, count: 1, isOwned }
}

/** What a reader gets for records of checked runs: one answer in one buffer. */
export class MessageReplies {
  count = 0
  #buffer: Buffer
  #used = ANSWER_HEAD_BYTES_MAX

  /** `bytes` is about what the records have, `count` how many there are. */
  constructor(bytes: number, count: number) {
    this.#buffer = Buffer.allocUnsafe(ANSWER_HEAD_BYTES_MAX + bytes + count * REPLY_HEAD_BYTES_MAX)
  }

  /** The record that begins at `position`; returns where the next one begins. */
  add(body: Buffer, position: number, id: number, ticket: number): number {
    const { start, end } = recordBounds(body, position)
    let from = start
    let to = start
    for (let at = start; at < end; at = skipField(body, at)) {
      if (body[at] === PAYLOAD_TAG) ({ start: from, end: to } = recordBounds(body, at))
    }
    this.#reserve(to - from + REPLY_HEAD_BYTES_MAX)
    const buffer = this.#buffer
    let at = putBytes(buffer, this.#used, THREE, 0, THREE.length)
    at = putLine(buffer, at, COLON, id)
    at = putLine(buffer, at, COLON, ticket)
    at = putLine(buffer, at, DOLLAR, to - from)
    at = putBytes(buffer, at, body, from, to)
    buffer[at++] = CR
    buffer[at++] = LF
    this.#used = at
    this.count++
    return end
  }

  get bytes(): number {
    return this.#used - ANSWER_HEAD_BYTES_MAX
  }

  /** An array of all there are. */
  answer(): Buffer {
    const start = ANSWER_HEAD_BYTES_MAX - 3 - digits(this.count)
    putLine(this.#buffer, start, STAR, this.count)
    return this.#buffer.subarray(start, this.#used)
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#used + bytes))
    this.#buffer.copy(larger, 0, 0, this.#used)
    this.#buffer = larger
  }
}

/** A type, a number and the end of the line. */
function putLine(target: Buffer, position: number, type: number, value: number): number {
  target[position] = type
  const at = putNumber(target, position + 1, value)
  target[at] = CR
  target[at + 1] = LF
  return at + 2
}

function contentBytes(bodyBytes: number): number {
  return bodyBytes === 0 ? 0 : fieldBytes(bodyBytes)
}
