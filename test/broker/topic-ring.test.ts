import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TopicRing } from '../../src/broker/topic-ring.js'
import { toOffset } from '../../src/model/offset.js'
import type { StoredBatch } from '../../src/model/record.js'
import { batchAt } from '../helpers/batches.js'
import { fc } from '../helpers/fast-check.js'

/** The ring as one would write it without a thought for speed. */
class NaiveRing {
  batches: StoredBatch[] = []

  readonly bytesMax: number
  readonly recordsMax: number

  constructor(bytesMax: number, recordsMax: number) {
    this.bytesMax = bytesMax
    this.recordsMax = recordsMax
  }

  push(batch: StoredBatch): void {
    const end = this.end
    if (end !== null && batch.baseOffset !== end) this.batches = []
    this.batches.push(batch)
    while (this.batches.length > 1 && (this.bytes > this.bytesMax || this.records > this.recordsMax))
      this.batches.shift()
  }

  get end(): number | null {
    const last = this.batches.at(-1)
    return last === undefined ? null : last.baseOffset + last.count
  }

  get bytes(): number {
    return this.batches.reduce((sum, { body }) => sum + body.length, 0)
  }

  get records(): number {
    return this.batches.reduce((sum, { count }) => sum + count, 0)
  }
}

const arbBatch = fc.record({
  count: fc.integer({ min: 1, max: 6 }),
  padding: fc.nat({ max: 40 }),
  gap: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 5 })),
})

test('keeps what a naive ring keeps, finds every offset of it, and never more than its bounds', () => {
  const arbRing = fc.record({
    first: fc.nat({ max: 100 }),
    bytesMax: fc.integer({ min: 1, max: 400 }),
    recordsMax: fc.integer({ min: 1, max: 60 }),
    batches: fc.array(arbBatch, { maxLength: 80 }),
  })
  fc.assert(
    fc.property(arbRing, ({ first, bytesMax, recordsMax, batches }) => {
      const ring = new TopicRing(toOffset(first), bytesMax, recordsMax)
      const naive = new NaiveRing(bytesMax, recordsMax)
      assert.equal(ring.isEmpty, true)
      for (const { count, padding, gap } of batches) {
        const batch = batchAt(ring.end + gap, count, 0, padding)
        ring.push(batch)
        naive.push(batch)
        assert.equal(ring.isEmpty, false)
        assert.deepEqual([ring.start, ring.end], [naive.batches[0]?.baseOffset, naive.end])
        assert.equal(ring.bytes, naive.bytes)
        assert.ok(naive.batches.length === 1 || (ring.bytes <= bytesMax && ring.end - ring.start <= recordsMax))
        let sequence = ring.sequenceOf(ring.start)
        for (const expected of naive.batches) {
          assert.equal(ring.at(sequence), expected)
          for (let offset: number = expected.baseOffset; offset < expected.baseOffset + expected.count; offset++) {
            assert.equal(ring.sequenceOf(toOffset(offset)), sequence)
          }
          sequence++
        }
        assert.equal(ring.at(sequence), undefined)
        assert.equal(ring.at(ring.sequenceOf(ring.start) - 1), undefined)
      }
    }),
    { numRuns: 500 },
  )
})

test('has room for a push exactly when nothing unread would fall out', () => {
  const arbCase = fc.record({
    bytesMax: fc.integer({ min: 20, max: 400 }),
    recordsMax: fc.integer({ min: 1, max: 40 }),
    batches: fc.array(arbBatch, { minLength: 1, maxLength: 30 }),
    next: arbBatch,
    unread: fc.nat({ max: 200 }),
  })
  fc.assert(
    fc.property(arbCase, ({ bytesMax, recordsMax, batches, next, unread }) => {
      const ring = new TopicRing(toOffset(0), bytesMax, recordsMax)
      for (const { count, padding } of batches) ring.push(batchAt(ring.end, count, 0, padding))
      const first = toOffset(Math.min(ring.end, Math.max(ring.start, unread)))
      if (first === ring.end) return
      const batch = batchAt(ring.end, next.count, 0, next.padding)
      const hasRoom = ring.hasRoom(batch.body.length, batch.count, first)
      ring.push(batch)
      if (hasRoom) assert.ok(ring.start <= first, 'an unread record fell out')
      else assert.ok(ring.start > first || ring.bytes > bytesMax || ring.end - ring.start > recordsMax)
    }),
    { numRuns: 500 },
  )
})

test('lets go of what it evicts, so that memory is what the bounds say', () => {
  const ring = new TopicRing(toOffset(0), 1_000, 10)
  for (let index = 0; index < 10_000; index++) ring.push(batchAt(ring.end, 1))
  assert.equal(ring.end - ring.start, 10)
  assert.equal(ring.at(ring.sequenceOf(ring.start) - 1), undefined)
})
