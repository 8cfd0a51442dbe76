/**
 * What is there again after a restart: clients, subscriptions, and what was acked. Clients do nothing but connect their sockets.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createBroker, type EmbeddedBroker } from '../../../src/index.js'
import { FIRST, type StanPeer, StanSubscription } from '../../helpers/stan-peer.js'
import { type StanServer, stanServer } from '../../helpers/stan-server.js'

const GONE = 'client has been replaced or is no longer registered'

interface Lives {
  start(): Promise<StanServer>
  /** It is away for so long at least. */
  restart(awayMs?: number): Promise<StanServer>
}

async function lives(t: TestContext): Promise<Lives> {
  const data = await mkdtemp(join(tmpdir(), 'leveret-'))
  let broker: EmbeddedBroker | null = null
  t.after(async () => {
    await broker?.stop({ deadlineMs: 0 })
    await rm(data, { recursive: true, force: true })
  })
  const start = async (): Promise<StanServer> => {
    broker = await createBroker({ natsStreaming: 0, data })
    return stanServer(t, broker)
  }
  const restart = async (awayMs = 0): Promise<StanServer> => {
    await broker?.stop({ deadlineMs: 1_000 })
    await pause(awayMs)
    return await start()
  }
  return { start, restart }
}

test('a client goes on under its name and connection', async (t) => {
  const life = await lives(t)
  let server = await life.start()
  const before = await server.connect('me')
  const other = await server.connect('other')
  await before.publish('foo', '1')
  assert.equal(await other.close(), '')
  server = await life.restart()
  const after = await server.open('me')
  assert.equal(await after.publish('foo', '2', { connID: Buffer.from(before.connId) }), '')
  assert.equal(await after.ping(before.connId), '')
  assert.equal(await after.ping(other.connId), GONE)
  assert.equal(await after.publish('foo', '3', { connID: Buffer.from(other.connId) }), 'stan: invalid publish request')
  assert.equal(server.metric('clients'), 1)
})

test('a live client keeps its name over a restart, and a dead one does not', async (t) => {
  const life = await lives(t)
  const before = await (await life.start()).connect('me')
  const server = await life.restart()
  const wire = (await server.open()).wire
  const sid = wire.subscribe(before.heartbeatInbox, ({ reply }) => wire.publish(reply, Buffer.alloc(0)))
  await wire.flush()
  const rival = await server.open('me')
  assert.equal(await rival.register(), 'stan: clientID already registered')
  wire.unsubscribe(sid)
  await wire.flush()
  assert.equal(await rival.register(), '')
})

const KINDS = {
  plain: {},
  durable: { durableName: 'dur' },
  queue: { qGroup: 'q' },
  'durable queue': { qGroup: 'q', durableName: 'dur' },
}

/** A subscription of each kind on a channel of its own has 5 messages, and has acked two. */
async function begunOfEachKind(peer: StanPeer, ackWaitInSecs: number): Promise<StanSubscription[]> {
  const begun: StanSubscription[] = []
  for (const [kind, fields] of Object.entries(KINDS)) {
    const subject = kind.replace(' ', '-')
    await peer.fill(subject, 5)
    const subscription = await peer.subscribe({ subject, startPosition: FIRST, ackWaitInSecs, ...fields })
    await subscription.until(5)
    peer.ack(subscription, 1, 3)
    begun.push(subscription)
  }
  return begun
}

function goneOn(peer: StanPeer, { subject, inbox, ackInbox }: StanSubscription): StanSubscription {
  const subscription = new StanSubscription(subject, inbox, peer.wire)
  subscription.ackInbox = ackInbox
  return subscription
}

test('what is not acked comes again when its ack wait is over and not before, and what is new does not wait for it', async (t) => {
  const life = await lives(t)
  let server = await life.start()
  const before = await server.connect('me')
  const begunMs = performance.now()
  const first = await begunOfEachKind(before, 3)
  await before.publish('bar', 'the acks are done with')
  server = await life.restart()
  assert.equal(server.metric('subscriptions'), 4)
  const after = await server.open('me')
  const gone = first.map((old) => goneOn(after, old))
  for (const { subject } of gone) await after.publish(subject, '6', { connID: Buffer.from(before.connId) })
  await Promise.all(
    gone.map(async (again) => {
      await again.until(1)
      // It was at work on these, and goes on.
      after.ack(again, 2, 4, 6)
      const messages = await again.until(2)
      assert.ok(performance.now() - begunMs > 2_900, 'the ack wait is over')
      assert.deepEqual(
        messages.map(({ sequence, redeliveryCount }) => [sequence, redeliveryCount]),
        [
          [6, 0],
          [5, 1],
        ],
      )
      assert.equal(await after.unsubscribe(again), '')
    }),
  )
})

test('what was due while the server was away comes as soon as somebody listens, before what is new', async (t) => {
  const life = await lives(t)
  let server = await life.start()
  const before = await server.connect('me')
  const first = await begunOfEachKind(before, 1)
  await before.publish('bar', 'the acks are done with')
  server = await life.restart(1_100)
  const after = await server.open('me')
  for (const { subject } of first) await after.publish(subject, '6', { connID: Buffer.from(before.connId) })
  await Promise.all(
    first.map(async (old) => {
      const messages = await goneOn(after, old).until(4)
      assert.deepEqual(
        messages.slice(0, 4).map(({ sequence, redeliveryCount }) => [sequence, redeliveryCount]),
        [
          [2, 1],
          [4, 1],
          [5, 1],
          [6, 0],
        ],
      )
    }),
  )
})

test('a durable that was closed stays closed, and is resumed where it was', async (t) => {
  const life = await lives(t)
  let server = await life.start()
  const before = await server.connect('me')
  await before.fill('foo', 3)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST }
  const first = await before.subscribe(durable)
  await first.until(3)
  before.ack(first, 1)
  assert.equal(await before.closeSubscription(first), '')
  server = await life.restart()
  const after = await server.open('me')
  const old = new StanSubscription('foo', first.inbox, after.wire)
  assert.equal(await after.register(), '')
  await after.fill('foo', 1, 4)
  assert.deepEqual(old.sequences, [])
  const second = await after.subscribe(durable)
  const messages = await second.until(3)
  assert.deepEqual(
    messages.map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
    [
      [2, true],
      [3, true],
      [4, false],
    ],
  )
})

test('what its client closed is not there again, and its durables are offline', async (t) => {
  const life = await lives(t)
  let server = await life.start()
  const peer = await server.connect('me')
  await peer.subscribe({ subject: 'foo' })
  await peer.subscribe({ subject: 'foo', qGroup: 'q' })
  await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  const gone = await peer.subscribe({ subject: 'foo', durableName: 'other' })
  assert.equal(await peer.unsubscribe(gone), '')
  assert.equal(await peer.close(), '')
  server = await life.restart()
  assert.deepEqual([server.metric('clients'), server.metric('subscriptions')], [0, 1])
})

test('sequences go on behind what was there, and channels are there', async (t) => {
  const life = await lives(t)
  await (await (await life.start()).connect('me')).fill('foo', 3)
  const server = await life.restart()
  const peer = await server.open('me')
  await peer.register()
  await peer.publish('foo', '4')
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.deepEqual(
    (await subscription.until(4)).map(({ data }) => data),
    ['1', '2', '3', '4'],
  )
})

test('who does not come back after a restart is waited for a moment, and its group goes on without it', async (t) => {
  const life = await lives(t)
  let server = await life.start()
  const before = await server.connect('one')
  const gone = await server.connect('two')
  const group = { subject: 'foo', qGroup: 'q', startPosition: FIRST, ackWaitInSecs: 1 }
  const first = await before.subscribe(group)
  await gone.subscribe(group)
  await before.fill('foo', 2)
  await first.until(1)
  server = await life.restart()
  const after = await server.open('one')
  const again = new StanSubscription('foo', first.inbox, after.wire)
  assert.equal(await (await server.open('two')).register(), '', 'nobody answers for it')
  assert.deepEqual(new Set((await again.until(2)).map(({ sequence }) => sequence)), new Set([1, 2]))
})

test('a server without a disk forgets its clients, and says so', async (t) => {
  const first = await createBroker({ natsStreaming: 0 })
  t.after(() => first.stop({ deadlineMs: 0 }))
  const before = await stanServer(t, first).connect('me')
  await first.stop({ deadlineMs: 0 })
  const second = await createBroker({ natsStreaming: 0 })
  t.after(() => second.stop({ deadlineMs: 0 }))
  const after = await stanServer(t, second).open('me')
  assert.equal(await after.ping(before.connId), GONE)
  assert.equal(await after.publish('foo', 'x', { connID: Buffer.from(before.connId) }), 'stan: invalid publish request')
})

test('many channels with durables are there again, and their durables where they were', async (t) => {
  const life = await lives(t)
  const CHANNELS = 90
  let server = await life.start()
  const before = await server.connect('me')
  const names = Array.from({ length: CHANNELS }, (_, index) => `channel.${index}`)
  await Promise.all(
    names.map(async (subject) => {
      const durable = await before.subscribe({ subject, durableName: 'dur', startPosition: FIRST })
      before.send(subject, 'one')
      before.send(subject, 'two')
      await durable.until(2)
      before.ack(durable, 1)
      assert.equal(await before.closeSubscription(durable), '')
    }),
  )
  server = await life.restart()
  const after = await server.open('me')
  await Promise.all(
    names.map(async (subject) => {
      const durable = await after.subscribe({ subject, durableName: 'dur' })
      after.send(subject, 'three', { connID: Buffer.from(before.connId) })
      const messages = await durable.until(2)
      assert.deepEqual(
        messages.map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
        [
          [2, true],
          [3, false],
        ],
      )
    }),
  )
})
