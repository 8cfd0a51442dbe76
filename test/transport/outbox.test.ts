import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outbox, OutboxSlab } from '../../src/transport/outbox.js'
import { fc } from '../helpers/fast-check.js'

const arbStep = fc.record({
  who: fc.nat({ max: 2 }),
  do: fc.constantFrom('lay', 'lay', 'lay', 'pass', 'take', 'room'),
  size: fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(1_000, 70_000)),
})

test('each connection takes its own bytes in their order, although all lay them into one slab', () => {
  fc.assert(
    fc.property(fc.array(arbStep, { maxLength: 150 }), (steps) => {
      const slab = new OutboxSlab()
      const outboxes = [0, 1, 2].map(() => new Outbox(slab))
      const laid: Buffer[][] = [[], [], []]
      const taken: Buffer[][] = [[], [], []]
      const unsent = [0, 0, 0]
      for (const [index, { who, do: what, size }] of steps.entries()) {
        const outbox = outboxes[who] as Outbox
        const bytes = Buffer.alloc(size, index)
        if (what === 'take') {
          taken[who]?.push(...outbox.take())
          unsent[who] = 0
        } else if (what === 'room') outbox.room(size)
        else {
          laid[who]?.push(bytes)
          unsent[who] = (unsent[who] as number) + size
          if (what === 'pass') outbox.pass(bytes)
          else {
            // More is asked for than is used, as an encoder does.
            const { buffer, used } = outbox.room(size + 10)
            bytes.copy(buffer, used)
            outbox.wrote(used + size)
          }
        }
        assert.equal(outbox.bytes, unsent[who])
      }
      for (const [who, outbox] of outboxes.entries()) {
        taken[who]?.push(...outbox.take())
        assert.deepEqual(Buffer.concat(taken[who] ?? []), Buffer.concat(laid[who] ?? []))
        assert.equal(outbox.bytes, 0)
        assert.deepEqual(outbox.take(), [])
      }
    }),
    { numRuns: 300 },
  )
})

test('frames laid one after the other leave as one piece', () => {
  const outbox = new Outbox(new OutboxSlab())
  for (const text of ['ab', 'cd', 'ef']) {
    const { buffer, used } = outbox.room(2)
    buffer.write(text, used)
    outbox.wrote(used + 2)
  }
  assert.deepEqual(
    outbox.take().map((piece) => piece.toString()),
    ['abcdef'],
  )
})

test('connections that are written to in turns get few pieces each, and little is left over', () => {
  const slab = new OutboxSlab()
  const outboxes = Array.from({ length: 4 }, () => new Outbox(slab))
  const slabs = new Set<Buffer>()
  for (let frame = 0; frame < 500; frame++) {
    for (const [who, outbox] of outboxes.entries()) {
      const { buffer, used } = outbox.room(100)
      slabs.add(buffer)
      buffer.fill(who, used, used + 90)
      outbox.wrote(used + 90)
    }
  }
  for (const [who, outbox] of outboxes.entries()) {
    const pieces = outbox.take()
    assert.ok(pieces.length < 20, String(pieces.length))
    assert.deepEqual(Buffer.concat(pieces), Buffer.alloc(45_000, who))
  }
  assert.ok(slabs.size <= 6, String(slabs.size))
})
