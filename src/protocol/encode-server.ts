/**
 * Server frames to bytes. The two hot ones, Delivery and Published, are laid into a caller's buffer with no
 * allocation; the rest go through a WireWriter. All with their length prefix.
 */
import { unreachable } from '../common/assert.js'
import { type GroupState, MODES } from '../model/group.js'
import type { PublishReceipt } from '../model/receipt.js'
import {
  type DeliveryFrame,
  LOSS_CAUSES,
  type PublishedFrame,
  type ServerFrame,
  type TopicDescription,
} from './frames.js'
import { durabilityToWire, encodeSettings } from './topic-settings.js'
import { putVarint, varintBytes, WireWriter } from './wire.js'

/** More than any Delivery header takes: two lengths, six fields of at most 9 bytes. */
export const DELIVERY_HEADER_BYTES_MAX = 64

/**
 * Write everything of a Delivery frame that stands before its run; returns the position after it.
 *
 *   length 0x32 length [0x08 subscription] [0x10 partition] [0x18 base] [0x20 time] [0x28 deliveries] run
 */
export function putDeliveryHeader(
  buffer: Buffer,
  position: number,
  delivery: Omit<DeliveryFrame, 'kind' | 'id' | 'run'>,
  runBytes: number,
): number {
  const { subscription, partition, baseOffset, timestampMs, deliveryCount } = delivery
  const fields =
    fieldBytes(subscription) +
    fieldBytes(partition) +
    fieldBytes(baseOffset) +
    fieldBytes(timestampMs) +
    fieldBytes(deliveryCount)
  const body = fields + runBytes
  let at = putVarint(buffer, position, 1 + varintBytes(body) + body)
  buffer[at++] = 0x32
  at = putVarint(buffer, at, body)
  at = putField(buffer, at, 0x08, subscription)
  at = putField(buffer, at, 0x10, partition)
  at = putField(buffer, at, 0x18, baseOffset)
  at = putField(buffer, at, 0x20, timestampMs)
  return putField(buffer, at, 0x28, deliveryCount)
}

/** Bytes that `putPublished` needs at most for a topic name of so many bytes. */
export function publishedBytesMax(topicBytes: number): number {
  return topicBytes + 64
}

/**
 * Write a whole Published frame for a receipt that has no duplicates and one partition; returns the position
 * after it.
 *
 *   length [0x08 id] 0x22 length [0x0a length topic] [0x10 partition] [0x18 base] [0x20 count] [0x30 durability]
 */
export function putPublished(
  buffer: Buffer,
  position: number,
  id: number,
  topic: Uint8Array,
  receipt: PublishReceipt,
): number {
  const { partition, baseOffset, count } = receipt
  const durability = durabilityToWire(receipt.durability)
  const body =
    1 +
    varintBytes(topic.length) +
    topic.length +
    fieldBytes(partition) +
    fieldBytes(baseOffset) +
    fieldBytes(count) +
    fieldBytes(durability)
  let at = putVarint(buffer, position, fieldBytes(id) + 1 + varintBytes(body) + body)
  at = putField(buffer, at, 0x08, id)
  buffer[at++] = 0x22
  at = putVarint(buffer, at, body)
  buffer[at++] = 0x0a
  at = putVarint(buffer, at, topic.length)
  for (let index = 0; index < topic.length; index++) buffer[at + index] = topic[index] as number
  at += topic.length
  at = putField(buffer, at, 0x10, partition)
  at = putField(buffer, at, 0x18, baseOffset)
  at = putField(buffer, at, 0x20, count)
  return putField(buffer, at, 0x30, durability)
}

/** More than any Done frame takes. */
export const DONE_BYTES_MAX = 16

/** Write a whole Done frame; returns the position after it: `length [0x08 id] 0x1a 0`. */
export function putDone(buffer: Buffer, position: number, id: number): number {
  let at = putVarint(buffer, position, fieldBytes(id) + 2)
  at = putField(buffer, at, 0x08, id)
  buffer[at++] = 0x1a
  buffer[at++] = 0
  return at
}

function fieldBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value)
}

function putField(buffer: Buffer, position: number, tag: number, value: number): number {
  if (value === 0) return position
  buffer[position] = tag
  return putVarint(buffer, position + 1, value)
}

/** Encode any server frame, length prefix included, to bytes of its own. */
export function encodeServerFrame(frame: ServerFrame): Buffer {
  const writer = new WireWriter(128)
  writer.uint(1, frame.id)
  writeBody(writer, frame)
  const body = writer.view()
  const framed = Buffer.allocUnsafe(varintBytes(body.length) + body.length)
  body.copy(framed, putVarint(framed, 0, body.length))
  return framed
}

function writeBody(writer: WireWriter, frame: ServerFrame): void {
  switch (frame.kind) {
    case 'welcome':
      writer.message(2, (body) => {
        body.uint(1, frame.version)
        body.string(2, frame.server)
        body.string(3, frame.nodeId)
        body.uint(4, frame.maxFrameBytes)
        for (const feature of frame.features) body.requiredString(5, feature)
      })
      return
    case 'done':
      writer.emptyMessage(3)
      return
    case 'published':
      writer.message(4, (body) => writePublished(body, frame))
      return
    case 'failure':
      writer.message(5, (body) => {
        body.string(1, frame.code)
        body.string(2, frame.message)
        body.bool(3, frame.retryable)
        body.string(4, frame.topic)
        body.packed(5, frame.offsets)
      })
      return
    case 'delivery':
      writer.message(6, (body) => writeDelivery(body, frame))
      return
    case 'lost-range':
      writer.message(7, (body) => {
        body.uint(1, frame.subscription)
        body.uint(2, frame.partition)
        body.uint(3, frame.from)
        body.uint(4, frame.to)
        body.uint(5, LOSS_CAUSES.indexOf(frame.cause))
      })
      return
    case 'ended':
      writer.message(8, (body) => {
        body.uint(1, frame.subscription)
        body.string(2, frame.reason)
      })
      return
    case 'pong':
      writer.emptyMessage(9)
      return
    case 'description':
      writer.message(10, (body) => {
        for (const topic of frame.topics) body.message(1, (nested) => writeTopic(nested, topic))
        for (const group of frame.groups) {
          body.message(2, (nested) => writeGroup(nested, group))
        }
        body.bool(3, frame.more)
      })
      return
    case 'assigned':
      writer.message(11, (body) => {
        body.uint(1, frame.subscription)
        body.packed(2, frame.partitions)
        body.uint(3, frame.generation)
        body.packed(4, frame.started)
      })
      return
    case 'closing':
      writer.message(12, (body) => {
        body.string(1, frame.code)
        body.string(2, frame.message)
      })
      return
    case 'unknown':
      return
    default:
      unreachable(frame, 'protocol/encode-server')
  }
}

function writePublished(body: WireWriter, frame: PublishedFrame): void {
  body.string(1, frame.topic)
  body.uint(2, frame.partition)
  body.uint(3, frame.baseOffset)
  body.uint(4, frame.count)
  body.packed(5, frame.duplicates)
  body.uint(6, durabilityToWire(frame.durability))
  body.packed(7, frame.keptOffsets)
  for (const part of frame.parts) {
    body.message(8, (nested) => {
      nested.uint(1, part.partition)
      nested.uint(2, part.baseOffset)
      nested.uint(3, part.count)
      nested.packed(4, part.records)
      nested.packed(5, part.duplicates)
      nested.packed(6, part.keptOffsets)
    })
  }
}

function writeDelivery(body: WireWriter, frame: DeliveryFrame): void {
  body.uint(1, frame.subscription)
  body.uint(2, frame.partition)
  body.uint(3, frame.baseOffset)
  body.uint(4, frame.timestampMs)
  body.uint(5, frame.deliveryCount)
  body.raw(frame.run.buffer.subarray(frame.run.start, frame.run.end))
}

function writeTopic(writer: WireWriter, topic: TopicDescription): void {
  writer.string(1, topic.name)
  const { settings } = topic
  if (settings !== null) writer.message(2, (nested) => encodeSettings(nested, settings))
  for (const partition of topic.partitions) {
    writer.message(3, (nested) => {
      nested.uint(1, partition.partition)
      nested.uint(2, partition.logStart)
      nested.uint(3, partition.end)
      nested.uint(4, partition.bytes)
    })
  }
  writer.uint(4, topic.subscribers)
}

function writeGroup(writer: WireWriter, group: GroupState): void {
  writer.string(1, group.name)
  writer.uint(2, MODES.indexOf(group.mode))
  writer.uint(3, group.lag)
  writer.uint(4, group.inFlight)
  writer.bool(5, group.isPaused)
  writer.optionalUint(6, group.oldestMs)
  writer.uint(7, group.generation)
  writer.uint(8, group.redeliveries)
  writer.uint(9, group.expired)
  writer.uint(10, group.deadLetters)
  writer.uint(11, group.rebalances)
  writer.uint(12, group.fenced)
  for (const { partition, position, end, lag, inFlight, member } of group.partitions) {
    writer.message(13, (nested) => {
      nested.uint(1, partition)
      nested.uint(2, position)
      nested.uint(3, end)
      nested.uint(4, lag)
      nested.uint(5, inFlight)
      nested.string(6, member)
    })
  }
  for (const { name, partitions, held, expired, silentMs } of group.members) {
    writer.message(14, (nested) => {
      nested.string(1, name)
      nested.packed(2, partitions)
      nested.uint(3, held)
      nested.uint(4, expired)
      nested.optionalUint(5, silentMs)
    })
  }
}
