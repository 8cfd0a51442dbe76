/** Caps of the Floki dialect, reached one by one: what is answered there, what goes on, and what counts it. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../../../client/index.js'
import { type FlokiPeer, type FlokiServer, startFloki } from '../../helpers/floki-server.js'
import { requestOf } from '../../helpers/resp-values.js'

const MIB = 1024 * 1024
const TOO_BIG = '-Unexpected error Backend(MessageTooBig)\r\n'

function metric(server: FlokiServer, name: string): number {
  const sample = server.broker.metrics().find((known) => known.name === `leveret_floki_${name}`)
  assert.ok(sample !== undefined, name)
  return sample.value
}

async function waitsFor(peer: FlokiPeer, count: number): Promise<void> {
  while ((await peer.json('INFO server')).blocked_client_count !== count) await sleep(5)
}

test('lets only so many wait for a channel', async (t) => {
  const server = await startFloki(t, { flokiWaitersMax: 2 })
  const [peer, first, second] = [await server.connect(), await server.connect(), await server.connect()]
  await peer.expect('SET q c', '+OK')
  await peer.expect('SETNX q other', '+OK')
  for (const waiter of [first, second]) waiter.send('HMGET q c 1 20')
  await waitsFor(peer, 2)
  assert.equal(metric(server, 'waiting'), 2)
  await peer.expect('HMGET q c 1 20', '-ERR too many waiting clients')
  assert.equal(metric(server, 'requests_limited_total'), 1)
  // Who does not wait, or waits for another channel, is none of them.
  await peer.expect('HMGET q c 1', '*0')
  await peer.expect('HMGET q other 1 1', '$-1')
  await peer.expect('RPUSH q a b', ':2')
  for (const waiter of [first, second]) assert.equal((await waiter.nextMessages()).length, 1)
  first.send('HMGET q c 1 20')
  await waitsFor(peer, 1)
})

test('gives out only so many messages of a channel until some are acked', async (t) => {
  const server = await startFloki(t, { groupInFlightMax: 3 })
  const [peer, waiter] = [await server.connect(), await server.connect()]
  await peer.expect('SET q c', '+OK')
  await peer.expect('SETNX q other', '+OK')
  await peer.expect('RPUSH q a b c d e', ':5')
  const taken = await peer.fetch('HMGET q c 10')
  assert.deepEqual(
    taken.map(({ id }) => id),
    [1, 2, 3],
  )
  await peer.expect('HMGET q c 10', '*0')
  assert.equal(metric(server, 'in_flight'), 3)
  waiter.send('HMGET q c 10 20')
  await waitsFor(peer, 1)
  // Another channel has its own.
  assert.equal((await peer.fetch('HMGET q other 10')).length, 3)
  await peer.expect(`HDEL q c ${taken[0]?.ticket} ${taken[2]?.ticket}`, ':2')
  const next = await waiter.nextMessages()
  assert.equal(next[0]?.id, 4)
  assert.equal(metric(server, 'in_flight') <= 6, true)
})

test('makes only so many queues, and so many channels of one', async (t) => {
  // The queues, and the topic with their settings.
  const server = await startFloki(t, { topicsMax: 3, groupsMax: 2 })
  const peer = await server.connect()
  for (const queue of ['a', 'b']) await peer.expect(`SET ${queue} c`, '+OK')
  assert.match(String((await peer.ask('SET third c'))?.[1]), /^ERR .*3 topics/)
  await peer.expect('RPUSH third x', '-QNF Queue Not Found')
  await peer.expect('SETNX a second', '+OK')
  await peer.expect('SETNX a third', '-ERR a topic has at most 2 groups')
  await peer.expect('HMGET a third 1', '-CNF Channel Not Found')
  assert.equal(metric(server, 'requests_limited_total'), 2)
  await peer.expect('SETNX a second', '+OK')
  await peer.expect('DEL a second', ':1')
  await peer.expect('SETNX a third', '+OK')
  await peer.expect('DEL b', ':1')
  await peer.expect('SET third c', '+OK')
})

test('tells of only so many queues at once', async (t) => {
  const server = await startFloki(t, { flokiReportBytesMax: 1024 })
  const peer = await server.connect()
  for (let number = 0; number < 20; number++) await peer.expect(`SET queue_${number} c`, '+OK')
  for (const words of ['INFO queues', 'CONFIG GET queues', 'QINFO queues.queue']) {
    await peer.expect(words, '-ERR the answer has more than 1024 bytes, ask for fewer with queues.<prefix>')
  }
  assert.deepEqual(Object.keys(await peer.json('INFO queues.queue_19')), ['queue_19'])
  assert.deepEqual(Object.keys(await peer.json('CONFIG GET queues.queue_3')), ['queue_3'])
  assert.equal(metric(server, 'requests_limited_total'), 3)
})

test('takes only so much of a request', async (t) => {
  const server = await startFloki(t, { respRequestBytesMax: MIB, respElementsMax: 10 })
  const [peer, long, wide] = await Promise.all([1, 2, 3].map(() => server.connect()))
  await peer?.expect('SET q c', '+OK')
  long?.raw.write(`*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$${2 * MIB}\r\n`)
  await long?.raw.expect(TOO_BIG)
  await long?.raw.expectEnd()
  wide?.raw.write('*11\r\n')
  await wide?.raw.expect('-ICOM Invalid Command\r\n')
  await wide?.raw.expectEnd()
  assert.equal(metric(server, 'faults_total'), 2)
  await peer?.expect('HMGET q c 1', '*0')
})

test('reads nothing more of a peer that does not read its answers', async (t) => {
  const server = await startFloki(t, { outboxBytesMax: 64 * 1024 })
  const [peer, deaf] = [await server.connect(), await server.connect()]
  await peer.expect('SET q c', '+OK')
  const body = 'x'.repeat(64 * 1024)
  for (let number = 0; number < 8; number++) await peer.expect(`RPUSH q ${body}`, ':1')
  await peer.expect('SET side c', '+OK')
  deaf.raw.socket.pause()
  // Each seek makes the same messages come again: far more than any buffer between takes.
  const round = Buffer.concat([requestOf('HMSET', 'q', 'c', 'ID', '1'), requestOf('HMGET', 'q', 'c', '8')])
  const rounds = 40
  deaf.raw.write(Buffer.concat([...Array.from({ length: rounds }, () => round), requestOf('RPUSH', 'side', 'last')]))
  const before = metric(server, 'requests_total')
  await sleep(300)
  const after = metric(server, 'requests_total')
  assert.ok(after - before < rounds, `${after - before} requests were read`)
  await peer.expect('HMGET side c 1', '*0')
  // It reads, and keeps nothing.
  deaf.raw.socket.removeAllListeners('data')
  deaf.raw.socket.on('data', () => undefined)
  deaf.raw.socket.resume()
  while ((await peer.fetch('HMGET side c 1')).length === 0) await sleep(10)
})

test('takes as many connections as it may, and says why it takes no more', { timeout: 60_000 }, async (t) => {
  const server = await startFloki(t, { connectionsMax: 1024 })
  const peers = await Promise.all(Array.from({ length: 1024 }, () => server.connect()))
  await Promise.all(peers.map((peer) => peer.expect('PING', '+PONG')))
  const refused = await server.connect()
  await refused.raw.expect('-ERR max number of clients reached\r\n')
  await refused.raw.expectEnd()
  await peers[0]?.expect('PING', '+PONG')
  refused.raw[Symbol.dispose]()
  while (metric(server, 'connections') > 1024) await sleep(5)
  assert.equal(metric(server, 'connections_refused_total'), 1)
  peers.at(-1)?.raw[Symbol.dispose]()
  while (metric(server, 'connections') === 1024) await sleep(5)
  await (await server.connect()).expect('PING', '+PONG')
})

test('takes bodies of 10 MiB, and nothing of a push with one that is too large', async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const large = Buffer.alloc(10 * MIB, 'a\r\n\0ÿ')
  peer.raw.send('RPUSH', 'q', large, '')
  await peer.raw.expect(':2\r\n')
  peer.raw.send('RPUSH', 'q', 'small', Buffer.alloc(16 * MIB))
  await peer.raw.expect(TOO_BIG)
  assert.equal(metric(server, 'requests_limited_total'), 1)
  const messages = await peer.fetch('HMGET q c 10')
  assert.deepEqual(
    messages.map(({ id }) => id),
    [1, 2],
  )
  assert.ok(Buffer.from(messages[0]?.body ?? '', 'latin1').equals(large))
  assert.equal(messages[1]?.body, '')
})

test('takes pushes that are larger together than a frame, and every reader gets them', {
  timeout: 60_000,
}, async (t) => {
  const server = await startFloki(t, { maxFrameBytes: MIB, flokiFetchBytesMax: 64 * MIB })
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const sizes = Array.from({ length: 40 }, (_, index) => (index % 4 === 3 ? MIB - 200 : 200_000 + index))
  peer.raw.send('RPUSH', 'q', ...sizes.map((size, index) => Buffer.alloc(size, index)))
  await peer.raw.expect(':40\r\n')
  const messages = await peer.fetch('HMGET q c 40')
  assert.deepEqual(
    messages.map(({ body }) => body.length),
    sizes,
  )
  const { port } = server.broker
  await using client = await connect({ port, maxFrameBytes: MIB })
  const read: number[] = []
  for await (const { payload } of client.topic('q').subscribe({ from: 'earliest', until: 40 }))
    read.push(payload.length)
  assert.deepEqual(read, sizes)
})

test('finishes what it has read of a connection that says it will send no more', async (t) => {
  const server = await startFloki(t)
  const [peer, half] = [await server.connect(), await server.connect()]
  await peer.expect('SET q c', '+OK')
  const requests = [
    'HMGET q c 1 20',
    'RPUSH q a b',
    'HMGET q c 1 20',
    'HMGET q c 5 20',
    'HMGET q c 5 20',
    'HMGET q c 5',
  ]
  half.raw.write(Buffer.concat(requests.map((words) => requestOf(...words.split(' ')))))
  await waitsFor(peer, 1)
  const begun = performance.now()
  half.raw.socket.end()
  await half.raw.expect('$-1\r\n:2\r\n')
  assert.deepEqual(
    (await half.nextMessages()).map(({ body }) => body),
    ['a'],
  )
  assert.deepEqual(
    (await half.nextMessages()).map(({ body }) => body),
    ['b'],
  )
  await half.raw.expect('$-1\r\n*0\r\n')
  await half.raw.expectEnd()
  assert.ok(performance.now() - begun < 5_000)
  await waitsFor(peer, 0)
})

test('gives a connection that says it will send no more what is there, also what it has just pushed itself', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-'))
  const server = await startFloki(t, { data })
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('HMGET q c 1', '*0')
  for (const fetch of ['HMGET q c 1', 'HMGET q c 1 20']) {
    for (let round = 0; round < 5; round++) {
      const half = await server.connect()
      half.raw.write(`RPUSH q a\r\n${fetch}\r\n`)
      half.raw.finish()
      await half.raw.expect(':1\r\n')
      assert.deepEqual(
        (await half.nextMessages()).map(({ body }) => body),
        ['a'],
      )
      await half.raw.expectEnd()
    }
  }
  for (const [fetch, empty] of [
    ['HMGET q c 1', '*0'],
    ['HMGET q c 1 20', '$-1'],
  ]) {
    const half = await server.connect()
    half.raw.write(`${fetch}\r\n`)
    half.raw.finish()
    await half.raw.expect(`${empty}\r\n`)
    await half.raw.expectEnd()
  }
})
