/**
 * Limits of a store with settings of its own: how many, how much, how long.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type ChannelLimits,
  type ChannelOverrides,
  LimitsByChannel,
} from '../../../src/gateways/nats-streaming/streaming/store-limits.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../../src/model/topic.js'
import { FIRST } from '../../helpers/stan-peer.js'
import { type LimitedStan, startLimitedStan } from '../../helpers/stan-server.js'

const UNLIMITED: ChannelLimits = {
  subscriptionsMax: null,
  messagesMax: null,
  bytesMax: null,
  ageMsMax: null,
  inactivityMsMax: null,
}

function limits(global: Partial<ChannelLimits>, channels: Record<string, ChannelOverrides> = {}) {
  return { limits: new LimitsByChannel(null, { ...UNLIMITED, ...global }, new Map(Object.entries(channels))) }
}

async function dataFolder(t: TestContext): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), 'leveret-'))
  t.after(() => rm(data, { recursive: true, force: true }))
  return data
}

async function untilGone(server: LimitedStan, channel: string): Promise<number> {
  const began = performance.now()
  while (server.app.broker.topicSettings(channel) !== null) {
    assert.ok(performance.now() - began < 5_000, `${channel} is still there`)
    await pause(20)
  }
  return performance.now() - began
}

test('a channel has so many subscriptions, offline durables included', async (t) => {
  const server = await startLimitedStan(t, limits({ subscriptionsMax: 2 }, { open: { subscriptionsMax: null } }))
  const peer = await server.connect()
  const first = await peer.subscribe({ subject: 'foo' })
  const durable = await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  assert.equal(await peer.closeSubscription(durable), '')
  const error = async () => (await peer.trySubscribe({ subject: 'foo' })).error
  assert.equal(await error(), 'too many subscriptions per channel')
  assert.equal(await error(), 'too many subscriptions per channel')
  assert.equal((await peer.trySubscribe({ subject: 'foo', durableName: 'dur' })).error, '', 'it has its place')
  assert.equal(await peer.unsubscribe(first), '')
  assert.equal(await error(), '')
  for (let count = 0; count < 5; count++) await peer.subscribe({ subject: 'open' })
})

test('channels keep as many messages as they may, also those with limits of their own', async (t) => {
  const server = await startLimitedStan(t, limits({ messagesMax: 5 }, { 'wide.*': { messagesMax: null } }))
  const peer = await server.connect()
  for (let count = 0; count < 30; count++) await peer.fill('foo', 1)
  await peer.fill('wide.one', 30)
  const kept = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  await kept.until(5)
  assert.deepEqual(kept.sequences, [26, 27, 28, 29, 30])
  const all = await peer.subscribe({ subject: 'wide.one', startPosition: FIRST })
  assert.equal((await all.until(30)).length, 30)
})

test('the operator is told once of each channel that its limits are reached', async (t) => {
  for (const [reached, full, told] of [
    [
      { messagesMax: 5 },
      5,
      /^Reached limits for store "foo" \(msgs=5\/5 bytes=\d+\/0\), dropping old messages to make room for new ones$/,
    ],
    [
      { bytesMax: 400 },
      4,
      /^Reached limits for store "foo" \(msgs=\d+\/0 bytes=\d+\/400\), dropping old messages to make room for new ones$/,
    ],
  ] as const) {
    const data = await dataFolder(t)
    for (const folder of [undefined, data]) {
      const server = await startLimitedStan(t, limits(reached, { open: { messagesMax: null, bytesMax: null } }), folder)
      const lines = (): readonly string[] => server.lines.filter((line) => line.startsWith('Reached'))
      const peer = await server.connect()
      for (let count = 1; count <= 20; count++) {
        assert.equal(await peer.publish('foo', 'x'.repeat(20)), '')
        assert.equal(await peer.publish('open', 'x'.repeat(20)), '')
        if (count < full) assert.deepEqual(lines(), [])
      }
      assert.equal(lines().length, 1, server.lines.join('\n'))
      assert.match(lines()[0] ?? '', told)
      await server.stop()
    }
  }
})

test('a channel that is begun anew after it was deleted reaches its limits anew', async (t) => {
  const server = await startLimitedStan(t, limits({ messagesMax: 2 }))
  const peer = await server.connect()
  for (const times of [1, 2]) {
    for (let count = 1; count <= 5; count++) assert.equal(await peer.publish('foo', 'x'), '')
    assert.equal(server.lines.filter((line) => line.startsWith('Reached')).length, times)
    await server.app.broker.deleteTopic('foo')
  }
})

test('limits of the store are not said to be reached by channels that others made, but their own are', async (t) => {
  const server = await startLimitedStan(t, limits({ messagesMax: 2 }))
  const retention = (records: number | null) => ({
    ...DEFAULT_TOPIC_SETTINGS,
    retention: { ...KEEP_FOREVER, records },
  })
  await server.app.broker.createTopic('free', retention(null))
  await server.app.broker.createTopic('five', retention(5))
  const peer = await server.connect()
  for (let count = 1; count <= 8; count++) {
    for (const channel of ['free', 'five']) assert.equal(await peer.publish(channel, 'x'), '')
  }
  const [line, ...others] = server.lines.filter((each) => each.startsWith('Reached'))
  assert.match(line ?? '', /^Reached limits for store "five" \(msgs=5\/5 /)
  assert.deepEqual(others, [])
  const all = await peer.subscribe({ subject: 'free', startPosition: FIRST })
  assert.equal((await all.until(8)).length, 8, 'nothing was dropped')
})

for (const [row, queue] of [
  ['TestDroppedMessagesOnSendToSub', ''],
  ['TestDroppedMessagesOnSendToQueueSub', 'group'],
] as const) {
  test(`${row}: who had no room skips to the first message that is kept`, async (t) => {
    for (const dropping of [{ messagesMax: 3 }, { bytesMax: 80 }]) {
      const server = await startLimitedStan(t, limits(dropping))
      const peer = await server.connect()
      const fields = { subject: 'foo', qGroup: queue, maxInFlight: 1, startPosition: FIRST }
      const subscription = await peer.subscribe(fields)
      assert.equal(await peer.publish('foo', '1'.padEnd(20)), '')
      await subscription.until(1)
      for (let number = 2; number <= 10; number++) assert.equal(await peer.publish('foo', `${number}`.padEnd(20)), '')
      for (let count = 1; count <= 4; count++) {
        await subscription.until(count)
        peer.ack(subscription, subscription.sequences.at(-1) ?? 0)
      }
      assert.deepEqual(subscription.sequences, [1, 8, 9, 10])
      assert.equal(await peer.publish('foo', 'new'), '')
      await subscription.until(5)
      assert.deepEqual([subscription.sequences[4], subscription.messages[4]?.isRedelivered], [11, false])
    }
  })
}

test('TestDroppedMessagesOnRedelivery: what waits for its ack and is not kept is waited for no more', async (t) => {
  for (const queue of ['', 'group']) {
    const server = await startLimitedStan(t, limits({ messagesMax: 3 }))
    const peer = await server.connect()
    const fields = { subject: 'foo', qGroup: queue, maxInFlight: 3, ackWaitInSecs: 1, startPosition: FIRST }
    const subscription = await peer.subscribe(fields)
    await peer.fill('foo', 3)
    await subscription.until(3)
    await peer.fill('foo', 2, 4)
    // The third comes again, and the first two make room for what is new.
    await subscription.until(6)
    const news = subscription.messages.slice(3)
    assert.deepEqual(news.map(({ sequence, isRedelivered }) => [sequence, isRedelivered]).sort(), [
      [3, true],
      [4, false],
      [5, false],
    ])
  }
})

test('other limits than before count for channels that were made here, and for no others', async (t) => {
  const data = await dataFolder(t)
  const before = await startLimitedStan(t, limits({}), data)
  await before.app.broker.createTopic('native', { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER })
  const peer = await before.connect('me')
  await peer.fill('foo', 10)
  await peer.fill('native', 10)
  await before.stop()
  const after = await startLimitedStan(t, limits({ messagesMax: 3 }), data)
  const retention = (name: string) => after.app.broker.topicSettings(name)?.retention
  assert.deepEqual(retention('foo'), { records: 3, bytes: null, ageMs: null })
  assert.deepEqual(retention('native'), KEEP_FOREVER)
  await after.stop()
})

test('a channel that nobody uses is deleted with its durables, and begins anew', async (t) => {
  const server = await startLimitedStan(t, limits({ inactivityMsMax: 400 }, { stays: { inactivityMsMax: null } }))
  const peer = await server.connect()
  await peer.publish('foo', 'x')
  await peer.publish('stays', 'x')
  const durable = await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  await pause(700)
  assert.notEqual(server.app.broker.topicSettings('foo'), null, 'somebody is subscribed')
  assert.equal(await peer.closeSubscription(durable), '')
  const took = await untilGone(server, 'foo')
  assert.ok(took > 250, `after ${took} ms`)
  assert.notEqual(server.app.broker.topicSettings('stays'), null)
  while (!server.lines.includes('Channel "foo" has been deleted')) await pause(10)
  assert.equal(await peer.publish('foo', 'again'), '')
  const anew = await peer.subscribe({ subject: 'foo', durableName: 'dur', startPosition: FIRST })
  assert.deepEqual(
    (await anew.until(1)).map(({ sequence, data }) => [sequence, data]),
    [[1, 'again']],
  )
})

test('publishing keeps a channel, and closing its last client lets it go', async (t) => {
  const server = await startLimitedStan(t, limits({ inactivityMsMax: 400 }))
  const peer = await server.connect()
  for (let count = 0; count < 8; count++) {
    assert.equal(await peer.publish('foo', 'x'), '')
    await pause(100)
  }
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.equal((await subscription.until(8)).length, 8)
  await pause(600)
  assert.notEqual(server.app.broker.topicSettings('foo'), null)
  assert.equal(await peer.close(), '')
  await untilGone(server, 'foo')
})

test('a channel that was there before a restart is deleted as well', async (t) => {
  const data = await dataFolder(t)
  const before = await startLimitedStan(t, limits({ inactivityMsMax: 60_000 }), data)
  const peer = await before.connect('me')
  await peer.publish('foo', 'x')
  await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  assert.equal(await peer.close(), '')
  await before.stop()
  const after = await startLimitedStan(t, limits({ inactivityMsMax: 300 }), data)
  await untilGone(after, 'foo')
  await after.stop()
})

test('a channel that others delete is begun anew for those who are subscribed', async (t) => {
  const server = await startLimitedStan(t, limits({}))
  const peer = await server.connect()
  await peer.fill('foo', 3)
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  await subscription.until(3)
  await server.app.broker.deleteTopic('foo')
  await peer.publish('foo', 'new')
  await subscription.until(4)
  assert.deepEqual([subscription.sequences[3], subscription.messages[3]?.data], [1, 'new'])
  peer.ack(subscription, 1)
  assert.equal(await peer.unsubscribe(subscription), '')
})

test('of channels that others make and delete nothing is remembered, also while their number is not limited', async (t) => {
  const server = await startLimitedStan(t, limits({}))
  const { broker, metrics } = server.app
  const channels = () => metrics.samples().find(({ name }) => name === 'leveret_nats_streaming_channels')?.value
  const peer = await server.connect()
  assert.equal(await peer.publish('stays', 'x'), '')
  const settings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
  for (let round = 0; round < 20; round++) {
    const names = Array.from({ length: 100 }, (_, index) => `Others.${round}.${index}`)
    for (const name of names) await broker.createTopic(name, settings)
    // Some are looked into as well.
    for (const name of names.slice(0, 5)) assert.equal(await peer.publish(name, 'x'), '')
    assert.equal(channels(), 101)
    for (const name of names) await broker.deleteTopic(name)
    assert.equal(channels(), 1)
  }
  for (const name of ['made', 'MADE', 'made']) {
    assert.equal(await peer.publish(name, 'x'), '', 'a name is free again')
    await broker.deleteTopic(name)
  }
  assert.equal(channels(), 1)
})

test('a durable is replaced where that is allowed', async (t) => {
  const server = await startLimitedStan(t, { isDurableReplaced: true })
  const peer = await server.connect()
  await peer.fill('foo', 2)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST }
  const first = await peer.subscribe(durable)
  await first.until(2)
  const second = await peer.subscribe(durable)
  await second.until(2)
  await peer.publish('foo', '3')
  await second.until(3)
  assert.deepEqual(
    second.messages.map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
    [
      [1, true],
      [2, true],
      [3, false],
    ],
  )
  assert.equal(first.messages.length, 2)
})

test('a client that answers no heartbeats is closed, and its subscriptions with it', async (t) => {
  const server = await startLimitedStan(t, { heartbeats: { intervalMs: 50, timeoutMs: 50, failuresMax: 2 } })
  const peer = await server.connect('me')
  await peer.subscribe({ subject: 'foo' })
  await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  await pause(300)
  assert.equal(await peer.publish('foo', 'x'), '', 'it answers')
  peer.answersHeartbeats = false
  const began = performance.now()
  while ((await peer.ping()) === '') assert.ok(performance.now() - began < 5_000)
  assert.ok(server.lines.includes('[Client:me] Timed out on heartbeats'))
  assert.equal(await peer.publish('foo', 'x'), 'stan: invalid publish request')
})

test('a client that was there before a restart is asked as well, and closed when it is gone', async (t) => {
  const data = await dataFolder(t)
  const before = await startLimitedStan(t, {}, data)
  const peer = await before.connect('me')
  await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  await before.stop()
  const after = await startLimitedStan(t, { heartbeats: { intervalMs: 30, timeoutMs: 30, failuresMax: 2 } }, data)
  while (!after.lines.includes('[Client:me] Timed out on heartbeats')) await pause(10)
  const successor = await after.connect('me')
  const resumed = await successor.subscribe({ subject: 'foo', durableName: 'dur' })
  await successor.publish('foo', 'x')
  await resumed.until(1)
  await after.stop()
})
