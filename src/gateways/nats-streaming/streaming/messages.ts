/**
 * The messages of NATS Streaming: bytes to values and back, and no I/O. What clients send is decoded, what they get is
 * encoded; a message whose fields all have their defaults has no bytes. Field order is that of the original's encoder.
 * Inboxes are subjects, which have one character for each byte.
 */
import protobuf from 'protobufjs/minimal.js'

const { Reader, Writer } = protobuf
type Reader = protobuf.Reader
type Writer = protobuf.Writer

const WIRE_VARINT = 0
export const WIRE_BYTES = 2

export interface ConnectRequest {
  readonly clientId: string
  readonly heartbeatInbox: string
  readonly protocol: number
  /** Bytes as Latin-1: names a connection of the client. Empty with protocol 0. */
  readonly connId: string
  readonly pingInterval: number
  readonly pingMaxOut: number
}

export interface ConnectResponse {
  readonly pubPrefix: string
  readonly subRequests: string
  readonly unsubRequests: string
  readonly closeRequests: string
  readonly subCloseRequests: string
  /** Null: the client knows no pings. */
  readonly pings: { readonly requests: string; readonly interval: number; readonly maxOut: number } | null
}

/** Of `SubscriptionRequest.startPosition`; others are invalid. */
export const START_NEW_ONLY = 0
export const START_LAST_RECEIVED = 1
export const START_TIME_DELTA = 2
export const START_SEQUENCE = 3
export const START_FIRST = 4

export interface SubscriptionRequest {
  readonly clientId: string
  readonly channel: string
  readonly queue: string
  /** Where messages go. */
  readonly inbox: string
  readonly maxInFlight: number
  readonly ackWaitSeconds: number
  readonly durableName: string
  readonly startPosition: number
  /** Not beyond 2^53. */
  readonly startSequence: number
  /** Before now; negative is in the future. */
  readonly startTimeDeltaNs: number
}

/** Also of a request to close a subscription. */
export interface UnsubscribeRequest {
  readonly clientId: string
  readonly channel: string
  /** The inbox of acks, or that of messages. */
  readonly inbox: string
}

export function decodeConnectRequest(bytes: Buffer): ConnectRequest | null {
  const request = { clientId: '', heartbeatInbox: '', protocol: 0, connId: '', pingInterval: 0, pingMaxOut: 0 }
  const isValid = decode(bytes, (reader, field, wireType) => {
    if (field === 1) request.clientId = text(reader, wireType)
    else if (field === 2) request.heartbeatInbox = latin1(reader, wireType)
    else if (field === 3) request.protocol = int32(reader, wireType)
    else if (field === 4) request.connId = latin1(reader, wireType)
    else if (field === 5) request.pingInterval = int32(reader, wireType)
    else if (field === 6) request.pingMaxOut = int32(reader, wireType)
    else reader.skipType(wireType)
  })
  return isValid ? request : null
}

export function decodeSubscriptionRequest(bytes: Buffer): SubscriptionRequest | null {
  const request = {
    clientId: '',
    channel: '',
    queue: '',
    inbox: '',
    maxInFlight: 0,
    ackWaitSeconds: 0,
    durableName: '',
    startPosition: 0,
    startSequence: 0,
    startTimeDeltaNs: 0,
  }
  const isValid = decode(bytes, (reader, field, wireType) => {
    if (field === 1) request.clientId = text(reader, wireType)
    else if (field === 2) request.channel = text(reader, wireType)
    else if (field === 3) request.queue = text(reader, wireType)
    else if (field === 4) request.inbox = latin1(reader, wireType)
    else if (field === 5) request.maxInFlight = int32(reader, wireType)
    else if (field === 6) request.ackWaitSeconds = int32(reader, wireType)
    else if (field === 7) request.durableName = text(reader, wireType)
    else if (field === 10) request.startPosition = int32(reader, wireType)
    else if (field === 11) request.startSequence = uint64(reader, wireType)
    else if (field === 12) request.startTimeDeltaNs = int64(reader, wireType)
    else reader.skipType(wireType)
  })
  return isValid ? request : null
}

export function decodeUnsubscribeRequest(bytes: Buffer): UnsubscribeRequest | null {
  const request = { clientId: '', channel: '', inbox: '' }
  const isValid = decode(bytes, (reader, field, wireType) => {
    if (field === 1) request.clientId = text(reader, wireType)
    else if (field === 2) request.channel = text(reader, wireType)
    else if (field === 3) request.inbox = latin1(reader, wireType)
    else reader.skipType(wireType)
  })
  return isValid ? request : null
}

/** The client's ID. */
export function decodeCloseRequest(bytes: Buffer): string | null {
  return decodeOne(bytes, text)
}

/** The connection's ID, as Latin-1. */
export function decodePing(bytes: Buffer): string | null {
  return decodeOne(bytes, latin1)
}

/** An ack of a message of one channel. Read over and over again; no string is made. */
export class Ack {
  /** Not beyond 2^53. */
  sequence = 0
  /** Whether it names the channel. */
  isOfChannel = false
  readonly #channel: Buffer

  constructor(channel: string) {
    this.#channel = Buffer.from(channel)
  }

  read(bytes: Buffer): boolean {
    this.sequence = 0
    this.isOfChannel = false
    return decode(bytes, this.#field)
  }

  readonly #field = (reader: Reader, field: number, wireType: number): void => {
    if (field === 2) this.sequence = uint64(reader, wireType)
    else if (field === 1) this.isOfChannel = this.#isChannel(reader, wireType)
    else reader.skipType(wireType)
  }

  #isChannel(reader: Reader, wireType: number): boolean {
    expect(wireType, WIRE_BYTES)
    const channel = this.#channel
    const length = reader.uint32()
    const { buf, pos } = reader
    reader.skip(length)
    if (length !== channel.length) return false
    for (let index = 0; index < length; index++) if (buf[pos + index] !== channel[index]) return false
    return true
  }
}

/** The channel that an ack names, for those whom it surprises. */
export function decodeAckChannel(bytes: Buffer): string {
  return decodeOne(bytes, text) ?? ''
}

export function encodeConnectResponse(response: ConnectResponse): Buffer {
  const writer = Writer.create()
  putText(writer, 1, response.pubPrefix)
  putText(writer, 2, response.subRequests)
  putText(writer, 3, response.unsubRequests)
  putText(writer, 4, response.closeRequests)
  putText(writer, 6, response.subCloseRequests)
  if (response.pings !== null) {
    putText(writer, 7, response.pings.requests)
    putInt32(writer, 8, response.pings.interval)
    putInt32(writer, 9, response.pings.maxOut)
  }
  putInt32(writer, 10, 1)
  return finish(writer)
}

/** With an error all other fields are empty. */
export function encodeConnectError(error: string): Buffer {
  return finish(putText(Writer.create(), 5, error))
}

export function encodeSubscriptionResponse(ackInbox: string): Buffer {
  return finish(putText(Writer.create(), 2, ackInbox))
}

/** To subscribing, unsubscribing, and closing a subscription. */
export function encodeSubscriptionError(error: string): Buffer {
  return finish(putText(Writer.create(), 3, error))
}

/** To closing a connection, and to pings. */
export function encodeError(error: string): Buffer {
  return finish(putText(Writer.create(), 1, error))
}

/** Goes behind the guid, which alone says that it is stored. */
export function encodePubAckError(error: string): Buffer {
  return finish(putText(Writer.create(), 2, error))
}

/** False for what no decoder of the original takes. */
export function decode(bytes: Buffer, take: (reader: Reader, field: number, wireType: number) => void): boolean {
  try {
    const reader = Reader.create(bytes)
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (tag >>> 3 === 0) return false
      take(reader, tag >>> 3, tag & 7)
    }
    return true
  } catch {
    // The library throws for everything that cannot be read.
    return false
  }
}

function decodeOne(bytes: Buffer, read: (reader: Reader, wireType: number) => string): string | null {
  let value = ''
  const isValid = decode(bytes, (reader, field, wireType) => {
    if (field === 1) value = read(reader, wireType)
    else reader.skipType(wireType)
  })
  return isValid ? value : null
}

function text(reader: Reader, wireType: number): string {
  return slice(reader, wireType, 'utf8')
}

function latin1(reader: Reader, wireType: number): string {
  return slice(reader, wireType, 'latin1')
}

/** Without a view in between. */
function slice(reader: Reader, wireType: number, encoding: 'utf8' | 'latin1'): string {
  expect(wireType, WIRE_BYTES)
  const length = reader.uint32()
  const start = reader.pos
  reader.skip(length)
  return (reader.buf as Buffer).toString(encoding, start, start + length)
}

function int32(reader: Reader, wireType: number): number {
  expect(wireType, WIRE_VARINT)
  return reader.int32()
}

function uint64(reader: Reader, wireType: number): number {
  expect(wireType, WIRE_VARINT)
  return Math.min(numberOf(reader.uint64()), Number.MAX_SAFE_INTEGER)
}

function int64(reader: Reader, wireType: number): number {
  expect(wireType, WIRE_VARINT)
  return numberOf(reader.int64())
}

function numberOf({ low, high, unsigned }: protobuf.Long): number {
  return (unsigned ? high >>> 0 : high) * 0x1_0000_0000 + (low >>> 0)
}

/** Throws what `decode` takes for a mistake. */
export function expect(wireType: number, wanted: number): void {
  if (wireType !== wanted) throw new RangeError(`wire type ${wireType} instead of ${wanted}`)
}

function tagOf(field: number, wireType: number): number {
  return field * 8 + wireType
}

function putText(writer: Writer, field: number, value: string): Writer {
  return value === '' ? writer : writer.uint32(tagOf(field, WIRE_BYTES)).string(value)
}

function putInt32(writer: Writer, field: number, value: number): void {
  if (value !== 0) writer.uint32(tagOf(field, WIRE_VARINT)).int32(value)
}

function finish(writer: Writer): Buffer {
  return writer.finish() as Buffer
}
