import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactRun } from '../../src/broker/compact-run.js'
import { type AcceptedKey, CompactionWindow } from '../../src/broker/compaction.js'
import { Slab } from '../../src/broker/slab.js'
import { decodeRun, encodeRun } from '../../src/protocol/records.js'
import { recordSaying } from '../helpers/batches.js'
import { fc } from '../helpers/fast-check.js'

const WINDOW_MS = 100

test('knows what a naive window knows: keys accepted less than a window ago, and no more of them than the bound', () => {
  const arbStep = fc.record({ passMs: fc.oneof(fc.constant(0), fc.nat({ max: 60 })), key: fc.nat({ max: 25 }) })
  fc.assert(
    fc.property(fc.array(arbStep, { maxLength: 200 }), fc.integer({ min: 1, max: 30 }), (steps, keysMax) => {
      const window = new CompactionWindow(WINDOW_MS, keysMax)
      let naive: { key: string; atMs: number }[] = []
      let nowMs = 0
      for (const { passMs, key: number } of steps) {
        nowMs += passMs
        const key = `${number}`
        naive = naive.filter(({ atMs }) => nowMs - atMs < WINDOW_MS)
        const known = naive.find((one) => one.key === key)
        const found = window.find(key, nowMs)
        assert.equal(found?.acceptedMs, known?.atMs)
        if (found !== null) continue
        const accepted = window.accept(key, nowMs)
        assert.deepEqual([accepted.key, accepted.acceptedMs], [key, nowMs])
        if (naive.length === keysMax) naive.shift()
        naive.push({ key, atMs: nowMs })
        assert.ok(window.size <= keysMax)
        assert.equal(window.size, naive.length)
      }
      window.trim(nowMs + WINDOW_MS)
      assert.equal(window.size, 0)
    }),
    { numRuns: 500 },
  )
})

test('forgets the oldest key at its bound, and counts it', () => {
  const window = new CompactionWindow(WINDOW_MS, 2)
  for (const key of ['a', 'b', 'c']) window.accept(key, 0)
  assert.equal(window.find('a', 1), null)
  assert.notEqual(window.find('b', 1), null)
  assert.equal(window.evicted, 1)
})

test('a key whose record could not be appended is accepted again at once', () => {
  const window = new CompactionWindow(WINDOW_MS, 10)
  const failed = window.accept('a', 0)
  window.reject(failed)
  assert.equal(window.find('a', 1), null)
  const later = window.accept('a', 1)
  window.reject(failed)
  assert.equal(window.find('a', 2), later)
})

test('a run keeps the first record of each key byte for byte, and tells what each other one repeats', () => {
  const arbRuns = fc.array(fc.array(fc.option(fc.nat({ max: 6 })), { maxLength: 12 }), { maxLength: 8 })
  fc.assert(
    fc.property(arbRuns, (runs) => {
      const window = new CompactionWindow(WINDOW_MS, 1_000)
      const slab = new Slab()
      const kept = new Map<number, AcceptedKey>()
      for (const keys of runs) {
        const records = keys.map((key, index) => recordSaying(`${index}`, key === null ? null : `${key}`))
        const buffer = encodeRun(records)
        const compacted = compactRun({ buffer, start: 0, end: buffer.length, count: records.length }, window, slab, 0)
        const expected = keys.flatMap((key, index) => {
          if (key === null) return [index]
          return !kept.has(key) && keys.indexOf(key) === index ? [index] : []
        })
        const bytes = slab.buffer.subarray(slab.used - compacted.bytes, slab.used)
        const found = [...decodeRun(Buffer.from(bytes))].map(({ payload }) => Number(Buffer.from(payload).toString()))
        assert.deepEqual(found, expected)
        assert.equal(compacted.kept, expected.length)
        for (const { key, place } of compacted.accepted) {
          kept.set(Number(key.key), key)
          assert.equal(`${keys[expected[place] as number]}`, key.key)
        }
        assert.equal(compacted.duplicates.length, keys.length - expected.length)
        for (const [at, index] of compacted.duplicates.entries()) {
          assert.equal(compacted.repeated[at], kept.get(keys[index] as number))
        }
      }
    }),
    { numRuns: 300 },
  )
})
