/** Bytes of batches, index entries and lines of facts: what is written is read again, and no flipped bit passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../../src/model/offset.js'
import {
  batchBytes,
  isIntact,
  Place,
  readHeader,
  readProducer,
  sealBatch,
  sealedFacts,
  writeHeader,
} from '../../../src/storage/log/batch-format.js'
import { batchAt } from '../../../src/storage/log/batch-walk.js'
import { Keyring, SEAL_BYTES } from '../../../src/storage/log/keyring.js'
import { decodeEntry, encodeEntry, INDEX_ENTRY_BYTES, indexSeed } from '../../../src/storage/log/offset-index.js'
import { decodeLine, encodeLine, lineAt } from '../../../src/storage/log/sealed-lines.js'
import { arbText, arbUint32, arbUint53 } from '../../helpers/arbitraries.js'
import { fc } from '../../helpers/fast-check.js'

const place = new Place('data', 7, 3)
const keyring = Keyring.parse('ab'.repeat(32))

/** As objects are made here: with a prototype. */
const WHOLE = { noNullPrototype: true } as const

const arbBatch = fc.record({
  body: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  count: arbUint32,
  baseOffset: arbUint53,
  timestampMs: arbUint53,
  flags: fc.constantFrom(0, 8),
  producer: fc.option(fc.record({ name: arbText, sequence: arbUint53 }, WHOLE)),
})
const arbPosition = fc.nat({ max: 0xffff_ffff })

test('a batch is read as it was written, plain and sealed', () => {
  const property = fc.property(arbBatch, arbPosition, arbUint53, fc.boolean(), (batch, position, base, isSealed) => {
    const segment = place.segment(toOffset(base))
    const bytes = isSealed ? sealedBytes(batch, segment, position) : plainBytes(batch, segment, position)
    const header = readHeader(bytes, 0, segment, position)
    assert.ok(header !== null && isIntact(bytes, 0, header) && batchBytes(header) === bytes.length)
    const { count, baseOffset, timestampMs } = batch
    assert.deepEqual([header.count, header.baseOffset, header.timestampMs], [count, baseOffset, timestampMs])
    assert.deepEqual(readProducer(bytes, 0, header, SEAL_BYTES), batch.producer)
    const body = bytes.subarray(header.headerBytes)
    const opened = isSealed ? keyring.open(bytes.subarray(48, 48 + SEAL_BYTES), body, sealedFacts(bytes, 0)) : body
    assert.ok(opened.equals(batch.body))
  })
  fc.assert(property, { numRuns: 200 })
})

type NewBatch = Parameters<typeof writeHeader>[4]
type SegmentPlace = Parameters<typeof writeHeader>[2]

function plainBytes(batch: NewBatch, segment: SegmentPlace, position: number): Buffer {
  const target = Buffer.alloc(2_000)
  const length = writeHeader(target, 0, segment, position, batch)
  return Buffer.concat([target.subarray(0, length), batch.body])
}

function sealedBytes(batch: NewBatch, segment: SegmentPlace, position: number): Buffer {
  const { header, body } = sealBatch(keyring, segment, position, batch)
  return Buffer.concat([header, body])
}

test('a batch with any bit flipped, or anywhere else, is none', () => {
  const property = fc.property(arbBatch, arbPosition, arbUint53, fc.nat(), (batch, position, base, chance) => {
    const segment = place.segment(toOffset(base))
    const bytes = plainBytes(batch, segment, position)
    assert.equal(batchAt(bytes, 0, bytes.length, segment, position).kind, 'batch')
    assert.notEqual(batchAt(bytes, 0, bytes.length, segment, position + 1).kind, 'batch')
    assert.notEqual(
      batchAt(bytes, 0, bytes.length, place.segment(toOffset((base + 1) % 2 ** 40)), position).kind,
      'batch',
    )
    for (const other of [new Place('data', 7, 4), new Place('data', 8, 3), new Place('date', 7, 3)]) {
      assert.notEqual(batchAt(bytes, 0, bytes.length, other.segment(toOffset(base)), position).kind, 'batch')
    }
    const bit = chance % (bytes.length * 8)
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.notEqual(batchAt(bytes, 0, bytes.length, segment, position).kind, 'batch')
  })
  fc.assert(property, { numRuns: 200 })
})

test('an index entry is read as it was written, as what it was, and in its own segment only', () => {
  const arbEntry = fc.record({ position: arbUint32, offset: arbUint53.map(toOffset), timestampMs: arbUint53 }, WHOLE)
  const property = fc.property(
    arbEntry,
    fc.boolean(),
    fc.nat({ max: INDEX_ENTRY_BYTES * 8 - 1 }),
    (entry, isEnd, bit) => {
      const seed = indexSeed(place, toOffset(40))
      const bytes = Buffer.alloc(INDEX_ENTRY_BYTES)
      encodeEntry(bytes, 0, seed, entry, isEnd)
      assert.deepEqual(decodeEntry(bytes, 0, seed), { entry, isEnd })
      assert.equal(decodeEntry(bytes, 0, indexSeed(place, toOffset(41))), null)
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      assert.equal(decodeEntry(bytes, 0, seed), null)
    },
  )
  fc.assert(property, { numRuns: 200 })
})

test('a line of facts is read as it was written, and not with a bit flipped', () => {
  const property = fc.property(fc.record({ text: arbText, number: arbUint53 }, WHOLE), fc.nat(), (value, chance) => {
    const bytes = Buffer.from(encodeLine(value))
    assert.deepEqual(lineAt(bytes, 0), { value, end: bytes.length })
    const line = Buffer.from(bytes.subarray(0, -1))
    const bit = chance % (line.length * 8)
    line[bit >> 3] = (line[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.equal(decodeLine(line), null)
  })
  fc.assert(property, { numRuns: 200 })
})
