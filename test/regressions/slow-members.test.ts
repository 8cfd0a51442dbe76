/** What a slow member had fetched and not begun ran out of its ack wait, time after time, and became dead letters unseen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, json, KEEP_FOREVER } from '../../client/index.js'
import { createBroker } from '../../src/index.js'

const JOBS = 30

test('a member that is slow, and never fails, deals with every record, and none is a dead letter', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await client.createTopic('jobs', { retention: KEEP_FOREVER, maxDeliveries: 2, deadLetterTopic: 'failed' })
  const topic = client.topic('jobs', { codec: json<number>() })
  await topic.publishAll(Array.from({ length: JOBS }, (_, job) => job))
  const handled: number[] = []
  const counts: number[] = []
  const subscription = topic.subscribe({ group: 'workers', ackWaitMs: 300 })
  await subscription.run(async ({ value, deliveryCount }) => {
    // All of it takes five times the ack wait.
    await new Promise((resolve) => setTimeout(resolve, 50))
    handled.push(value)
    counts.push(deliveryCount)
    if (handled.length === JOBS) void subscription.close()
  })
  assert.deepEqual(
    handled.toSorted((a, b) => a - b),
    Array.from({ length: JOBS }, (_, job) => job),
  )
  assert.deepEqual(new Set(counts), new Set([0]))
  assert.equal((await client.describeGroup('jobs', 'workers')).deadLetters, 0)
})

test('a dead letter waits for a topic that keeps it, and a topic is not its own', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await client.createTopic('failed', {})
  await client.createTopic('jobs', { retention: KEEP_FOREVER, deadLetterTopic: 'failed' })
  await client.topic('jobs').publish(Buffer.from('poison'))
  for await (const record of client.topic('jobs').subscribe({ group: 'workers' })) {
    await record.reject('no good')
    break
  }
  assert.equal((await client.describeGroup('jobs', 'workers')).lag, 1)
  const { settings } = await client.describe('failed')
  assert.ok(settings !== null)
  await broker.changeTopic('failed', { ...settings, retention: KEEP_FOREVER })
  const [letter] = [(await client.topic('failed').subscribe({ until: 1 }).next()).value]
  assert.equal(Buffer.from(letter?.payload ?? []).toString(), 'poison')
  await assert.rejects(client.createTopic('loop', { retention: KEEP_FOREVER, deadLetterTopic: 'loop' }), {
    code: 'LVT_INVALID_ARGUMENT',
  })
})
