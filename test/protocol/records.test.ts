/**
 * Record runs: what is accepted is exactly what a stock library can read, at any place, cut anywhere, with any bytes
 * changed. The generator is fast-check's, so a failure prints its seed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProtocolError } from '../../src/common/errors.js'
import type { NewRecord } from '../../src/model/record.js'
import { recordBounds, recordKey, skipRecords } from '../../src/model/run.js'
import { countRecords, decodeRecord, encodeRun } from '../../src/protocol/records.js'
import { arbChanges, arbRecords, arbUnknownFields, changeBytes } from '../helpers/arbitraries.js'
import { fc } from '../helpers/fast-check.js'
import { loadStock, type StockMessage, withUnknownFields } from '../helpers/stock-protobuf.js'

const publish = loadStock().type('Publish')
const extendedRecords = loadStock({ extended: true }).type('Publish')

/** A run is a Publish message that has nothing but records. */
function stockRun(records: readonly NewRecord[]): Buffer {
  return publish.encode({ records })
}

function stockRecords(run: Buffer): StockMessage[] {
  return (publish.decode(run).records ?? []) as StockMessage[]
}

/** A record in the words of the stock library, which leaves out what is not on the wire. */
function plain({ key, payload, headers }: NewRecord | StockMessage): unknown {
  const list = (headers ?? []) as readonly { name?: string; value?: Uint8Array }[]
  const texts = list.map(({ name = '', value }) => [name, hex(value)])
  return { key: key === undefined || key === null ? null : hex(key), payload: hex(payload), headers: texts }
}

function hex(bytes: unknown): string {
  return Buffer.from((bytes ?? []) as Uint8Array).toString('hex')
}

/** Records by walking the run as its readers do, after it has been counted. */
function walk(run: Buffer, count: number): NewRecord[] {
  let position = 0
  return Array.from({ length: count }, () => {
    const { start, end } = recordBounds(run, position)
    position = skipRecords(run, position, 1)
    assert.equal(position, end)
    return decodeRecord(run, start, end)
  })
}

/** The count, or null when the run is refused; anything thrown but a ProtocolError is a defect. */
function countOrRefuse(buffer: Buffer, start = 0, end = buffer.length): number | null {
  try {
    return countRecords(buffer, start, end)
  } catch (error) {
    if (error instanceof ProtocolError && error.code === 'LVT_PROTOCOL') return null
    throw error
  }
}

test('a run has the bytes that a stock library encodes', () => {
  fc.assert(
    fc.property(arbRecords, (records) => {
      assert.equal(encodeRun(records).toString('hex'), stockRun(records).toString('hex'))
    }),
  )
})

test('every run of a stock library is accepted, wherever it stands in its buffer', () => {
  const arbAround = fc.uint8Array({ maxLength: 9 })
  fc.assert(
    fc.property(arbRecords, arbAround, arbAround, (records, before, after) => {
      const run = stockRun(records)
      const buffer = Buffer.concat([before, run, after])
      assert.equal(countRecords(buffer, before.length, before.length + run.length), records.length)
    }),
    { numRuns: 1_000 },
  )
})

test('records, bounds and keys of a run are those that were encoded, unknown fields or not', () => {
  fc.assert(
    fc.property(arbRecords, fc.infiniteStream(fc.oneof(fc.constant({}), arbUnknownFields)), (records, unknown) => {
      const message = withUnknownFields({ records }, () => (unknown.next().value ?? {}) as StockMessage)
      const run = extendedRecords.encode({ records: message.records })
      assert.equal(countRecords(run, 0, run.length), records.length)
      assert.deepEqual(walk(run, records.length).map(plain), records.map(plain))
      for (const [index, record] of records.entries()) {
        const { start, end } = recordBounds(run, skipRecords(run, 0, index))
        assert.deepEqual(recordKey(run, start, end), record.key === null ? null : Buffer.from(record.key))
      }
      assert.equal(skipRecords(run, 0, records.length), run.length)
    }),
    { numRuns: 1_000 },
  )
})

test('a run that ends early is refused at every byte that is no record boundary', () => {
  fc.assert(
    fc.property(fc.array(arbSmallRecord(), { minLength: 1, maxLength: 4 }), (records) => {
      const run = stockRun(records)
      const boundaries = new Map(records.map((_, index) => [skipRecords(run, 0, index), index]))
      for (let end = 0; end < run.length; end++) {
        const expected = boundaries.get(end) ?? null
        assert.equal(countOrRefuse(run, 0, end), expected, `cut at ${end} inside a larger buffer`)
        assert.equal(countOrRefuse(Buffer.from(run.subarray(0, end))), expected, `cut at ${end}`)
      }
    }),
    { numRuns: 300 },
  )
})

function arbSmallRecord(): fc.Arbitrary<NewRecord> {
  const bytes = fc.uint8Array({ maxLength: 12 })
  const headers = fc.array(fc.record({ name: fc.string({ maxLength: 4 }), value: bytes }), { maxLength: 2 })
  return fc.record({ key: fc.option(bytes), payload: fc.oneof(bytes, fc.constant(new Uint8Array(130))), headers })
}

test('no run is accepted that a stock library refuses or reads otherwise, whatever its bytes', () => {
  let accepted = 0
  const arbRun = fc.oneof(
    fc.array(arbSmallRecord(), { minLength: 1, maxLength: 3 }).map(stockRun),
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  )
  fc.assert(
    fc.property(arbRun, arbChanges, (original, changes) => {
      const run = changeBytes(original, changes)
      const count = countOrRefuse(run)
      if (count === null) return
      accepted++
      const records = stockRecords(run)
      assert.equal(count, records.length)
      const walked = walk(run, count)
      assert.deepEqual(walked.map(plain), records.map(plain))
      for (const [index, { key }] of walked.entries()) {
        const { start, end } = recordBounds(run, skipRecords(run, 0, index))
        assert.equal(hex(recordKey(run, start, end)), hex(key))
        assert.equal(recordKey(run, start, end) === null, key === null)
      }
    }),
    { numRuns: 60_000 },
  )
  assert.ok(accepted > 1_000, `only ${accepted} changed runs were accepted: the test has lost its sense`)
})

const REFUSED: Readonly<Record<string, string>> = {
  'another field before it': '10017a00',
  'another field after it': '7a001001',
  'a padded tag': 'fa0000',
  'a tag without a length': '7a',
  'a length of five bytes': '7a8080808000',
  'a length that has no end': '7a80',
  'a record longer than the frame': '7a0212',
  'the end of a group': '7a020c00',
  'a group': '7a021b1c',
  'wire type 6': '7a020e00',
  'field number 0': '7a020200',
  'field number 0 in a header': '7a041a020200',
  'a key that is a number': '7a020801',
  'a payload that is a number': '7a021001',
  'a header name that is a number': '7a041a020801',
  'a header name that is not UTF-8': '7a051a030a01ff',
  'a header that is longer than its record': '7a041a030a01',
  'a key that is longer than its record': '7a020a01',
  'rubbish where a length of two bytes, read as one, would end the record': `7a84010a8200${'ff'.repeat(129)}`,
  'a padded key tag': '7a048a000161',
  'a field number larger than 2^29 - 1': '7a078280808010006161',
}

test('the last key of a record counts, however the fields between are laid out', () => {
  // The payload has a padded length that, read as one byte, would reach to the end of the record.
  const content = Buffer.from(`0a0161${'128500'}${'00'.repeat(5)}0a7d${'62'.repeat(125)}`, 'hex')
  const run = Buffer.concat([Buffer.from([0x7a, 0x80 | (content.length & 0x7f), content.length >> 7]), content])
  assert.equal(countRecords(run, 0, run.length), 1)
  assert.equal(recordKey(run, 3, run.length)?.toString(), 'b'.repeat(125))
  assert.equal(hex(stockRecords(run)[0]?.key), '62'.repeat(125))
})

for (const [what, bytes] of Object.entries(REFUSED)) {
  test(`a run with ${what} is refused`, () => {
    assert.equal(countOrRefuse(Buffer.from(bytes, 'hex')), null)
    // The same bytes with more behind them, which must not be looked at.
    const buffer = Buffer.from(`${bytes}7a0200000000000000`, 'hex')
    assert.equal(countOrRefuse(buffer, 0, bytes.length / 2), null)
  })
}
