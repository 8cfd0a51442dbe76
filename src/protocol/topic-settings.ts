/**
 * TopicSettings and Start between the model and the wire: a wire 0 is "absent", never a value of its own.
 */
import { ProtocolError } from '../common/errors.js'
import {
  DEFAULT_TOPIC_SETTINGS,
  DURABILITIES,
  type Durability,
  EARLIEST,
  KEEP_FOREVER,
  type Retention,
  SLOW_CONSUMER_POLICIES,
  type Start,
  type TopicSettings,
} from '../model/topic.js'
import { WIRE_LEN, WIRE_VARINT, type WireReader, type WireWriter } from './wire.js'

/** Durability on the wire: 0 is "the default", then the levels in order. */
export function durabilityFromWire(value: number): Durability | null {
  if (value === 0) return null
  const durability = DURABILITIES[value - 1]
  if (durability === undefined) throw new ProtocolError(`durability ${value} is not known`)
  return durability
}

export function durabilityToWire(durability: Durability | null): number {
  return durability === null ? 0 : DURABILITIES.indexOf(durability) + 1
}

/** The field numbers of TopicSettings, in order. */
const SETTINGS_FIELDS = 14
const RETENTION_TTL = 1
const COMPACTION_WINDOW = 2
const RETENTION_BYTES = 3
const RETENTION_RECORDS = 4
const RETAIN_FOREVER = 5
const PARTITIONS = 6
const KEEP_LATEST = 7
const DURABILITY = 8
const RING_BYTES = 9
const RING_RECORDS = 10
const INACTIVITY = 11
const DEAD_LETTER_TOPIC = 12
const MAX_DELIVERIES = 13
const SLOW_CONSUMER = 14

export function decodeSettings(reader: WireReader): TopicSettings {
  const values = new Array<number>(SETTINGS_FIELDS + 1).fill(0)
  let deadLetterTopic = ''
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field === DEAD_LETTER_TOPIC) {
      reader.expect(tag & 7, WIRE_LEN)
      deadLetterTopic = reader.string()
    } else if (field >= 1 && field <= SETTINGS_FIELDS) {
      reader.expect(tag & 7, WIRE_VARINT)
      values[field] = reader.uint()
    } else reader.skip(tag & 7)
  }
  const at = (field: number) => values[field] as number
  const defaults = DEFAULT_TOPIC_SETTINGS
  const slowConsumer = SLOW_CONSUMER_POLICIES[at(SLOW_CONSUMER)]
  if (slowConsumer === undefined) throw new ProtocolError(`slow consumer policy ${at(SLOW_CONSUMER)} is not known`)
  return {
    partitions: at(PARTITIONS) || defaults.partitions,
    retention: retentionFromWire(at(RETENTION_TTL), at(RETENTION_BYTES), at(RETENTION_RECORDS), at(RETAIN_FOREVER)),
    compactionWindowMs: at(COMPACTION_WINDOW),
    keepLatestPerKey: at(KEEP_LATEST) !== 0,
    durability: durabilityFromWire(at(DURABILITY)) ?? defaults.durability,
    ringBytes: at(RING_BYTES) || defaults.ringBytes,
    ringRecords: at(RING_RECORDS) || defaults.ringRecords,
    inactivityMs: at(INACTIVITY) || null,
    deadLetterTopic: deadLetterTopic === '' ? null : deadLetterTopic,
    maxDeliveries: at(MAX_DELIVERIES) || null,
    slowConsumer,
  }
}

function retentionFromWire(ageMs: number, bytes: number, records: number, forever: number): Retention {
  if (ageMs === 0 && bytes === 0 && records === 0) return forever === 0 ? 'none' : KEEP_FOREVER
  return { ageMs: ageMs || null, bytes: bytes || null, records: records || null }
}

export function encodeSettings(writer: WireWriter, settings: TopicSettings): void {
  const { retention } = settings
  const limits = retention === 'none' ? KEEP_FOREVER : retention
  const forever = retention !== 'none' && limits.ageMs === null && limits.bytes === null && limits.records === null
  writer.uint(RETENTION_TTL, limits.ageMs ?? 0)
  writer.uint(COMPACTION_WINDOW, settings.compactionWindowMs)
  writer.uint(RETENTION_BYTES, limits.bytes ?? 0)
  writer.uint(RETENTION_RECORDS, limits.records ?? 0)
  writer.bool(RETAIN_FOREVER, forever)
  writer.uint(PARTITIONS, settings.partitions)
  writer.bool(KEEP_LATEST, settings.keepLatestPerKey)
  writer.uint(DURABILITY, durabilityToWire(settings.durability))
  writer.uint(RING_BYTES, settings.ringBytes)
  writer.uint(RING_RECORDS, settings.ringRecords)
  writer.uint(INACTIVITY, settings.inactivityMs ?? 0)
  writer.string(DEAD_LETTER_TOPIC, settings.deadLetterTopic ?? '')
  writer.uint(MAX_DELIVERIES, settings.maxDeliveries ?? 0)
  writer.uint(SLOW_CONSUMER, SLOW_CONSUMER_POLICIES.indexOf(settings.slowConsumer))
}

export function decodeStart(reader: WireReader): Start {
  let start: Start = EARLIEST
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field < 1 || field > 7) {
      reader.skip(tag & 7)
      continue
    }
    reader.expect(tag & 7, WIRE_VARINT)
    start = startFromWire(field, reader.uint())
  }
  return start
}

function startFromWire(field: number, value: number): Start {
  switch (field) {
    case 2:
      return value === 0 ? EARLIEST : { kind: 'latest' }
    case 3:
      return value === 0 ? EARLIEST : { kind: 'last' }
    case 4:
      return { kind: 'offset', offset: value }
    case 5:
      return { kind: 'time', timeMs: value }
    case 6:
      return { kind: 'age', ageMs: value }
    case 7:
      return { kind: 'last-n', records: value }
    default:
      return EARLIEST
  }
}

export function encodeStart(writer: WireWriter, start: Start): void {
  switch (start.kind) {
    case 'earliest':
      writer.bool(1, true)
      return
    case 'latest':
      writer.bool(2, true)
      return
    case 'last':
      writer.bool(3, true)
      return
    case 'offset':
      writer.optionalUint(4, start.offset)
      return
    case 'time':
      writer.optionalUint(5, start.timeMs)
      return
    case 'age':
      writer.optionalUint(6, start.ageMs)
      return
    case 'last-n':
      writer.optionalUint(7, start.records)
  }
}
