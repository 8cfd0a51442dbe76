/** Looking after groups: what an operator does to one, what its members are told, and what its figures say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { ManageGroupFrame, SubscribeFrame } from '../../src/protocol/frames.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { commitFrame, KEPT, payloadsIn, recordsIn, startAt, WireClient } from '../helpers/wire-client.js'

const SHARED: Partial<SubscribeFrame> = { mode: 'shared', group: 'workers', window: 10 }

function manage(more: Partial<ManageGroupFrame>): ManageGroupFrame {
  const plain = { action: 'seek', start: { kind: 'earliest' }, partition: null } as const
  return { kind: 'manage-group', id: 0, topic: 'jobs', group: 'workers', ...plain, ...more }
}

async function take(client: WireClient, records: number): Promise<string[]> {
  const got: string[] = []
  while (got.length < records) got.push(...payloadsIn(await client.expect('delivery')))
  return got
}

function metric(broker: EmbeddedBroker, name: string): number | undefined {
  return broker.metrics().find((sample) => sample.name === `leveret_broker_${name}`)?.value
}

test('a shared group that is moved takes nothing more that was said of before, and goes on there', async () => {
  await using broker = await createBroker()
  await using member = await WireClient.connect(broker)
  await using operator = await WireClient.connect(broker)
  await member.create('jobs')
  await member.publish('jobs', ['a', 'b', 'c', 'd'])
  // What it has takes its whole window: what is taken from it makes room.
  await member.subscribe('jobs', { ...SHARED, window: 4 })
  await take(member, 4)
  await operator.askFor('done', manage({ start: { kind: 'latest' } }))
  assert.equal(await member.fails(commitFrame({ offset: 2 })), 'LVT_LEASE_LOST')
  assert.equal(await member.fails(commitFrame({ offsets: [3] })), 'LVT_LEASE_LOST')
  await operator.askFor('done', manage({ start: startAt(1) }))
  const again = await take(member, 3)
  assert.deepEqual(again.sort(), ['b', 'c', 'd'])
  await member.commit({ offset: 3 })
  await operator.askFor('done', manage({ start: { kind: 'latest' } }))
  await member.publish('jobs', ['e'])
  assert.deepEqual(await take(member, 1), ['e'])
})

test('a paused group gives nothing out, takes what is said of records in flight, and goes on when it is resumed', async () => {
  await using broker = await createBroker()
  await using member = await WireClient.connect(broker)
  await using operator = await WireClient.connect(broker)
  await member.create('jobs')
  await member.publish('jobs', ['a', 'b'])
  await member.subscribe('jobs', SHARED)
  await take(member, 2)
  await operator.askFor('done', manage({ action: 'pause' }))
  await member.publish('jobs', ['c'])
  await member.commit({ offsets: [0] })
  await member.ping()
  assert.deepEqual(member.frames, [])
  const describe = { kind: 'describe', id: 0, topic: 'jobs', group: 'workers', after: '', groups: false } as const
  const [state] = (await operator.askFor('description', describe)).groups
  assert.deepEqual([state?.isPaused, state?.lag, state?.inFlight], [true, 2, 1])
  await operator.askFor('done', manage({ action: 'resume' }))
  assert.deepEqual(await take(member, 1), ['c'])
})

test('the members of a deleted group are told, and a new one of its name begins anew', async () => {
  await using broker = await createBroker()
  await using member = await WireClient.connect(broker)
  await using operator = await WireClient.connect(broker)
  await member.create('jobs')
  await member.publish('jobs', ['a'])
  await member.subscribe('jobs', SHARED)
  await take(member, 1)
  await member.commit({ offset: 0 })
  await operator.askFor('done', manage({ action: 'delete' }))
  assert.equal((await member.expect('ended')).reason, 'group-deleted')
  assert.equal(await operator.fails(manage({ action: 'delete' })), 'LVT_GROUP_NOT_FOUND')
  await member.subscribe('jobs', SHARED)
  assert.deepEqual(await take(member, 1), ['a'])
})

test('the reason of a rejection goes with the dead letter, as much of it as a header should hold', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs', { ...KEPT, deadLetterTopic: 'failed' })
  await client.publish('jobs', ['a', 'b'])
  await client.subscribe('jobs', SHARED)
  await take(client, 2)
  await client.commit({ offsets: [0], outcome: 'reject', reason: 'no such customer' })
  await client.commit({ offsets: [1], outcome: 'reject', reason: 'x'.repeat(100_000) })
  await client.subscribe('failed', { subscription: 2, window: 10 })
  const letters = recordsIn(await client.expect('delivery'))
  while (letters.length < 2) letters.push(...recordsIn(await client.expect('delivery')))
  const reasons = letters.map(({ headers }) =>
    Buffer.from(headers.find(({ name }) => name === 'leveret-reason')?.value ?? []).toString(),
  )
  assert.deepEqual(reasons.sort(), ['no such customer', 'x'.repeat(1024)])
})

test('a group gives out no more at once than the server allows, however many members ask', async () => {
  await using broker = await createBroker({ groupInFlightMax: 3 })
  await using one = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  await one.create('jobs')
  await one.publish('jobs', ['a', 'b', 'c', 'd', 'e'])
  for (const client of [one, other]) await client.subscribe('jobs', SHARED)
  for (const client of [one, other]) await client.ping()
  const deliveries = [one, other].flatMap(({ frames }) => frames.splice(0))
  const counts = deliveries.map((frame) => (frame.kind === 'delivery' ? frame.run.count : 0))
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    3,
  )
})

test('the ack wait is the one of the server, unless the member says', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock, ackWaitMs: 2_000 })
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a'])
  await client.subscribe('jobs', SHARED)
  await take(client, 1)
  clock.advance(1_999)
  await client.ping()
  assert.deepEqual(client.frames, [])
  clock.advance(1)
  assert.deepEqual(await take(client, 1), ['a'])
})

test('members that have records and say nothing are counted, and so is what becomes of it', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a', 'b'])
  await client.subscribe('jobs', { ...SHARED, ackWaitMs: 60_000 })
  await client.subscribe('jobs', { subscription: 2, group: 'audit', window: 10 })
  while (client.frames.filter(({ kind }) => kind === 'delivery').length < 2) await client.ping()
  assert.deepEqual([metric(broker, 'groups'), metric(broker, 'group_lag_records')], [2, 4])
  assert.equal(metric(broker, 'group_members_silent'), 0)
  clock.advance(31_000)
  await client.ping()
  assert.equal(metric(broker, 'group_members_silent'), 2)
  await client.commit({ offset: 1 })
  await client.commit({ subscription: 2, offset: 0 })
  assert.equal(metric(broker, 'group_members_silent'), 0)
  assert.equal(metric(broker, 'group_lag_records'), 1)
})

test('a member that keeps what was taken from it loses it in the end, and its late commit is refused and counted', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using stubborn = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  await stubborn.create('jobs', { ...KEPT, partitions: 2 })
  for (const partition of [0, 1]) await stubborn.publish('jobs', ['a'], { partition })
  const place = { mode: 'partitioned', group: 'readers', window: 4 } as const
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 100) {
      clock.advance(100)
      await stubborn.ping()
    }
  }
  await stubborn.subscribe('jobs', { ...place, member: 'stubborn' })
  await pass(1_000)
  const { generation } = await stubborn.expect('assigned')
  await stubborn.expect('delivery')
  await stubborn.expect('delivery')
  await other.subscribe('jobs', { ...place, member: 'other' })
  await pass(1_000)
  const kept = (await stubborn.expect('assigned')).partitions[0] as number
  const lost = 1 - kept
  await pass(8_000)
  await other.ping()
  assert.deepEqual(
    other.frames.filter(({ kind }) => kind === 'delivery'),
    [],
  )
  await pass(4_000)
  while ((await other.expect('assigned')).started.length === 0);
  assert.equal((await other.expect('delivery')).partition, lost)
  assert.equal(await stubborn.fails(commitFrame({ partition: lost, offset: 0, generation })), 'LVT_FENCED')
  assert.ok((metric(broker, 'group_fenced_total') ?? 0) >= 1)
})
