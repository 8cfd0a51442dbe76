import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slab } from '../../src/broker/slab.js'
import { fc } from '../helpers/fast-check.js'

test('what was copied stays as it was, whatever is copied after it', () => {
  const arbPieces = fc.array(
    fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(300_000).fill(7))),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(arbPieces, (pieces) => {
      const slab = new Slab()
      const held: { view: Buffer; piece: Uint8Array }[] = []
      for (const piece of pieces) {
        const source = Buffer.concat([Buffer.from('head'), piece, Buffer.from('tail')])
        slab.copy(source, 4, 4 + piece.length)
        held.push({ view: slab.buffer.subarray(slab.used - piece.length, slab.used), piece })
        source.fill(0)
      }
      for (const { view, piece } of held) assert.ok(view.equals(piece))
    }),
  )
})

test('copies in a row touch, as long as the slab has room', () => {
  const slab = new Slab()
  slab.copy(Buffer.from('abc'), 0, 3)
  const { buffer } = slab
  slab.copy(Buffer.from('def'), 0, 3)
  assert.equal(slab.buffer, buffer)
  assert.equal(slab.buffer.toString('latin1', 0, 6), 'abcdef')
})

test('one that sees little stays small, and none grows without end', () => {
  const slab = new Slab()
  slab.copy(Buffer.from('abc'), 0, 3)
  assert.ok(slab.buffer.length <= 512)
  for (let index = 0; index < 10_000; index++) slab.copy(Buffer.alloc(1_000), 0, 1_000)
  assert.ok(slab.buffer.length <= 256 * 1024)
})
