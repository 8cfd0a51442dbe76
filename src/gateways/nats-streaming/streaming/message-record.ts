/**
 * A message as a record: its data is the payload, its reply subject a header. What others published is a message too.
 *
 *   record = 0x7a length [ 0x12 length data ] [ 0x1a length 0x0a 0x0a "stan-reply" 0x12 length reply ]
 */

import { putBytes } from '../../../common/put-bytes.js'
import { fieldBytes, putFieldHead } from '../../../model/put-field.js'
import type { RecordRun } from '../../../model/record.js'
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

const HEADER_NAME = Buffer.from('stan-reply')
const HEADER_HEAD = Buffer.concat([Buffer.from([HEADER_NAME_TAG, HEADER_NAME.length]), HEADER_NAME])
/** Records from this size on are laid into a buffer that the broker keeps, instead of being copied once more. */
const OWN_BYTES_MIN = 16 * 1024
/** A run ends before it is longer, unless one record is. */
const RUN_BYTES_MAX = 64 * 1024

/** Lays messages out as records that follow each other; what is taken is valid until the next one is laid out. */
export class RunWriter {
  readonly #scratch = Buffer.allocUnsafeSlow(RUN_BYTES_MAX)
  readonly #run = { buffer: this.#scratch, start: 0, end: 0, count: 0, isOwned: false }

  get count(): number {
    return this.#run.count
  }

  /** Whether a record of so many bytes goes behind those that are there. */
  hasRoom(bytes: number): boolean {
    const { count, end, isOwned } = this.#run
    return count === 0 || (!isOwned && bytes < OWN_BYTES_MIN && end + bytes <= RUN_BYTES_MAX)
  }

  /** There must be room for it. */
  add(source: Buffer, dataStart: number, dataEnd: number, replyStart: number, replyEnd: number): void {
    const [dataBytes, replyBytes] = [dataEnd - dataStart, replyEnd - replyStart]
    const header = replyBytes === 0 ? 0 : HEADER_HEAD.length + fieldBytes(replyBytes)
    const content = (dataBytes === 0 ? 0 : fieldBytes(dataBytes)) + (header === 0 ? 0 : fieldBytes(header))
    const bytes = fieldBytes(content)
    const run = this.#run
    if (bytes >= OWN_BYTES_MIN) {
      run.buffer = Buffer.allocUnsafeSlow(bytes)
      run.isOwned = true
    }
    const { buffer } = run
    let at = putFieldHead(buffer, run.end, RECORD_TAG, content)
    if (dataBytes > 0) {
      at = putFieldHead(buffer, at, PAYLOAD_TAG, dataBytes)
      at = putBytes(buffer, at, source, dataStart, dataEnd)
    }
    if (header > 0) {
      at = putFieldHead(buffer, at, HEADER_TAG, header)
      at += HEADER_HEAD.copy(buffer, at)
      at = putFieldHead(buffer, at, HEADER_VALUE_TAG, replyBytes)
      at = putBytes(buffer, at, source, replyStart, replyEnd)
    }
    run.end = at
    run.count++
  }

  /** What was laid out; then it begins anew. */
  take(): RecordRun {
    const run = { ...this.#run }
    this.#run.buffer = this.#scratch
    this.#run.end = 0
    this.#run.count = 0
    this.#run.isOwned = false
    return run
  }
}

/** Bytes of the record of a message. */
export function recordBytes(dataBytes: number, replyBytes: number): number {
  const header = replyBytes === 0 ? 0 : HEADER_HEAD.length + fieldBytes(replyBytes)
  return fieldBytes((dataBytes === 0 ? 0 : fieldBytes(dataBytes)) + (header === 0 ? 0 : fieldBytes(header)))
}

/** Reads the messages of a run, one after the other, in place: without a reply, or without data, the bounds are the same. */
export class RecordReader {
  dataStart = 0
  dataEnd = 0
  replyStart = 0
  replyEnd = 0

  /** Read the record of a checked run that begins at `position`; returns where the next one begins. */
  read(body: Buffer, position: number): number {
    const { start, end } = recordBounds(body, position)
    this.dataStart = 0
    this.dataEnd = 0
    this.replyStart = 0
    this.replyEnd = 0
    for (let at = start; at < end; at = skipField(body, at)) {
      const tag = body[at]
      if (tag === PAYLOAD_TAG) {
        const bounds = recordBounds(body, at)
        this.dataStart = bounds.start
        this.dataEnd = bounds.end
      } else if (tag === HEADER_TAG) {
        const reply = headerValue(body, at, HEADER_HEAD)
        if (reply === null) continue
        this.replyStart = reply.start
        this.replyEnd = reply.end
      }
    }
    return end
  }
}
