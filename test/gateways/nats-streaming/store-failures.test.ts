/**
 * A store that fails under the whole server: what cannot be kept is not acknowledged, errors are answered or told to the operator, the
 * server goes on, and what can heal heals.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../../src/common/clock.js'
import { SteadyTime } from '../../../src/common/steady-time.js'
import {
  readStored,
  restoreChannel,
  StoredChannel,
} from '../../../src/gateways/nats-streaming/streaming/restore-subscriptions.js'
import { DEFAULT_CHANNEL_LIMITS, LimitsByChannel } from '../../../src/gateways/nats-streaming/streaming/store-limits.js'
import type { StreamingOptions } from '../../../src/gateways/nats-streaming/streaming/streaming-server.js'
import { StateTopic } from '../../../src/gateways/state-topic.js'
import { systemError } from '../../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import type { OpName } from '../../helpers/faulty-machine.js'
import { FIRST, type StanPeer, type StanSubscription } from '../../helpers/stan-peer.js'
import { type LimitedStan, startLimitedStan } from '../../helpers/stan-server.js'

const STATE = /nats-streaming@/
const CATALOG = /catalog/
let folders = 0

interface Failing {
  readonly fs: FaultyFileSystem
  readonly server: LimitedStan
  /** From now on, these calls on these files. */
  fail(path: RegExp, code?: string, ops?: readonly OpName[]): void
  heal(): void
  untilLine(pattern: RegExp): Promise<void>
}

async function failing(t: TestContext, options: Partial<StreamingOptions> = {}): Promise<Failing> {
  const fs = new FaultyFileSystem({ seed: 1 })
  const data = `/data-of-failures-${++folders}`
  const server = await startLimitedStan(t, options, data, fs.process())
  const heal = (): void => fs.beforeOp(null)
  t.after(heal)
  return {
    fs,
    server,
    heal,
    fail: (path, code = 'ENOSPC', ops = ['write', 'open', 'make-directory']) =>
      fs.beforeOp((op) => {
        if (path.test(op.path) && ops.includes(op.name)) throw systemError(code, op.name, op.path)
      }),
    untilLine: async (pattern) => {
      const began = performance.now()
      while (!server.lines.some((line) => pattern.test(line))) {
        assert.ok(performance.now() - began < 5_000, `no ${pattern} in\n${server.lines.join('\n')}`)
        await pause(10)
      }
    },
  }
}

/** What is read again has to come from the disk. */
async function shrinkRing({ app: { broker } }: LimitedStan, channel: string): Promise<void> {
  const settings = broker.topicSettings(channel)
  assert.ok(settings !== null)
  await broker.changeTopic(channel, { ...settings, ringRecords: 1 })
}

/** What the first group of a channel would wait for after a crash. */
async function waitingFor({ app }: LimitedStan, channel: string, last: number): Promise<readonly number[]> {
  const clock = new SteadyTime(systemClock)
  const values = await new StateTopic({ broker: app.broker, clock, name: '__leveret.nats-streaming' }).open()
  const stored = readStored(values, []).get(channel)
  return restoreChannel(stored ?? new StoredChannel(), { first: 1, last }, () => true).groups[0]?.waiting ?? []
}

/** Until what was refused because the disk was full is taken. */
async function untilTaken(attempt: () => Promise<string>): Promise<void> {
  const began = performance.now()
  for (let error = await attempt(); error !== ''; error = await attempt()) {
    assert.ok(performance.now() - began < 8_000, error)
    await pause(50)
  }
}

function shown({ messages }: StanSubscription): [number, string, boolean][] {
  return messages.map(({ sequence, data, isRedelivered }) => [sequence, data, isRedelivered])
}

test('TestClientStoreErrors: who cannot be registered is told, and who closes is told or logged', async (t) => {
  const { server, fail, heal, untilLine } = await failing(t)
  const before = await server.connect('before')
  fail(STATE)
  const peer = await server.open('me')
  assert.match(await peer.register(), /ENOSPC|full|space/i)
  assert.match(await before.close(), /ENOSPC|full|space/i)
  await untilLine(/^\[Client:before\] .*(ENOSPC|full|space)/i)
  assert.equal(await before.publish('foo', 'x'), 'stan: invalid publish request')
  heal()
  await untilTaken(() => peer.register())
  assert.equal(await peer.publish('foo', 'x'), '')
})

test('TestCreateChannelError: a channel that cannot be made is told to publishers and subscribers', async (t) => {
  const { server, fail, heal } = await failing(t)
  const peer = await server.connect()
  assert.equal(await peer.publish('bar', 'x'), '')
  fail(CATALOG)
  const error = 'the list of topics could not be written'
  assert.equal(await peer.publish('foo', 'x'), error)
  assert.equal((await peer.trySubscribe({ subject: 'foo' })).error, error)
  assert.equal(await peer.publish('bar', 'x'), '')
  heal()
  await untilTaken(() => peer.publish('foo', 'y'))
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  await subscription.until(1)
  assert.equal(subscription.messages[0]?.sequence, 1, 'a failed publish has no sequence')
})

test('TestStartPositionFailures: what keeps a start from being found is the answer to the subscribe', async (t) => {
  const { server, fail, heal } = await failing(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 3)
  fail(/foo/, 'EIO', ['read'])
  const time = { subject: 'foo', startPosition: 2, startTimeDelta: '3600000000000' }
  const { error } = await peer.trySubscribe(time)
  heal()
  assert.match(error, /EIO|read/i)
  const subscription = await peer.subscribe(time)
  await subscription.until(3)
})

test('TestMsgLookupFailures: what cannot be read is logged, stays pending, and is sent later', async (t) => {
  const { server, fail, heal, untilLine } = await failing(t)
  const peer = await server.connect('me')
  // Each in a batch of its own, for the ring to hold the last one only.
  for (const data of ['1', '2', '3']) assert.equal(await peer.publish('foo', data), '')
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, ackWaitInSecs: 1 })
  await subscription.until(3)
  await shrinkRing(server, 'foo')
  fail(/foo/, 'EIO', ['read'])
  await untilLine(/^Error looking up message foo:1 \(.*EIO/)
  assert.equal(subscription.sequences.filter((sequence) => sequence === 1).length, 1)
  heal()
  // The third is in the ring: if it is due by itself, it need not wait for the others, and may come once more with them.
  const again = (): Map<number, unknown> => {
    const messages = subscription.messages.slice(3)
    return new Map(messages.map(({ sequence, data, isRedelivered }) => [sequence, [data, isRedelivered]]))
  }
  while (again().size < 3) await subscription.until(subscription.messages.length + 1)
  assert.deepEqual(
    [again().get(1), again().get(2), again().get(3)],
    [
      ['1', true],
      ['2', true],
      ['3', true],
    ],
  )
  peer.ack(subscription, 1, 2, 3)
})

test('TestSendMsgToSubStoreFailure: messages are sent though that cannot be kept, and it is kept when it can be', async (t) => {
  const { server, fail, heal, untilLine } = await failing(t)
  const peer = await server.connect('me')
  const durable = await peer.subscribe({ subject: 'foo', durableName: 'dur', startPosition: FIRST, maxInFlight: 500 })
  fail(STATE)
  await peer.fill('foo', 300)
  await durable.until(300)
  peer.ack(durable, ...Array.from({ length: 299 }, (_, index) => index + 1))
  await untilLine(/^the state of channel "foo" cannot be kept: /)
  assert.deepEqual(
    durable.messages.filter(({ isRedelivered }) => isRedelivered),
    [],
  )
  heal()
  // As after a crash: what is there is what was kept.
  const healed = performance.now()
  for (let waiting: readonly number[] = []; waiting.length !== 1; ) {
    assert.ok(performance.now() - healed < 5_000)
    await pause(50)
    waiting = await waitingFor(server, 'foo', 300)
    if (waiting.length === 1) assert.deepEqual(waiting, [300])
  }
})

test('TestDeleteSubFailures, TestUpdateSubFailure, TestCloseClientWithDurableSubs: told, survived, and made good', async (t) => {
  const { server, fail, heal } = await failing(t)
  const peer = await server.connect('me')
  const plain = await peer.subscribe({ subject: 'foo' })
  const durable = await peer.subscribe({ subject: 'foo', durableName: 'dur' })
  const left = await peer.subscribe({ subject: 'foo', durableName: 'left' })
  fail(STATE)
  assert.match(await peer.unsubscribe(plain), /ENOSPC|full|space/i)
  assert.match(await peer.closeSubscription(durable), /ENOSPC|full|space/i)
  assert.match((await peer.trySubscribe({ subject: 'foo', durableName: 'new' })).error, /ENOSPC|full|space/i)
  assert.equal(await peer.publish('foo', 'x'), '', 'messages are somewhere else')
  await left.until(1)
  assert.match(await peer.close(), /ENOSPC|full|space/i)
  heal()
  await untilTaken(() => peer.register())
  const again = await peer.subscribe({ subject: 'foo', durableName: 'left' })
  await again.until(1)
  assert.deepEqual(shown(again), [[1, 'x', true]])
})

test('TestDeleteChannelStoreError: a channel that cannot be deleted stays, and is deleted later', async (t) => {
  const limits = new LimitsByChannel(null, { ...DEFAULT_CHANNEL_LIMITS, inactivityMsMax: 200 })
  const { server, fail, heal, untilLine } = await failing(t, { limits })
  const peer = await server.connect()
  assert.equal(await peer.publish('foo', 'x'), '')
  fail(CATALOG)
  await untilLine(/^deleting channel "foo" failed: /)
  heal()
  await untilLine(/^Channel "foo" has been deleted$/)
  assert.equal(await peer.publish('foo', 'y'), '')
})

test('a full disk: nothing is acknowledged that is not kept, readers go on, and so does everybody when there is room', async (t) => {
  const { fs, server } = await failing(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 20)
  fs.capacityBytes = fs.usedBytes
  const refused: string[] = []
  for (let number = 0; number < 5; number++) refused.push(await peer.publish('foo', `lost ${number}`.padEnd(5_000)))
  assert.ok(
    refused.every((error) => error !== ''),
    JSON.stringify(refused),
  )
  assert.equal(await peer.ping(), '')
  fs.capacityBytes = Number.POSITIVE_INFINITY
  await untilTaken(() => peer.publish('foo', 'kept'))
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  await subscription.until(21)
  assert.deepEqual([subscription.messages[20]?.sequence, subscription.messages[20]?.data], [21, 'kept'])
})

test('a disk that fails to sync: the publish is refused, and so are all that follow to that channel', async (t) => {
  const { server, fail, heal } = await failing(t)
  const peer: StanPeer = await server.connect('me')
  await peer.fill('foo', 3)
  fail(/foo/, 'EIO', ['sync'])
  assert.notEqual(await peer.publish('foo', 'x'), '')
  heal()
  assert.notEqual(await peer.publish('foo', 'y'), '', 'what was lost is not known before a restart')
  assert.equal(await peer.publish('bar', 'z'), '')
  assert.equal(server.app.broker.health().isHealthy, false)
  const subscription = await peer.subscribe({ subject: 'bar', startPosition: FIRST })
  await subscription.until(1)
})

test('a message that is damaged on the disk is passed over and told, and those around it come', async (t) => {
  const { fs, server, untilLine } = await failing(t)
  const peer = await server.connect('me')
  for (let number = 1; number <= 5; number++) assert.equal(await peer.publish('foo', `message ${number}`), '')
  await shrinkRing(server, 'foo')
  const path = fs.files().find((file) => /foo@.*\.log$/.test(file)) ?? ''
  const at = fs.contents(path).indexOf('message 3')
  assert.ok(at > 0)
  fs.flipBit(path, at * 8 + 1)
  const durable = await peer.subscribe({ subject: 'foo', durableName: 'dur', startPosition: FIRST, ackWaitInSecs: 1 })
  await durable.until(4)
  assert.deepEqual(durable.sequences, [1, 2, 4, 5])
  await untilLine(/^Messages 3 to 3 of channel "foo" are damaged/)
  assert.equal(await peer.publish('foo', 'message 6'), '')
  await durable.until(5)
  peer.ack(durable, 1, 2, 4, 5, 6)
})

test('a subscribe that is being kept while others delete the channel is one to its successor', async (t) => {
  const { fs, server } = await failing(t)
  const { broker } = server.app
  const peer = await server.connect('me')
  await peer.fill('foo', 3)
  let release = (): void => undefined
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  t.after(release)
  let isHeld = (): void => undefined
  const reached = new Promise<void>((resolve) => {
    isHeld = resolve
  })
  fs.beforeSync(async (path) => {
    if (!STATE.test(path)) return
    isHeld()
    await held
  })
  const subscribing = peer.subscribe({ subject: 'foo', durableName: 'dur' })
  await reached
  const settings = broker.topicSettings('foo')
  assert.ok(settings !== null)
  await broker.deleteTopic('foo')
  await broker.createTopic('foo', settings)
  release()
  fs.beforeSync(null)
  const durable = await subscribing
  await peer.publish('foo', 'new')
  await durable.until(1)
  assert.deepEqual(shown(durable), [[1, 'new', false]])
})
