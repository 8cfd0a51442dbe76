import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { FLEETING, publishFrame, WireClient } from '../helpers/wire-client.js'

test('a reader that has taken everything up to its end holds no publisher back, committed or not', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...FLEETING, ringRecords: 1, slowConsumer: 'block' })
  await client.subscribe('topic', { untilOffset: 1 })
  for (const id of [1, 2, 3]) {
    const answer = await client.ask(publishFrame('topic', ['a'], { id }))
    assert.equal(answer.kind, 'published')
  }
})
