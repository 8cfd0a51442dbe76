/**
 * An orderly stop: what was taken is stored and answered before connections end, what comes later is not taken, and nobody waits
 * beyond the deadline.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Order } from '../../../src/gateways/nats-streaming/streaming/order.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { within } from '../../helpers/nats-wire.js'
import { stanBytes, stanFields } from '../../helpers/stan-messages.js'
import { FIRST, type StanPeer, StanSubscription } from '../../helpers/stan-peer.js'
import { type LimitedStan, startLimitedStan } from '../../helpers/stan-server.js'

const DURABLE = { subject: 'foo', durableName: 'dur', startPosition: FIRST }
const STOP_MS = 5_000
let folders = 0

interface Stopping {
  readonly server: LimitedStan
  /** From now on nothing reaches the disk until it is called. */
  hold(): () => void
  /** Call it at the read of that number of the records of a channel, from now on. */
  atRead(number: number, channel: string, run: () => void): void
  /** The same store again. */
  next(): Promise<LimitedStan>
}

async function stopping(t: TestContext): Promise<Stopping> {
  const fs = new FaultyFileSystem({ seed: 1 })
  const data = `/data-of-stops-${++folders}`
  const hold = (): (() => void) => {
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    fs.beforeSync(() => held)
    return () => {
      fs.beforeSync(null)
      release()
    }
  }
  const atRead = (number: number, channel: string, run: () => void): void => {
    let left = number
    fs.beforeOp(({ name, path }) => {
      if (name !== 'read' || !path.includes(`/${channel}@`) || --left > 0) return
      fs.beforeOp(null)
      run()
    })
  }
  const next = (): Promise<LimitedStan> => startLimitedStan(t, {}, data, fs.process())
  return { server: await next(), hold, atRead, next }
}

async function ended({ wire }: StanPeer): Promise<void> {
  const look = async (): Promise<void> => {
    while (!wire.isClosed) await pause(5)
  }
  await within('the end of the connection', look())
}

function dataOf({ messages }: StanSubscription): readonly string[] {
  return messages.map(({ data }) => data)
}

test('what was taken before a stop is stored and answered, requests as well, and what comes later is neither', async (t) => {
  const { server, hold, next } = await stopping(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 3)
  const release = hold()
  const guids = [peer.send('foo', '4'), peer.send('new', 'first'), peer.send('foo', '5')]
  const subscribing = peer.requestSubscribe(DURABLE)
  await peer.wire.flush()
  const stopped = server.stop(STOP_MS)
  const late = peer.send('foo', 'too late')
  await peer.wire.flush()
  assert.equal(peer.acks.length, 3, 'the connection is there, and nothing is answered that is not stored')
  release()
  await peer.acked(6)
  assert.notEqual(stanFields('SubscriptionResponse', await subscribing).ackInbox, undefined)
  await ended(peer)
  await stopped
  const told = new Map(peer.acks.map(({ guid, error }) => [guid, error]))
  for (const guid of guids) assert.equal(told.get(guid), '')
  assert.equal(told.has(late), false)
  const again = await (await next()).connect('other')
  const subscription = await again.subscribe({ subject: 'foo', startPosition: FIRST })
  assert.equal(await again.publish('foo', '6'), '')
  await subscription.until(6)
  assert.deepEqual(dataOf(subscription), ['1', '2', '3', '4', '5', '6'])
  const made = await again.subscribe({ subject: 'new', startPosition: FIRST })
  await made.until(1)
  assert.deepEqual(dataOf(made), ['first'])
})

test('acks that come while a stop waits for the disk count, and no message is sent any more', async (t) => {
  const { server, hold, next } = await stopping(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 3)
  const durable = await peer.subscribe(DURABLE)
  await durable.until(3)
  const release = hold()
  peer.send('foo', '4')
  await peer.wire.flush()
  const stopped = server.stop(STOP_MS)
  peer.ack(durable, 1, 3)
  await peer.wire.flush()
  release()
  await ended(peer)
  await stopped
  assert.equal(durable.messages.length, 3)
  const again = await (await next()).connect('me')
  const resumed = await again.subscribe(DURABLE)
  await resumed.until(2)
  assert.deepEqual(
    resumed.messages.map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
    [
      [2, true],
      [4, false],
    ],
  )
})

test('a disk that does not answer holds up a stop no longer than it may take', async (t) => {
  const { server, hold } = await stopping(t)
  const peer = await server.connect('me')
  await peer.fill('foo', 1)
  const release = hold()
  peer.send('foo', '2')
  peer.wire.publish('_STAN.close.test-cluster', stanBytes('CloseRequest', { clientID: 'me' }), 'nobody')
  await peer.wire.flush()
  const began = performance.now()
  const stopped = server.stop(200)
  await ended(peer)
  const tookMs = performance.now() - began
  release()
  await stopped
  assert.ok(tookMs > 150 && tookMs < 2_000, `${tookMs} ms`)
  assert.equal(peer.acks.length, 1)
})

test('what is being looked up at a stop to be sent again is sent before it, or at once after it', async (t) => {
  const count = 300
  const body = 'x'.repeat(8_000)
  const durable = { ...DURABLE, maxInFlight: count }
  for (const read of [1, 2, 3, 4]) {
    const { server, atRead, next } = await stopping(t)
    const peer = await server.connect('me')
    for (let sent = 0; sent < count; sent++) peer.send('foo', body)
    await peer.acked(count)
    const first = await peer.subscribe(durable)
    await first.until(count)
    assert.equal(await peer.closeSubscription(first), '')
    await server.stop()
    // So that nothing of it is in memory.
    const second = await next()
    const user = await second.open('me')
    const inbox = '_INBOX.resumed'
    const before = new StanSubscription('foo', inbox, user.wire)
    const stopped = new Promise<void>((resolve, reject) => {
      atRead(read, 'foo', () => void second.stop(STOP_MS).then(resolve, reject))
    })
    await user.requestSubscribe({ ...durable, inbox })
    await within('the stop', stopped)
    await ended(user)
    const again = await (await next()).open('me')
    const after = new StanSubscription('foo', inbox, again.wire)
    await after.until(count - new Set(before.sequences).size)
    const all = new Set([...before.sequences, ...after.sequences])
    assert.equal(all.size, count, `stopped at read ${read}, ${before.messages.length} sent before`)
  }
})

test('a connect whose ID is being checked is answered before a stop ends its connection', async (t) => {
  const { server } = await stopping(t)
  const peer = await server.connect('me')
  peer.answersHeartbeats = false
  const rival = await server.open('me')
  const registering = rival.register()
  await rival.wire.flush()
  const stopped = server.stop(STOP_MS)
  assert.equal(await registering, '')
  await ended(rival)
  await stopped
})

test('a check of an ID holds up a stop no longer than it may take', async (t) => {
  const { server } = await stopping(t)
  const peer = await server.connect('me')
  peer.answersHeartbeats = false
  const rival = await server.open('me')
  const told: Buffer[] = []
  rival.wire.subscribe('_INBOX.told', ({ payload }) => told.push(payload))
  const request = { clientID: 'me', heartbeatInbox: rival.heartbeatInbox }
  rival.wire.publish('_STAN.discover.test-cluster', stanBytes('ConnectRequest', request), '_INBOX.told')
  await rival.wire.flush()
  await within('the stop', server.stop(50))
  await ended(rival)
  assert.deepEqual(told, [])
})

test('a subscription that a stop finds half made is told so, and gets nothing before the next start', async (t) => {
  const { server, hold, next } = await stopping(t)
  const peer = await server.connect('me')
  // It holds up the stop for longer than everything else.
  peer.answersHeartbeats = false
  const rival = await server.open('me')
  const release = hold()
  const inbox = '_INBOX.new'
  const early = new StanSubscription('new', inbox, peer.wire)
  peer.send('new', 'first')
  const subscribing = peer.requestSubscribe({ ...DURABLE, subject: 'new', inbox })
  await peer.wire.flush()
  const registering = rival.register()
  await rival.wire.flush()
  const stopped = server.stop(STOP_MS)
  release()
  assert.notEqual(stanFields('SubscriptionResponse', await subscribing).ackInbox, undefined)
  assert.equal(await registering, '')
  await ended(peer)
  await stopped
  assert.equal(early.messages.length, 0)
  const again = await (await next()).connect('me')
  const resumed = await again.subscribe({ ...DURABLE, subject: 'new' })
  const [message] = await resumed.until(1)
  assert.deepEqual([message?.data, message?.isRedelivered], ['first', false])
})

test('whoever asks, all are told when nothing is under way', async () => {
  const order = new Order()
  let finish = (): void => undefined
  void order.aside(
    () =>
      new Promise((resolve) => {
        finish = resolve
      }),
  )
  const all = Promise.all([order.settled(), order.settled()])
  finish()
  await within('both', all)
  assert.equal(order.running, 0)
})
