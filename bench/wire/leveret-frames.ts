/**
 * The frames that a bench sends to leveret, encoded field by field from proto/leveret.proto with the project's
 * protobuf writer, and the few things that it must see in an answer.
 */
import { MODES } from '../../src/model/group.js'
import { DEFAULT_TOPIC_SETTINGS, type Durability, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import { encodeRun } from '../../src/protocol/records.js'
import { durabilityToWire, encodeSettings } from '../../src/protocol/topic-settings.js'
import { putVarint, varintBytes, WireReader, WireWriter } from '../../src/protocol/wire.js'

const HELLO = 2
const CREATE_TOPIC = 3
const SUBSCRIBE = 4
const UNSUBSCRIBE = 5
const PUBLISH = 6
const COMMIT = 7
const DESCRIBE = 10

export const WELCOME = 2
export const DONE = 3
export const PUBLISHED = 4

/** The topic of the live benches: keeps nothing, loses nothing (publishers wait for a slow subscriber). */
export const LIVE_TOPIC: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, durability: 'memory', slowConsumer: 'block' }

/** The topic of the durable benches: keeps everything. */
export const KEPT_TOPIC: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }

function frame(id: number, field: number, write: (writer: WireWriter) => void): Buffer {
  const body = new WireWriter()
  body.uint(1, id)
  body.message(field, write)
  const prefix = varintBytes(body.length)
  const bytes = Buffer.allocUnsafeSlow(prefix + body.length)
  putVarint(bytes, 0, body.length)
  bytes.set(body.view(), prefix)
  return bytes
}

export function hello(id: number): Buffer {
  return frame(id, HELLO, (writer) => {
    writer.uint(1, 1)
    writer.string(2, 'bench')
  })
}

export function createTopic(id: number, topic: string, settings: TopicSettings): Buffer {
  return frame(id, CREATE_TOPIC, (writer) => {
    writer.string(1, topic)
    writer.message(2, (inner) => encodeSettings(inner, settings))
  })
}

export function subscribe(id: number, subscription: number, topic: string, window: number): Buffer {
  return frame(id, SUBSCRIBE, (writer) => {
    writer.uint(1, subscription)
    writer.string(2, topic)
    writer.uint(7, window)
  })
}

/** Take part in a shared group. */
export function joinShared(
  id: number,
  subscription: number,
  topic: string,
  { group, member, window }: { readonly group: string; readonly member: string; readonly window: number },
): Buffer {
  return frame(id, SUBSCRIBE, (writer) => {
    writer.uint(1, subscription)
    writer.string(2, topic)
    writer.uint(5, MODES.indexOf('shared'))
    writer.string(6, group)
    writer.uint(7, window)
    writer.string(9, member)
  })
}

export function unsubscribe(id: number, subscription: number): Buffer {
  return frame(id, UNSUBSCRIBE, (writer) => writer.uint(1, subscription))
}

/** Each of these records is done with. */
export function ackEach(id: number, subscription: number, offsets: readonly number[]): Buffer {
  return frame(id, COMMIT, (writer) => {
    writer.uint(1, subscription)
    writer.packed(4, offsets)
  })
}

/** Everything up to `offset` is done with. */
export function commit(subscription: number, offset: number): Buffer {
  return frame(0, COMMIT, (writer) => {
    writer.uint(1, subscription)
    writer.optionalUint(3, offset)
  })
}

/** Asks for the topic's own durability unless it names one, and lets the server choose the partition. */
export function publish(
  id: number,
  topic: string,
  run: Buffer,
  durability: Durability | null = null,
  partition: number | null = null,
): Buffer {
  return frame(id, PUBLISH, (writer) => {
    writer.string(1, topic)
    writer.optionalUint(2, partition)
    writer.uint(3, durabilityToWire(durability))
    writer.raw(run)
  })
}

/** The topic, or a group of it. */
export function describe(id: number, topic: string, group = ''): Buffer {
  return frame(id, DESCRIBE, (writer) => {
    writer.string(1, topic)
    writer.string(2, group)
  })
}

/** A run of `count` equal records without keys. */
export function runOf(payload: Uint8Array, count: number): Buffer {
  return encodeRun(Array.from({ length: count }, () => ({ key: null, payload, headers: [] })))
}

/** Which body a server frame has, and the id that it answers. */
export interface Head {
  readonly id: number
  readonly field: number
}

export function headOf(buffer: Buffer, start: number, end: number): Head {
  const reader = new WireReader()
  reader.reset(buffer, start, end)
  let id = 0
  let tag = reader.uint()
  if (tag === 8) {
    id = reader.uint()
    tag = reader.uint()
  }
  return { id, field: tag >> 3 }
}

/** A frame that a bench did not hope for, as a sentence. */
export function complaint(buffer: Buffer, start: number, end: number): string {
  const frame = new ServerFrameDecoder().decode(buffer, start, end)
  return `leveret sent ${JSON.stringify(frame).slice(0, 300)}`
}
