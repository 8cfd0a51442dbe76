/**
 * What one connection sends without waiting for answers is done in that order, however slow the disk is: who closes gets what it asked
 * for before.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { systemError } from '../../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { stanFields } from '../../helpers/stan-messages.js'
import { FIRST, type StanPeer, type SubscribeFields } from '../../helpers/stan-peer.js'
import { type LimitedStan, startLimitedStan } from '../../helpers/stan-server.js'

const SYNC_MS = 20
const DURABLE = { subject: 'foo', durableName: 'dur', startPosition: FIRST, inbox: '_INBOX.early' }
let folders = 0

interface Slow {
  readonly server: LimitedStan
  /** Syncs of these wait until it is called. */
  hold(path: RegExp): () => void
  /** Writes to these fail until it is called. */
  fail(path: RegExp): () => void
  /** Subscriptions, offline durables included. */
  subscriptions(): number
}

/** A server on a disk that takes its time. */
async function slow(t: TestContext): Promise<Slow> {
  const fs = new FaultyFileSystem({ seed: 1 })
  const server = await startLimitedStan(t, {}, `/data-of-order-${++folders}`, fs.process())
  fs.beforeSync(() => pause(SYNC_MS))
  t.after(() => fs.beforeSync(null))
  const hold = (path: RegExp): (() => void) => {
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    t.after(release)
    fs.beforeSync((file) => (path.test(file) ? held : pause(SYNC_MS)))
    return release
  }
  const fail = (path: RegExp): (() => void) => {
    fs.beforeOp(({ name, path: file }) => {
      if (path.test(file) && (name === 'write' || name === 'open')) throw systemError('ENOSPC', name, file)
    })
    return () => fs.beforeOp(null)
  }
  const subscriptions = (): number =>
    server.app.metrics.samples().find(({ name }) => name === 'leveret_nats_streaming_subscriptions')?.value ?? -1
  return { server, hold, fail, subscriptions }
}

/** Sent now, and awaited later. */
async function subscribing(peer: StanPeer, fields: SubscribeFields): Promise<string> {
  const { ackInbox, error = '' } = stanFields('SubscriptionResponse', await peer.requestSubscribe(fields))
  assert.equal(ackInbox === undefined, error !== '')
  return String(error)
}

/** Which answer came first, second... */
async function inOrder(answers: Readonly<Record<string, Promise<string>>>): Promise<readonly string[]> {
  const came: string[] = []
  const all = Object.entries(answers).map(async ([what, answer]) => {
    const error = await answer
    came.push(error === '' ? what : `${what}: ${error}`)
  })
  await Promise.all(all)
  return came
}

for (const channel of ['a channel that is there', 'a new channel']) {
  test(`a durable of a client that closes at once is made, answered and suspended: ${channel}`, async (t) => {
    const { server } = await slow(t)
    const other = await server.connect()
    if (channel !== 'a new channel') await other.fill('foo', 1)
    const peer = await server.connect('me')
    const answers = { subscribe: subscribing(peer, DURABLE), close: peer.close() }
    assert.deepEqual(await inOrder(answers), ['subscribe', 'close'])
    await other.fill('foo', 2)
    assert.equal(await peer.register(), '')
    const again = await peer.subscribe({ subject: 'foo', durableName: 'dur' })
    await again.until(channel === 'a new channel' ? 2 : 3)
    assert.equal(again.sequences[0], 1, 'it begins where the first one was to begin')
  })
}

test('what is subscribed and left at once is made, answered and left, and then the client closes', async (t) => {
  const { server, subscriptions } = await slow(t)
  const peer = await server.connect('me')
  const kept = { ...DURABLE, durableName: 'kept', inbox: '_INBOX.kept' }
  const answers = {
    subscribe: subscribing(peer, DURABLE),
    unsubscribe: peer.unsubscribe({ subject: 'foo', ackInbox: DURABLE.inbox }),
    'subscribe again': subscribing(peer, kept),
    'close subscription': peer.closeSubscription({ subject: 'foo', ackInbox: kept.inbox }),
    resume: subscribing(peer, kept),
    close: peer.close(),
  }
  assert.deepEqual(await inOrder(answers), Object.keys(answers))
  assert.equal(subscriptions(), 1, 'the durable that was not unsubscribed')
  assert.equal(await peer.register(), '')
  const subscription = await peer.subscribe({ subject: 'foo', durableName: 'kept' })
  await peer.fill('foo', 1)
  await subscription.until(1)
})

test('a durable that is unsubscribed right before its client closes is forgotten', async (t) => {
  const { server, subscriptions } = await slow(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 1)
  const durable = await peer.subscribe(DURABLE)
  assert.deepEqual(await inOrder({ unsubscribe: peer.unsubscribe(durable), close: peer.close() }), [
    'unsubscribe',
    'close',
  ])
  assert.equal(subscriptions(), 0)
})

test('what was published to a new channel right before its client closes is kept and answered, and nothing that comes after', async (t) => {
  const { server } = await slow(t)
  const peer = await server.connect('me')
  const before = peer.send('new', 'before')
  const closed = peer.close()
  const after = peer.send('new', 'after')
  assert.equal(await closed, '')
  await peer.acked(2)
  const errorOf = (guid: string): string | undefined => peer.acks.find((ack) => ack.guid === guid)?.error
  assert.deepEqual([errorOf(before), errorOf(after)], ['', 'stan: invalid publish request'])
  assert.equal(await peer.register(), '')
  const subscription = await peer.subscribe({ subject: 'new', startPosition: FIRST })
  assert.equal(await peer.publish('new', 'last'), '')
  await subscription.until(2)
  assert.deepEqual(
    subscription.messages.map(({ data }) => data),
    ['before', 'last'],
  )
})

test('who closes and comes back at once is no duplicate of itself, and goes on with its durables', async (t) => {
  const { server } = await slow(t)
  const peer = await server.connect('me')
  const again = { ...DURABLE, inbox: '_INBOX.again' }
  const answers = {
    subscribe: subscribing(peer, DURABLE),
    close: peer.close(),
    connect: peer.register(),
    resume: subscribing(peer, again),
  }
  assert.deepEqual(await inOrder(answers), Object.keys(answers))
  assert.equal((await peer.trySubscribe(again)).error, 'stan: duplicate durable registration')
  assert.equal(await peer.ping(), '')
})

test('what one client waits for holds up no other, and neither does who closes', async (t) => {
  const { server, hold } = await slow(t)
  const peer = await server.connect('me')
  const other = await server.connect('other')
  await other.fill('bar', 1)
  const release = hold(/catalog/)
  let isAnswered = false
  const waiting = inOrder({ subscribe: subscribing(peer, DURABLE), close: peer.close() }).finally(() => {
    isAnswered = true
  })
  const durable = await other.subscribe({ ...DURABLE, subject: 'bar' })
  assert.equal(await other.closeSubscription(durable), '')
  assert.equal(await other.close(), '')
  assert.equal(await other.register(), '')
  assert.equal(isAnswered, false)
  release()
  assert.deepEqual(await waiting, ['subscribe', 'close'])
})

test('a subscribe that the disk fails is told so, and its client closes', async (t) => {
  const { server, fail } = await slow(t)
  const peer = await server.connect('me')
  const heal = fail(/catalog/)
  const came = await inOrder({ subscribe: subscribing(peer, DURABLE), close: peer.close() })
  heal()
  assert.deepEqual(came, ['subscribe: the list of topics could not be written', 'close'])
})
