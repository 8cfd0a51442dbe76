/**
 * What is kept of subscriptions for a restart, as keys and bytes:
 *
 *   ids/<channel>        the next id: none is ever used twice
 *   sub/<id>/<channel>   a subscription as its client asked for it, or the last of a durable that nobody is in
 *   pos/<group>/<channel>  how far a group has come: everything up to `floor` is done with, nothing behind `lastSent` was sent.
 *                        Messages before it may not have been: it is written ahead. Those up to `sent` were, at `atMs` or before
 *   ack/<group>/<channel>  what between the two is done with. What is listed once stays true, so that an old list does no harm
 *   due/<group>/<channel>  until when what was sent waits for its acks, of all up to `to`. What is not in it is to be sent at once
 *   own/<id>/<channel>   which messages a member of a queue group had. A hint: it may be old, or missing
 *
 * Times are those of the wall, in milliseconds.
 *
 * Each value begins with the version of its format; numbers are varints, texts have their length before them.
 */
import protobuf from 'protobufjs/minimal.js'
import { type ErrorDetails, LeveretError } from '../../../common/errors.js'

const { Reader, Writer } = protobuf
type Reader = protobuf.Reader

const VERSION = 1
const CLOSED = 1
const KINDS = ['ids', 'sub', 'pos', 'ack', 'due', 'own'] as const

export interface StoredSubscription {
  readonly id: number
  readonly group: number
  /** Where the group began. */
  readonly start: number
  /** Nobody is in its group. */
  readonly isClosed: boolean
  readonly maxInFlight: number
  readonly ackWaitMs: number
  readonly clientId: string
  readonly inbox: string
  readonly ackInbox: string
  readonly queue: string
  readonly durableName: string
}

export interface StoredPosition {
  readonly lastSent: number
  readonly floor: number
  readonly sent: number
  readonly atMs: number
}

/** From the first to the last of it, both included. Lists are ascending and ranges in them do not touch. */
export interface SequenceRange {
  readonly from: number
  to: number
}

/** They wait until `dueMs`, as far as they wait at all. */
export interface DueRange extends SequenceRange {
  dueMs: number
}

export interface StoredDues {
  readonly to: number
  readonly ranges: readonly DueRange[]
}

export interface StateKey {
  readonly kind: (typeof KINDS)[number]
  /** 0 of `ids`. */
  readonly id: number
  readonly channel: string
}

/** A value is not what its key says; the record is of no use. */
export class StateDamagedError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_DATA_DAMAGED', message, details)
  }
}

export function stateKey(kind: StateKey['kind'], id: number, channel: string): string {
  return kind === 'ids' ? `ids/${channel}` : `${kind}/${id}/${channel}`
}

/** Null: the key is not about subscriptions. */
export function parseStateKey(key: string): StateKey | null {
  const match = /^(?:(ids)|(sub|pos|ack|due|own)\/([1-9]\d{0,15}))\/([\s\S]+)$/.exec(key)
  if (match === null) return null
  const kind = KINDS.find((known) => known === (match[1] ?? match[2]))
  const id = Number(match[3] ?? 0)
  return kind === undefined || !Number.isSafeInteger(id) ? null : { kind, id, channel: match[4] as string }
}

export function encodeSubscription(stored: StoredSubscription): Buffer {
  const writer = Writer.create()
    .uint32(VERSION)
    .uint32(stored.isClosed ? CLOSED : 0)
  writer.uint64(stored.group).uint64(stored.start).uint64(stored.maxInFlight).uint64(stored.ackWaitMs)
  writer.string(stored.clientId).string(stored.inbox).string(stored.ackInbox)
  return Buffer.from(writer.string(stored.queue).string(stored.durableName).finish())
}

/** Throws StateDamagedError, as those below do. */
export function decodeSubscription(id: number, value: Buffer): StoredSubscription {
  return decode(value, (reader) => {
    const flags = reader.uint32()
    const numbers = { group: count(reader), start: count(reader), maxInFlight: count(reader), ackWaitMs: count(reader) }
    if (flags > CLOSED || numbers.group < 1 || numbers.maxInFlight < 1 || numbers.ackWaitMs < 1) {
      throw new RangeError('a number is out of its range')
    }
    const texts = { clientId: reader.string(), inbox: reader.string(), ackInbox: reader.string() }
    const names = { queue: reader.string(), durableName: reader.string() }
    return { id, isClosed: flags === CLOSED, ...numbers, ...texts, ...names }
  })
}

export function encodePosition({ lastSent, floor, sent, atMs }: StoredPosition): Buffer {
  return Buffer.from(
    Writer.create()
      .uint32(VERSION)
      .uint64(floor)
      .uint64(lastSent - floor)
      .uint64(sent - floor)
      .uint64(atMs)
      .finish(),
  )
}

export function decodePosition(value: Buffer): StoredPosition {
  return decode(value, (reader) => {
    const floor = count(reader)
    const lastSent = safe(floor + count(reader))
    // Without the rest nothing is known to have been sent.
    if (reader.pos === reader.len) return { floor, lastSent, sent: floor, atMs: 0 }
    return { floor, lastSent, sent: safe(floor + count(reader)), atMs: count(reader) }
  })
}

export function encodeRanges(ranges: readonly SequenceRange[]): Buffer {
  const writer = Writer.create().uint32(VERSION)
  let end = 0
  for (const { from, to } of ranges) {
    writer.uint64(from - end).uint64(to - from)
    end = to
  }
  return Buffer.from(writer.finish())
}

export function decodeRanges(value: Buffer): SequenceRange[] {
  return decode(value, (reader) => {
    const ranges: SequenceRange[] = []
    while (reader.pos < reader.len) ranges.push(rangeBehind(ranges, reader))
    return ranges
  })
}

export function encodeDues({ to, ranges }: StoredDues): Buffer {
  const writer = Writer.create().uint32(VERSION).uint64(to)
  let end = 0
  for (const range of ranges) {
    writer
      .uint64(range.from - end)
      .uint64(range.to - range.from)
      .uint64(range.dueMs)
    end = range.to
  }
  return Buffer.from(writer.finish())
}

export function decodeDues(value: Buffer): StoredDues {
  return decode(value, (reader) => {
    const to = count(reader)
    const ranges: DueRange[] = []
    while (reader.pos < reader.len) ranges.push({ ...rangeBehind(ranges, reader), dueMs: count(reader) })
    return { to, ranges }
  })
}

function rangeBehind(ranges: readonly SequenceRange[], reader: Reader): SequenceRange {
  const gap = count(reader)
  if (gap < 1) throw new RangeError('a range begins before the last one ends')
  const from = safe((ranges.at(-1)?.to ?? 0) + gap)
  return { from, to: safe(from + count(reader)) }
}

export function encodeNextId(nextId: number): Buffer {
  return Buffer.from(Writer.create().uint32(VERSION).uint64(nextId).finish())
}

export function decodeNextId(value: Buffer): number {
  return decode(value, count)
}

function decode<T>(value: Buffer, read: (reader: Reader) => T): T {
  try {
    const reader = Reader.create(value)
    const version = reader.uint32()
    if (version !== VERSION) throw new RangeError(`version ${version} is not known`)
    const result = read(reader)
    if (reader.pos !== reader.len) throw new RangeError('something follows')
    return result
  } catch (error) {
    throw new StateDamagedError(`state that is none: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

function count(reader: Reader): number {
  const { low, high } = reader.uint64()
  return safe((high >>> 0) * 0x1_0000_0000 + (low >>> 0))
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new RangeError('a number is larger than 2^53 - 1')
  return value
}
