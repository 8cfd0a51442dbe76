/**
 * Subscribing through the client, against a server whose answers the tests write themselves.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, json, type LostRange, text } from '../../client/index.js'
import type { ClientFrame, SubscribeFrame, TopicDescription } from '../../src/protocol/frames.js'
import { delivery, done, type FakePeer, FakeServer, failure } from '../helpers/fake-server.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

type OnSubscribe = (frame: SubscribeFrame, peer: FakePeer, connection: number) => void

/** A server that takes every subscription and then says what the test wants. */
function startServer(onSubscribe: OnSubscribe): Promise<FakeServer> {
  const start: Promise<FakeServer> = FakeServer.start((frame: ClientFrame, peer) => {
    if (frame.kind === 'commit' && frame.id !== 0) peer.send(done(frame.id))
    if (frame.kind !== 'subscribe') return
    peer.send(done(frame.id))
    void start.then((server) => onSubscribe(frame, peer, server.peers.indexOf(peer)))
  })
  return start
}

function describing(ends: readonly number[], keepsNothing = false): TopicDescription {
  const retention = keepsNothing ? 'none' : { ageMs: null, bytes: null, records: null }
  const partitions = ends.map((end, partition) => ({ partition, logStart: 0, end, bytes: 0 }))
  return { name: 't', settings: { ...SETTINGS, retention }, partitions, subscribers: 0 }
}

const SETTINGS = {
  partitions: 1,
  compactionWindowMs: 0,
  keepLatestPerKey: false,
  durability: 'disk',
  ringBytes: 1,
  ringRecords: 1,
  inactivityMs: null,
  deadLetterTopic: null,
  maxDeliveries: null,
  slowConsumer: 'lag',
} as const

const dial = (server: FakeServer): Promise<Client> => connect({ port: server.port, reconnect: { minDelayMs: 1 } })

const numbered = (first: number, count: number): string[] => Array.from({ length: count }, (_, i) => `${first + i}`)

test('records are iterated in order, with everything that was said of them', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 5, ['a', 'b'], { partition: 2, timestampMs: 77, deliveryCount: 3 }))
    peer.send({ kind: 'ended', id: 0, subscription, reason: 'until-reached' })
  })
  await using client = await dial(server)
  const seen: unknown[] = []
  for await (const record of client.topic('t', { codec: text() }).subscribe()) {
    const { topic, partition, offset, timestampMs, deliveryCount, key, headers, value } = record
    seen.push([topic, partition, offset, timestampMs, deliveryCount, key, headers, value])
  }
  assert.deepEqual(seen, [
    ['t', 2, 5, 77, 3, null, [], 'a'],
    ['t', 2, 6, 77, 3, null, [], 'b'],
  ])
})

test('the start, the end and the window are said as they were asked for', async () => {
  await using server = await startServer(() => {})
  await using client = await dial(server)
  const topic = client.topic('t')
  const froms = ['latest', 'last', { offset: 9 }, { timeMs: 8 }, { ageMs: 7 }, { lastN: 6 }] as const
  await Promise.all(froms.map((from) => topic.subscribe({ from, until: 50, window: 3 }).ready))
  await topic.subscribe({}).ready
  const sent = server.all('subscribe').map(({ start, untilOffset, window }) => [start, untilOffset, window])
  assert.deepEqual(sent, [
    [{ kind: 'latest' }, 50, 3],
    [{ kind: 'last' }, 50, 3],
    [{ kind: 'offset', offset: 9 }, 50, 3],
    [{ kind: 'time', timeMs: 8 }, 50, 3],
    [{ kind: 'age', ageMs: 7 }, 50, 3],
    [{ kind: 'last-n', records: 6 }, 50, 3],
    [{ kind: 'earliest' }, null, 1_000],
  ])
  assert.throws(() => topic.subscribe({ until: -1 }), { code: 'LVT_INVALID_ARGUMENT' })
  assert.throws(() => topic.subscribe({ from: { offset: 0.5 } }), { code: 'LVT_INVALID_ARGUMENT' })
})

test('asking for the next record commits the previous one, half a window at a time', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 0, numbered(0, 10)))
  })
  await using client = await dial(server)
  const records = client.topic('t').subscribe({ window: 10 })
  for (let index = 0; index < 10; index++) await records.next()
  await client.ping()
  assert.deepEqual(
    server.all('commit').map(({ offset }) => offset),
    [4],
  )
  await records.close()
  await client.ping()
  assert.deepEqual(
    server.all('commit').map(({ offset }) => offset),
    [4, 9],
  )
})

test('with a window of one each record is committed before the next is waited for', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 0, ['0']))
  })
  await using client = await dial(server)
  const records = client.topic('t').subscribe({ window: 1 })
  await records.next()
  await client.ping()
  assert.equal(server.all('commit').length, 0)
  const second = records.next()
  await server.until(() => server.all('commit').length === 1)
  server.peer.send(delivery(server.all('subscribe')[0]?.subscription ?? 0, 1, ['1']))
  assert.equal((await second).value?.offset, 1)
})

test('manual commits of one turn are one frame, and an ack is answered', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 0, ['a', 'b', 'c', 'd']))
  })
  await using client = await dial(server)
  const records = client.topic('t').subscribe({ manualCommit: true, window: 4 })
  const taken = [await records.next(), await records.next(), await records.next(), await records.next()]
  await client.ping()
  assert.equal(server.all('commit').length, 0)
  for (const { value } of taken.slice(0, 3)) value?.commit()
  await client.ping()
  await taken[3]?.value?.ack()
  assert.deepEqual(
    server.all('commit').map(({ offset }) => offset),
    [2, 3],
  )
})

test('leaving the loop ends the subscription at the server', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 0, ['a', 'b']))
  })
  await using client = await dial(server)
  for await (const _ of client.topic('t').subscribe()) break
  await client.ping()
  assert.equal(server.all('unsubscribe').length, 1)
})

test('whole deliveries are iterated as arrays', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 0, ['a', 'b']), delivery(subscription, 2, ['c']))
    peer.send({ kind: 'ended', id: 0, subscription, reason: 'until-reached' })
  })
  await using client = await dial(server)
  const batches: string[][] = []
  const records = client.topic('t', { codec: text() }).subscribe({ window: 2 })
  for await (const batch of records.batches()) batches.push(batch.map(({ value }) => value))
  assert.deepEqual(batches, [['a', 'b'], ['c']])
})

test('a new connection goes on after the last record, and nothing comes twice', async () => {
  await using server = await startServer(({ subscription }, peer, connection) => {
    if (connection === 0) peer.send(delivery(subscription, 0, numbered(0, 4)))
    // Overlaps what the client has already, as after a restart from a smaller offset.
    else peer.send(delivery(subscription, 2, numbered(2, 4)))
  })
  server.topic = describing([6])
  await using client = await dial(server)
  const records = client.topic('t', { codec: text() }).subscribe()
  const values: string[] = []
  for await (const { value } of records) {
    values.push(value)
    if (values.length === 2) server.peer.cut()
    if (values.length === 6) break
  }
  assert.deepEqual(values, numbered(0, 6))
  assert.deepEqual(
    server.all('subscribe').map(({ start }) => start),
    [{ kind: 'earliest' }, { kind: 'offset', offset: 4 }],
  )
})

test('with several partitions a new connection starts at the smallest place and skips what is known', async () => {
  await using server = await startServer(({ subscription }, peer, connection) => {
    if (connection === 0) {
      peer.send(delivery(subscription, 0, ['a0', 'a1', 'a2'], { partition: 0 }))
      peer.send(delivery(subscription, 0, ['b0'], { partition: 1 }))
      setImmediate(() => peer.cut())
    } else {
      peer.send(delivery(subscription, 1, ['a1', 'a2', 'a3'], { partition: 0 }))
      peer.send(delivery(subscription, 1, ['b1'], { partition: 1 }))
    }
  })
  server.topic = describing([4, 2])
  await using client = await dial(server)
  const values: string[] = []
  for await (const { value } of client.topic('t', { codec: text() }).subscribe({ window: 1 })) {
    values.push(value)
    if (values.length === 6) break
  }
  assert.deepEqual(values, ['a0', 'a1', 'a2', 'b0', 'a3', 'b1'])
  assert.deepEqual(server.all('subscribe')[1]?.start, { kind: 'offset', offset: 1 })
  await client.ping()
  const skipped = server.peers[1]?.frames.find((frame) => frame.kind === 'commit')
  assert.deepEqual(skipped?.kind === 'commit' && [skipped.partition, skipped.offset], [0, 2])
})

for (const { from, ends, keepsNothing, again } of [
  { from: 'latest', ends: [7], keepsNothing: false, again: { kind: 'offset', offset: 7 } },
  { from: 'latest', ends: [7, 3], keepsNothing: false, again: { kind: 'offset', offset: 3 } },
  { from: 'last', ends: [7], keepsNothing: false, again: { kind: 'offset', offset: 6 } },
  { from: { lastN: 5 }, ends: [7], keepsNothing: false, again: { kind: 'offset', offset: 2 } },
  { from: 'earliest', ends: [7], keepsNothing: true, again: { kind: 'offset', offset: 7 } },
  { from: 'earliest', ends: [7], keepsNothing: false, again: { kind: 'earliest' } },
  { from: { timeMs: 5 }, ends: [7], keepsNothing: false, again: { kind: 'time', timeMs: 5 } },
  { from: { ageMs: 5 }, ends: [7], keepsNothing: false, again: { kind: 'age', ageMs: 105 } },
  { from: { offset: 9 }, ends: [7], keepsNothing: false, again: { kind: 'offset', offset: 9 } },
] as const) {
  const what = `${JSON.stringify(from)} of ${keepsNothing ? 'a topic that keeps nothing' : 'a topic'} at ${ends}`
  test(`a connection lost before the first record misses nothing from ${what}`, async () => {
    const clock = new VirtualClock()
    await using server = await startServer(() => {})
    server.topic = describing(ends, keepsNothing)
    await using client = await connect({ port: server.port, clock, reconnect: { minDelayMs: 1 } })
    const lost: LostRange[] = []
    await client.topic('t').subscribe({ from, onLost: (range) => lost.push(range) }).ready
    // Records are published while the connection is away.
    server.topic = describing(
      ends.map((end) => end + 2),
      keepsNothing,
    )
    const down = new Promise((resolve) => client.once('disconnected', resolve))
    server.peer.cut()
    await down
    clock.advance(100)
    await server.until(() => server.all('subscribe').length === 2)
    assert.deepEqual(server.all('subscribe')[1]?.start, again)
    assert.deepEqual(lost, [])
  })
}

test('a log that ends before what was read is read from its beginning, and the loss is told', async () => {
  await using server = await startServer(({ subscription }, peer, connection) => {
    if (connection === 0) peer.send(delivery(subscription, 10, ['old']))
    else peer.send(delivery(subscription, 0, ['new']))
  })
  server.topic = describing([11])
  await using client = await dial(server)
  const lost: LostRange[] = []
  const records = client.topic('t', { codec: text() }).subscribe({ onLost: (range) => lost.push(range) })
  assert.equal((await records.next()).value?.value, 'old')
  server.topic = describing([1])
  server.peer.cut()
  assert.equal((await records.next()).value?.value, 'new')
  assert.deepEqual(lost, [{ topic: 't', partition: 0, from: 11, to: 11, cause: 'reset' }])
})

test('lost ranges are told and counted, and a callback that throws harms only its owner', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send({ kind: 'lost-range', id: 0, subscription, partition: 0, from: 3, to: 8, cause: 'lagged' })
    peer.send(delivery(subscription, 8, ['a']))
  })
  await using client = await dial(server)
  const lost: LostRange[] = []
  const records = client.topic('t').subscribe({ onLost: (range) => lost.push(range) })
  assert.equal((await records.next()).value?.offset, 8)
  assert.deepEqual(lost, [{ topic: 't', partition: 0, from: 3, to: 8, cause: 'lagged' }])
  assert.equal(records.lostRecords, 5)
})

test('a subscription says when it has caught up, once', async () => {
  await using server = await startServer(({ subscription }, peer) => peer.send(delivery(subscription, 0, ['a', 'b'])))
  server.topic = describing([2])
  await using client = await dial(server)
  const events: string[] = []
  const records = client.topic('t', { codec: text() }).subscribe({ onCaughtUp: () => events.push('caught up') })
  for (let index = 0; index < 2; index++) events.push((await records.next()).value?.value ?? 'end')
  assert.deepEqual(events, ['a', 'b'])
  const waiting = records.next()
  assert.deepEqual(events, ['a', 'b', 'caught up'])
  await records.close()
  assert.equal((await waiting).done, true)
})

test('a subscription that the server refuses throws, when iterated and from ready', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'subscribe') peer.send(failure(frame.id, 'LVT_UNSUPPORTED'))
  })
  await using client = await dial(server)
  const records = client.topic('t').subscribe({ mode: 'shared', group: 'g' })
  await assert.rejects(records.ready, { code: 'LVT_UNSUPPORTED' })
  await assert.rejects(records.next(), { code: 'LVT_UNSUPPORTED' })
  assert.equal((await records.next()).done, true)
})

test('a topic that is deleted ends its subscriptions with an error, after what was fetched', async () => {
  await using server = await startServer(({ subscription }, peer) => {
    peer.send(delivery(subscription, 0, ['a']), { kind: 'ended', id: 0, subscription, reason: 'topic-deleted' })
  })
  await using client = await dial(server)
  const records = client.topic('t').subscribe()
  assert.equal((await records.next()).value?.offset, 0)
  await assert.rejects(records.next(), { code: 'LVT_TOPIC_NOT_FOUND' })
})

test('aborting ends a waiting iteration with an error, before or after it began', async () => {
  await using server = await startServer(() => {})
  await using client = await dial(server)
  const controller = new AbortController()
  const { signal } = controller
  const records = client.topic('t').subscribe({ signal })
  const waiting = records.next()
  await records.ready
  controller.abort(new Error('enough'))
  await assert.rejects(waiting, { code: 'LVT_ABORTED' })
  assert.throws(() => signal.throwIfAborted(), /enough/)
  await assert.rejects(client.topic('t').subscribe({ signal }).next(), { code: 'LVT_ABORTED' })
  await client.ping()
  assert.equal(server.all('unsubscribe').length, 1)
})

test('draining the client ends iterations after what was fetched, closing it at once', async () => {
  await using server = await startServer(({ subscription }, peer) =>
    peer.send(delivery(subscription, 0, ['a', 'b', 'c'])),
  )
  for (const how of ['drain', 'close'] as const) {
    const client = await dial(server)
    const records = client.topic('t', { codec: text() }).subscribe()
    assert.equal((await records.next()).value?.value, 'a')
    await client[how]()
    const rest: string[] = []
    for await (const { value } of records) rest.push(value)
    assert.deepEqual(rest, how === 'drain' ? ['b', 'c'] : [])
  }
})

test('a payload that its codec refuses throws with topic and offset, and the iteration goes on', async () => {
  await using server = await startServer(({ subscription }, peer) =>
    peer.send(delivery(subscription, 4, ['{', '{"a":1}'])),
  )
  await using client = await dial(server)
  const records = client.topic('t', { codec: json<{ a: number }>() }).subscribe()
  const broken = (await records.next()).value
  assert.throws(() => broken?.value, { code: 'LVT_CODEC', topic: 't', message: /offset 4/ })
  assert.deepEqual((await records.next()).value?.value, { a: 1 })
})
