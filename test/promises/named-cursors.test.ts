/** Named cursors: one reader at a time, whose position is kept, over restarts of both ends too. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { ManageGroupFrame, SubscribeFrame } from '../../src/protocol/frames.js'
import {
  commitFrame,
  FLEETING,
  type FrameOf,
  KEPT,
  payloadsIn,
  startAt,
  subscribeFrame,
  WireClient,
} from '../helpers/wire-client.js'

const CURSOR: Partial<SubscribeFrame> = { group: 'audit', window: 10 }

/** Payloads until there are so many; what stands between is no delivery, and fails. */
async function take(client: WireClient, records: number): Promise<string[]> {
  const got: string[] = []
  while (got.length < records) got.push(...payloadsIn(await client.expect('delivery')))
  return got
}

async function open(client: WireClient, topic: string, more: Partial<SubscribeFrame> = {}) {
  await client.subscribe(topic, { ...CURSOR, ...more })
  return await client.expect('assigned')
}

function manage(topic: string, more: Partial<ManageGroupFrame>): ManageGroupFrame {
  const plain = { action: 'seek', start: { kind: 'earliest' }, partition: null } as const
  return { kind: 'manage-group', id: 0, topic, group: 'audit', ...plain, ...more }
}

async function described(client: WireClient, topic: string) {
  const frame = { kind: 'describe', id: 0, topic, group: 'audit', after: '', groups: false } as const
  const { groups } = await client.askFor('description', frame)
  assert.equal(groups.length, 1)
  return groups[0] as FrameOf<'description'>['groups'][number]
}

function metric(broker: EmbeddedBroker, name: string): number | undefined {
  return broker.metrics().find((sample) => sample.name === name)?.value
}

test('a named cursor goes on where its commits came to, after a restart of the server and the client', async () => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-cursor-'))
  try {
    {
      await using broker = await createBroker({ data })
      await using client = await WireClient.connect(broker)
      await client.create('log')
      await client.publish('log', ['a', 'b', 'c', 'd', 'e'])
      const assigned = await open(client, 'log')
      assert.deepEqual([assigned.partitions, assigned.started], [[0], [0]])
      assert.deepEqual(await take(client, 5), ['a', 'b', 'c', 'd', 'e'])
      await client.commit({ offset: 0 })
      // Beyond one that is not committed: it gives credit back, and the position waits.
      await client.commit({ offsets: [3, 2] })
      assert.equal((await described(client, 'log')).partitions[0]?.position, 1)
    }
    await using broker = await createBroker({ data })
    await using client = await WireClient.connect(broker)
    await open(client, 'log', { start: { kind: 'latest' } })
    assert.deepEqual(await take(client, 4), ['b', 'c', 'd', 'e'])
    await client.commit({ offsets: [1] })
    await client.commit({ offset: 4 })
    const state = await described(client, 'log')
    assert.deepEqual([state.mode, state.lag, state.partitions[0]?.position], ['cursor', 0, 5])
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
})

test('commits one by one in any order move the position over all that is done', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  await client.publish('log', ['a', 'b', 'c'])
  await open(client, 'log')
  await take(client, 3)
  for (const [offset, position] of [
    [1, 0],
    [0, 2],
    [2, 3],
  ] as const) {
    await client.commit({ offsets: [offset] })
    assert.equal((await described(client, 'log')).partitions[0]?.position, position)
  }
})

test('a second reader is refused, unless it says that it takes over; then the first one is fenced', async () => {
  await using broker = await createBroker()
  await using first = await WireClient.connect(broker)
  await using second = await WireClient.connect(broker)
  await first.create('log')
  await first.publish('log', ['a', 'b'])
  await open(first, 'log')
  await take(first, 2)
  assert.equal(await second.fails(subscribeFrame('log', CURSOR)), 'LVT_GROUP_IN_USE')
  await first.commit({ offset: 0 })
  await open(second, 'log', { takeOver: true })
  assert.deepEqual(await take(second, 1), ['b'])
  assert.equal((await first.expect('ended')).reason, 'taken-over')
  assert.equal(await first.fails(commitFrame({ offset: 1 })), 'LVT_FENCED')
  assert.equal((await described(second, 'log')).partitions[0]?.position, 1)
  await second.commit({ offset: 1 })
  assert.equal(await first.fails(commitFrame({ offset: 1 })), 'LVT_SUBSCRIPTION_NOT_FOUND')
})

test('a reader of the same name takes its own place over, though the server has not missed it yet', async () => {
  await using broker = await createBroker()
  await using lost = await WireClient.connect(broker)
  await using again = await WireClient.connect(broker)
  await lost.create('log')
  await lost.publish('log', ['a'])
  await open(lost, 'log', { member: 'me' })
  await take(lost, 1)
  await open(again, 'log', { member: 'me' })
  assert.deepEqual(await take(again, 1), ['a'])
  assert.equal((await lost.expect('ended')).reason, 'taken-over')
})

test('a reader that closes its connection, or unsubscribes, leaves the place and the position', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  await client.publish('log', ['a', 'b', 'c'])
  const goes = await WireClient.connect(broker)
  await open(goes, 'log')
  await take(goes, 3)
  await goes.commit({ offset: 0 })
  goes.destroy()
  while ((metric(broker, 'leveret_broker_group_members') ?? 0) > 0) await client.ping()
  await open(client, 'log')
  assert.deepEqual(await take(client, 2), ['b', 'c'])
  await client.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  assert.equal((await described(client, 'log')).members.length, 0)
  await open(client, 'log', { subscription: 2 })
  assert.deepEqual(await take(client, 2), ['b', 'c'])
})

test('forgetting begins anew, and is not for groups', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  await client.publish('log', ['a', 'b'])
  await open(client, 'log')
  await take(client, 2)
  await client.commit({ offset: 1 })
  await client.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: true })
  const describe = { kind: 'describe', id: 0, topic: 'log', group: 'audit', after: '', groups: false } as const
  assert.equal(await client.fails(describe), 'LVT_GROUP_NOT_FOUND')
  await open(client, 'log')
  assert.deepEqual(await take(client, 2), ['a', 'b'])
  await client.subscribe('log', { subscription: 2, mode: 'shared', group: 'workers' })
  const forgetting = { kind: 'unsubscribe', id: 0, subscription: 2, forget: true } as const
  assert.equal(await client.fails(forgetting), 'LVT_UNSUPPORTED')
  await client.askFor('done', { ...forgetting, forget: false })
})

test('what retention took before it was committed is told, and reading goes on behind it', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  const retention = { ageMs: null, bytes: null, records: 3 }
  for (const [topic, ringRecords] of [
    ['in-ring', 1_000],
    ['behind', 2],
  ] as const) {
    await client.create(topic, { ...KEPT, retention, ringRecords })
    await client.publish(topic, ['0', '1', '2'])
    await open(client, topic)
    await take(client, 3)
    await client.commit({ offset: 0 })
    await client.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
    for (const payload of ['3', '4', '5', '6', '7']) await client.publish(topic, [payload])
    await open(client, topic)
    const { from, to, cause } = await client.expect('lost-range')
    assert.deepEqual([from, to, cause], [1, 5, 'trimmed'])
    assert.deepEqual(await take(client, 3), ['5', '6', '7'])
    await client.commit({ offset: 5 })
    assert.equal((await described(client, topic)).partitions[0]?.position, 6)
    await client.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  }
})

test('a named cursor with an end commits what it was sent after the end, and keeps its position', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log', { ...KEPT, partitions: 2 })
  for (const partition of [0, 1]) await client.publish('log', ['a', 'b', 'c'], { partition })
  await open(client, 'log', { untilOffset: 2 })
  assert.deepEqual((await take(client, 4)).sort(), ['a', 'a', 'b', 'b'])
  assert.equal((await client.expect('ended')).reason, 'until-reached')
  for (const partition of [0, 1]) await client.commit({ partition, offset: 1 })
  assert.equal(metric(broker, 'leveret_broker_group_members'), 0)
  assert.equal(metric(broker, 'leveret_broker_readers'), 0)
  await open(client, 'log')
  assert.deepEqual(await take(client, 2), ['c', 'c'])
})

test('a cursor that an operator moved goes on there, and commits of before do not undo it', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await using operator = await WireClient.connect(broker)
  await client.create('log')
  await client.publish('log', ['a', 'b', 'c', 'd'])
  const { generation } = await open(client, 'log')
  await take(client, 4)
  await client.commit({ offset: 3, generation })
  await operator.askFor('done', manage('log', { start: startAt(1) }))
  const assigned = await client.expect('assigned')
  assert.deepEqual([assigned.partitions, assigned.started], [[0], [0]])
  assert.ok(assigned.generation > generation)
  assert.equal(await client.fails(commitFrame({ offset: 3, generation })), 'LVT_FENCED')
  assert.deepEqual(await take(client, 3), ['b', 'c', 'd'])
  assert.equal((await described(operator, 'log')).fenced, 1)
  await client.commit({ offset: 1, generation: assigned.generation })
  assert.equal((await described(operator, 'log')).partitions[0]?.position, 2)
  assert.equal(await operator.fails(manage('log', { action: 'pause' })), 'LVT_UNSUPPORTED')
  assert.equal(await operator.fails(manage('log', { partition: 4 })), 'LVT_PARTITION_NOT_FOUND')
  assert.equal(await operator.fails(manage('missing', {})), 'LVT_TOPIC_NOT_FOUND')
  assert.equal(await operator.fails(manage('log', { group: 'missing' })), 'LVT_GROUP_NOT_FOUND')
  await operator.askFor('done', manage('log', { action: 'delete' }))
  assert.equal((await client.expect('ended')).reason, 'group-deleted')
})

test('a cursor reads the partitions that its topic gets, from their first records', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  await open(client, 'log')
  await broker.changeTopic('log', { partitions: 3 })
  const assigned = await client.expect('assigned')
  assert.deepEqual(
    [assigned.partitions, assigned.started],
    [
      [0, 1, 2],
      [1, 2],
    ],
  )
  for (const partition of [0, 1, 2]) await client.publish('log', [`p${partition}`], { partition })
  assert.deepEqual((await take(client, 3)).sort(), ['p0', 'p1', 'p2'])
  assert.equal(
    (await client.askFor('description', { kind: 'describe', id: 0, topic: 'log', group: '', after: '', groups: false }))
      .topics[0]?.subscribers,
    1,
  )
})

test('a name belongs to one mode, and to topics that keep their records', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  await open(client, 'log')
  assert.equal(
    await client.fails(subscribeFrame('log', { subscription: 2, group: 'audit', mode: 'shared' })),
    'LVT_GROUP_CONFLICT',
  )
  await client.create('fleeting', FLEETING)
  assert.equal(await client.fails(subscribeFrame('fleeting', { ...CURSOR, subscription: 2 })), 'LVT_UNSUPPORTED')
  assert.equal(await client.fails(commitFrame({ offset: 0, outcome: 'reject' })), 'LVT_UNSUPPORTED')
})

test('a cursor ends with its topic', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  await client.publish('log', ['a'])
  await open(client, 'log')
  await take(client, 1)
  await broker.deleteTopic('log')
  assert.equal((await client.expect('ended')).reason, 'topic-deleted')
  await client.ping()
  assert.deepEqual(client.frames, [])
  assert.equal(metric(broker, 'leveret_broker_group_members'), 0)
})
