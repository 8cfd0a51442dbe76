/** A named cursor had ended, and its number was used for a member of a shared group: its seat was never free again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { KEPT, subscribeFrame, WireClient } from '../helpers/wire-client.js'

test('an ended cursor whose number is used for a member of a shared group sets its name free', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  await client.create('topic', KEPT)
  await client.publish('topic', ['a', 'b'])
  await client.subscribe('topic', { group: 'cursor', window: 10, untilOffset: 1 })
  for (const kind of ['assigned', 'delivery', 'ended'] as const) await client.expect(kind)
  await client.subscribe('topic', { mode: 'shared', group: 'shared', window: 10 })
  assert.equal((await other.ask(subscribeFrame('topic', { group: 'cursor' }))).kind, 'done')
})
