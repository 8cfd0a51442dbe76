/** Retention and the compaction window by a clock that the test moves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { commitFrame, FLEETING, KEPT, payloadsIn, publishFrame, recordsOf, WireClient } from '../helpers/wire-client.js'

const HOUR = { ageMs: 3_600_000, bytes: null, records: null }

test('a record that expires while it waits for credit is skipped at delivery, and told as expired', async () => {
  for (const ringRecords of [1, 10_000]) {
    const clock = new VirtualClock()
    await using broker = await createBroker({ clock })
    await using client = await WireClient.connect(broker)
    await client.create('topic', { ...KEPT, retention: { ...HOUR, ageMs: 100 }, ringRecords })
    for (const value of ['a', 'b', 'c']) await client.publish('topic', [value])
    await client.subscribe('topic')
    assert.deepEqual(payloadsIn(await client.expect('delivery')), ['a'])
    clock.advance(100)
    await client.publish('topic', ['d'])
    client.send(commitFrame({ offset: 0 }))
    const lost = await client.expect('lost-range')
    assert.deepEqual([lost.from, lost.to], [1, 3], `ring ${ringRecords}`)
    assert.equal(lost.cause, 'expired')
    assert.deepEqual(payloadsIn(await client.expect('delivery')), ['d'])
  }
})

test('a record is delivered to the last millisecond of its age, and not after', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, retention: { ...HOUR, ageMs: 400 } })
  await client.publish('topic', ['a'])
  clock.advance(399)
  await client.subscribe('topic', { subscription: 1 })
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['a'])
  clock.advance(1)
  await client.subscribe('topic', { subscription: 2 })
  await client.ping()
  assert.deepEqual(client.frames, [])
})

test('what retention drops is gone from memory, without a publish that would drop it', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, retention: { ...HOUR, ageMs: 10_000 } })
  await client.publish('topic', ['x'.repeat(1_000)])
  const bytes = async () => {
    const frame = { kind: 'describe', id: 0, topic: 'topic', group: '', after: '', groups: false } as const
    return (await client.askFor('description', frame)).topics[0]?.partitions[0]?.bytes
  }
  assert.ok(((await bytes()) ?? 0) > 1_000)
  clock.advance(10_000)
  await client.ping()
  clock.advance(1_000)
  await client.ping()
  assert.equal(await bytes(), 0)
})

test('timestamps never go back in a partition, though the wall clock does', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('topic', KEPT)
  for (const jump of [0, -3_600_000, 10, 7_200_000, -1]) {
    clock.jumpWall(jump)
    await client.publish('topic', ['a'])
  }
  await client.subscribe('topic', { window: 10 })
  let last = 0
  for (let offset = 0; offset < 5; offset++) {
    const { timestampMs } = await client.expect('delivery')
    assert.ok(timestampMs >= last)
    last = timestampMs
  }
})

test('a key is accepted once in its window, and its duplicates are told what was kept and do not prolong it', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: 600 })
  const one = async () => await client.publish('topic', recordsOf(['v'], 'key'))
  assert.deepEqual([(await one()).count, (await one()).count], [1, 0])
  clock.advance(599)
  const duplicate = await one()
  assert.deepEqual([duplicate.count, duplicate.duplicates, duplicate.keptOffsets], [0, [0], [0]])
  clock.advance(1)
  const accepted = await one()
  assert.deepEqual([accepted.count, accepted.baseOffset, accepted.duplicates], [1, 1, []])
})

test('records without a key are never duplicates, and an empty key is a key', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  const records = [...recordsOf(['a', 'b']), ...recordsOf(['c', 'd'], ''), ...recordsOf(['e', 'f'], 'k')]
  const receipt = await client.publish('topic', records)
  assert.deepEqual([receipt.count, receipt.duplicates, receipt.keptOffsets], [4, [3, 5], [2, 3]])
  await client.subscribe('topic', { window: 10 })
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['a', 'b', 'c', 'e'])
})

test('publishes that arrive together keep one record of a key, and each is told which', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  client.send(
    ...Array.from({ length: 50 }, (_, index) =>
      publishFrame('topic', recordsOf(['v'], `${index % 7}`), { id: index + 1 }),
    ),
  )
  for (let index = 0; index < 50; index++) {
    const receipt = await client.expect('published')
    assert.equal(receipt.id, index + 1)
    assert.equal(receipt.count, index < 7 ? 1 : 0)
    assert.deepEqual(receipt.keptOffsets, index < 7 ? [] : [index % 7])
  }
})

test('a topic without retention has a compaction window as well', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...FLEETING, compactionWindowMs: 60_000 })
  await client.subscribe('topic', { window: 10 })
  await client.publish('topic', recordsOf(['a', 'b'], 'k'))
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['a'])
})
