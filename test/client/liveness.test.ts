/** An iteration that waits has caught up, or says why nothing comes. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ConnectOptions, connect, KEEP_FOREVER, type Stall, type SubscribeOptions } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { delivery, done, FakeServer, failure } from '../helpers/fake-server.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const HEARTBEAT_MS = 1_000
/** Within two heartbeats. */
const PATIENCE_MS = 2 * HEARTBEAT_MS

const turns = async (): Promise<void> => {
  for (let index = 0; index < 20; index++) await new Promise((resolve) => setImmediate(resolve))
}

/** A client of a server that answers everything but delivers nothing, and what a subscription of it says. */
async function waiting(context: TestContext, options: SubscribeOptions, describe: FakeServer['describing'] = null) {
  const clock = new VirtualClock()
  const server = await FakeServer.start((frame, peer) => {
    if ((frame.kind === 'subscribe' || frame.kind === 'commit') && frame.id !== 0) peer.send(done(frame.id))
  })
  server.describing = describe
  const given: ConnectOptions = { port: server.port, clock, heartbeatMs: HEARTBEAT_MS }
  const client = await connect(given)
  const events: string[] = []
  const records = client.topic('t').subscribe({
    onStalled: ({ reason }: Stall) => events.push(reason),
    onCaughtUp: () => events.push('caught up'),
    ...options,
  })
  await records.ready
  const next = records.next()
  next.catch(() => {})
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 250) {
      clock.advance(250)
      await turns()
    }
  }
  const close = async (): Promise<void> => {
    await client.close()
    await server.stop()
    assert.equal(clock.timers, 0)
  }
  context.after(close)
  await turns()
  return { clock, server, client, events, records, next, pass, close }
}

function group({ held = 0, ...more }: { lag: number; held?: number; isPaused?: boolean }): FakeServer['describing'] {
  const counters = { redeliveries: 0, expired: 0, deadLetters: 0, rebalances: 0, fenced: 0 }
  const state = {
    name: 'g',
    mode: 'shared',
    isPaused: false,
    generation: 0,
    lag: 0,
    inFlight: 0,
    oldestMs: null,
  } as const
  return ({ id }) => ({
    kind: 'description',
    id,
    topics: [],
    groups: [
      {
        ...state,
        ...counters,
        partitions: [],
        members: [{ name: 'm', partitions: [], held, expired: 0, silentMs: null }],
        ...more,
      },
    ],
    more: false,
  })
}

test('a member that could get nothing has caught up, also while others are at work', async (context) => {
  const { events, pass } = await waiting(context, { group: 'g' }, group({ lag: 3, held: 3 }))
  await pass(5 * HEARTBEAT_MS)
  assert.deepEqual(events, ['caught up'])
})

test('a member that gets nothing although there is something says so within two heartbeats, once', async (context) => {
  const { events, pass } = await waiting(context, { group: 'g' }, group({ lag: 3, held: 2 }))
  await pass(PATIENCE_MS)
  assert.deepEqual(events, ['behind'])
  await pass(10 * HEARTBEAT_MS)
  assert.deepEqual(events, ['behind'])
})

test('a member of a paused group says so, and again after a record has come', async (context) => {
  const { server, events, pass, next, records, close } = await waiting(
    context,
    { group: 'g' },
    group({ lag: 3, held: 2, isPaused: true }),
  )
  await pass(PATIENCE_MS)
  assert.deepEqual(events, ['paused'])
  server.peer.send(delivery(server.all('subscribe')[0]?.subscription ?? 0, 0, ['a']))
  assert.equal((await next).value?.offset, 0)
  const after = records.next()
  await pass(PATIENCE_MS + HEARTBEAT_MS)
  assert.deepEqual(events, ['paused', 'paused'])
  await close()
  assert.equal((await after).done, true)
})

test('a member that no partition is assigned to says so, and is not given up', async (context) => {
  const { events, pass, records } = await waiting(context, { group: 'g', mode: 'partitioned', stallTimeoutMs: 3_000 })
  await pass(10 * HEARTBEAT_MS)
  assert.deepEqual(events, ['unassigned'])
  assert.equal(records.isOver, false)
})

test('with a time limit the iteration throws when it is behind for so long', async (context) => {
  const { events, pass, next } = await waiting(context, { group: 'g', stallTimeoutMs: 500 }, group({ lag: 3 }))
  await pass(250)
  assert.deepEqual(events, [])
  await pass(250)
  assert.deepEqual(events, ['behind'])
  await assert.rejects(next, { code: 'LVT_TIMEOUT' })
})

test('a cursor that is behind and gets nothing says so, one that has caught up waits in peace', async (context) => {
  const describe: FakeServer['describing'] = ({ id, topic }) => {
    const partitions = [{ partition: 0, logStart: 0, end: topic === 't' ? 2 : 0, bytes: 0 }]
    return {
      kind: 'description',
      id,
      topics: [{ name: topic, settings: null, partitions, subscribers: 0 }],
      groups: [],
      more: false,
    }
  }
  const { server, events, pass, next, records, close } = await waiting(context, {}, describe)
  await pass(PATIENCE_MS)
  assert.deepEqual(events, ['behind'])
  server.peer.send(delivery(server.all('subscribe')[0]?.subscription ?? 0, 0, ['a', 'b']))
  assert.equal((await next).value?.offset, 0)
  await records.next()
  const last = records.next()
  await pass(10 * HEARTBEAT_MS)
  assert.deepEqual(events, ['behind', 'caught up'])
  await close()
  assert.equal((await last).done, true)
})

test('while a connection is dialled for ever, the iteration says so, and throws if it was told to', async (context) => {
  for (const stallTimeoutMs of [null, 4_000]) {
    const options = stallTimeoutMs === null ? {} : { stallTimeoutMs }
    const { server, client, events, pass, next, records, close } = await waiting(context, options)
    const down = new Promise((resolve) => client.once('disconnected', resolve))
    server.greets = false
    server.peer.cut()
    await down
    await pass(PATIENCE_MS)
    assert.deepEqual(events, ['caught up', 'disconnected'])
    await pass(2 * HEARTBEAT_MS)
    assert.equal(records.isOver, stallTimeoutMs !== null)
    if (stallTimeoutMs !== null) await assert.rejects(next, { code: 'LVT_TIMEOUT' })
    await close()
  }
})

test('a connection that swallows everything is noticed by its heartbeats, and a member joins again', async () => {
  await using broker = await createBroker()
  await using proxy = await TcpProxy.start(broker.port)
  const client = await connect({ port: proxy.port, heartbeatMs: 40, reconnect: { minDelayMs: 1 } })
  await client.createTopic('jobs', { retention: KEEP_FOREVER })
  const jobs = client.topic('jobs')
  await jobs.publish(Buffer.from('a'))
  const records = jobs.subscribe({ group: 'g', manualCommit: true })
  const first = (await records.next()).value
  const lost = new Promise((resolve) => first?.signal.addEventListener('abort', resolve))
  proxy.swallow()
  await lost
  proxy.heal()
  // The server misses the first connection as well, and gives out again what it had.
  assert.equal((await records.next()).value?.deliveryCount, 1)
  await client.close()
})

test('a subscription that is refused for a while is tried again, with growing waits', async () => {
  const clock = new VirtualClock()
  let refusals = 0
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind !== 'subscribe') return
    const isFirst = server.all('subscribe').length === 1
    if (isFirst || refusals++ >= 3) peer.send(done(frame.id))
    else peer.send(failure(frame.id, 'LVT_GROUP_IN_USE', true))
  })
  const random = { next: () => 1, id: () => 'm' }
  const client = await connect({ port: server.port, clock, random, reconnect: { minDelayMs: 1 } })
  const cursor = client.topic('t').subscribe({ name: 'c' })
  await cursor.ready
  const down = new Promise((resolve) => client.once('disconnected', resolve))
  server.peer.cut()
  await down
  clock.advance(1)
  for (const [index, waitMs] of [250, 500, 1_000].entries()) {
    await server.until(() => server.all('subscribe').length === 2 + index)
    await turns()
    clock.advance(waitMs - 1)
    await turns()
    assert.equal(server.all('subscribe').length, 2 + index)
    clock.advance(1)
  }
  await server.until(() => server.all('subscribe').length === 5)
  assert.deepEqual(
    new Set(server.all('subscribe').map(({ member, takeOver }) => `${member} ${takeOver}`)),
    new Set(['m false']),
  )
  await turns()
  assert.equal(cursor.isOver, false)
  await client.close()
  assert.equal(clock.timers, 0)
})
