import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InFlight } from '../../src/session/in-flight.js'
import { fc } from '../helpers/fast-check.js'

const arbStep = fc.oneof(
  fc.record({ do: fc.constant('add'), at: fc.nat({ max: 3 }), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ do: fc.constant('up-to'), at: fc.nat({ max: 80 }), count: fc.constant(0) }),
  fc.record({ do: fc.constant('one'), at: fc.nat({ max: 80 }), count: fc.constant(0) }),
)

test('counts what a naive set of offsets counts, and begins where that begins', () => {
  fc.assert(
    fc.property(fc.array(arbStep, { maxLength: 120 }), (steps) => {
      const inFlight = new InFlight()
      let naive = new Set<number>()
      let next = 0
      let sent = -1
      for (const { do: what, at, count } of steps) {
        if (what === 'add') {
          // Now and then offsets are lost between two deliveries.
          next += at
          inFlight.add(next, count)
          for (let index = 0; index < count; index++) naive.add(next++)
          sent = next
        } else if (what === 'up-to') {
          inFlight.commitUpTo(at)
          naive = new Set([...naive].filter((offset) => offset > at))
        } else {
          inFlight.commitOne(at)
          naive.delete(at)
        }
        assert.equal(inFlight.count, naive.size)
        const lowest = Math.min(...naive)
        assert.equal(inFlight.position ?? -1, naive.size > 0 ? lowest : sent)
      }
      inFlight.commitUpTo(Number.MAX_SAFE_INTEGER - 1)
      assert.equal(inFlight.count, 0)
    }),
    { numRuns: 1_000 },
  )
})

test('takes commits from far below and far above as nothing', () => {
  const inFlight = new InFlight()
  inFlight.commitUpTo(5)
  inFlight.commitOne(5)
  inFlight.add(10, 5)
  inFlight.commitOne(9)
  inFlight.commitOne(15)
  inFlight.commitUpTo(9)
  assert.equal(inFlight.count, 5)
  inFlight.commitUpTo(Number.MAX_SAFE_INTEGER)
  assert.equal(inFlight.count, 0)
})
