/**
 * The few messages of NATS Streaming that the bench sends, laid out as its clients lay them out, and what it reads of those
 * that come back. Fields that it does not need are left out.
 */
import protobuf from 'protobufjs/minimal.js'

const { Writer } = protobuf

export const CLUSTER = 'test-cluster'
const PROTOCOL = 1
const START_FIRST = 4
const START_LAST_RECEIVED = 1
const SEQUENCE_TAG = 0x08
const VARINT_MORE = 0x80

const tag = (field: number, wireType: 0 | 2): number => field * 8 + wireType

/** `PUB subject reply bytes`, and the payload. */
export function request(subject: string, reply: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`PUB ${subject} ${reply} ${payload.length}\r\n`), payload, Buffer.from('\r\n')])
}

/** Asks to be let in; what it is called stands for the connection, too. */
export function connectRequest(client: string, heartbeats: string): Uint8Array {
  const writer = Writer.create()
  writer.uint32(tag(1, 2)).string(client)
  writer.uint32(tag(2, 2)).string(heartbeats)
  writer.uint32(tag(3, 0)).int32(PROTOCOL)
  return writer.uint32(tag(4, 2)).string(client).finish()
}

export function pubMsg(client: string, guid: string, channel: string, data: Uint8Array): Uint8Array {
  const writer = Writer.create()
  writer.uint32(tag(1, 2)).string(client)
  writer.uint32(tag(2, 2)).string(guid)
  writer.uint32(tag(3, 2)).string(channel)
  writer.uint32(tag(5, 2)).bytes(data)
  return writer.uint32(tag(6, 2)).string(client).finish()
}

export interface Wanted {
  readonly client: string
  readonly channel: string
  readonly inbox: string
  readonly maxInFlight: number
  /** Empty for none. */
  readonly durable: string
  readonly from: 'first' | 'last'
}

export function subscriptionRequest({ client, channel, inbox, maxInFlight, durable, from }: Wanted): Uint8Array {
  const writer = Writer.create()
  writer.uint32(tag(1, 2)).string(client)
  writer.uint32(tag(2, 2)).string(channel)
  writer.uint32(tag(4, 2)).string(inbox)
  writer.uint32(tag(5, 0)).int32(maxInFlight)
  writer.uint32(tag(6, 0)).int32(30)
  if (durable !== '') writer.uint32(tag(7, 2)).string(durable)
  return writer
    .uint32(tag(10, 0))
    .int32(from === 'first' ? START_FIRST : START_LAST_RECEIVED)
    .finish()
}

/** What the answer to a subscription says: where its acks go. Throws when it was refused. */
export function ackInboxOf(payload: Buffer): string {
  const length = payload[1] as number
  if (payload[0] !== tag(2, 2)) throw new Error(`leveret answered ${payload.toString('latin1')}`)
  return payload.toString('latin1', 2, 2 + length)
}

/** What the answer to a connect request begins with when it is none of an error: the prefix for publishes. */
export function isLetIn(payload: Buffer): boolean {
  return payload[0] === tag(1, 2)
}

/** The sequence of a delivered message that begins at `start`: its first field. */
export function sequenceAt(bytes: Buffer, start: number): number {
  if (bytes[start] !== SEQUENCE_TAG) throw new Error('a delivered message does not begin with its sequence')
  let value = 0
  let factor = 1
  for (let at = start + 1; ; at++) {
    const byte = bytes[at] as number
    value += (byte % VARINT_MORE) * factor
    if (byte < VARINT_MORE) return value
    factor *= VARINT_MORE
  }
}
