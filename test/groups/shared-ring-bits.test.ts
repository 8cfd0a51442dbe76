/** Bits by offset in a window that moves up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RingBits } from '../../src/groups/shared/ring-bits.js'
import { fc } from '../helpers/fast-check.js'

const CAPACITY = 64

test('a ring of bits holds what a set of offsets holds, wherever the window stands', () => {
  const arbStep = fc.record({
    kind: fc.constantFrom('set', 'set', 'clear', 'clear-range', 'move'),
    at: fc.nat({ max: CAPACITY - 1 }),
    length: fc.nat({ max: CAPACITY }),
  })
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.array(arbStep, { maxLength: 80 }), (start, steps) => {
      const bits = new RingBits(CAPACITY)
      const set = new Set<number>()
      let base = Math.min(start, Number.MAX_SAFE_INTEGER - 100 * CAPACITY)
      const clearRange = (from: number, to: number): void => {
        bits.clearRange(from, to)
        for (let offset = from; offset < to; offset++) set.delete(offset)
      }
      for (const { kind, at, length } of steps) {
        const offset = base + at
        const to = Math.min(base + CAPACITY, offset + length)
        if (kind === 'set') bits.set(offset)
        if (kind === 'set') set.add(offset)
        if (kind === 'clear') bits.clear(offset)
        if (kind === 'clear') set.delete(offset)
        if (kind === 'clear-range') clearRange(offset, to)
        if (kind === 'move') clearRange(base, offset)
        if (kind === 'move') base = offset
        const first = [...set].filter((one) => one >= offset && one < to).sort((one, other) => one - other)[0]
        assert.equal(bits.next(offset, to), first ?? Math.max(offset, to))
        for (let one = base; one < base + CAPACITY; one++) assert.equal(bits.has(one), set.has(one))
      }
    }),
  )
})
