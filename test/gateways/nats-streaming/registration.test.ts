/**
 * Connecting, being replaced, pings and closing, by a socket and no library.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stanBytes, stanFields } from '../../helpers/stan-messages.js'
import { startStan } from '../../helpers/stan-server.js'

const GARBAGE = Buffer.from('garbage')
const INVALID_ID = 'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed'
const TAKEN = 'stan: clientID already registered'
const GONE = 'client has been replaced or is no longer registered'

test('client IDs are letters, digits, dashes and underscores', async (t) => {
  const server = await startStan(t)
  const peer = await server.open()
  for (const clientID of ['', 'a.b', 'a b', 'a*', '>', 'ä', 'a/b', 'a:b']) {
    assert.equal(await peer.register(1, { clientID }), INVALID_ID, clientID)
  }
  for (const clientID of ['a', 'A-1_b', '-', '_', '0']) assert.equal(await peer.register(1, { clientID }), '')
  assert.equal(await peer.register(1, { clientID: 'x', heartbeatInbox: '' }), 'stan: invalid connection request')
  assert.equal(server.metric('clients'), 5)
})

test('garbage gets the answer of each request', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const error = async (subject: string, message: string, payload = GARBAGE) =>
    stanFields(message, await peer.request(`_STAN.${subject}`, payload)).error
  assert.equal(await error('discover.test-cluster', 'ConnectResponse'), 'stan: invalid connection request')
  assert.equal(await error('pub.test-cluster.foo', 'PubAck'), 'stan: invalid publish request')
  assert.equal(await error('sub.test-cluster', 'SubscriptionResponse'), 'stan: invalid subscription request')
  assert.equal(await error('unsub.test-cluster', 'SubscriptionResponse'), 'stan: invalid unsubscribe request')
  assert.equal(await error('subclose.test-cluster', 'SubscriptionResponse'), 'stan: invalid unsubscribe request')
  assert.equal(await error('close.test-cluster', 'CloseResponse'), 'stan: invalid close request')
  assert.equal(await error('close.test-cluster', 'CloseResponse', Buffer.alloc(0)), 'stan: unknown clientID')
  assert.equal(server.metric('subscriptions'), 0)
})

test('a live client keeps its ID', async (t) => {
  const server = await startStan(t)
  const first = await server.connect('me')
  const second = await server.open('me')
  assert.equal(await second.register(), TAKEN)
  assert.deepEqual(second.welcome, { error: TAKEN })
  assert.equal(first.heartbeats, 1)
  assert.equal(await first.publish('foo', 'x'), '')
  assert.equal(await second.publish('foo', 'x'), 'stan: invalid publish request')
})

test('a client whose connection is gone is replaced at once, and its successor begins without subscriptions', async (t) => {
  const server = await startStan(t)
  const first = await server.connect('me')
  await first.subscribe({ subject: 'foo' })
  await first.subscribe({ subject: 'foo', durableName: 'dur' })
  first.wire.close()
  const second = await server.open('me')
  const began = performance.now()
  assert.equal(await second.register(), '')
  assert.ok(performance.now() - began < 400, 'nobody was waited for')
  assert.equal(server.metric('subscriptions'), 1, 'the durable')
  assert.equal(await second.publish('foo', 'x'), '')
  assert.equal(await second.ping(first.connId), GONE)
  assert.equal(await second.ping(), '')
})

test('a silent client is replaced after half a second, and of many who want its ID one gets it', async (t) => {
  const server = await startStan(t)
  const silent = await server.connect('me')
  silent.answersHeartbeats = false
  const peers = await Promise.all(Array.from({ length: 10 }, () => server.open('me')))
  const began = performance.now()
  let isDecided = false
  const answers = Promise.all(peers.map((peer) => peer.register())).finally(() => {
    isDecided = true
  })
  const other = await server.connect('other')
  assert.equal(isDecided, false, 'others are not held up')
  assert.equal(await other.publish('foo', 'x'), '')
  const won = (await answers).filter((error) => error === '')
  assert.ok(performance.now() - began >= 490)
  assert.equal(won.length, 1)
  assert.equal((await answers).filter((error) => error === TAKEN).length, 9)
  assert.equal(await silent.publish('foo', 'x'), 'stan: invalid publish request')
  assert.equal(server.metric('clients'), 2)
})

test('a client that closes while somebody asks for its ID makes room', async (t) => {
  const server = await startStan(t)
  const silent = await server.connect('me')
  silent.answersHeartbeats = false
  const successor = await server.open('me')
  const answer = successor.register()
  await successor.wire.flush()
  assert.equal(await silent.close(), '')
  assert.equal(await answer, '')
  assert.equal(await successor.publish('foo', 'x'), '')
})

test('a client without connection IDs is known by its name alone', async (t) => {
  const server = await startStan(t)
  const old = await server.connect('old', 0)
  assert.deepEqual(Object.keys(old.welcome), [
    'pubPrefix',
    'subRequests',
    'unsubRequests',
    'closeRequests',
    'subCloseRequests',
    'protocol',
  ])
  assert.equal(await old.publish('foo', 'x', { connID: undefined }), '')
  assert.equal(await old.publish('foo', 'x', { connID: undefined, clientID: 'other' }), 'stan: invalid publish request')
  assert.equal(await old.close(), '')
  assert.equal(await old.publish('foo', 'x', { connID: undefined }), 'stan: invalid publish request')
})

test('pings are answered for connections that are known', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const pings = String(peer.welcome.pingRequests)
  assert.equal(await peer.ping(), '')
  assert.equal((await peer.request(pings, stanBytes('Ping', { connID: Buffer.from(peer.connId) }))).length, 0)
  assert.equal(await peer.ping('somebody else'), GONE)
  // What is no ping has no answer; the next one has.
  let silence = 0
  peer.wire.subscribe('silence', () => silence++)
  peer.wire.publish(pings, Buffer.alloc(0), 'silence')
  peer.wire.publish(pings, GARBAGE, 'silence')
  await peer.wire.flush()
  assert.equal(silence, 0)
  assert.equal(await peer.close(), '')
  assert.equal(await peer.ping(), GONE)
})

test('a client that closes is unknown from then on', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const subscription = await peer.subscribe({ subject: 'foo' })
  assert.equal(
    (await peer.request('_STAN.close.test-cluster', stanBytes('CloseRequest', { clientID: peer.clientId }))).length,
    0,
  )
  assert.equal(await peer.close(), 'stan: unknown clientID')
  assert.equal(await peer.publish('foo', 'x'), 'stan: invalid publish request')
  assert.equal((await peer.trySubscribe({ subject: 'foo' })).error, 'stan: unknown clientID')
  assert.equal(await peer.unsubscribe(subscription), 'stan: invalid subscription')
  assert.deepEqual([server.metric('clients'), server.metric('subscriptions')], [0, 0])
})

test('a client comes back on another connection without a word', async (t) => {
  const server = await startStan(t)
  const before = await server.connect('me')
  const subscription = await before.subscribe({ subject: 'foo', maxInFlight: 1 })
  await before.publish('foo', 'one')
  await subscription.until(1)
  before.wire.close()
  const after = await server.open('me')
  const inbox: string[] = []
  const here = new Promise<void>((resolve) => {
    after.wire.subscribe(subscription.inbox, ({ payload }) => {
      inbox.push(String(stanFields('MsgProto', payload).data))
      resolve()
    })
  })
  await after.wire.flush()
  assert.equal(await after.publish('foo', 'two', { connID: Buffer.from(before.connId) }), '')
  after.ack(subscription, 1)
  await here
  assert.deepEqual(inbox, ['two'])
  assert.equal(await after.ping(before.connId), '')
})

test('there is a limit to how many clients are registered', async (t) => {
  const server = await startStan(t, { natsStreamingClientsMax: 2 })
  const first = await server.connect()
  await server.connect()
  const third = await server.open()
  assert.equal(await third.register(), 'too many clients')
  assert.equal(await first.close(), '')
  assert.equal(await third.register(), '')
})
