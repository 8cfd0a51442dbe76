/** Shared groups: each record to one member at a time, until somebody says that it is done with, also over restarts. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type BrokerOptions, createBroker } from '../../src/index.js'
import type { ServerFrame, SubscribeFrame } from '../../src/protocol/frames.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import {
  commitFrame,
  FLEETING,
  type FrameOf,
  KEPT,
  payloadsIn,
  publishFrame,
  recordsIn,
  subscribeFrame,
  WireClient,
} from '../helpers/wire-client.js'

const SHARED: Partial<SubscribeFrame> = { mode: 'shared', group: 'workers', window: 10 }

/** Deliveries until they hold so many records: what each record says, and how often it came before. */
async function take(client: WireClient, records: number): Promise<[payload: string, deliveryCount: number][]> {
  const got: [string, number][] = []
  while (got.length < records) {
    const delivery = await client.expect('delivery')
    for (const payload of payloadsIn(delivery)) got.push([payload, delivery.deliveryCount])
  }
  return got
}

async function withData(run: (options: BrokerOptions) => Promise<void>): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'leveret-groups-'))
  try {
    await run({ data })
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

test('members share the records of a topic, each within its window', async () => {
  await using broker = await createBroker()
  await using one = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  await one.create('jobs', { ...KEPT, partitions: 3 })
  for (const client of [one, other]) await client.subscribe('jobs', { ...SHARED, window: 2 })
  await one.publish('jobs', ['a', 'b', 'c', 'd', 'e', 'f'])
  const seen = new Set<string>()
  for (let round = 0; seen.size < 6; round++) {
    assert.ok(round < 6, `only ${[...seen].join()} came`)
    for (const client of [one, other]) {
      await client.ping()
      const deliveries = client.frames.splice(0) as FrameOf<'delivery'>[]
      const count = deliveries.reduce((sum, { run }) => sum + run.count, 0)
      assert.ok(count <= 2, `${count} records are in flight`)
      for (const delivery of deliveries) {
        for (const payload of payloadsIn(delivery)) {
          assert.ok(!seen.has(payload), `${payload} came twice`)
          seen.add(payload)
        }
        const { partition, baseOffset, run } = delivery
        await client.askFor('done', commitFrame({ partition, offset: baseOffset + run.count - 1 }))
      }
    }
  }
})

test('a member that goes leaves what it has not acked to the others, at once and counted', async () => {
  await using broker = await createBroker()
  await using stays = await WireClient.connect(broker)
  await stays.create('jobs')
  await stays.publish('jobs', ['a', 'b', 'c'])
  const goes = await WireClient.connect(broker)
  await goes.subscribe('jobs', SHARED)
  assert.deepEqual(await take(goes, 3), [
    ['a', 0],
    ['b', 0],
    ['c', 0],
  ])
  await goes.askFor('done', commitFrame({ offsets: [1] }))
  await stays.subscribe('jobs', SHARED)
  goes.destroy()
  assert.deepEqual(await take(stays, 2), [
    ['a', 1],
    ['c', 1],
  ])
  await stays.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  await stays.subscribe('jobs', { ...SHARED, subscription: 2 })
  assert.deepEqual(await take(stays, 2), [
    ['a', 2],
    ['c', 2],
  ])
})

test('a record that its member keeps silent about comes again after the ack wait, and a late ack is told so', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using slow = await WireClient.connect(broker)
  await using quick = await WireClient.connect(broker)
  await slow.create('jobs')
  await slow.publish('jobs', ['a', 'b'])
  await slow.subscribe('jobs', { ...SHARED, window: 2, ackWaitMs: 5_000 })
  await take(slow, 2)
  await quick.subscribe('jobs', { ...SHARED, ackWaitMs: 5_000 })
  clock.advance(4_000)
  await slow.askFor('done', commitFrame({ offset: 0, outcome: 'extend' }))
  clock.advance(1_000)
  assert.deepEqual(await take(quick, 1), [['b', 1]])
  assert.equal(await slow.fails(commitFrame({ offsets: [1] })), 'LVT_LEASE_LOST')
  clock.advance(4_000)
  assert.deepEqual(await take(quick, 1), [['a', 1]])
  await quick.askFor('done', commitFrame({ offset: 1 }))
  clock.advance(60_000)
  await quick.ping()
  assert.deepEqual([...quick.frames, ...slow.frames], [])
})

test('a record rests longer after each delivery in vain, unless a retry says how long', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a'])
  await client.subscribe('jobs', { ...SHARED, ackWaitMs: 5_000, backoffMs: [1_000, 3_000] })
  assert.deepEqual(await take(client, 1), [['a', 0]])
  const restsFor = async (ms: number): Promise<void> => {
    clock.advance(ms - 1)
    await client.ping()
    assert.deepEqual(client.frames, [])
    clock.advance(1)
  }
  await client.askFor('done', commitFrame({ offsets: [0], outcome: 'retry' }))
  await restsFor(1_000)
  assert.deepEqual(await take(client, 1), [['a', 1]])
  await client.askFor('done', commitFrame({ offsets: [0], outcome: 'retry' }))
  await restsFor(3_000)
  assert.deepEqual(await take(client, 1), [['a', 2]])
  await client.askFor('done', commitFrame({ offsets: [0], outcome: 'retry', delayMs: 50 }))
  await restsFor(50)
  assert.deepEqual(await take(client, 1), [['a', 3]])
  assert.equal(
    await client.fails(subscribeFrame('jobs', { ...SHARED, subscription: 2, backoffMs: new Array(33).fill(1) })),
    'LVT_INVALID_ARGUMENT',
  )
})

test('a record that is given back comes again after the delay', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a', 'b'])
  await client.subscribe('jobs', SHARED)
  await take(client, 2)
  await client.askFor('done', commitFrame({ offsets: [1], outcome: 'retry' }))
  assert.deepEqual(await take(client, 1), [['b', 1]])
  await client.askFor('done', commitFrame({ offsets: [0], outcome: 'retry', delayMs: 2_000 }))
  clock.advance(1_999)
  await client.ping()
  assert.deepEqual(client.frames, [])
  clock.advance(1)
  assert.deepEqual(await take(client, 1), [['a', 1]])
})

test('what is rejected, or came too often, goes to the dead-letter topic once, and says where it is from', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await using reader = await WireClient.connect(broker)
  await client.create('jobs', { ...KEPT, deadLetterTopic: 'failed', maxDeliveries: 2 })
  await client.publish('jobs', ['good', 'bad', 'ugly'])
  await client.subscribe('jobs', SHARED)
  await take(client, 3)
  await client.askFor('done', commitFrame({ offsets: [1], outcome: 'reject' }))
  await client.askFor('done', commitFrame({ offsets: [2], outcome: 'retry' }))
  assert.deepEqual(await take(client, 1), [['ugly', 1]])
  await client.askFor('done', commitFrame({ offsets: [2], outcome: 'retry' }))
  await reader.subscribe('failed', { window: 10 })
  const letters: FrameOf<'delivery'>[] = [await reader.expect('delivery')]
  while (letters.length < 2) letters.push(await reader.expect('delivery'))
  const told = letters
    .flatMap(recordsIn)
    .map(({ payload, headers }) => [
      Buffer.from(payload).toString(),
      Object.fromEntries(headers.map(({ name, value }) => [name, Buffer.from(value).toString()])),
    ])
  const from = { 'leveret-topic': 'jobs', 'leveret-partition': '0', 'leveret-group': 'workers' }
  assert.deepEqual(told, [
    ['bad', { ...from, 'leveret-offset': '1', 'leveret-reason': 'rejected', 'leveret-deliveries': '1' }],
    ['ugly', { ...from, 'leveret-offset': '2', 'leveret-reason': 'max-deliveries', 'leveret-deliveries': '2' }],
  ])
  await client.ping()
  await reader.ping()
  assert.deepEqual([...client.frames, ...reader.frames], [])
})

test('without a dead-letter topic what is rejected is gone, and counted', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['bad'])
  await client.subscribe('jobs', SHARED)
  await take(client, 1)
  await client.askFor('done', commitFrame({ offset: 0, outcome: 'reject' }))
  await client.ping()
  const discarded = broker.metrics().find(({ name }) => name === 'leveret_broker_dead_letters_discarded_total')
  assert.equal(discarded?.value, 1)
})

test('what was acked stays acked over a restart, and what was not comes again', async () => {
  await withData(async (options) => {
    const first = await createBroker(options)
    await using before = await WireClient.connect(first)
    await before.create('jobs', { ...KEPT, deadLetterTopic: 'failed', maxDeliveries: 3 })
    await before.publish('jobs', ['a', 'b', 'c', 'd', 'e'])
    await before.subscribe('jobs', SHARED)
    await take(before, 5)
    for (const offsets of [[0], [3]]) await before.askFor('done', commitFrame({ offsets }))
    await before.askFor('done', commitFrame({ offsets: [4], outcome: 'reject' }))
    await before.askFor('done', commitFrame({ offsets: [2], outcome: 'retry', delayMs: 60_000 }))
    await before.subscribe('failed', { subscription: 2, window: 10 })
    assert.deepEqual(await take(before, 1), [['e', 0]])
    await first.stop()
    await using second = await createBroker(options)
    await using after = await WireClient.connect(second)
    await after.subscribe('jobs', SHARED)
    assert.deepEqual((await take(after, 2)).sort(), [
      ['b', 1],
      ['c', 1],
    ])
    await after.askFor('done', commitFrame({ offset: 2 }))
    await after.publish('jobs', ['f'])
    assert.deepEqual(await take(after, 1), [['f', 0]])
    await after.subscribe('failed', { subscription: 2, window: 10 })
    assert.deepEqual(await take(after, 1), [['e', 0]])
    await after.ping()
    assert.deepEqual(after.frames, [])
  })
})

test('a group of a topic that keeps nothing, or without a name, is refused', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('fleeting', FLEETING)
  assert.equal(await client.fails(subscribeFrame('fleeting', SHARED)), 'LVT_UNSUPPORTED')
  await client.create('jobs')
  assert.equal(await client.fails(subscribeFrame('jobs', { ...SHARED, group: '' })), 'LVT_INVALID_ARGUMENT')
  await client.subscribe('jobs', SHARED)
  assert.equal(await client.fails(subscribeFrame('jobs', SHARED)), 'LVT_SUBSCRIPTION_EXISTS')
  assert.equal(await client.fails(commitFrame({ partition: 4, offsets: [1] })), 'LVT_PARTITION_NOT_FOUND')
})

test('a group ends with its topic, and its members are told', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.subscribe('jobs', SHARED)
  client.send(publishFrame('jobs', ['a']))
  await take(client, 1)
  await broker.deleteTopic('jobs')
  assert.equal((await client.expect('ended')).reason, 'topic-deleted')
  assert.equal(await client.fails(commitFrame({ offset: 0 })), 'LVT_SUBSCRIPTION_NOT_FOUND')
})

test('each of many commits in one write has its own answer, with what it does not count for', async () => {
  await withData(async (options) => {
    await using broker = await createBroker(options)
    await using client = await WireClient.connect(broker)
    await client.create('jobs')
    const payloads = Array.from({ length: 100 }, (_, index) => `job ${index}`)
    await client.publish('jobs', payloads)
    await client.subscribe('jobs', { ...SHARED, window: 100 })
    await take(client, 100)
    const offsets = payloads.map((_, offset) => offset).reverse()
    const twice = offsets.flatMap((offset) => (offset % 10 === 0 ? [offset, offset] : [offset]))
    client.send(...twice.map((offset, index) => commitFrame({ id: index + 1, offsets: [offset] })))
    client.send({ kind: 'close', id: 0 })
    const answers: ServerFrame[] = []
    while (answers.length < twice.length) answers.push(await client.next())
    await client.expect('closing')
    for (const [index, offset] of twice.entries()) {
      const [answer, ...more] = answers.filter(({ id }) => id === index + 1)
      assert.deepEqual(more, [])
      if (twice[index - 1] !== offset) assert.equal(answer?.kind, 'done')
      else assert.deepEqual(answer?.kind === 'failure' && [answer.code, answer.offsets], ['LVT_LEASE_LOST', [offset]])
    }
  })
})
