/**
 * A stock protobuf library, driven by the published contract alone: the oracle of the codec tests and the voice of
 * foreign clients. It reads proto/leveret.proto and knows nothing of src/, so that it cannot share a mistake with it.
 */
import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'

const CONTRACT = new URL('../../proto/leveret.proto', import.meta.url)

/** A message in the words of the contract: camel-case names, enums by name. */
export type StockMessage = Readonly<Record<string, unknown>>

export interface StockType {
  encode(message: StockMessage): Buffer
  /** With the varint length in front that a library calls "delimited". */
  encodeDelimited(message: StockMessage): Buffer
  /** Throws what the library throws. Fields that are not on the wire are left out; numbers stay numbers. */
  decode(bytes: Uint8Array): StockMessage
  /** The JSON mapping of proto3: bytes in base64, 64-bit numbers as text. */
  toJson(bytes: Uint8Array): StockMessage
}

export interface StockProtocol {
  readonly type: (name: string) => StockType
  /** Every field under a message, as `Message.field.field`. */
  readonly paths: (name: string) => string[]
}

export interface Variation {
  /** Repeated numbers one by one, as old libraries and `[packed = false]` write them. */
  readonly unpacked?: boolean
  /** Give every message fields that version 1 does not know, named `x0`, `x1`, ... */
  readonly extended?: boolean
}

export function loadStock(variation: Variation = {}): StockProtocol {
  let text = readFileSync(CONTRACT, 'utf8')
  if (variation.unpacked) text = text.replace(/(repeated uint(?:32|64) \w+ = \d+);/g, '$1 [packed = false];')
  const { root } = protobuf.parse(text)
  const scope = root.lookup('leveret.v1') as protobuf.Namespace
  const types = scope.nestedArray.filter((nested) => nested instanceof protobuf.Type)
  if (variation.extended) types.forEach(addUnknownFields)
  root.resolveAll()
  return {
    type: (name) => stockType(scope.lookupType(name)),
    paths: (name) => pathsUnder(name, scope.lookupType(name)),
  }
}

function stockType(type: protobuf.Type): StockType {
  return {
    encode: (message) => Buffer.from(type.encode(type.fromObject(message)).finish()),
    encodeDelimited: (message) => Buffer.from(type.encodeDelimited(type.fromObject(message)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: Number, enums: String }),
    toJson: (bytes) => type.toObject(type.decode(bytes), { longs: String, enums: String, bytes: String }),
  }
}

function pathsUnder(path: string, type: protobuf.Type): string[] {
  return type.fieldsArray.flatMap((field) => {
    const inner = field.resolve().resolvedType
    const here = `${path}.${field.name}`
    return inner instanceof protobuf.Type ? [here, ...pathsUnder(here, inner)] : [here]
  })
}

/** The wire types that a newer version might use, each under a number that version 1 leaves free. */
const UNKNOWN_FIELD_TYPES = ['uint64', 'fixed64', 'bytes', 'fixed32', 'string'] as const

/** Messages whose last field is 15 by contract get their unknown fields before it, the others after all known ones. */
const RECORDS_LAST = ['Publish', 'Delivery']

function addUnknownFields(type: protobuf.Type): void {
  const numbers = RECORDS_LAST.includes(type.name) ? [10, 11, 12, 13, 14] : [17, 100, 3_000, 400_000, 536_870_911]
  for (const [index, fieldType] of UNKNOWN_FIELD_TYPES.entries()) {
    type.add(new protobuf.Field(`x${index}`, numbers[index] as number, fieldType))
  }
}

/** Put what `next` gives, fields of an extended contract, into a message and into every message in it. */
export function withUnknownFields(message: StockMessage, next: () => StockMessage): StockMessage {
  const entries = Object.entries(message).map(([name, value]) => [name, withUnknownInside(value, next)])
  return { ...Object.fromEntries(entries), ...next() }
}

function withUnknownInside(value: unknown, next: () => StockMessage): unknown {
  if (Array.isArray(value)) return value.map((item) => withUnknownInside(item, next))
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return withUnknownFields(value as StockMessage, next)
}
