/**
 * Bytes to server frames: the client's half of decoding. Every malformed input is a ProtocolError that names what
 * is wrong. The run of a delivery is checked and counted here, so that its records can be read lazily later.
 */
import { ProtocolError } from '../common/errors.js'
import { type GroupMemberState, type GroupPartition, MODES } from '../model/group.js'
import { toOffset } from '../model/offset.js'
import { RECORD_TAG } from '../model/run.js'
import type { TopicSettings } from '../model/topic.js'
import {
  type DeliveryFrame,
  type GroupDescription,
  LOSS_CAUSES,
  type PartitionDescription,
  type PublishedFrame,
  type PublishedPart,
  RECORDS_FIELD,
  type ServerFrame,
  type TopicDescription,
} from './frames.js'
import { countRecords } from './records.js'
import { decodeSettings, durabilityFromWire } from './topic-settings.js'
import { WIRE_LEN, WIRE_VARINT, WireReader } from './wire.js'

const NO_NUMBERS: readonly number[] = []
const NO_PARTS: readonly PublishedPart[] = []

/** One a connection. */
export class ServerFrameDecoder {
  readonly #reader = new WireReader()

  /** Decode the frame `buffer[start, end)`. The run of a delivery is a place in `buffer`. Throws ProtocolError. */
  decode(buffer: Buffer, start: number, end: number): ServerFrame {
    const reader = this.#reader
    reader.reset(buffer, start, end)
    let id = 0
    let body: ServerFrame | null = null
    let unknownField = 0
    while (!reader.done) {
      const tag = reader.tag()
      const wireType = tag & 7
      const field = Math.floor(tag / 8)
      if (field === 1) {
        reader.expect(wireType, WIRE_VARINT)
        id = reader.uint32()
      } else if (field >= 2 && field <= 12) {
        reader.expect(wireType, WIRE_LEN)
        const outer = reader.enter()
        body = decodeBody(field, reader, id)
        reader.leave(outer)
      } else {
        if (wireType === WIRE_LEN) unknownField = field
        reader.skip(wireType)
      }
    }
    if (body === null) return { kind: 'unknown', id, field: unknownField }
    return body.id === id ? body : { ...body, id }
  }
}

function decodeBody(field: number, reader: WireReader, id: number): ServerFrame {
  switch (field) {
    case 2:
      return decodeWelcome(reader, id)
    case 3:
      reader.skipRest()
      return { kind: 'done', id }
    case 4:
      return decodePublished(reader, id)
    case 5:
      return decodeFailure(reader, id)
    case 6:
      return decodeDelivery(reader, id)
    case 7:
      return decodeLostRange(reader, id)
    case 8: {
      const { numbers, texts } = readPlain(reader, 2)
      return { kind: 'ended', id, subscription: numbers[1] ?? 0, reason: texts[2] ?? '' }
    }
    case 9:
      reader.skipRest()
      return { kind: 'pong', id }
    case 10:
      return decodeDescription(reader, id)
    case 11:
      return decodeAssigned(reader, id)
    default: {
      const { texts } = readPlain(reader, 2)
      return { kind: 'closing', id, code: texts[1] ?? '', message: texts[2] ?? '' }
    }
  }
}

function decodeDelivery(reader: WireReader, id: number): DeliveryFrame {
  let subscription = 0
  let partition = 0
  let baseOffset = 0
  let timestampMs = 0
  let deliveryCount = 0
  while (!reader.done && reader.buffer[reader.position] !== RECORD_TAG) {
    const tag = reader.tag()
    switch (tag) {
      case 0x08:
        subscription = reader.uint32()
        break
      case 0x10:
        partition = reader.uint32()
        break
      case 0x18:
        baseOffset = reader.uint()
        break
      case 0x20:
        timestampMs = reader.uint()
        break
      case 0x28:
        deliveryCount = reader.uint32()
        break
      default:
        if (tag >>> 3 === RECORDS_FIELD) throw new ProtocolError('a field has the wrong wire type')
        reader.skipUnknown(tag, 5)
    }
  }
  const { buffer, position: start, end } = reader
  const run = { buffer, start, end, count: countRecords(buffer, start, end) }
  return { kind: 'delivery', id, subscription, partition, baseOffset, timestampMs, deliveryCount, run }
}

function decodePublished(reader: WireReader, id: number): PublishedFrame {
  let topic = ''
  let durability = durabilityFromWire(0)
  const numbers = [0, 0, 0, 0, 0]
  let duplicates: number[] | null = null
  let keptOffsets: number[] | null = null
  let parts: PublishedPart[] | null = null
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        topic = reader.string()
        break
      case 0x10:
      case 0x18:
      case 0x20:
        numbers[tag >> 3] = reader.uint()
        break
      case 0x28:
      case 0x2a:
        duplicates ??= []
        reader.uints(tag & 7, duplicates)
        break
      case 0x30:
        durability = durabilityFromWire(reader.uint())
        break
      case 0x38:
      case 0x3a:
        keptOffsets ??= []
        reader.uints(tag & 7, keptOffsets)
        break
      case 0x42:
        parts ??= []
        parts.push(decodePart(reader))
        break
      default:
        reader.skipUnknown(tag, 8)
    }
  }
  return {
    kind: 'published',
    id,
    topic,
    partition: numbers[2] as number,
    baseOffset: numbers[3] as number,
    count: numbers[4] as number,
    duplicates: duplicates ?? NO_NUMBERS,
    // A server always names the level; without one only the weakest may be assumed.
    durability: durability ?? 'memory',
    keptOffsets: keptOffsets ?? NO_NUMBERS,
    parts: parts ?? NO_PARTS,
  }
}

function decodePart(reader: WireReader): PublishedPart {
  const outer = reader.enter()
  const numbers = [0, 0, 0, 0]
  const lists: [number[], number[], number[]] = [[], [], []]
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field >= 1 && field <= 3) {
      reader.expect(tag & 7, WIRE_VARINT)
      numbers[field] = reader.uint()
    } else if (field >= 4 && field <= 6) reader.uints(tag & 7, lists[field - 4] as number[])
    else reader.skipUnknown(tag, 6)
  }
  reader.leave(outer)
  const [, partition = 0, baseOffset = 0, count = 0] = numbers
  const [records, duplicates, keptOffsets] = lists
  return { partition, baseOffset, count, records, duplicates, keptOffsets }
}

function decodeWelcome(reader: WireReader, id: number): ServerFrame {
  const features: string[] = []
  const texts = ['', '']
  const numbers = [0, 0]
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field === 1 || field === 4) {
      reader.expect(tag & 7, WIRE_VARINT)
      numbers[field === 1 ? 0 : 1] = reader.uint32()
    } else if (field === 2 || field === 3 || field === 5) {
      reader.expect(tag & 7, WIRE_LEN)
      if (field === 5) features.push(reader.string())
      else texts[field - 2] = reader.string()
    } else reader.skipUnknown(tag, 5)
  }
  const [version = 0, maxFrameBytes = 0] = numbers
  const [server = '', nodeId = ''] = texts
  return { kind: 'welcome', id, version, server, nodeId, maxFrameBytes, features }
}

function decodeFailure(reader: WireReader, id: number): ServerFrame {
  const texts = ['', '', '', '', '']
  const offsets: number[] = []
  let retryable = false
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field === 1 || field === 2 || field === 4) {
      reader.expect(tag & 7, WIRE_LEN)
      texts[field] = reader.string()
    } else if (field === 3) {
      reader.expect(tag & 7, WIRE_VARINT)
      retryable = reader.bool()
    } else if (field === 5) reader.uints(tag & 7, offsets)
    else reader.skipUnknown(tag, 5)
  }
  const [, code = '', message = '', , topic = ''] = texts
  return { kind: 'failure', id, code, message, retryable, topic, offsets }
}

function decodeLostRange(reader: WireReader, id: number): ServerFrame {
  const { numbers } = readPlain(reader, 5)
  const [, subscription = 0, partition = 0, from = 0, to = 0, causeNumber = 0] = numbers
  const cause = LOSS_CAUSES[causeNumber]
  if (cause === undefined) throw new ProtocolError(`loss cause ${causeNumber} is not known`)
  return { kind: 'lost-range', id, subscription, partition, from, to, cause }
}

function decodeAssigned(reader: WireReader, id: number): ServerFrame {
  const partitions: number[] = []
  const started: number[] = []
  const numbers = [0, 0, 0, 0]
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field === 1 || field === 3) {
      reader.expect(tag & 7, WIRE_VARINT)
      numbers[field] = reader.uint32()
    } else if (field === 2 || field === 4) reader.uints(tag & 7, field === 2 ? partitions : started)
    else reader.skipUnknown(tag, 4)
  }
  return { kind: 'assigned', id, subscription: numbers[1] ?? 0, partitions, generation: numbers[3] ?? 0, started }
}

function decodeDescription(reader: WireReader, id: number): ServerFrame {
  const topics: TopicDescription[] = []
  const groups: GroupDescription[] = []
  let more = false
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        topics.push(nested(reader, decodeTopic))
        break
      case 0x12:
        groups.push(nested(reader, decodeGroup))
        break
      case 0x18:
        more = reader.bool()
        break
      default:
        reader.skipUnknown(tag, 3)
    }
  }
  return { kind: 'description', id, topics, groups, more }
}

function decodeTopic(reader: WireReader): TopicDescription {
  let name = ''
  let settings: TopicSettings | null = null
  const partitions: PartitionDescription[] = []
  let subscribers = 0
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
        name = reader.string()
        break
      case 0x12:
        settings = nested(reader, decodeSettings)
        break
      case 0x1a:
        partitions.push(nested(reader, decodePartition))
        break
      case 0x20:
        subscribers = reader.uint32()
        break
      default:
        reader.skipUnknown(tag, 4)
    }
  }
  return { name, settings, partitions, subscribers }
}

function decodePartition(reader: WireReader): PartitionDescription {
  const [, partition = 0, logStart = 0, end = 0, bytes = 0] = readPlain(reader, 4).numbers
  return { partition, logStart, end, bytes }
}

function decodeGroup(reader: WireReader): GroupDescription {
  const partitions: GroupPartition[] = []
  const members: GroupMemberState[] = []
  const numbers = new Array<number>(13).fill(0)
  let name = ''
  let oldestMs: number | null = null
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (tag === 0x0a) name = reader.string()
    else if (tag === 0x30) oldestMs = reader.uint()
    else if (tag === 0x6a) partitions.push(nested(reader, decodeGroupPartition))
    else if (tag === 0x72) members.push(nested(reader, decodeGroupMember))
    else if (field >= 2 && field <= 12) {
      reader.expect(tag & 7, WIRE_VARINT)
      numbers[field] = reader.uint()
    } else reader.skipUnknown(tag, 14)
  }
  const [, , modeNumber = 0, lag = 0, inFlight = 0, paused, , generation = 0, redeliveries = 0, expired = 0] = numbers
  const [deadLetters = 0, rebalances = 0, fenced = 0] = numbers.slice(10)
  const mode = MODES[modeNumber]
  if (mode === undefined) throw new ProtocolError(`mode ${modeNumber} of a group is not known`)
  const counts = { redeliveries, expired, deadLetters, rebalances, fenced }
  return { name, mode, lag, inFlight, isPaused: paused !== 0, oldestMs, generation, ...counts, partitions, members }
}

function decodeGroupPartition(reader: WireReader): GroupPartition {
  const { numbers, texts } = readPlain(reader, 6)
  const [, partition = 0, position = 0, end = 0, lag = 0, inFlight = 0] = numbers
  return { partition, position: toOffset(position), end: toOffset(end), lag, inFlight, member: texts[6] ?? '' }
}

function decodeGroupMember(reader: WireReader): GroupMemberState {
  const partitions: number[] = []
  const numbers = [0, 0, 0, 0, 0]
  let name = ''
  let silentMs: number | null = null
  while (!reader.done) {
    const tag = reader.tag()
    if (tag === 0x0a) name = reader.string()
    else if (tag === 0x10 || tag === 0x12) reader.uints(tag & 7, partitions)
    else if (tag === 0x18 || tag === 0x20) numbers[tag >> 3] = reader.uint()
    else if (tag === 0x28) silentMs = reader.uint()
    else reader.skipUnknown(tag, 5)
  }
  return { name, partitions, held: numbers[3] ?? 0, expired: numbers[4] ?? 0, silentMs }
}

function nested<T>(reader: WireReader, decode: (reader: WireReader) => T): T {
  const outer = reader.enter()
  const value = decode(reader)
  reader.leave(outer)
  return value
}

/** A message whose known fields, 1 to `fields`, are numbers and texts, by field number. */
function readPlain(reader: WireReader, fields: number): { numbers: number[]; texts: string[] } {
  const numbers = new Array<number>(fields + 1).fill(0)
  const texts = new Array<string>(fields + 1).fill('')
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    const wireType = tag & 7
    if (field > fields) reader.skipUnknown(tag, fields)
    else if (wireType === WIRE_VARINT) numbers[field] = reader.uint()
    else if (wireType === WIRE_LEN) texts[field] = reader.string()
    else reader.skipUnknown(tag, fields)
  }
  return { numbers, texts }
}
