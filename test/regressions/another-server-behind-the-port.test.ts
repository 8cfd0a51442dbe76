import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, type LostRange, text } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { KEEP_FOREVER } from '../../src/model/topic.js'

test('a log that began again and has caught up is read from its beginning, and the subscriber is told', async () => {
  const first = await createBroker()
  await using client = await connect({ port: first.port, reconnect: { minDelayMs: 300, maxDelayMs: 300 } })
  await client.createTopic('log', { retention: KEEP_FOREVER })
  const topic = client.topic('log', { codec: text() })
  for (const value of ['a0', 'a1']) await topic.publish(value)
  const lost: LostRange[] = []
  await using records = topic.subscribe({ onLost: (range) => lost.push(range) })
  const iterator = records[Symbol.asyncIterator]()
  for (const value of ['a0', 'a1']) assert.equal((await iterator.next()).value?.value, value)
  await first.stop()

  // The new server is past the old place before the subscriber is back.
  await using second = await createBroker({ port: first.port })
  await using other = await connect({ port: second.port })
  await other.createTopic('log', { retention: KEEP_FOREVER })
  for (const value of ['b0', 'b1', 'b2']) await other.topic('log', { codec: text() }).publish(value)
  for (const value of ['b0', 'b1', 'b2']) assert.equal((await iterator.next()).value?.value, value)
  assert.deepEqual(lost, [{ topic: 'log', partition: 0, from: 2, to: 2, cause: 'reset' }])
})

test('settings that no topic can have are refused by name, before anything is sent', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const refused: [object, RegExp][] = [
    [{ retention: { ageMs: Number.POSITIVE_INFINITY, bytes: null, records: null } }, /ageMs/],
    [{ retention: { ageMs: -1, bytes: null, records: null } }, /ageMs/],
    [{ retention: '1h' }, /retention/],
    [{ partitions: 1.5 }, /partitions/],
    [{ ringRecords: -1 }, /ring_records/],
    [{ slowConsumer: 'bogus' }, /slow_consumer/],
    [{ durability: 'bogus' }, /durability/],
    [{ retain: 1 }, /retain/],
  ]
  for (const [settings, message] of refused) {
    await assert.rejects(client.createTopic('topic', settings), { code: 'LVT_INVALID_ARGUMENT', message })
  }
  assert.deepEqual(await client.topics(), [])
})
