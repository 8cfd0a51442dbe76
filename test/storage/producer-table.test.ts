import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../src/model/offset.js'
import type { Receipt } from '../../src/storage/engine.js'
import { ProducerTable, SEQUENCES_REMEMBERED } from '../../src/storage/local/producer-table.js'
import { fc } from '../helpers/fast-check.js'

const receipt = (baseOffset: number): Receipt => ({
  baseOffset: toOffset(baseOffset),
  timestampMs: 0,
  durability: 'memory',
  replayed: false,
})

test('answers as a naive table: known, new within the window, or too old', async () => {
  const arbSequences = fc.array(fc.nat({ max: 200 }), { maxLength: 150 })
  await fc.assert(
    fc.asyncProperty(arbSequences, async (sequences) => {
      const table = new ProducerTable(4)
      const naive = new Map<number, number>()
      let highest = -1
      for (const [offset, sequence] of sequences.entries()) {
        const isOld = sequence <= highest - SEQUENCES_REMEMBERED
        if (isOld && !naive.has(sequence)) {
          assert.throws(() => table.find('p', sequence), { code: 'LVT_SEQUENCE_TOO_OLD' })
          continue
        }
        let earlier: Promise<Receipt> | null
        try {
          earlier = table.find('p', sequence)
        } catch (error) {
          assert.ok(isOld, `${error}`)
          continue
        }
        assert.equal((await earlier)?.baseOffset, naive.get(sequence))
        if (earlier !== null) continue
        table.remember('p', sequence, Promise.resolve(receipt(offset)))
        naive.set(sequence, offset)
        highest = Math.max(highest, sequence)
      }
    }),
    { numRuns: 300 },
  )
})

test('an append that fails is forgotten, so that it may be tried again', async () => {
  const table = new ProducerTable(4)
  const failing = Promise.reject(new Error('no'))
  table.remember('p', 1, failing)
  assert.notEqual(table.find('p', 1), null)
  await assert.rejects(failing)
  await Promise.resolve()
  assert.equal(table.find('p', 1), null)
})

test('the producer that was quiet for longest is forgotten at the bound', () => {
  const table = new ProducerTable(2)
  table.remember('a', 1, Promise.resolve(receipt(0)))
  table.remember('b', 1, Promise.resolve(receipt(1)))
  table.remember('a', 2, Promise.resolve(receipt(2)))
  table.remember('c', 1, Promise.resolve(receipt(3)))
  assert.equal(table.size, 2)
  assert.equal(table.find('b', 1), null)
  assert.notEqual(table.find('a', 1), null)
})
