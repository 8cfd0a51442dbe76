/**
 * Subscribing: what is refused, where it begins, how it stops, by a socket and no library.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { stanFields } from '../../helpers/stan-messages.js'
import { FIRST, type StanPeer, type SubscribeFields } from '../../helpers/stan-peer.js'
import { startStan } from '../../helpers/stan-server.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

const NEW_ONLY = 0
const LAST = 1
const DELTA = 2
const SEQUENCE = 3
const INVALID = 'stan: invalid subscription'

async function filled(t: TestContext, count: number) {
  const server = await startStan(t)
  const peer = await server.connect()
  await peer.fill('foo', count)
  return { server, peer }
}

/** What a subscription gets of what is there, and of one message more. */
async function firstOf(peer: StanPeer, fields: Partial<SubscribeFields>): Promise<number | undefined> {
  const subscription = await peer.subscribe({ subject: 'foo', ...fields })
  await peer.publish('foo', 'new')
  await subscription.until(1)
  await peer.unsubscribe(subscription)
  return subscription.sequences[0]
}

test('each mistake in a request has its answer, in the order of the original', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  const error = async (fields: Partial<SubscribeFields>) =>
    (await peer.trySubscribe({ subject: 'foo', ...fields })).error
  const all = { clientID: '', ackWaitInSecs: 0, maxInFlight: 0, startPosition: 5, subject: 'foo.*' }
  assert.equal(await error(all), 'stan: clientID missing')
  assert.equal(await error({ ...all, clientID: 'nobody' }), 'stan: invalid ack wait time, should be >= 1s')
  assert.equal(await error({ ackWaitInSecs: -1 }), 'stan: invalid ack wait time, should be >= 1s')
  const waiting = { ...all, clientID: 'nobody', ackWaitInSecs: 1 }
  assert.equal(await error(waiting), 'stan: invalid MaxInflight, should be >= 1')
  assert.equal(await error({ maxInFlight: -1 }), 'stan: invalid MaxInflight, should be >= 1')
  assert.equal(await error({ ...waiting, maxInFlight: 1 }), 'stan: invalid start position')
  assert.equal(await error({ startPosition: -1 }), 'stan: invalid start position')
  assert.equal(await error({ ...waiting, maxInFlight: 1, startPosition: 0 }), 'stan: invalid subject')
  for (const subject of ['', 'foo.*', 'foo.>', 'foo..bar', '.foo', 'foo.', 'foo/bar']) {
    assert.equal(await error({ subject }), 'stan: invalid subject', subject)
  }
  assert.equal(await error({ clientID: 'nobody' }), 'stan: unknown clientID')
  assert.equal(
    await error({ qGroup: 'q', durableName: 'a:b' }),
    "stan: durable name of a durable queue subscriber can't contain the character ':'",
  )
  const durable = await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  assert.equal(await error({ durableName: 'dur' }), 'stan: duplicate durable registration')
  assert.equal(await peer.unsubscribe(durable), '')
  assert.equal(server.metric('subscriptions'), 0)
})

test('unsubscribing and closing know the channel, the inbox and the client', async (t) => {
  const { peer, server } = await filled(t, 1)
  const other = await server.connect()
  const subscription = await peer.subscribe({ subject: 'foo' })
  for (const leave of ['unsubscribe', 'closeSubscription'] as const) {
    const elsewhere = { subject: 'bar', ackInbox: subscription.ackInbox }
    assert.equal(await peer[leave](elsewhere), 'stan: unknown channel')
    assert.equal(await peer[leave](subscription, 'nowhere'), INVALID)
    assert.equal(await peer[leave](subscription, ''), INVALID)
    assert.equal(await other[leave](subscription), 'stan: unknown clientID')
  }
  assert.equal(server.metric('subscriptions'), 1)
  assert.equal(await peer.unsubscribe(subscription), '')
  assert.equal(await peer.unsubscribe(subscription), INVALID)
  assert.equal(server.metric('subscriptions'), 0)
})

test('a subscription may be closed by the inbox of its messages', async (t) => {
  const { peer } = await filled(t, 1)
  const subscription = await peer.subscribe({ subject: 'foo' })
  assert.equal(await peer.closeSubscription(subscription, subscription.inbox), '')
  await peer.publish('foo', 'x')
  await peer.wire.flush()
  assert.deepEqual(subscription.sequences, [])
})

test('a subscription that was given up before it was answered is closed by its inbox', async (t) => {
  const { peer, server } = await filled(t, 1)
  const inbox = '_INBOX.late'
  const answer = peer.requestSubscribe({ subject: 'foo', inbox })
  const closed = peer.closeSubscription({ subject: 'foo', ackInbox: inbox })
  assert.notEqual(stanFields('SubscriptionResponse', await answer).ackInbox, undefined)
  assert.equal(await closed, '')
  assert.equal(server.metric('subscriptions'), 0)
})

test('a subscribe that is under way when its client closes leaves nothing behind', async (t) => {
  const { peer, server } = await filled(t, 1)
  const answers = Array.from({ length: 20 }, (_, index) =>
    peer.requestSubscribe({ subject: `c${index}`, inbox: `_INBOX.${index}` }),
  )
  assert.equal(await peer.close(), '')
  for (const answer of answers) {
    const { ackInbox, error } = stanFields('SubscriptionResponse', await answer)
    assert.notEqual(ackInbox, undefined, String(error))
  }
  assert.equal(server.metric('subscriptions'), 0)
})

test('new-only begins behind what is there', async (t) => {
  const { peer } = await filled(t, 3)
  assert.equal(await firstOf(peer, { startPosition: NEW_ONLY }), 4)
  const empty = await peer.subscribe({ subject: 'empty', startPosition: NEW_ONLY })
  await peer.publish('empty', 'x')
  assert.deepEqual(
    (await empty.until(1)).map(({ sequence }) => sequence),
    [1],
  )
})

test('last-received begins with the last one, or waits for the first', async (t) => {
  const { peer } = await filled(t, 3)
  assert.equal(await firstOf(peer, { startPosition: LAST }), 3)
  const empty = await peer.subscribe({ subject: 'empty', startPosition: LAST })
  await peer.publish('empty', 'x')
  assert.deepEqual(
    (await empty.until(1)).map(({ sequence }) => sequence),
    [1],
  )
})

test('a sequence begins there, at what is kept, or behind everything', async (t) => {
  const { peer } = await filled(t, 5)
  assert.equal(await firstOf(peer, { startPosition: SEQUENCE, startSequence: 3 }), 3)
  assert.equal(await firstOf(peer, { startPosition: SEQUENCE, startSequence: 0 }), 1)
  assert.equal(await firstOf(peer, { startPosition: SEQUENCE, startSequence: 1 }), 1)
  assert.equal(await firstOf(peer, { startPosition: SEQUENCE, startSequence: 8 }), 8, 'the last one')
  assert.equal(await firstOf(peer, { startPosition: SEQUENCE, startSequence: 1_000 }), 10, 'it does not wait for it')
})

test('what is not kept any more is not begun with', async (t) => {
  const { peer, server } = await filled(t, 10)
  await server.broker.changeTopic('foo', { retention: { records: 4, bytes: null, ageMs: null } })
  await peer.publish('foo', 'x')
  const first = await firstOf(peer, { startPosition: FIRST })
  assert.ok(first !== undefined && first > 1, 'something is gone')
  assert.equal(
    await firstOf(peer, { startPosition: SEQUENCE, startSequence: 1 }),
    first + 1,
    'first kept, one further by now',
  )
})

test('a time begins with the first message since, and the future is new', async (t) => {
  const server = await startStan(t)
  const peer = await server.connect()
  await peer.fill('foo', 2)
  await new Promise((resolve) => setTimeout(resolve, 150))
  const between = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 150))
  await peer.fill('foo', 2)
  const since = (ms: number) =>
    firstOf(peer, { startPosition: DELTA, startTimeDelta: String(BigInt(Math.round(ms)) * 1_000_000n) })
  assert.equal(await since(Date.now() - between), 3)
  assert.equal(await since(3_600_000), 1, 'older than everything')
  assert.equal(await since(0), 7, 'new only')
  assert.equal(await since(-60_000), 8, 'the future')
})

test('a time within the millisecond of a message begins with it', async (t) => {
  const clock = new VirtualClock()
  const server = await startStan(t, { clock })
  const peer = await server.connect()
  await peer.fill('foo', 1)
  clock.advance(5)
  await peer.fill('foo', 1, 2)
  clock.advance(1)
  assert.equal(await firstOf(peer, { startPosition: DELTA, startTimeDelta: '800000' }), 2)
})

test('no message comes before the answer to the subscribe, however much is published', async (t) => {
  const server = await startStan(t)
  const publisher = await server.connect()
  const peer = await server.connect()
  let isPublishing = true
  const publishing = (async () => {
    for (let count = 0; isPublishing; count += 100) await publisher.fill('foo', 100, count)
  })()
  for (let count = 0; count < 20; count++) {
    const inbox = `_INBOX.order${count}`
    const reply = `_INBOX.reply${count}`
    const order: string[] = []
    const both = new Promise<void>((resolve) => {
      const note = ({ subject }: { subject: string }): void => {
        order.push(subject)
        if (order.length > 1) resolve()
      }
      peer.wire.subscribe(inbox, note)
      peer.wire.subscribe(reply, note)
    })
    peer.wire.publish(
      '_STAN.sub.test-cluster',
      peer.subscribeBytes({ subject: 'foo', inbox, startPosition: FIRST }),
      reply,
    )
    await both
    assert.equal(order[0], reply)
  }
  isPublishing = false
  await publishing
})

test('a stalled subscription gets nothing until it acks, and goes on then', async (t) => {
  const { peer } = await filled(t, 10)
  for (const fields of [{}, { durableName: 'dur' }, { qGroup: 'q' }]) {
    const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 3, ...fields })
    await subscription.until(3)
    await peer.publish('other', 'x')
    assert.deepEqual(subscription.sequences, [1, 2, 3])
    peer.ack(subscription, 2)
    await subscription.until(4)
    peer.ack(subscription, 1, 3, 4)
    await subscription.until(7)
    peer.ack(subscription, 5, 6, 7)
    await subscription.until(10)
    assert.deepEqual(
      subscription.messages.map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((sequence) => [sequence, false]),
    )
    await peer.unsubscribe(subscription)
  }
})

test('what was not acked in time comes again, counted, though the subscription is stalled', async (t) => {
  const { peer, server } = await filled(t, 2)
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 1, ackWaitInSecs: 1 })
  const began = performance.now()
  await subscription.until(3)
  assert.ok(performance.now() - began >= 1_900)
  assert.deepEqual(
    subscription.messages.map(({ sequence, isRedelivered, redeliveryCount }) => [
      sequence,
      isRedelivered,
      redeliveryCount,
    ]),
    [
      [1, false, 0],
      [1, true, 1],
      [1, true, 2],
    ],
  )
  peer.ack(subscription, 1)
  await subscription.until(4)
  assert.equal(subscription.sequences[3], 2)
  assert.equal(server.metric('messages_redelivered_total'), 2)
})

test('messages that are dropped while a durable is away are passed over, and so is what it had not acked', async (t) => {
  const { peer, server } = await filled(t, 20)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST, maxInFlight: 1 }
  const before = await peer.subscribe(durable)
  await before.until(1)
  assert.equal(await peer.closeSubscription(before), '')
  await server.broker.changeTopic('foo', { retention: { records: 5, bytes: null, ageMs: null } })
  await peer.publish('foo', 'x')
  const after = await peer.subscribe(durable)
  await after.until(1)
  const [next] = after.messages
  assert.ok(next !== undefined && next.sequence > 2 && !next.isRedelivered, `message ${next?.sequence}`)
})

test('closing stops what is being delivered', async (t) => {
  const { peer } = await filled(t, 2_000)
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 10 })
  await subscription.until(1)
  assert.equal(await peer.closeSubscription(subscription), '')
  const { length } = subscription.messages
  for (const { sequence } of [...subscription.messages]) peer.ack(subscription, sequence)
  await peer.publish('foo', 'x')
  assert.equal(subscription.messages.length, length)
})

test('no message is left out when publishing races with reaching the end', async (t) => {
  const server = await startStan(t)
  const publisher = await server.connect()
  const peer = await server.connect()
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 16_384 })
  for (let count = 0; count < 300; count++) {
    publisher.send('foo', `${count}`)
    if (count % 7 === 0) await publisher.wire.flush()
  }
  await subscription.until(300)
  assert.deepEqual(
    subscription.sequences,
    Array.from({ length: 300 }, (_, index) => index + 1),
  )
})

test('many subscriptions come and go, and none is left', async (t) => {
  const { peer, server } = await filled(t, 3)
  const before = server.broker.metrics().find(({ name }) => name === 'leveret_nats_subscriptions')?.value ?? 0
  const many = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      peer.subscribe({ subject: `c${index % 5}`, ...(index % 3 === 0 ? { qGroup: 'q' } : {}) }),
    ),
  )
  assert.equal(server.metric('subscriptions'), 200)
  assert.deepEqual(new Set(await Promise.all(many.map((each) => peer.unsubscribe(each)))), new Set(['']))
  for (const { sid } of many) peer.wire.unsubscribe(sid)
  await peer.wire.flush()
  assert.equal(server.metric('subscriptions'), 0)
  const after = server.broker.metrics().find(({ name }) => name === 'leveret_nats_subscriptions')?.value
  assert.equal(after, before)
})

test('a slow connection holds up nobody else', async (t) => {
  const server = await startStan(t, { natsPendingBytesMax: 4 * 1024 * 1024 })
  const publisher = await server.connect()
  const slow = await server.connect()
  const quick = await server.connect()
  const stuck = await slow.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 16_384 })
  slow.wire.pause()
  const subscription = await quick.subscribe({ subject: 'foo', startPosition: FIRST, maxInFlight: 16_384 })
  const payload = Buffer.alloc(20_000, 'x')
  for (let round = 0; round < 20; round++) {
    const before = publisher.acks.length
    for (let count = 0; count < 50; count++) publisher.send('foo', payload)
    await publisher.acked(before + 50)
  }
  await subscription.until(1_000)
  assert.equal(slow.wire.isClosed, false, 'it was not ended either')
  slow.wire.resume()
  await stuck.until(1_000)
  assert.ok(server.metric('feeds_held_total') > 0)
})

test('an inbox that nobody listens to gets its messages when somebody does', async (t) => {
  const { peer } = await filled(t, 3)
  const answer = await peer.requestSubscribe({ subject: 'foo', inbox: '_INBOX.later', startPosition: FIRST })
  assert.notEqual(stanFields('SubscriptionResponse', answer).ackInbox, undefined)
  const got = new Promise<string>((resolve) => {
    peer.wire.subscribe('_INBOX.later', ({ payload }) => resolve(String(stanFields('MsgProto', payload).sequence)))
  })
  assert.equal(await got, '1')
})

test('a group whose members are away waits for one of them', async (t) => {
  const { peer } = await filled(t, 3)
  const group = { subject: 'foo', qGroup: 'q', startPosition: FIRST }
  await peer.requestSubscribe({ ...group, inbox: '_INBOX.away' })
  await peer.publish('other', 'x')
  const here = await peer.subscribe(group)
  await here.until(1)
  assert.equal(here.messages[0]?.isRedelivered, false)
})

test('an inbox that cannot be is taken, and nothing is sent there', async (t) => {
  const { peer, server } = await filled(t, 1)
  const everything: string[] = []
  peer.wire.subscribe('>', ({ subject }) => everything.push(subject))
  for (const inbox of ['', 'a b', 'a\r\nPUB x 0\r\n', 'a..b']) {
    const answer = await peer.requestSubscribe({ subject: 'foo', inbox, startPosition: FIRST })
    assert.notEqual(stanFields('SubscriptionResponse', answer).ackInbox, undefined)
  }
  await peer.publish('foo', 'x')
  assert.deepEqual(
    everything.filter((subject) => subject.startsWith('a')),
    [],
  )
  assert.equal(server.metric('subscriptions'), 4)
})
