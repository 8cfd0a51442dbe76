import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { commitFrame, FLEETING, subscribeFrame, WireClient } from '../helpers/wire-client.js'

test('Closing is the last word to a slow consumer, though others of its subscriptions have something to say', async () => {
  await using broker = await createBroker()
  await using publisher = await WireClient.connect(broker)
  await using client = await WireClient.connect(broker)
  await publisher.create('topic', { ...FLEETING, ringRecords: 2, slowConsumer: 'disconnect' })
  await publisher.create('large')
  for (let batch = 0; batch < 64; batch++) await publisher.publish('large', ['x'.repeat(200_000)])
  // More than the kernel takes at once, so that Closing has not left yet when the others have their say.
  for (const subscription of [1, 2, 3]) await client.subscribe('topic', { subscription })
  for (const payload of ['a', 'b', 'c', 'd', 'e']) await publisher.publish('topic', [payload])
  await client.until(() => client.frames.length === 3)
  client.frames.length = 0
  client.socket.pause()
  client.send(
    subscribeFrame('large', { subscription: 4, window: 64 }),
    ...[1, 2, 3].map((subscription) => commitFrame({ subscription, offset: 0 })),
  )
  await publisher.ping()
  client.socket.resume()
  const said = await client.rest()
  const rest = said.filter(({ kind }) => kind !== 'delivery')
  assert.deepEqual(
    rest.map((frame) => (frame.kind === 'closing' ? frame.code : frame.kind)),
    ['LVT_SLOW_CONSUMER'],
  )
})
