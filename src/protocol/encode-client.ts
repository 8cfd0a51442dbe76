/**
 * Client frames to bytes, without the length prefix: framing is the sender's. The hot one, Publish, is laid around
 * a run that already stands in the caller's buffer, so that records are copied once, when they are encoded.
 */
import { unreachable } from '../common/assert.js'
import { GROUP_ACTIONS, MODES } from '../model/group.js'
import type { Durability } from '../model/topic.js'
import { type ClientFrame, OUTCOMES, type PublishFrame, type SubscribeFrame } from './frames.js'
import { durabilityToWire, encodeSettings, encodeStart } from './topic-settings.js'
import { putVarint, varintBytes, WireWriter } from './wire.js'

/** What a Publish says beside its records. Topic and producer are UTF-8. */
export interface PublishHead {
  readonly id: number
  readonly topic: Uint8Array
  readonly partition: number | null
  readonly durability: Durability | null
  readonly expectedOffset: number | null
  readonly producer: Uint8Array
  readonly sequence: number | null
}

/** Tags and numbers of a Publish at their longest, without the bytes of topic and producer. */
const PUBLISH_FIELDS_BYTES_MAX = 64

/** Room to leave before a run for `putPublishHead`. */
export function publishHeadBytesMax(topicBytes: number, producerBytes: number): number {
  return PUBLISH_FIELDS_BYTES_MAX + topicBytes + producerBytes
}

/**
 * Write everything of a Publish frame that stands before its run so that it ends at `runStart`, and return where
 * it begins. The frame is then `buffer[returned, runStart + runBytes)`.
 *
 *   [0x08 id] 0x32 length [0x0a length topic] [0x10 partition] [0x18 durability] [0x20 expected offset]
 *                         [0x2a length producer] [0x30 sequence] run
 */
export function putPublishHead(buffer: Uint8Array, runStart: number, runBytes: number, head: PublishHead): number {
  const durability = durabilityToWire(head.durability)
  const fields =
    textBytes(head.topic) +
    optionalBytes(head.partition) +
    (durability === 0 ? 0 : 2) +
    optionalBytes(head.expectedOffset) +
    textBytes(head.producer) +
    optionalBytes(head.sequence)
  const body = fields + runBytes
  const start = runStart - fields - varintBytes(body) - 1 - (head.id === 0 ? 0 : 1 + varintBytes(head.id))
  let at = head.id === 0 ? start : putOptional(buffer, start, 0x08, head.id)
  buffer[at++] = 0x32
  at = putVarint(buffer, at, body)
  at = putText(buffer, at, 0x0a, head.topic)
  at = putOptional(buffer, at, 0x10, head.partition)
  if (durability !== 0) at = putOptional(buffer, at, 0x18, durability)
  at = putOptional(buffer, at, 0x20, head.expectedOffset)
  at = putText(buffer, at, 0x2a, head.producer)
  putOptional(buffer, at, 0x30, head.sequence)
  return start
}

function textBytes(text: Uint8Array): number {
  return text.length === 0 ? 0 : 1 + varintBytes(text.length) + text.length
}

function optionalBytes(value: number | null): number {
  return value === null ? 0 : 1 + varintBytes(value)
}

function putText(buffer: Uint8Array, position: number, tag: number, text: Uint8Array): number {
  if (text.length === 0) return position
  buffer[position] = tag
  const at = putVarint(buffer, position + 1, text.length)
  buffer.set(text, at)
  return at + text.length
}

function putOptional(buffer: Uint8Array, position: number, tag: number, value: number | null): number {
  if (value === null) return position
  buffer[position] = tag
  return putVarint(buffer, position + 1, value)
}

/** Encode any client frame, without a length prefix, to bytes of its own. */
export function encodeClientFrame(frame: ClientFrame): Buffer {
  const writer = new WireWriter(128)
  writer.uint(1, frame.id)
  writeBody(writer, frame)
  return Buffer.from(writer.view())
}

function writeBody(writer: WireWriter, frame: ClientFrame): void {
  switch (frame.kind) {
    case 'hello':
      writer.message(2, (body) => {
        body.uint(1, frame.version)
        body.string(2, frame.clientName)
        body.string(3, frame.token)
        body.string(4, frame.user)
        body.string(5, frame.password)
        body.uint(6, frame.heartbeatMs ?? 0)
      })
      return
    case 'create-topic':
      writer.message(3, (body) => {
        body.string(1, frame.topic)
        body.message(2, (nested) => encodeSettings(nested, frame.settings))
      })
      return
    case 'subscribe':
      writer.message(4, (body) => writeSubscribe(body, frame))
      return
    case 'unsubscribe':
      writer.message(5, (body) => {
        body.uint(1, frame.subscription)
        body.bool(2, frame.forget)
      })
      return
    case 'publish':
      writer.message(6, (body) => writePublish(body, frame))
      return
    case 'commit':
      writer.message(7, (body) => {
        body.uint(1, frame.subscription)
        body.uint(2, frame.partition)
        body.optionalUint(3, frame.offset)
        body.packed(4, frame.offsets)
        body.uint(5, OUTCOMES.indexOf(frame.outcome))
        body.uint(6, frame.delayMs)
        body.uint(7, frame.generation)
        body.string(8, frame.reason)
      })
      return
    case 'close':
      writer.emptyMessage(8)
      return
    case 'ping':
      writer.emptyMessage(9)
      return
    case 'describe':
      writer.message(10, (body) => {
        body.string(1, frame.topic)
        body.string(2, frame.group)
        body.string(3, frame.after)
        body.bool(4, frame.groups)
      })
      return
    case 'manage-group':
      writer.message(11, (body) => {
        body.string(1, frame.topic)
        body.string(2, frame.group)
        body.uint(3, GROUP_ACTIONS.indexOf(frame.action))
        body.message(4, (nested) => encodeStart(nested, frame.start))
        body.optionalUint(5, frame.partition)
      })
      return
    case 'unknown':
      return
    default:
      unreachable(frame, 'protocol/encode-client')
  }
}

function writeSubscribe(body: WireWriter, frame: SubscribeFrame): void {
  body.uint(1, frame.subscription)
  body.string(2, frame.topic)
  body.message(3, (nested) => encodeStart(nested, frame.start))
  body.optionalUint(4, frame.untilOffset)
  body.uint(5, MODES.indexOf(frame.mode))
  body.string(6, frame.group)
  body.uint(7, frame.window)
  body.uint(8, frame.ackWaitMs ?? 0)
  body.string(9, frame.member)
  body.bool(10, frame.takeOver)
  body.packed(11, frame.backoffMs)
}

function writePublish(body: WireWriter, frame: PublishFrame): void {
  body.string(1, frame.topic)
  body.optionalUint(2, frame.partition)
  body.uint(3, durabilityToWire(frame.durability))
  body.optionalUint(4, frame.expectedOffset)
  body.string(5, frame.producer)
  body.optionalUint(6, frame.sequence)
  body.raw(frame.run.buffer.subarray(frame.run.start, frame.run.end))
}
