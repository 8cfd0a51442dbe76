/**
 * Bytes to client frames: the server's half of decoding. Every malformed input is a ProtocolError that names what
 * is wrong; `failedId` then tells which request to fail.
 */
import { ProtocolError } from '../common/errors.js'
import type { RecordRun } from '../model/record.js'
import { RECORD_TAG } from '../model/run.js'
import type { Durability } from '../model/topic.js'
import { DEFAULT_TOPIC_SETTINGS, TOPIC_NAME_BYTES_MAX } from '../model/topic.js'
import {
  decodeCommit,
  decodeDescribe,
  decodeManageGroup,
  decodeSubscribe,
  decodeUnsubscribe,
} from './decode-subscriptions.js'
import { type ClientFrame, type PublishFrame, RECORDS_FIELD } from './frames.js'
import { countRecords } from './records.js'
import { decodeSettings, durabilityFromWire } from './topic-settings.js'
import { WIRE_LEN, WIRE_VARINT, WireReader } from './wire.js'

const EMPTY = Buffer.alloc(0)

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** One a connection: it remembers the last topic name, so that a busy publisher's name is decoded once. */
export class ClientFrameDecoder {
  /** The id of the frame whose decoding failed, as far as it had been read; else 0. */
  failedId = 0

  readonly #reader = new WireReader()
  /** The one Publish frame of this decoder: at a million a second, a new object each is what the collector would do. */
  readonly #publishFrame: Mutable<Omit<PublishFrame, 'run'>> & { readonly run: Mutable<RecordRun> } = {
    kind: 'publish',
    id: 0,
    topic: '',
    partition: null,
    durability: null,
    expectedOffset: null,
    producer: '',
    sequence: null,
    run: { buffer: EMPTY, start: 0, end: 0, count: 0 },
  }
  #topicBytes: Buffer = EMPTY
  #topic = ''

  /** Let go of the last buffer, so that an idle connection pins nothing. */
  release(): void {
    this.#reader.reset(EMPTY, 0, 0)
    this.#publishFrame.run.buffer = EMPTY
  }

  /**
   * Decode the frame `buffer[start, end)`. The run of a publish is a place in `buffer`, and its frame is the same
   * object each time: both are valid until the next call. Throws ProtocolError.
   */
  decode(buffer: Buffer, start: number, end: number): ClientFrame {
    const reader = this.#reader
    reader.reset(buffer, start, end)
    this.failedId = 0
    let body: ClientFrame | null = null
    let unknownField = 0
    while (!reader.done) {
      const tag = reader.tag()
      const wireType = tag & 7
      const field = Math.floor(tag / 8)
      if (field === 1) {
        reader.expect(wireType, WIRE_VARINT)
        this.failedId = reader.uint32()
      } else if (field >= 2 && field <= 11) {
        reader.expect(wireType, WIRE_LEN)
        const outer = reader.enter()
        body = this.#body(field, reader)
        reader.leave(outer)
      } else {
        if (wireType === WIRE_LEN) unknownField = field
        reader.skip(wireType)
      }
    }
    const id = this.failedId
    if (body === null) return { kind: 'unknown', id, field: unknownField }
    // A sender may write the id behind the body.
    return body.id === id ? body : { ...body, id }
  }

  #body(field: number, reader: WireReader): ClientFrame {
    const id = this.failedId
    switch (field) {
      case 2:
        return decodeHello(reader, id)
      case 3:
        return decodeCreateTopic(reader, id)
      case 4:
        return decodeSubscribe(reader, id)
      case 5:
        return decodeUnsubscribe(reader, id)
      case 6:
        return this.#publish(reader, id)
      case 7:
        return decodeCommit(reader, id)
      case 8:
        reader.skipRest()
        return { kind: 'close', id }
      case 9:
        reader.skipRest()
        return { kind: 'ping', id }
      case 10:
        return decodeDescribe(reader, id)
      default:
        return decodeManageGroup(reader, id)
    }
  }

  #publish(reader: WireReader, id: number): PublishFrame {
    let topic = ''
    let partition: number | null = null
    let durability: Durability | null = null
    let expectedOffset: number | null = null
    let producer = ''
    let sequence: number | null = null
    while (!reader.done) {
      if (reader.buffer[reader.position] === RECORD_TAG) break
      const tag = reader.tag()
      switch (tag) {
        case 0x0a:
          topic = this.#readTopic(reader)
          break
        case 0x10:
          partition = reader.uint32()
          break
        case 0x18:
          durability = durabilityFromWire(reader.uint())
          break
        case 0x20:
          expectedOffset = reader.uint()
          break
        case 0x2a:
          producer = reader.string()
          break
        case 0x30:
          sequence = reader.uint()
          break
        default:
          if (tag < 0x38 || tag >>> 3 === RECORDS_FIELD) throw new ProtocolError('a field has the wrong wire type')
          reader.skip(tag & 7)
      }
    }
    const start = reader.position
    const end = reader.end
    const count = countRecords(reader.buffer, start, end)
    const frame = this.#publishFrame
    frame.id = id
    frame.topic = topic
    frame.partition = partition
    frame.durability = durability
    frame.expectedOffset = expectedOffset
    frame.producer = producer
    frame.sequence = sequence
    const { run } = frame
    run.buffer = reader.buffer
    run.start = start
    run.end = end
    run.count = count
    return frame
  }

  #readTopic(reader: WireReader): string {
    const length = reader.length()
    const known = this.#topicBytes
    const { buffer, position } = reader
    if (length === known.length) {
      let index = 0
      while (index < length && buffer[position + index] === known[index]) index++
      if (index === length) {
        reader.position = position + length
        return this.#topic
      }
    }
    reader.position = position - varintWidth(buffer, position)
    const topic = reader.string()
    // A name that no topic can have is not kept: a connection would hold a frame's worth of memory for it.
    if (length <= TOPIC_NAME_BYTES_MAX) {
      this.#topic = topic
      this.#topicBytes = Buffer.from(topic)
    }
    return topic
  }
}

/** Bytes of the varint that ends just before `position`. */
function varintWidth(buffer: Buffer, position: number): number {
  let width = 1
  while ((buffer[position - width - 1] as number) >= 0x80) width++
  return width
}

function decodeHello(reader: WireReader, id: number): ClientFrame {
  const texts = ['', '', '', '']
  let version = 0
  let heartbeatMs = 0
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field === 1 || field === 6) {
      reader.expect(tag & 7, WIRE_VARINT)
      if (field === 1) version = reader.uint32()
      else heartbeatMs = reader.uint32()
    } else if (field >= 2 && field <= 5) {
      reader.expect(tag & 7, WIRE_LEN)
      texts[field - 2] = reader.string()
    } else reader.skip(tag & 7)
  }
  const [clientName = '', token = '', user = '', password = ''] = texts
  return { kind: 'hello', id, version, clientName, token, user, password, heartbeatMs: heartbeatMs || null }
}

function decodeCreateTopic(reader: WireReader, id: number): ClientFrame {
  let topic = ''
  let settings = DEFAULT_TOPIC_SETTINGS
  while (!reader.done) {
    const tag = reader.tag()
    switch (Math.floor(tag / 8)) {
      case 1:
        reader.expect(tag & 7, WIRE_LEN)
        topic = reader.string()
        break
      case 2: {
        reader.expect(tag & 7, WIRE_LEN)
        const outer = reader.enter()
        settings = decodeSettings(reader)
        reader.leave(outer)
        break
      }
      default:
        reader.skip(tag & 7)
    }
  }
  return { kind: 'create-topic', id, topic, settings }
}
