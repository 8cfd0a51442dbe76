/** What a slow reader costs others: nothing; and what it costs itself: what the policy of its topic says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import {
  commitFrame,
  FLEETING,
  KEPT,
  payloadsIn,
  publishFrame,
  subscribeFrame,
  WireClient,
} from '../helpers/wire-client.js'

function gauge(broker: EmbeddedBroker, name: string): number {
  return broker.metrics().find((sample) => sample.name === name)?.value ?? Number.NaN
}

test('lag: an overrun reader is told what it lost, and goes on with what the ring has', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...FLEETING, ringRecords: 3 })
  await client.subscribe('topic')
  for (let offset = 0; offset < 10; offset++) await client.publish('topic', [`${offset}`])
  assert.equal((await client.expect('delivery')).baseOffset, 0)
  client.send(commitFrame({ offset: 0 }))
  const lost = await client.expect('lost-range')
  assert.deepEqual([lost.from, lost.to, lost.cause], [1, 7, 'lagged'])
  assert.equal((await client.expect('delivery')).baseOffset, 7)
  assert.equal(gauge(broker, 'leveret_broker_records_lagged_total'), 6)
})

test('a topic that keeps its records loses none to a slow reader', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, ringRecords: 3 })
  await client.subscribe('topic')
  for (let offset = 0; offset < 30; offset++) await client.publish('topic', [`${offset}`])
  for (let offset = 0; offset < 30; offset++) {
    assert.equal((await client.expect('delivery')).baseOffset, offset)
    client.send(commitFrame({ offset }))
  }
})

test('disconnect: an overrun reader is told why and its connection ends, and the others go on', async () => {
  await using broker = await createBroker()
  await using slow = await WireClient.connect(broker)
  await using fast = await WireClient.connect(broker)
  await fast.create('topic', { ...FLEETING, ringRecords: 3, slowConsumer: 'disconnect' })
  await slow.subscribe('topic')
  await fast.subscribe('topic', { window: 1_000 })
  for (let offset = 0; offset < 10; offset++) {
    await fast.publish('topic', [`${offset}`])
    assert.equal((await fast.expect('delivery')).baseOffset, offset)
  }
  slow.send(commitFrame({ offset: 0 }))
  const said = await slow.rest()
  assert.deepEqual(
    said.map((frame) => (frame.kind === 'closing' ? frame.code : frame.kind)),
    ['delivery', 'LVT_SLOW_CONSUMER'],
  )
  await fast.publish('topic', ['more'])
  assert.equal((await fast.expect('delivery')).baseOffset, 10)
})

test('block: publishers wait for the slowest reader, lose nothing, and go on in their order', async () => {
  await using broker = await createBroker()
  await using publisher = await WireClient.connect(broker)
  await using reader = await WireClient.connect(broker)
  await publisher.create('topic', { ...FLEETING, ringRecords: 4, slowConsumer: 'block' })
  await reader.subscribe('topic')
  for (let id = 1; id <= 20; id++) {
    publisher.send(publishFrame('topic', [`${id - 1}`], { id }))
    await publisher.ping()
  }
  const answered = () => publisher.frames.length
  assert.ok(answered() < 10, `${answered()} publishes were answered although nobody reads`)
  for (let offset = 0; offset < 20; offset++) {
    const delivery = await reader.expect('delivery')
    assert.deepEqual([delivery.baseOffset, payloadsIn(delivery)], [offset, [`${offset}`]])
    reader.send(commitFrame({ offset }))
  }
  for (let id = 1; id <= 20; id++) assert.equal((await publisher.expect('published')).id, id)
})

test('block: a reader that leaves holds nobody back, however it leaves', async () => {
  await using broker = await createBroker()
  await using publisher = await WireClient.connect(broker)
  await publisher.create('topic', { ...FLEETING, ringRecords: 1, slowConsumer: 'block' })
  for (const leave of ['unsubscribe', 'close', 'destroy'] as const) {
    const reader = await WireClient.connect(broker)
    await reader.subscribe('topic')
    await publisher.publish('topic', ['a'])
    await reader.expect('delivery')
    await publisher.publish('topic', ['b'])
    publisher.send(publishFrame('topic', ['c'], { id: 1 }))
    await publisher.ping()
    assert.deepEqual(publisher.frames, [], leave)
    if (leave === 'unsubscribe') reader.send({ kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
    else if (leave === 'close') reader.send({ kind: 'close', id: 0 })
    else reader.destroy()
    assert.equal((await publisher.expect('published')).id, 1)
    reader.destroy()
  }
})

test('block: a publish waits no longer than publishWaitMs, and fails as overloaded', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock, publishWaitMs: 5_000 })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...FLEETING, ringRecords: 1, slowConsumer: 'block' })
  await client.subscribe('topic')
  await client.publish('topic', ['a'])
  await client.expect('delivery')
  await client.publish('topic', ['b'])
  client.send(publishFrame('topic', ['c'], { id: 1 }), publishFrame('topic', ['d'], { id: 2 }))
  for (let second = 0; second < 4; second++) {
    clock.advance(1_000)
    await client.ping()
  }
  const before = client.frames.filter(({ kind }) => kind === 'failure')
  assert.deepEqual(before, [])
  for (let second = 0; second < 3; second++) {
    clock.advance(1_000)
    await client.ping()
  }
  const failures = client.frames.flatMap((frame) =>
    frame.kind === 'failure' ? [[frame.id, frame.code, frame.retryable]] : [],
  )
  assert.deepEqual(failures.at(-1), [2, 'LVT_OVERLOADED', true])
  assert.equal(gauge(broker, 'leveret_broker_publish_pending_bytes'), 0)
})

test('a connection that does not read holds nothing back for others, and its unsent bytes are bounded', async () => {
  const outboxBytesMax = 64 * 1024
  await using broker = await createBroker({ outboxBytesMax, deliveryBytesMax: 16 * 1024 })
  await using frozen = await WireClient.connect(broker)
  await using reader = await WireClient.connect(broker)
  await using publisher = await WireClient.connect(broker)
  await publisher.create('topic', { ...FLEETING, ringRecords: 200 })
  await frozen.subscribe('topic', { window: 1_000_000 })
  frozen.socket.pause()
  await reader.subscribe('topic', { window: 1_000_000 })
  const value = 'x'.repeat(10_000)
  for (let offset = 0; offset < 3_000; offset += 10) {
    await publisher.publish(
      'topic',
      Array.from({ length: 10 }, () => value),
    )
    for (let next = offset; next < offset + 10; ) {
      const delivery = await reader.expect('delivery')
      assert.equal(delivery.baseOffset, next)
      next += delivery.run.count
    }
  }
  // 30 MB went by; a ring of 2 MB and what the kernel buffers for one socket is all that was kept for the frozen one.
  assert.ok(gauge(broker, 'leveret_broker_ring_bytes') < 3_000_000)
  frozen.socket.resume()
  await frozen.until(() => frozen.frames.some((frame) => frame.kind === 'lost-range'))
  let next = 0
  for (const frame of frozen.frames) {
    if (frame.kind === 'delivery') {
      assert.equal(frame.baseOffset, next)
      next += frame.run.count
    } else if (frame.kind === 'lost-range') {
      assert.equal(frame.from, next)
      next = frame.to
    }
  }
})

test('subscriptions of one connection take turns, and a small topic is not kept waiting by a large one', async () => {
  await using broker = await createBroker({ deliveryBytesMax: 2_048 })
  await using client = await WireClient.connect(broker)
  await client.create('large')
  await client.create('small')
  for (let batch = 0; batch < 40; batch++) await client.publish('large', ['x'.repeat(1_500)])
  for (let batch = 0; batch < 5; batch++) await client.publish('small', [`${batch}`])
  client.send(
    subscribeFrame('large', { id: 1, subscription: 1, window: 1_000 }),
    subscribeFrame('small', { id: 2, subscription: 2, window: 1_000 }),
  )
  const order: number[] = []
  while (order.length < 45) {
    const frame = await client.next()
    if (frame.kind === 'delivery') order.push(frame.subscription)
  }
  const first = order.indexOf(2)
  assert.deepEqual(order.slice(first, first + 10), [2, 1, 2, 1, 2, 1, 2, 1, 2, 1])
})

test('partitions of one subscription take turns', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, partitions: 3 })
  for (let partition = 0; partition < 3; partition++) {
    for (let batch = 0; batch < 4; batch++) await client.publish('topic', ['a'], { partition })
  }
  await client.subscribe('topic')
  const order: number[] = []
  for (let index = 0; index < 12; index++) {
    const { partition, baseOffset } = await client.expect('delivery')
    order.push(partition)
    client.send(commitFrame({ partition, offset: baseOffset }))
  }
  for (let round = 0; round < 4; round++) {
    assert.deepEqual(order.slice(3 * round, 3 * round + 3).sort(), [0, 1, 2])
  }
})

test('answers to a connection that does not read them are not piled up: it is not read either', async () => {
  await using broker = await createBroker({ outboxBytesMax: 16 * 1024 })
  await using client = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  const topic = 't'.repeat(255)
  client.socket.pause()
  // 15 MB each way: more than the kernel holds for one socket.
  const frames = Array.from({ length: 50_000 }, (_, index) => publishFrame(topic, ['a'], { id: index + 1 }))
  client.send(...frames)
  let stored = 0
  for (let before = -1; stored > before; ) {
    before = stored
    for (let round = 0; round < 50; round++) await other.ping()
    stored = broker.metrics().find(({ name }) => name === 'leveret_broker_records_appended_total')?.value ?? 0
  }
  assert.ok(stored < frames.length, 'everything was read although nothing was taken')
  client.socket.resume()
  await client.until(() => client.frames.length === frames.length)
  for (const [index, receipt] of client.frames.entries()) {
    assert.ok(receipt.kind === 'published' && receipt.id === index + 1 && receipt.baseOffset === index)
  }
})
