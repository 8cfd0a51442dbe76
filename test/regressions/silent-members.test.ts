/**
 * A record that a member was silent about kept its place in the window when the ack wait was over: a member that was silent
 * about a window of records got nothing ever again, and a group of such members made no progress.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { commitFrame, payloadsIn, subscribeFrame, WireClient } from '../helpers/wire-client.js'

const SHARED = { mode: 'shared', group: 'workers', window: 1, ackWaitMs: 200 } as const

async function take(client: WireClient): Promise<[payload: string, deliveryCount: number]> {
  const delivery = await client.expect('delivery')
  const [payload = '', ...more] = payloadsIn(delivery)
  assert.deepEqual(more, [])
  return [payload, delivery.deliveryCount]
}

test('a silent member has its place in the window again when the ack wait is over', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a', 'b'])
  await client.subscribe('jobs', SHARED)
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(await take(client), ['a', round])
    await client.ping()
    assert.deepEqual(client.frames, [], 'one record fills its window')
    clock.advance(200)
  }
  assert.deepEqual(await take(client), ['a', 5])
  await client.commit({ offset: 0 })
  assert.deepEqual(await take(client), ['b', 0])
})

test('a group of silent members makes progress as soon as one of them speaks', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using one = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  await one.create('jobs')
  await one.publish('jobs', ['a', 'b'])
  for (const client of [one, other]) await client.subscribe('jobs', SHARED)
  assert.deepEqual((await Promise.all([take(one), take(other)])).sort(), [
    ['a', 0],
    ['b', 0],
  ])
  clock.advance(200)
  const again = await Promise.all([take(one), take(other)])
  assert.deepEqual(again.map(([payload]) => payload).sort(), ['a', 'b'])
  const offsetOf = ([payload]: [string, number]): number => (payload === 'a' ? 0 : 1)
  await one.commit({ offsets: [offsetOf(again[0])] })
  clock.advance(200)
  await one.commit({ offsets: [offsetOf(await take(one))] })
  assert.equal(await other.fails(commitFrame({ offset: 1 })), 'LVT_LEASE_LOST')
  const describe = { kind: 'describe', id: 0, topic: 'jobs', group: 'workers', after: '', groups: false } as const
  const [group] = (await one.askFor('description', describe)).groups
  assert.deepEqual([group?.lag, group?.inFlight], [0, 0])
})

test('a late ack of what nobody got since counts, by offset and up to an offset, and frees no place twice', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await using operator = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a', 'b', 'c'])
  await client.subscribe('jobs', { ...SHARED, window: 2 })
  const first = await client.expect('delivery')
  assert.deepEqual(payloadsIn(first), ['a', 'b'])
  const manage = { kind: 'manage-group', id: 0, topic: 'jobs', group: 'workers', partition: null } as const
  const start = { kind: 'latest' } as const
  await operator.askFor('done', { ...manage, start, action: 'pause' })
  clock.advance(200)
  await client.commit({ offsets: [1] })
  await client.commit({ offset: 0 })
  await operator.askFor('done', { ...manage, start, action: 'resume' })
  assert.deepEqual(await take(client), ['c', 0])
  await client.publish('jobs', ['d', 'e'])
  assert.deepEqual(await take(client), ['d', 0])
  await client.ping()
  assert.deepEqual(client.frames, [], 'its window has two places')
})

test('what an operator takes from a member makes room for more', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a', 'b'])
  await client.subscribe('jobs', SHARED)
  assert.deepEqual(await take(client), ['a', 0])
  const manage = { kind: 'manage-group', id: 0, topic: 'jobs', group: 'workers', partition: null } as const
  await client.askFor('done', { ...manage, action: 'seek', start: { kind: 'offset', offset: 1 } })
  assert.deepEqual(await take(client), ['b', 0])
})

test('who releases what it was sent gets nothing more, and leaves no trace on the records', async () => {
  await using broker = await createBroker()
  await using goes = await WireClient.connect(broker)
  await using stays = await WireClient.connect(broker)
  await goes.create('jobs')
  await goes.publish('jobs', ['a', 'b', 'c'])
  await goes.subscribe('jobs', { ...SHARED, window: 2 })
  assert.deepEqual(payloadsIn(await goes.expect('delivery')), ['a', 'b'])
  await goes.commit({ offset: 1, outcome: 'release' })
  await goes.ping()
  assert.deepEqual(goes.frames, [])
  await stays.askFor('done', subscribeFrame('jobs', { ...SHARED, window: 3 }))
  const got: string[] = []
  while (got.length < 3) {
    const delivery = await stays.expect('delivery')
    assert.equal(delivery.deliveryCount, 0)
    got.push(...payloadsIn(delivery))
  }
  assert.deepEqual(got, ['a', 'b', 'c'])
  await goes.commit({ outcome: 'release' })
  await goes.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
})
