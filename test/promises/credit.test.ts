/** Records in flight: one until Commit by default, never more than the window, and what each kind of Commit gives back. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { fc } from '../helpers/fast-check.js'
import { commitFrame, KEPT, payloadsIn, publishFrame, subscribeFrame, WireClient } from '../helpers/wire-client.js'

let broker: EmbeddedBroker
let topics = 0

before(async () => {
  broker = await createBroker({ windowMax: 1_000, subscriptionsMax: 5 })
})
after(() => broker.stop())

async function withRecords(count: number): Promise<{ client: WireClient; topic: string }> {
  const client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  await client.create(topic)
  for (let offset = 0; offset < count; offset++) client.send(publishFrame(topic, [`${offset}`]))
  return { client, topic }
}

/** The offsets of all deliveries that have arrived, which are all that has. */
function takeOffsets(client: WireClient): number[] {
  return client.frames.splice(0).flatMap((frame) => {
    assert.ok(frame.kind === 'delivery', frame.kind)
    return Array.from({ length: frame.run.count }, (_, index) => frame.baseOffset + index)
  })
}

test('one record is in flight until its Commit, when no window is asked for', async () => {
  const { client, topic } = await withRecords(4)
  await using _ = client
  await client.subscribe(topic, { window: 0 })
  for (let offset = 0; offset < 4; offset++) {
    const delivery = await client.expect('delivery')
    assert.deepEqual([delivery.baseOffset, delivery.run.count, delivery.deliveryCount], [offset, 1, 0])
    await client.ping()
    assert.deepEqual(client.frames, [], 'a second record came before the Commit')
    client.send(commitFrame({ offset }))
  }
})

test('a window of n lets n records be in flight, whatever batches they were published in', async () => {
  await using client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  await client.create(topic)
  const values = Array.from({ length: 30 }, (_, offset) => `${offset}`)
  await client.publish(topic, values.slice(0, 17))
  await client.publish(topic, values.slice(17))
  await client.subscribe(topic, { window: 7 })
  await client.ping()
  const first = client.frames.splice(0)
  const seen = first.flatMap((frame) => (frame.kind === 'delivery' ? payloadsIn(frame) : []))
  assert.deepEqual(seen, values.slice(0, 7))
  await client.commit({ offset: 2 })
  await client.ping()
  const second = client.frames.splice(0).flatMap((frame) => (frame.kind === 'delivery' ? payloadsIn(frame) : []))
  assert.deepEqual(second, values.slice(7, 10))
})

test('single commits give back one record each, in any order, and only once', async () => {
  const { client, topic } = await withRecords(20)
  await using _ = client
  await client.subscribe(topic, { window: 4 })
  await client.ping()
  assert.deepEqual(takeOffsets(client), [0, 1, 2, 3])
  await client.commit({ offsets: [3] })
  assert.equal((await client.expect('delivery')).baseOffset, 4)
  await client.commit({ offsets: [3, 3, 99, 1] })
  assert.equal((await client.expect('delivery')).baseOffset, 5)
  await client.ping()
  assert.deepEqual(takeOffsets(client), [], 'a record was given back twice')
  await client.commit({ offset: 3 })
  await client.ping()
  assert.deepEqual(takeOffsets(client), [6, 7], 'offsets 0 and 2 were given back, 1 and 3 had been')
})

test('random commits never let more than the window be in flight, and every record comes', async () => {
  const arbRun = fc.record({
    window: fc.integer({ min: 1, max: 12 }),
    seed: fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 40 }),
  })
  await fc.assert(
    fc.asyncProperty(arbRun, async ({ window, seed }) => {
      const total = 40
      const { client, topic } = await withRecords(total)
      await using _ = client
      await client.subscribe(topic, { window })
      const inFlight = new Set<number>()
      let next = 0
      for (let step = 0; next < total || inFlight.size > 0; step++) {
        while (inFlight.size < Math.min(window, total - next + inFlight.size)) {
          const delivery = await client.expect('delivery')
          assert.equal(delivery.baseOffset, next)
          for (let index = 0; index < delivery.run.count; index++) inFlight.add(next++)
          assert.ok(inFlight.size <= window)
        }
        const choice = seed[step % seed.length] as number
        const offsets = [...inFlight]
        const chosen = offsets[choice % offsets.length] as number
        if (choice % 3 === 0) {
          client.send(commitFrame({ offset: chosen }))
          for (const offset of offsets) if (offset <= chosen) inFlight.delete(offset)
        } else {
          client.send(commitFrame({ offsets: [chosen] }))
          inFlight.delete(chosen)
        }
      }
    }),
    { numRuns: 40 },
  )
})

test('credit is the subscription’s, over all partitions of its topic', async () => {
  await using client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  await client.create(topic, { ...KEPT, partitions: 4 })
  for (let partition = 0; partition < 4; partition++) await client.publish(topic, ['a', 'b'], { partition })
  await client.subscribe(topic, { window: 3 })
  await client.ping()
  const counts = client.frames.splice(0).map((frame) => (frame.kind === 'delivery' ? frame.run.count : 0))
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    3,
  )
})

test('a Commit says what is wrong with it', async () => {
  const { client, topic } = await withRecords(1)
  await using _ = client
  await client.subscribe(topic)
  await client.expect('delivery')
  assert.equal(await client.fails(commitFrame({ subscription: 9, offset: 0 })), 'LVT_SUBSCRIPTION_NOT_FOUND')
  assert.equal(await client.fails(commitFrame({ partition: 1, offset: 0 })), 'LVT_PARTITION_NOT_FOUND')
  for (const outcome of ['retry', 'reject', 'extend', 'release'] as const) {
    assert.equal(await client.fails(commitFrame({ offset: 0, outcome })), 'LVT_UNSUPPORTED')
  }
})

test('an Unsubscribe in the middle of a stream is the end of it', async () => {
  const { client, topic } = await withRecords(500)
  await using _ = client
  await client.subscribe(topic, { window: 400 })
  await client.expect('delivery')
  const done = await client.ask({ kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  assert.equal(done.kind, 'done')
  client.frames.length = 0
  client.send(publishFrame(topic, ['more']))
  await client.ping()
  assert.deepEqual(client.frames, [])
  const again = { kind: 'unsubscribe', id: 0, subscription: 1, forget: false } as const
  assert.equal(await client.fails(again), 'LVT_SUBSCRIPTION_NOT_FOUND')
  await client.subscribe(topic)
  assert.equal((await client.expect('delivery')).baseOffset, 0)
})

test('a subscription has its own number, a bounded window, and so many beside it', async () => {
  await using client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  await client.subscribe(topic, { subscription: 1 })
  assert.equal(await client.fails(subscribeFrame(topic, { subscription: 1 })), 'LVT_SUBSCRIPTION_EXISTS')
  assert.equal(await client.fails(subscribeFrame(topic, { subscription: 2, window: 1_001 })), 'LVT_INVALID_ARGUMENT')
  for (const subscription of [2, 3, 4, 5]) await client.subscribe(topic, { subscription, window: 1_000 })
  assert.equal(await client.fails(subscribeFrame(topic, { subscription: 6 })), 'LVT_SUBSCRIPTION_LIMIT')
  await client.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 3, forget: true })
  await client.subscribe(topic, { subscription: 6 })
})

test('a group of a topic that is missing and would keep nothing is refused, and leaves no topic behind', async () => {
  await using client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  assert.equal(await client.fails(subscribeFrame(topic, { mode: 'partitioned', group: 'g' })), 'LVT_UNSUPPORTED')
  assert.equal(await client.fails(subscribeFrame(topic, { mode: 'shared', group: 'g' })), 'LVT_UNSUPPORTED')
  const refused = await client.askFor('failure', subscribeFrame(topic, { group: 'durable' }))
  assert.equal(refused.code, 'LVT_UNSUPPORTED')
  assert.match(refused.message, /leveret topics create topic-\d+ --retain forever/)
  const describe = { kind: 'describe', id: 0, topic, group: '', after: '', groups: false } as const
  assert.equal(await client.fails(describe), 'LVT_TOPIC_NOT_FOUND')
  assert.equal(await client.fails({ ...describe, group: 'g' }), 'LVT_TOPIC_NOT_FOUND')
  await client.subscribe(topic)
})
