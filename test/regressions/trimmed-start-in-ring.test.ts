import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, text } from '../../client/index.js'
import { createBroker } from '../../src/index.js'

test('a start below the log start is told so even while the ring still holds the records', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await client.createTopic('short', { retention: { ageMs: null, bytes: null, records: 2 } })
  const topic = client.topic('short', { codec: text() })
  for (const value of ['one', 'two', 'three']) await topic.publish(value)

  const lost: unknown[] = []
  const got: string[] = []
  const onLost = (loss: { from: number; to: number; cause: string }) => lost.push([loss.from, loss.to, loss.cause])
  for await (const record of topic.subscribe({ from: { offset: 0 }, until: 3, onLost })) got.push(record.value)

  assert.deepEqual(got, ['two', 'three'])
  assert.deepEqual(lost, [[0, 1, 'trimmed']])
})
