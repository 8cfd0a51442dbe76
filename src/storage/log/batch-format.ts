/**
 * The bytes of a batch on disk; docs/storage-format.md says the same in words. All numbers are little endian.
 *
 *    0  u32  CRC-32 of everything behind it, to the end of the body
 *    4  u8   magic 0x4c
 *    5  u8   format version, 1
 *    6  u16  header bytes, extensions included
 *    8  u32  body bytes
 *   12  u32  records
 *   16  u64  base offset
 *   24  u64  timestamp, milliseconds since 1970
 *   32  8    place: which partition of which topic of which data directory this is
 *   40  u32  flags
 *   44  u32  seat: base offset of the segment plus position of the batch in it, modulo 2^32
 *   48       with SEALED: 36 bytes of keyring.ts; with PRODUCED: u64 sequence, u16 name bytes, name
 *            then the body: a run of records as it came from the wire, sealed if SEALED is set
 *
 * The checksum covers the place, the seat and the base offset, so a batch that was written to the wrong place is not taken
 * for another one: not in another partition, nor in another segment or at another position of its own.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { type Offset, toOffset } from '../../model/offset.js'

export const HEADER_BYTES = 48
const MAGIC = 0x4c
const FORMAT_VERSION = 1
export const PLACE_AT = 32
const SEAT_AT = 44
const TWO_32 = 0x1_0000_0000
/** No frame is larger, so no body is. */
const BODY_BYTES_MAX = 256 * 1024 * 1024

export const FLAG_SEALED = 1
export const FLAG_PRODUCED = 2
/** Says where a segment ends that was rewritten by log compaction; holds no records. */
export const FLAG_END = 4
/** Rewritten by log compaction: offsets missing before it were superseded, not lost. */
export const FLAG_COMPACTED = 8
/** On the end of a segment: every record in it has been held against all older ones, so nothing is left to compact. */
export const FLAG_CLEAN = 16

/** Eight bytes that stand for one partition of one topic. */
export class Place {
  readonly bytes: Buffer
  readonly low: number
  readonly high: number

  constructor(dataId: string, topicId: number, partition: number) {
    this.bytes = createHash('sha256').update(`${dataId}/${topicId}/${partition}`).digest().subarray(0, 8)
    this.low = this.bytes.readUInt32LE(0)
    this.high = this.bytes.readUInt32LE(4)
  }

  segment(base: Offset): SegmentPlace {
    return new SegmentPlace(this, base)
  }
}

/** The place of the batches of one segment. */
export class SegmentPlace {
  readonly bytes: Buffer
  readonly low: number
  readonly high: number
  readonly base: Offset

  constructor({ bytes, low, high }: Place, base: Offset) {
    this.bytes = bytes
    this.low = low
    this.high = high
    this.base = base
  }

  /** What the header of the batch at this position says of where it is. */
  seat(position: number): number {
    return ((this.base % TWO_32) + position) % TWO_32
  }
}

export interface Producer {
  readonly name: string
  readonly sequence: number
}

export interface BatchHeader {
  readonly headerBytes: number
  readonly bodyBytes: number
  readonly count: number
  readonly baseOffset: Offset
  readonly timestampMs: number
  readonly flags: number
}

/** Header and body together. */
export function batchBytes({ headerBytes, bodyBytes }: BatchHeader): number {
  return headerBytes + bodyBytes
}

/** One beyond the batch's last offset. */
export function batchEnd({ baseOffset, count }: BatchHeader): Offset {
  return toOffset(baseOffset + count)
}

export interface NewBatch {
  readonly body: Uint8Array
  readonly count: number
  readonly baseOffset: number
  readonly timestampMs: number
  readonly flags: number
  readonly producer: Producer | null
}

/** What encrypts bodies: see keyring.ts. */
export interface Sealer {
  seal(body: Uint8Array, associated: Uint8Array): { extension: Buffer; body: Buffer }
}

/** Header bytes of a batch that is not sealed. */
export function headerBytesOf(producer: Producer | null): number {
  return producer === null ? HEADER_BYTES : HEADER_BYTES + 10 + Buffer.byteLength(producer.name)
}

/**
 * Write the header of an unsealed batch, which is to stand at `position` of its segment, to `target[at, ...)`; returns its
 * length. The body follows as it is.
 */
export function writeHeader(
  target: Buffer,
  at: number,
  place: SegmentPlace,
  position: number,
  batch: NewBatch,
): number {
  const headerBytes = headerBytesOf(batch.producer)
  const flags = batch.flags | (batch.producer === null ? 0 : FLAG_PRODUCED)
  writeFixed(target, at, place, position, { ...batch, headerBytes, bodyBytes: batch.body.length, flags })
  if (batch.producer !== null) writeProducer(target, at + HEADER_BYTES, batch.producer)
  writeChecksum(target, at, headerBytes, batch.body)
  return headerBytes
}

/** Header and body of a sealed batch. What the header says of the place is bound to the ciphertext. */
export function sealBatch(
  sealer: Sealer,
  place: SegmentPlace,
  position: number,
  batch: NewBatch,
): { header: Buffer; body: Buffer } {
  const plain = headerBytesOf(batch.producer)
  const fixed = Buffer.alloc(HEADER_BYTES)
  writeFixed(fixed, 0, place, position, { ...batch, headerBytes: 0, bodyBytes: 0 })
  const { extension, body } = sealer.seal(batch.body, sealedFacts(fixed, 0))
  const header = Buffer.alloc(plain + extension.length)
  const flags = batch.flags | FLAG_SEALED | (batch.producer === null ? 0 : FLAG_PRODUCED)
  writeFixed(header, 0, place, position, { ...batch, headerBytes: header.length, bodyBytes: body.length, flags })
  extension.copy(header, HEADER_BYTES)
  if (batch.producer !== null) writeProducer(header, HEADER_BYTES + extension.length, batch.producer)
  writeChecksum(header, 0, header.length, body)
  return { header, body }
}

/** The bytes of a header that a sealed body is bound to: records, base offset, timestamp and place. */
export function sealedFacts(buffer: Buffer, at: number): Buffer {
  return buffer.subarray(at + 12, at + 40)
}

/**
 * The header at `at`, or null if it is not one of a batch that was written to this place. `position` is that of the batch
 * in its segment. The checksum is not looked at.
 */
export function readHeader(buffer: Buffer, at: number, place: SegmentPlace, position: number): BatchHeader | null {
  if (buffer.readUInt32LE(at + PLACE_AT) !== place.low || buffer.readUInt32LE(at + PLACE_AT + 4) !== place.high) {
    return null
  }
  return buffer.readUInt32LE(at + SEAT_AT) === place.seat(position) ? readHeaderOfAnyPlace(buffer, at) : null
}

/** As `readHeader`, wherever the batch was written to. */
export function readHeaderOfAnyPlace(buffer: Buffer, at: number): BatchHeader | null {
  if (buffer[at + 4] !== MAGIC || buffer[at + 5] !== FORMAT_VERSION) return null
  const headerBytes = buffer.readUInt16LE(at + 6)
  const bodyBytes = buffer.readUInt32LE(at + 8)
  if (headerBytes < HEADER_BYTES || bodyBytes > BODY_BYTES_MAX) return null
  return {
    headerBytes,
    bodyBytes,
    count: buffer.readUInt32LE(at + 12),
    baseOffset: toOffset(readU64(buffer, at + 16)),
    timestampMs: readU64(buffer, at + 24),
    flags: buffer.readUInt32LE(at + 40),
  }
}

/** Whether the checksum of the whole batch at `at` is right. */
export function isIntact(buffer: Buffer, at: number, header: BatchHeader): boolean {
  return crc32(buffer.subarray(at + 4, at + batchBytes(header))) === buffer.readUInt32LE(at)
}

/** Who published the batch at `at`, if a sequence was given. */
export function readProducer(
  buffer: Buffer,
  at: number,
  { flags, headerBytes }: BatchHeader,
  sealBytes: number,
): Producer | null {
  if ((flags & FLAG_PRODUCED) === 0) return null
  const start = at + HEADER_BYTES + ((flags & FLAG_SEALED) === 0 ? 0 : sealBytes)
  const nameBytes = buffer.readUInt16LE(start + 8)
  if (start + 10 + nameBytes > at + headerBytes) return null
  return { name: buffer.toString('utf8', start + 10, start + 10 + nameBytes), sequence: readU64(buffer, start) }
}

export function readU64(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at) + buffer.readUInt32LE(at + 4) * TWO_32
}

export function writeU64(buffer: Buffer, at: number, value: number): void {
  buffer.writeUInt32LE(value % TWO_32, at)
  buffer.writeUInt32LE(Math.floor(value / TWO_32), at + 4)
}

function writeFixed(
  target: Buffer,
  at: number,
  place: SegmentPlace,
  position: number,
  header: Omit<NewBatch, 'body' | 'producer'> & { readonly headerBytes: number; readonly bodyBytes: number },
): void {
  target[at + 4] = MAGIC
  target[at + 5] = FORMAT_VERSION
  target.writeUInt16LE(header.headerBytes, at + 6)
  target.writeUInt32LE(header.bodyBytes, at + 8)
  target.writeUInt32LE(header.count, at + 12)
  writeU64(target, at + 16, header.baseOffset)
  writeU64(target, at + 24, header.timestampMs)
  target.writeUInt32LE(place.low, at + PLACE_AT)
  target.writeUInt32LE(place.high, at + PLACE_AT + 4)
  target.writeUInt32LE(header.flags, at + 40)
  target.writeUInt32LE(place.seat(position), at + SEAT_AT)
}

function writeProducer(target: Buffer, at: number, { name, sequence }: Producer): void {
  writeU64(target, at, sequence)
  target.writeUInt16LE(Buffer.byteLength(name), at + 8)
  target.write(name, at + 10)
}

function writeChecksum(target: Buffer, at: number, headerBytes: number, body: Uint8Array): void {
  const sum = crc32(target.subarray(at + 4, at + headerBytes))
  // zlib takes an empty buffer without memory for a wish to begin anew.
  target.writeUInt32LE(body.length === 0 ? sum : crc32(body, sum), at)
}
