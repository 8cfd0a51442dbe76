/** The offsets that a member of a group has in flight: held against a plain set. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joined, OffsetSet, rangesOf } from '../../src/session/offset-set.js'
import { fc } from '../helpers/fast-check.js'

function offsetsOf(ranges: readonly { from: number; to: number }[]): number[] {
  return ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, index) => from + index))
}

const arbStep = fc.record({
  isIn: fc.boolean(),
  from: fc.nat({ max: 3_000 }),
  count: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 1_200 })),
})

test('an offset set holds what a plain set holds, whatever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 2 ** 31 - 700, 2 ** 40),
      fc.array(arbStep),
      fc.nat({ max: 4_000 }),
      (base, steps, end) => {
        const set = new OffsetSet()
        const plain = new Set<number>()
        for (const { isIn, from, count } of steps) {
          if (isIn) set.add(base + from, base + from + count)
          else set.delete(base + from, base + from + count)
          for (let offset = base + from; offset < base + from + count; offset++) {
            if (isIn) plain.add(offset)
            else plain.delete(offset)
          }
          assert.equal(set.size, plain.size)
        }
        const held = Array.from(plain).filter((offset) => offset <= base + end)
        assert.deepEqual(
          offsetsOf(set.upTo(base + end)),
          held.sort((a, b) => a - b),
        )
      },
    ),
  )
})

test('offsets in any order, some of them twice, are few ranges', () => {
  assert.deepEqual(rangesOf([]), [])
  assert.deepEqual(rangesOf([5, 6, 7]), [{ from: 5, to: 8 }])
  assert.deepEqual(rangesOf([9, 1, 2, 2, 8, 4]), [
    { from: 1, to: 3 },
    { from: 4, to: 5 },
    { from: 8, to: 10 },
  ])
})

test('ranges that overlap or touch are joined', () => {
  const some = [
    { from: 0, to: 4 },
    { from: 10, to: 12 },
  ]
  assert.deepEqual(
    joined(some, [
      { from: 4, to: 6 },
      { from: 11, to: 20 },
    ]),
    [
      { from: 0, to: 6 },
      { from: 10, to: 20 },
    ],
  )
})
