import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { commitFrame, KEPT, publishFrame, WireClient } from '../helpers/wire-client.js'

test('deliveries go on after the kernel took a full outbox in one write', async () => {
  await using broker = await createBroker({ outboxBytesMax: 4096 })
  await using client = await WireClient.connect(broker)
  await client.create('topic', KEPT)
  for (let batch = 0; batch < 50; batch++) await client.publish('topic', ['x'.repeat(1_800)])
  await client.subscribe('topic', { window: 1_000 })
  for (let offset = 0; offset < 50; offset++) assert.equal((await client.expect('delivery')).baseOffset, offset)
})

test('answers go on after the kernel took a full outbox in one write', async () => {
  await using broker = await createBroker({ outboxBytesMax: 1024 })
  await using client = await WireClient.connect(broker)
  await client.create('topic', KEPT)
  const frames = Array.from({ length: 500 }, (_, index) => publishFrame('topic', ['a'], { id: index + 1 }))
  client.send(...frames, commitFrame({ id: 501 }))
  for (const { id } of frames) await client.answer(id)
  assert.equal((await client.answer(501)).kind, 'failure')
})
