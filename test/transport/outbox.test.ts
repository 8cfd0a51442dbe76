import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outbox, OutboxSlab } from '../../src/transport/outbox.js'

test('small buffers are laid together, in order, with what was written in place', () => {
  const outbox = new Outbox(new OutboxSlab())
  for (let count = 0; count < 1_000; count++) {
    outbox.pass(Buffer.from('abc'))
    const { buffer, used } = outbox.room(1)
    buffer[used] = 0x2e
    outbox.wrote(used + 1)
  }
  assert.equal(outbox.bytes, 4_000)
  const chunks = outbox.take()
  assert.deepEqual(chunks.map(String), ['abc.'.repeat(1_000)])
  assert.equal(outbox.bytes, 0)
})

test('a large buffer is passed on as it is, in its place between small ones', () => {
  const outbox = new Outbox(new OutboxSlab())
  const large = Buffer.alloc(100_000, 0x78)
  outbox.pass(Buffer.from('before'))
  outbox.pass(large)
  outbox.pass(Buffer.from('after'))
  assert.equal(outbox.bytes, 100_011)
  const chunks = outbox.take()
  assert.equal(chunks[1], large)
  assert.deepEqual([String(chunks[0]), String(chunks[2])], ['before', 'after'])
})

test('connections that share a slab keep their bytes apart', () => {
  const slab = new OutboxSlab()
  const outboxes = [new Outbox(slab), new Outbox(slab)] as const
  for (let count = 0; count < 40_000; count++) outboxes[count % 2]?.pass(Buffer.from(count % 2 === 0 ? 'even' : 'odd!'))
  assert.equal(Buffer.concat(outboxes[0].take()).toString(), 'even'.repeat(20_000))
  assert.equal(Buffer.concat(outboxes[1].take()).toString(), 'odd!'.repeat(20_000))
})
