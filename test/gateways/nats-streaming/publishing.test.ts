/**
 * Publishing, and the order in which things are done, by a socket and no library.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../../client/index.js'
import { KEEP_FOREVER } from '../../../src/model/topic.js'
import { stanBytes, stanFields } from '../../helpers/stan-messages.js'
import { FIRST } from '../../helpers/stan-peer.js'
import { startStan } from '../../helpers/stan-server.js'

const INVALID = 'stan: invalid publish request'

test('a message is answered with its guid, of any length', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  for (const length of [1, 22, 127, 128, 5_000]) {
    peer.send('foo', 'x', { guid: 'g'.repeat(length) })
  }
  await peer.acked(5)
  assert.deepEqual(
    peer.acks.map(({ guid, error }) => [guid.length, error]),
    [1, 22, 127, 128, 5_000].map((length) => [length, '']),
  )
})

test('messages without a guid, a client or a channel that can be are refused, and say whose they were', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  for (const subject of ['', 'foo.*', '>', 'foo..bar', '.foo', 'foo.', 'foo/bar', 'foo*']) {
    const payload = stanBytes('PubMsg', {
      clientID: peer.clientId,
      guid: 'g',
      subject,
      connID: Buffer.from(peer.connId),
    })
    const answer = stanFields('PubAck', await peer.request('_STAN.pub.test-cluster.foo', payload))
    assert.deepEqual(answer, { guid: 'g', error: INVALID }, subject)
  }
  assert.equal(await peer.publish('foo', 'x', { connID: Buffer.from('other') }), INVALID)
  const nameless = stanBytes('PubMsg', { clientID: peer.clientId, subject: 'foo', connID: Buffer.from(peer.connId) })
  assert.deepEqual(stanFields('PubAck', await peer.request('_STAN.pub.test-cluster.foo', nameless)), { error: INVALID })
  const cut = stanBytes('PubMsg', { clientID: peer.clientId, guid: 'g', subject: 'foo' }).subarray(0, -1)
  const answer = stanFields('PubAck', await peer.request('_STAN.pub.test-cluster.foo', cut))
  assert.deepEqual(answer, { guid: 'g', error: INVALID })
})

test('the channel is the one that the message names, and may have a blank in it', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  assert.equal(await peer.publish('foo bar', 'x'), '')
  const subscription = await peer.subscribe({ subject: 'foo bar', startPosition: FIRST })
  assert.equal((await subscription.until(1))[0]?.data, 'x')
})

test('more messages than one batch takes are answered in their order, all of them', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const guids: string[] = []
  for (let count = 0; count < 5_000; count++) guids.push(peer.send('foo', `${count}`))
  await peer.acked(5_000)
  assert.deepEqual(
    peer.acks.map(({ guid }) => guid),
    guids,
  )
  assert.deepEqual(
    peer.acks.filter(({ error }) => error !== ''),
    [],
  )
  assert.equal(server.metric('publishes_pending'), 0)
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 10_000 })
  const messages = await subscription.until(5_000)
  assert.deepEqual(
    messages.map(({ sequence, data }) => `${sequence - 1}=${data}`),
    messages.map((_, index) => `${index}=${index}`),
  )
})

test('what one connection publishes for two clients to two channels, small and large, keeps its order and its answers', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const other = await server.connect()
  const sizes = [1, 100, 20_000, 63, 64, 65, 70_000, 0, 500, 16_384]
  const sent = { a: [] as string[], b: [] as string[] }
  const guids = { a: [] as string[], b: [] as string[] }
  // The first of each open their channels, the others come when they are open.
  for (const round of [0, 1]) {
    for (let index = 0; index < 200; index++) {
      const channel = index % 3 === 0 ? 'b' : 'a'
      const data = String(index % 10).repeat(sizes[index % sizes.length] ?? 0)
      const by = index % 7 < 3 ? peer : other
      const fields = { clientID: by.clientId, connID: Buffer.from(by.connId), reply: index % 11 === 0 ? 'answer' : '' }
      guids[channel].push(peer.send(channel, data, fields))
      sent[channel].push(data)
    }
    await peer.acked(200 * (round + 1))
  }
  for (const channel of ['a', 'b'] as const) {
    const own = new Set(guids[channel])
    const acks = peer.acks.filter(({ guid }) => own.has(guid))
    assert.deepEqual(
      acks.map(({ guid, error }) => `${guid} ${error}`),
      guids[channel].map((guid) => `${guid} `),
    )
    const subscription = await peer.subscribe({ subject: channel, startPosition: FIRST, maxInFlight: 1_000 })
    const messages = await subscription.until(sent[channel].length)
    assert.deepEqual(
      messages.map(({ data }) => data.toString()),
      sent[channel],
    )
  }
  assert.equal(server.metric('publishes_pending'), 0)
  assert.equal(server.metric('opening_bytes'), 0)
})

test('a message that nobody wants an answer to is stored all the same', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const message = { clientID: peer.clientId, guid: 'g', subject: 'foo', data: Buffer.from('quiet') }
  peer.wire.publish('_STAN.pub.test-cluster.foo', stanBytes('PubMsg', message))
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.equal((await subscription.until(1))[0]?.data, 'quiet')
})

test('data and reply subject come through as they are, and so does nothing', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  await peer.publish('foo', '', { reply: 'answer.here' })
  const large = 'x'.repeat(200_000)
  await peer.publish('foo', large, { reply: 'ä' })
  await peer.publish('foo', '')
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.deepEqual(
    (await subscription.until(3)).map(({ data, reply }) => [data.length, reply]),
    [
      [0, 'answer.here'],
      [200_000, 'ä'],
      [0, ''],
    ],
  )
})

test('what a connection publishes before it closes is taken, in one write', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const other = await server.connect()
  const subscription = await other.subscribe({ subject: 'foo', startPosition: FIRST })
  for (let count = 0; count < 100; count++) peer.send('foo', `${count}`)
  const closed = peer.close()
  const late = peer.send('foo', 'late')
  assert.equal(await closed, '')
  await peer.acked(101)
  assert.deepEqual(
    peer.acks.filter(({ error }) => error !== ''),
    [{ guid: late, error: INVALID }],
  )
  await subscription.until(100)
})

test('a channel is made once, however many ask for it at the same time', async (t) => {
  const server = await startStan(t)
  const peers = await Promise.all(Array.from({ length: 8 }, () => server.connect()))
  await Promise.all(
    peers.map(async (peer, index) => {
      if (index % 2 === 0) assert.equal(await peer.publish('foo', 'x'), '')
      else await peer.subscribe({ subject: 'foo', startPosition: FIRST })
    }),
  )
  const check = await peers[0]?.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.deepEqual(
    (await check?.until(4))?.map(({ sequence }) => sequence),
    [1, 2, 3, 4],
  )
})

test('a channel that differs in the case of its letters is refused to publishers and subscribers', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  await peer.publish('foo', 'x')
  const error = 'rejecting channel "FOO" because channel "foo" alreay exists (different cases not allowed)'
  assert.equal(await peer.publish('FOO', 'x'), error)
  assert.equal((await peer.trySubscribe({ subject: 'FOO' })).error, error)
  const both = [peer.publish('Bar', 'x'), peer.publish('bar', 'x')]
  const refused = (await Promise.all(both)).filter((answer) => answer !== '')
  assert.equal(refused.length, 1)
})

test('there is a limit to how many channels are made', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  for (let count = 0; count < 100; count++) assert.equal(await peer.publish(`c${count}`, 'x'), '')
  assert.equal(await peer.publish('one-more', 'x'), 'too many channels')
  assert.equal((await peer.trySubscribe({ subject: 'one-more' })).error, 'too many channels')
  assert.equal(await peer.publish('c0', 'x'), '')
  await server.broker.deleteTopic('c1')
  assert.equal(await peer.publish('one-more', 'x'), '')
})

test('topics that keep nothing, have several partitions or one record of each key are no channels, and say why; others are', async (t) => {
  // Memory has no such topics as the last.
  const data = await mkdtemp(join(tmpdir(), 'leveret-'))
  const server = await startStan(t, { data })
  t.after(() => rm(data, { recursive: true, force: true }))
  const peer = await server.connect()
  await using native = await connect({ port: server.broker.port })
  await native.createTopic('gone', { retention: 'none' })
  await native.createTopic('parts', { retention: KEEP_FOREVER, partitions: 2 })
  await native.createTopic('latest', { retention: { ...KEEP_FOREVER, ageMs: 3_600_000 }, keepLatestPerKey: true })
  await native.createTopic('kept', { retention: KEEP_FOREVER })
  for (const [name, why] of [
    ['gone', 'it keeps nothing'],
    ['parts', 'it has 2 partitions'],
    ['latest', 'it keeps only the newest record of each key'],
  ] as const) {
    const expected = `topic "${name}" cannot be a channel: ${why}`
    assert.equal(await peer.publish(name, 'x'), expected)
    assert.equal((await peer.trySubscribe({ subject: name })).error, expected)
  }
  assert.equal(await peer.publish('kept', 'x'), '')
})

test('a name that no topic can have is refused with the reason, for publishers and for subscribers', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  for (const [name, why] of [
    ['a\x15b', 'a topic name cannot hold control characters'],
    ['x'.repeat(256), 'a topic name has at most 255 bytes, this one has 256'],
  ] as const) {
    const expected = `topic "${name}" cannot be a channel: ${why}`
    assert.equal((await peer.trySubscribe({ subject: name })).error, expected)
    assert.equal(await peer.publish(name, 'x'), expected)
  }
})

test('what a client publishes are records, and records are messages', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  await peer.publish('foo', 'one', { reply: 'back' })
  await using native = await connect({ port: server.broker.port })
  await native.topic('foo').publish(Buffer.from('two'), { key: Buffer.from('key') })
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.deepEqual(
    (await subscription.until(2)).map(({ sequence, data, reply }) => [sequence, data, reply]),
    [
      [1, 'one', 'back'],
      [2, 'two', ''],
    ],
  )
})

test('an ack that is followed by the end of its subscription counts', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 2)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST }
  const first = await peer.subscribe(durable)
  await first.until(2)
  peer.ack(first, 1)
  assert.equal(await peer.closeSubscription(first), '')
  const second = await peer.subscribe(durable)
  await second.until(1)
  peer.ack(second, 2)
  assert.equal(await peer.close(), '')
  assert.equal(await peer.register(), '')
  await peer.publish('foo', '3')
  const third = await peer.subscribe(durable)
  await third.until(1)
  assert.deepEqual([first.sequences, second.sequences, third.sequences], [[1, 2], [2], [3]])
})

test('acks that nobody waits for are passed over', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const subscription = await peer.subscribe({ subject: 'foo', maxInFlight: 1 })
  peer.ack(subscription, 1, 99)
  peer.wire.publish(subscription.ackInbox, Buffer.from('garbage'))
  peer.wire.publish(subscription.ackInbox, Buffer.alloc(0))
  await peer.fill('foo', 2)
  await subscription.until(1)
  await peer.wire.flush()
  assert.deepEqual(subscription.sequences, [1], 'nothing was acked ahead of its time')
  peer.ack(subscription, 1)
  await subscription.until(2)
  assert.equal(server.metric('acks_total'), 1)
})

test('a client has a limit of messages without an answer', async (t) => {
  const server = await startStan(t, { natsStreamingPublishesMax: 10 })
  const peer = await server.connect()
  for (let count = 0; count < 200; count++) peer.send('foo', 'x')
  await peer.acked(200)
  const taken = peer.acks.filter(({ error }) => error === '').length
  const refused = peer.acks.filter(({ error }) => error === 'too many publishes without an answer').length
  assert.ok(taken >= 10 && refused > 0, `${taken} taken, ${refused} refused`)
  assert.equal(taken + refused, 200)
  assert.equal(await peer.publish('foo', 'x'), '')
})
