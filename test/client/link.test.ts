/**
 * Dialling, greeting, keeping alive and dialling again.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { type Client, type ClientEvents, connect, type LeveretError } from '../../client/index.js'
import { FakeServer, failure, welcome } from '../helpers/fake-server.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

function event(client: Client, name: keyof ClientEvents): Promise<LeveretError | null> {
  return new Promise((resolve) => client.once(name, (error?: LeveretError | null) => resolve(error ?? null)))
}

test('the first dial fails at once when nobody listens', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  const port = typeof address === 'object' ? (address?.port ?? 1) : 1
  await assert.rejects(connect({ port }), { code: 'LVT_DISCONNECTED', retryable: true })
})

test('the first dial ends when its signal aborts, or when the server does not greet in time', async () => {
  await using server = await FakeServer.start()
  server.greets = false
  const controller = new AbortController()
  const aborted = connect({ port: server.port, signal: controller.signal })
  await server.until(() => server.all('hello').length === 1)
  controller.abort()
  await assert.rejects(aborted, { code: 'LVT_ABORTED' })
  await assert.rejects(connect({ port: server.port, signal: controller.signal }), { code: 'LVT_ABORTED' })

  const clock = new VirtualClock()
  const late = connect({ port: server.port, clock, requestTimeoutMs: 500 })
  await server.until(() => server.all('hello').length === 2)
  clock.advance(501)
  await assert.rejects(late, { code: 'LVT_TIMEOUT' })
  assert.equal(clock.timers, 0)
})

test('a server that refuses the greeting says why', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'hello') peer.send(failure(frame.id, 'LVT_UNSUPPORTED'))
  })
  server.greets = false
  await assert.rejects(connect({ port: server.port }), { code: 'LVT_UNSUPPORTED' })
})

test('the greeting names the client and promises a heartbeat', async () => {
  await using server = await FakeServer.start()
  const named = { clientName: 'c', token: 't', user: 'u', password: 'p', heartbeatMs: 1_234 }
  await using client = await connect({ port: server.port, ...named })
  assert.deepEqual(server.all('hello'), [{ kind: 'hello', id: 1, version: 1, ...named }])
  assert.equal(client.server.server, 'fake')
  assert.equal(client.status, 'connected')
})

for (const [what, bytes] of [
  ['an HTTP answer', Buffer.from(`HTTP/1.1 400 Bad Request\r\n\r\n${'x'.repeat(100)}`)],
  ['a padded length', Buffer.from([0x83, 0x00, 1, 2, 3])],
  ['a length of five bytes', Buffer.from([0x80, 0x80, 0x80, 0x80, 0x01])],
  ['a frame above the limit', Buffer.from([0xff, 0xff, 0xff, 0x7f])],
  ['a frame that is no message', Buffer.from([2, 0xff, 0xff])],
  ['a frame that no greeting is', Buffer.from([2, 0x4a, 0])],
] as const) {
  test(`${what} instead of a greeting fails the dial`, async () => {
    await using server = await FakeServer.start((frame, peer) => {
      if (frame.kind === 'hello') peer.socket.write(bytes)
    })
    server.greets = false
    await assert.rejects(connect({ port: server.port }), { name: 'ProtocolError' })
  })
}

test('frames are read however the bytes are cut', async () => {
  await using server = await FakeServer.start()
  server.greets = false
  const dialled = connect({ port: server.port })
  await server.until(() => server.all('hello').length === 1)
  const { peer } = server
  const { encodeServerFrame } = await import('../../src/protocol/encode-server.js')
  for (const byte of encodeServerFrame(welcome(1))) {
    peer.socket.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await using client = await dialled
  assert.equal(client.server.nodeId, 'n')
})

test('a lost connection is told, and dialled again with growing waits until it works', async () => {
  const clock = new VirtualClock()
  let pauses = 0
  const random = {
    // Asked once for each wait.
    next: () => {
      pauses++
      return 1
    },
    id: () => 'producer',
  }
  const pausing = async (count: number): Promise<void> => {
    while (pauses < count) await new Promise((resolve) => setImmediate(resolve))
  }
  await using server = await FakeServer.start()
  const reconnect = { minDelayMs: 100, maxDelayMs: 300 }
  await using client = await connect({ port: server.port, clock, random, reconnect })
  const down = event(client, 'disconnected')
  server.greets = false
  server.peer.cut()
  assert.equal((await down)?.code, 'LVT_DISCONNECTED')
  assert.equal(client.status, 'reconnecting')
  const ping = client.ping()
  for (const [index, waitMs] of [100, 200, 300, 300].entries()) {
    const { length } = server.peers
    await pausing(index + 1)
    clock.advance(waitMs - 1)
    assert.equal(server.peers.length, length)
    clock.advance(1)
    await server.until(() => server.peers.length === length + 1)
    server.peer.cut()
  }
  server.greets = true
  const up = event(client, 'reconnected')
  await pausing(5)
  clock.advance(300)
  await up
  await ping
  assert.equal(client.status, 'connected')
})

test('a server that refuses a greeting for good, after a reconnect, closes the client', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'hello') peer.send(failure(frame.id, 'LVT_UNSUPPORTED'))
  })
  const client = await connect({ port: server.port, reconnect: { minDelayMs: 1 } })
  const closed = event(client, 'closed')
  const records = client.topic('t').subscribe().next()
  server.greets = false
  server.peer.cut()
  assert.equal((await closed)?.code, 'LVT_UNSUPPORTED')
  await assert.rejects(records, { code: 'LVT_UNSUPPORTED' })
})

test('a greeting answered by a closing frame fails with its code', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind !== 'hello') return
    peer.send({ kind: 'closing', id: 0, code: 'LVT_CONNECTION_LIMIT', message: 'full' })
    peer.socket.end()
  })
  server.greets = false
  await assert.rejects(connect({ port: server.port }), { code: 'LVT_CONNECTION_LIMIT', retryable: true })
})

test('silence for two heartbeats is a dead connection', async () => {
  const clock = new VirtualClock()
  await using server = await FakeServer.start()
  const client = await connect({ port: server.port, clock, heartbeatMs: 1_000, reconnect: false })
  for (let beat = 1; beat <= 5; beat++) {
    clock.advance(1_000)
    await client.ping()
  }
  server.greets = false
  const closed = event(client, 'closed')
  clock.advance(2_000)
  assert.equal(client.status, 'connected')
  clock.advance(1_000)
  assert.equal((await closed)?.code, 'LVT_DISCONNECTED')
  assert.equal(client.status, 'closed')
  assert.equal(clock.timers, 0)
})

test('without reconnecting, the reason of the server closes the client and fails what waits', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind !== 'create-topic') return
    peer.send({ kind: 'closing', id: 0, code: 'LVT_SHUTTING_DOWN', message: 'bye' })
    peer.socket.end()
  })
  const client = await connect({ port: server.port, reconnect: false })
  const records = client.topic('t').subscribe().next()
  const closed = event(client, 'closed')
  await assert.rejects(client.createTopic('t'), { code: 'LVT_SHUTTING_DOWN' })
  await assert.rejects(records, { code: 'LVT_SHUTTING_DOWN' })
  assert.equal((await closed)?.code, 'LVT_SHUTTING_DOWN')
  await assert.rejects(client.ping(), { code: 'LVT_SHUTTING_DOWN' })
})

test('closing while the connection is away ends the dialling', async () => {
  const clock = new VirtualClock()
  await using server = await FakeServer.start()
  const client = await connect({ port: server.port, clock })
  const down = event(client, 'disconnected')
  server.peer.cut()
  await down
  const ping = client.ping()
  const closed = event(client, 'closed')
  await client.close()
  assert.equal(await closed, null)
  await assert.rejects(ping, { code: 'LVT_CLOSED' })
  assert.equal(clock.timers, 0)
})

test('a request ends with its signal, or with its time', async () => {
  const clock = new VirtualClock()
  await using server = await FakeServer.start()
  await using client = await connect({ port: server.port, clock, requestTimeoutMs: 100 })
  const controller = new AbortController()
  const create = client.createTopic('t', {}, { signal: controller.signal })
  controller.abort()
  await assert.rejects(create, { code: 'LVT_ABORTED' })
  const late = client.createTopic('t')
  clock.advance(101)
  await assert.rejects(late, { code: 'LVT_TIMEOUT' })
})

test('options out of range are refused before anything is dialled', async () => {
  const wrong = [{ port: 0 }, { heartbeatMs: 0 }, { maxFrameBytes: 2 ** 28 }, { reconnect: { minDelayMs: 9_999 } }]
  for (const options of wrong) await assert.rejects(connect(options), { code: 'LVT_INVALID_ARGUMENT' })
})
