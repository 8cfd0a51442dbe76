import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSlowServer } from '../helpers/slow-engine.js'
import { framed, publishFrame, WireClient } from '../helpers/wire-client.js'

test('frames before a FIN are all answered, though the first of them makes the others wait', async () => {
  await using broker = await startSlowServer()
  await using client = await WireClient.connect(broker)
  const frames = Array.from({ length: 50 }, (_, index) => publishFrame(`new-${index}`, ['a'], { id: index + 1 }))
  client.socket.end(framed(...frames))
  const said = await client.rest()
  assert.deepEqual(
    said.map((frame) => (frame.kind === 'published' ? frame.id : frame.kind)),
    [...frames.map(({ id }) => id), 'closing'],
  )
})
