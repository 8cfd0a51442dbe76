import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { KEPT, recordsOf, WireClient } from '../helpers/wire-client.js'

test('a publish of nothing but duplicates with an expected offset appends no empty batch', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  await client.publish('topic', recordsOf(['a'], 'key'))
  const receipt = await client.publish('topic', recordsOf(['b'], 'key'), { expectedOffset: 1 })
  assert.deepEqual([receipt.count, receipt.duplicates, receipt.keptOffsets], [0, [0], [0]])
  await client.publish('topic', recordsOf(['c'], 'other'))
  await client.subscribe('topic', { window: 10 })
  assert.equal((await client.expect('delivery')).run.count, 1)
  assert.equal((await client.expect('delivery')).baseOffset, 1)
})

test('a publish of nothing but duplicates still fails when its expected offset is wrong', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  const first = await client.publish('topic', recordsOf(['a'], 'key'))
  assert.equal(first.baseOffset, 0)
  const frame = { topic: 'topic', expectedOffset: 0 }
  const answer = await client.publish('topic', recordsOf(['b'], 'key'), frame).then(
    () => 'published',
    (error: Error) => error.message,
  )
  assert.match(answer, /LVT_WRONG_OFFSET/)
})
