/**
 * A message as a record: its body is the payload. What others published is a message too, whatever else it carries.
 *
 *   record = 0x7a length [ 0x12 length body ]
 */
import type { RecordRun } from '../../../model/record.js'
import { PAYLOAD_TAG, RECORD_TAG, recordBounds, skipField } from '../../../model/run.js'
import type { RespRequest } from '../resp-request.js'

/** Messages of this size together are laid into a buffer that the broker keeps, instead of being copied once more. */
const OWN_BYTES_MIN = 16 * 1024
const CRLF = Buffer.from('\r\n')

/** Bytes of the record of a message. */
export function messageBytes(bodyBytes: number): number {
  const content = contentBytes(bodyBytes)
  return 1 + varintBytes(content) + content
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
    at = putHead(buffer, at, RECORD_TAG, contentBytes(length))
    if (length === 0) continue
    at = putHead(buffer, at, PAYLOAD_TAG, length)
    at += request.buffer.copy(buffer, at, request.start(index), request.end(index))
  }
  return { buffer, start: 0, end: bytes, count: request.count - first, isOwned }
}

/** One message by itself. */
export function messageRecord(body: Buffer): Buffer {
  const record = Buffer.allocUnsafe(messageBytes(body.length))
  let at = putHead(record, 0, RECORD_TAG, contentBytes(body.length))
  if (body.length > 0) {
    at = putHead(record, at, PAYLOAD_TAG, body.length)
    body.copy(record, at)
  }
  return record
}

function runInPlace(request: RespRequest, index: number, bytes: number): RecordRun {
  const { buffer, isOwned } = request
  const length = request.length(index)
  const end = request.end(index)
  const start = end - bytes
  const at = putHead(buffer, start, RECORD_TAG, contentBytes(length))
  if (length > 0) putHead(buffer, at, PAYLOAD_TAG, length)
  return { buffer, start, end, count: 1, isOwned }
}

/** What a reader gets for the record of a checked run that begins at `position`, and where the next one begins. */
export function messageReply(
  body: Buffer,
  position: number,
  id: number,
  ticket: number,
): { reply: Buffer; next: number } {
  const { start, end } = recordBounds(body, position)
  let from = start
  let to = start
  for (let at = start; at < end; at = skipField(body, at)) {
    if (body[at] === PAYLOAD_TAG) ({ start: from, end: to } = recordBounds(body, at))
  }
  const head = `*3\r\n:${id}\r\n:${ticket}\r\n$${to - from}\r\n`
  const reply = Buffer.allocUnsafe(head.length + to - from + CRLF.length)
  let at = reply.write(head, 'latin1')
  at += body.copy(reply, at, from, to)
  CRLF.copy(reply, at)
  return { reply, next: end }
}

function contentBytes(bodyBytes: number): number {
  return bodyBytes === 0 ? 0 : 1 + varintBytes(bodyBytes) + bodyBytes
}

function putHead(target: Buffer, position: number, tag: number, length: number): number {
  let at = position
  target[at++] = tag
  let left = length
  for (; left >= 0x80; left = Math.floor(left / 0x80)) target[at++] = (left & 0x7f) | 0x80
  target[at++] = left
  return at
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) bytes++
  return bytes
}
