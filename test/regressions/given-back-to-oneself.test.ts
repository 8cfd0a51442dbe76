/** A record that was given back came to the same member within the Commit, and was forgotten: the window let too many through. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { commitFrame, KEPT, payloadsIn, WireClient } from '../helpers/wire-client.js'

test('a record that comes back to who gave it back has its place in the window', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', KEPT)
  await client.publish('topic', ['a', 'b', 'c'])
  await client.subscribe('topic', { mode: 'shared', group: 'workers', window: 2 })
  const got: string[] = []
  while (got.length < 2) got.push(...payloadsIn(await client.expect('delivery')))
  for (let round = 0; round < 5; round++) {
    await client.askFor('done', commitFrame({ offsets: [1], outcome: 'retry' }))
    assert.deepEqual(payloadsIn(await client.expect('delivery')), ['b'])
    await client.ping()
    assert.deepEqual(client.frames, [], 'two are in flight')
  }
  // All of it is held, so that it can be acked as everything up to here.
  await client.askFor('done', commitFrame({ offset: 1 }))
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['c'])
})
