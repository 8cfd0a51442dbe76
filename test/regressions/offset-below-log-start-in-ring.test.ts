import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { FLEETING, KEPT, startAt, WireClient } from '../helpers/wire-client.js'

test('an offset below the log start is told so, though the ring still has its record', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, retention: { ageMs: null, bytes: null, records: 3 } })
  for (const payload of ['a', 'b', 'c', 'd', 'e']) await client.publish('topic', [payload])
  await client.subscribe('topic', { start: startAt(0) })
  const { from, to, cause } = await client.expect('lost-range')
  assert.deepEqual({ from, to, cause }, { from: 0, to: 2, cause: 'trimmed' })
  assert.equal((await client.expect('delivery')).baseOffset, 2)
})

test('who comes to a topic that disconnects slow consumers with an old offset is told so, and stays', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...FLEETING, ringRecords: 2, slowConsumer: 'disconnect' })
  for (const payload of ['a', 'b', 'c', 'd', 'e']) await client.publish('topic', [payload])
  await client.subscribe('topic', { start: startAt(0) })
  const { from, to, cause } = await client.expect('lost-range')
  assert.deepEqual({ from, to, cause }, { from: 0, to: 3, cause: 'trimmed' })
  assert.equal((await client.expect('delivery')).baseOffset, 3)
})
