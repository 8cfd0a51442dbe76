import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { commitFrame, subscribeFrame, WireClient } from '../helpers/wire-client.js'

test('says nothing of a subscription after the answer to its Unsubscribe, though a Commit came just before', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic')
  await client.publish('topic', ['a', 'b'])
  await client.subscribe('topic')
  assert.equal((await client.expect('delivery')).baseOffset, 0)
  client.send(commitFrame({ offset: 0 }), { kind: 'unsubscribe', id: 7, subscription: 1, forget: false })
  assert.equal((await client.expect('done')).id, 7)
  await client.ping()
  assert.deepEqual(client.frames, [])
})

test('a subscription that takes the number of one just ended is not ended with it', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic')
  await client.publish('topic', ['a', 'b'])
  await client.subscribe('topic')
  assert.equal((await client.expect('delivery')).baseOffset, 0)
  client.send(
    commitFrame({ offset: 0 }),
    { kind: 'unsubscribe', id: 7, subscription: 1, forget: false },
    subscribeFrame('topic', { id: 8 }),
  )
  assert.equal((await client.expect('done')).id, 7)
  assert.equal((await client.expect('done')).id, 8)
  assert.equal((await client.expect('delivery')).baseOffset, 0)
  await client.commit({ offset: 0 })
  assert.equal((await client.expect('delivery')).baseOffset, 1)
})
