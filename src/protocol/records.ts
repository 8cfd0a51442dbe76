/**
 * Record runs: checking one, cutting it at record boundaries, encoding and decoding records. The server checks
 * every accepted run once and never re-encodes it.
 *
 *   run    = { 0x7a length record }            field 15, length-delimited
 *   record = [ 0x0a length key ]               optional: an absent key is no field
 *            [ 0x12 length payload ]
 *            { 0x1a length header }
 *   header = [ 0x0a length name ] [ 0x12 length value ]
 */
import { ProtocolError } from '../common/errors.js'
import type { Header, NewRecord } from '../model/record.js'
import { KEY_TAG, PAYLOAD_TAG, RECORD_TAG, recordBounds } from '../model/run.js'
import { putVarint, varintBytes, WIRE_LEN, WireReader } from './wire.js'

const EMPTY = new Uint8Array(0)

/**
 * Check the run in `buffer[start, end)` and return how many records it has.
 * Every record is a valid Record message, so that no reader with a stock library can choke on it later.
 * Throws ProtocolError.
 */
export function countRecords(buffer: Buffer, start: number, end: number): number {
  let position = start
  let count = 0
  while (position < end) {
    if (buffer[position] !== RECORD_TAG) throw new ProtocolError('records must be contiguous and last in their frame')
    if (++position >= end) throw new ProtocolError('a record has no length')
    let length = buffer[position] as number
    if (length < 0x80) position++
    else {
      length = readLength(buffer, position, end)
      position += varintBytesAt(buffer, position)
    }
    const recordEnd = position + length
    if (recordEnd > end) throw new ProtocolError('a record is longer than its frame')
    if (!isPlainRecord(buffer, position, recordEnd)) decodeRecord(buffer, position, recordEnd)
    position = recordEnd
    count++
  }
  return count
}

/** The common shape, an optional key and then a payload that fills the record, told without a reader. */
function isPlainRecord(buffer: Buffer, start: number, end: number): boolean {
  let position = start
  if (position < end && buffer[position] === KEY_TAG) {
    const length = buffer[position + 1] as number
    if (length >= 0x80) return false
    position += 2 + length
  }
  if (position + 1 >= end || buffer[position] !== PAYLOAD_TAG) return position === end
  const length = buffer[position + 1] as number
  if (length < 0x80) return position + 2 + length === end
  const second = buffer[position + 2] as number
  return position + 2 < end && second < 0x80 && position + 3 + (length & 0x7f) + second * 0x80 === end
}

function readLength(buffer: Buffer, position: number, end: number): number {
  let value = 0
  let factor = 1
  for (let at = position; at < end && at < position + 4; at++) {
    const byte = buffer[at] as number
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return value
    factor *= 0x80
  }
  throw new ProtocolError('a record has no valid length')
}

function varintBytesAt(buffer: Uint8Array, position: number): number {
  let at = position
  while ((buffer[at] as number) >= 0x80) at++
  return at - position + 1
}

/** Decode a record's content. The fields are views of `buffer`. Throws ProtocolError. */
export function decodeRecord(buffer: Buffer, start: number, end: number): NewRecord {
  const reader = new WireReader()
  reader.reset(buffer, start, end)
  let key: Uint8Array | null = null
  let payload: Uint8Array = EMPTY
  let headers: Header[] | null = null
  while (!reader.done) {
    const tag = reader.tag()
    const wireType = tag & 7
    switch (Math.floor(tag / 8)) {
      case 1:
        reader.expect(wireType, WIRE_LEN)
        key = reader.bytes()
        break
      case 2:
        reader.expect(wireType, WIRE_LEN)
        payload = reader.bytes()
        break
      case 3:
        reader.expect(wireType, WIRE_LEN)
        headers ??= []
        headers.push(decodeHeader(reader))
        break
      default:
        reader.skip(wireType)
    }
  }
  return { key, payload, headers: headers ?? NO_HEADERS }
}

const NO_HEADERS: readonly Header[] = []

function decodeHeader(reader: WireReader): Header {
  const outer = reader.enter()
  let name = ''
  let value: Uint8Array = EMPTY
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        name = reader.string()
        break
      case 0x12:
        value = reader.bytes()
        break
      default:
        if (tag < 24) throw new ProtocolError('a header field has the wrong wire type')
        reader.skip(tag & 7)
    }
  }
  reader.leave(outer)
  return { name, value }
}

/** Bytes that a record takes in a run, its tag and length included. */
export function recordBytes(record: NewRecord): number {
  const content = contentBytes(record)
  return 1 + varintBytes(content) + content
}

function contentBytes({ key, payload, headers }: NewRecord): number {
  let bytes = key === null ? 0 : 1 + varintBytes(key.length) + key.length
  if (payload.length > 0) bytes += 1 + varintBytes(payload.length) + payload.length
  for (const header of headers) {
    const length = headerBytes(header)
    bytes += 1 + varintBytes(length) + length
  }
  return bytes
}

function headerBytes({ name, value }: Header): number {
  const nameBytes = Buffer.byteLength(name)
  const nameField = nameBytes === 0 ? 0 : 1 + varintBytes(nameBytes) + nameBytes
  return nameField + (value.length === 0 ? 0 : 1 + varintBytes(value.length) + value.length)
}

/** Write a record with its tag and length at `position`; returns the position after it. */
export function putRecord(buffer: Buffer, position: number, record: NewRecord): number {
  const { key, payload, headers } = record
  buffer[position++] = RECORD_TAG
  position = putVarint(buffer, position, contentBytes(record))
  if (key !== null) position = putBytes(buffer, position, KEY_TAG, key)
  if (payload.length > 0) position = putBytes(buffer, position, PAYLOAD_TAG, payload)
  for (const header of headers) {
    buffer[position++] = 0x1a
    position = putVarint(buffer, position, headerBytes(header))
    if (header.name !== '') position = putBytes(buffer, position, 0x0a, Buffer.from(header.name))
    if (header.value.length > 0) position = putBytes(buffer, position, 0x12, header.value)
  }
  return position
}

function putBytes(buffer: Buffer, position: number, tag: number, bytes: Uint8Array): number {
  buffer[position++] = tag
  position = putVarint(buffer, position, bytes.length)
  buffer.set(bytes, position)
  return position + bytes.length
}

/** Encode records to a run of their own. */
export function encodeRun(records: readonly NewRecord[]): Buffer {
  let bytes = 0
  for (const record of records) bytes += recordBytes(record)
  const run = Buffer.allocUnsafeSlow(bytes)
  let position = 0
  for (const record of records) position = putRecord(run, position, record)
  return run
}

/** Decode a checked run, record by record; the fields are views of `body`. */
export function* decodeRun(body: Buffer): Generator<NewRecord> {
  let position = 0
  while (position < body.length) {
    const { start, end } = recordBounds(body, position)
    yield decodeRecord(body, start, end)
    position = end
  }
}
