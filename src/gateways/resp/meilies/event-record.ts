/**
 * An event as a record: its data is the payload, its name a header. What others published is an event too, if it can be.
 *
 *   record = 0x7a length [ 0x12 length data ] 0x1a length 0x0a 0x0c "meilies-name" 0x12 length name
 */
import { isUtf8 } from 'node:buffer'
import { putBytes } from '../../../common/put-bytes.js'
import { fieldBytes, putFieldHead } from '../../../model/put-field.js'
import {
  HEADER_NAME_TAG,
  HEADER_TAG,
  HEADER_VALUE_TAG,
  headerValue,
  PAYLOAD_TAG,
  RECORD_TAG,
  recordBounds,
  skipField,
} from '../../../model/run.js'

const HEADER_NAME = Buffer.from('meilies-name')
const HEADER_HEAD = Buffer.concat([Buffer.from([HEADER_NAME_TAG, HEADER_NAME.length]), HEADER_NAME])
/** What an event is called that was published without a name. */
const UNNAMED = Buffer.from('record')
const LF = 10
const CR = 13

/** Bytes of the record of an event. */
export function eventBytes(nameBytes: number, dataBytes: number): number {
  return fieldBytes(contentBytes(nameBytes, dataBytes))
}

/** Write an event with `name` and `data` from `source`; returns the position behind it. */
export function putEvent(
  target: Buffer,
  position: number,
  source: Buffer,
  name: { readonly start: number; readonly end: number },
  data: { readonly start: number; readonly end: number },
): number {
  const nameBytes = name.end - name.start
  const dataBytes = data.end - data.start
  let at = putFieldHead(target, position, RECORD_TAG, contentBytes(nameBytes, dataBytes))
  if (dataBytes > 0) {
    at = putFieldHead(target, at, PAYLOAD_TAG, dataBytes)
    at = putBytes(target, at, source, data.start, data.end)
  }
  return putHeader(target, at, source, name)
}

function putHeader(
  target: Buffer,
  position: number,
  source: Buffer,
  { start, end }: { readonly start: number; readonly end: number },
): number {
  const nameBytes = end - start
  let at = putFieldHead(target, position, HEADER_TAG, headerContentBytes(nameBytes))
  at = putBytes(target, at, HEADER_HEAD, 0, HEADER_HEAD.length)
  at = putFieldHead(target, at, HEADER_VALUE_TAG, nameBytes)
  return putBytes(target, at, source, start, end)
}

/** The header of an event's name, which is mostly that of the event before: made when it is another. */
export class NameHeader {
  #bytes: Buffer = Buffer.alloc(0)
  #nameStart = 0

  /** Whether the name is that of the last header, and so one that an event may have. */
  isLast(source: Buffer, start: number, end: number): boolean {
    const bytes = this.#bytes
    if (bytes.length === 0 || end - start !== bytes.length - this.#nameStart) return false
    for (let at = this.#nameStart, from = start; from < end; at++, from++) if (bytes[at] !== source[from]) return false
    return true
  }

  /** Of the name `source[start, end)`; valid until the next call. */
  of(source: Buffer, start: number, end: number): Buffer {
    if (this.isLast(source, start, end)) return this.#bytes
    const bytes = Buffer.allocUnsafe(headerBytes(end - start))
    this.#nameStart = putHeader(bytes, 0, source, { start, end }) - (end - start)
    this.#bytes = bytes
    return bytes
  }
}

/** Lay an event with the data `buffer[start, end)` and this header of its name at `place` of the same buffer, in front of it. */
export function layEvent(buffer: Buffer, place: number, header: Buffer, start: number, end: number): void {
  const dataBytes = end - start
  const payload = dataBytes === 0 ? 0 : fieldBytes(dataBytes)
  let at = putFieldHead(buffer, place, RECORD_TAG, payload + header.length)
  if (dataBytes > 0) {
    at = putFieldHead(buffer, at, PAYLOAD_TAG, dataBytes)
    buffer.copyWithin(at, start, end)
  }
  buffer.set(header, at + dataBytes)
}

/** Reads the events of a run, one after the other, without copying any. */
export class EventReader {
  /** The data is `body[dataStart, dataEnd)`. */
  dataStart = 0
  dataEnd = 0
  /** The name is `names[nameStart, nameEnd)`. */
  names: Buffer = UNNAMED
  nameStart = 0
  nameEnd = 0

  /** Read the record of a checked run that begins at `position`; returns where the next one begins. */
  read(body: Buffer, position: number): number {
    const { start, end } = recordBounds(body, position)
    this.dataStart = start
    this.dataEnd = start
    this.names = UNNAMED
    this.nameStart = 0
    this.nameEnd = UNNAMED.length
    for (let at = start; at < end; at = skipField(body, at)) {
      const tag = body[at]
      if (tag === PAYLOAD_TAG) {
        const data = recordBounds(body, at)
        this.dataStart = data.start
        this.dataEnd = data.end
      } else if (tag === HEADER_TAG) {
        const name = headerValue(body, at, HEADER_HEAD)
        if (name === null || !isEventName(body, name.start, name.end)) continue
        this.names = body
        this.nameStart = name.start
        this.nameEnd = name.end
      }
    }
    return end
  }
}

/** Whether an event may be called `body[start, end)`. */
export function isEventName(body: Buffer, start: number, end: number): boolean {
  if (start === end) return false
  let isAscii = true
  for (let at = start; at < end; at++) {
    const byte = body[at] as number
    if (byte === LF || byte === CR) return false
    if (byte >= 0x80) isAscii = false
  }
  return isAscii || isUtf8(body.subarray(start, end))
}

function contentBytes(nameBytes: number, dataBytes: number): number {
  const payload = dataBytes === 0 ? 0 : fieldBytes(dataBytes)
  return payload + headerBytes(nameBytes)
}

function headerBytes(nameBytes: number): number {
  return fieldBytes(headerContentBytes(nameBytes))
}

function headerContentBytes(nameBytes: number): number {
  return HEADER_HEAD.length + fieldBytes(nameBytes)
}
