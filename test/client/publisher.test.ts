/**
 * Publishing through the client, against a server whose answers the tests write themselves.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, json, type Receipt, text } from '../../client/index.js'
import type { ClientFrame, PublishFrame } from '../../src/protocol/frames.js'
import { decodeRun } from '../../src/protocol/records.js'
import { type FakePeer, FakeServer, failure, payloads, published } from '../helpers/fake-server.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const offsetOf = ({ offset }: Receipt): number => offset

/** Answers every publish with the next offsets. */
function storing() {
  const stored: string[] = []
  const script = (frame: ClientFrame, peer: FakePeer): void => {
    if (frame.kind !== 'publish') return
    peer.send(published(frame, stored.length))
    stored.push(...payloads(frame))
  }
  return { stored, script }
}

test('publishes of one turn share a frame, and each has its own receipt', async () => {
  const { stored, script } = storing()
  await using server = await FakeServer.start(script)
  await using client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  const receipts = await Promise.all(['a', 'b', 'c'].map((value) => topic.publish(value)))
  assert.deepEqual(receipts.map(offsetOf), [0, 1, 2])
  assert.equal(server.all('publish').length, 1)
  assert.deepEqual(stored, ['a', 'b', 'c'])
  assert.deepEqual(receipts[1], { topic: 'orders', partition: 0, offset: 1, duplicate: false, durability: 'disk' })
})

test('many values are published with one promise, beside single ones and in order', async () => {
  const { stored, script } = storing()
  await using server = await FakeServer.start(script)
  await using client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  const answers = [topic.publish('a'), topic.publishAll(['b', 'c']), topic.publish('d'), topic.publishAll([])]
  const [a, many, d, none] = await Promise.all(answers)
  assert.deepEqual(
    [a, many, d, none].flat().map((receipt) => offsetOf(receipt as Receipt)),
    [0, 1, 2, 3],
  )
  assert.deepEqual(stored, ['a', 'b', 'c', 'd'])
  assert.equal(server.all('publish').length, 1)
})

test('a batch is sent when it is full, and a large record goes alone', async () => {
  const { stored, script } = storing()
  await using server = await FakeServer.start(script)
  await using client = await connect({ port: server.port, batchBytes: 100 })
  const topic = client.topic('orders', { codec: text() })
  const values = ['x'.repeat(60), 'y'.repeat(60), 'z'.repeat(500), 'end']
  const one = Promise.all(values.map((value) => topic.publish(value)))
  const many = topic.publishAll(values)
  assert.deepEqual((await one).map(offsetOf), [0, 1, 2, 3])
  assert.deepEqual((await many).map(offsetOf), [4, 5, 6, 7])
  assert.deepEqual(stored, [...values, ...values])
  assert.ok(server.all('publish').length >= 6)
})

test('records keep key, headers and an empty payload apart', async () => {
  await using server = await FakeServer.start(storing().script)
  await using client = await connect({ port: server.port })
  const topic = client.topic('orders')
  const headers = [{ name: 'b', value: Buffer.from([1]) }, ['a', 'text'], ['b', '']] as const
  await Promise.all([topic.publish(Buffer.alloc(0), { key: '', headers }), topic.publish(Buffer.from('p'))])
  const { buffer, start, end } = (server.all('publish')[0] as PublishFrame).run
  const [first, second] = [...decodeRun(Buffer.from(buffer.subarray(start, end)))]
  assert.deepEqual(first?.key?.length, 0)
  assert.deepEqual(
    first?.headers.map(({ name, value }) => [name, Buffer.from(value).toString('hex')]),
    [
      ['b', '01'],
      ['a', '74657874'],
      ['b', ''],
    ],
  )
  assert.deepEqual([second?.key, second?.headers, second?.payload.length], [null, [], 1])
})

test('publishes for different partitions and levels never share a frame', async () => {
  const { script } = storing()
  await using server = await FakeServer.start(script)
  await using client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  await Promise.all([
    topic.publish('p0', { partition: 0 }),
    topic.publish('p1', { partition: 1 }),
    topic.publish('p0', { partition: 0 }),
    topic.publish('any'),
    topic.publish('memory', { durability: 'memory' }),
    topic.publish('first', { expectedOffset: 0 }),
    topic.publish('second', { expectedOffset: 1 }),
  ])
  const sent = server
    .all('publish')
    .map((frame) => [frame.partition, frame.durability, frame.expectedOffset, payloads(frame)])
  assert.deepEqual(sent, [
    [0, null, null, ['p0', 'p0']],
    [1, null, null, ['p1']],
    [null, null, null, ['any']],
    [null, 'memory', null, ['memory']],
    [null, null, 0, ['first']],
    [null, null, 1, ['second']],
  ])
})

test('a publish in flight when the connection dies is sent again under the same sequence', async () => {
  const { stored, script } = storing()
  await using server = await FakeServer.start((frame, peer) => {
    if (server.peers.length > 1) script(frame, peer)
    else if (frame.kind === 'publish') peer.cut()
  })
  await using client = await connect({ port: server.port, reconnect: { minDelayMs: 1 } })
  const topic = client.topic('orders', { codec: text() })
  const first = topic.publish('a')
  await disconnected(client)
  const second = topic.publish('b')
  assert.deepEqual((await Promise.all([first, second])).map(offsetOf), [0, 1])
  const sent = server.all('publish')
  assert.deepEqual(
    sent.map(({ sequence }) => sequence),
    [0, 0, 1],
  )
  assert.equal(new Set(sent.map(({ producer }) => producer)).size, 1)
  assert.deepEqual(stored, ['a', 'b'])
})

test('at most 32 publish frames of a topic are in flight', async () => {
  const held: [PublishFrame, FakePeer][] = []
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'publish') held.push([frame, peer])
  })
  await using client = await connect({ port: server.port, batchBytes: 1 })
  const topic = client.topic('orders', { codec: text() })
  const receipts = Promise.all(Array.from({ length: 40 }, (_, index) => topic.publish(`${index}`)))
  await server.until(() => held.length === 32)
  await client.ping()
  assert.equal(held.length, 32)
  for (let index = 0; index < 40; index++) {
    await server.until(() => held.length > index)
    const [frame, peer] = held[index] as [PublishFrame, FakePeer]
    peer.send(published(frame, index))
  }
  assert.deepEqual(
    (await receipts).map(offsetOf),
    Array.from({ length: 40 }, (_, index) => index),
  )
})

test('a failure that may pass is tried again, and then told', async () => {
  const clock = new VirtualClock()
  // Waits of 50, 100, 200 ms and so on: none of them ends together with the time that a publish may take.
  const random = { next: () => 1, id: () => 'producer' }
  let refusals = 0
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind !== 'publish') return
    if (payloads(frame)[0] === 'never' || refusals++ < 2) peer.send(failure(frame.id, 'LVT_OVERLOADED', true))
    else peer.send(published(frame, 7))
  })
  await using client = await connect({ port: server.port, clock, random, heartbeatMs: 1_000_000 })
  const topic = client.topic('orders', { codec: text() })
  const passing = topic.publish('passing')
  for (let tries = 1; tries <= 2; tries++) {
    await server.until(() => server.all('publish').length === tries)
    await client.ping()
    clock.advance(2_000)
  }
  assert.equal((await passing).offset, 7)
  assert.deepEqual(
    server.all('publish').map(({ sequence }) => sequence),
    [0, 0, 0],
  )

  const never = topic.publish('never')
  let isOver = false
  const over = assert.rejects(never, { code: 'LVT_OVERLOADED' }).finally(() => {
    isOver = true
  })
  while (!isOver) {
    await client.ping()
    clock.advance(100)
  }
  await over
})

test('a failure that will not pass is told at once, and the next publish is not held up', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind !== 'publish') return
    if (frame.expectedOffset === 5) peer.send(failure(frame.id, 'LVT_WRONG_OFFSET'))
    else peer.send(published(frame, 0))
  })
  await using client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  const [refused, taken] = await Promise.allSettled([topic.publish('a', { expectedOffset: 5 }), topic.publish('b')])
  assert.equal(refused.status === 'rejected' && refused.reason.code, 'LVT_WRONG_OFFSET')
  assert.equal(taken.status, 'fulfilled')
})

test('a publish without an answer fails in doubt, and one that was never sent with a timeout', async () => {
  const clock = new VirtualClock()
  await using server = await FakeServer.start()
  const client = await connect({ port: server.port, clock, heartbeatMs: 1_000_000, requestTimeoutMs: 5_000 })
  const topic = client.topic('orders', { codec: text() })
  const sent = topic.publish('a')
  await server.until(() => server.all('publish').length === 1)
  server.peer.cut()
  await disconnected(client)
  const unsent = topic.publish('b')
  await nextTurn()
  clock.advance(5_001)
  await assert.rejects(sent, { code: 'LVT_IN_DOUBT' })
  await assert.rejects(unsent, { code: 'LVT_TIMEOUT' })
  assert.equal(client.pendingBytes, 0)
  await client.close()
})

test('an aborted publish that was not sent is never sent', async () => {
  const { stored, script } = storing()
  await using server = await FakeServer.start(script)
  await using client = await connect({ port: server.port, reconnect: { minDelayMs: 1 } })
  const topic = client.topic('orders', { codec: text() })
  server.peer.cut()
  await disconnected(client)
  const controller = new AbortController()
  const { signal } = controller
  const before = topic.publish('before')
  const gone = topic.publish('gone', { signal })
  const many = topic.publishAll(['m1', 'm2'])
  const after = topic.publish('after', { signal: new AbortController().signal })
  const goneToo = topic.publish('gone too', { signal })
  controller.abort()
  await assert.rejects(gone, { code: 'LVT_ABORTED' })
  await assert.rejects(goneToo, { code: 'LVT_ABORTED' })
  assert.deepEqual([await before, await many, await after].flat().map(offsetOf), [0, 1, 2, 3])
  assert.deepEqual(stored, ['before', 'm1', 'm2', 'after'])
  await assert.rejects(topic.publish('late', { signal }), { code: 'LVT_ABORTED' })
  assert.equal(client.pendingBytes, 0)
})

test('publishing beyond the limit of pending bytes is refused, and possible again later', async () => {
  const held: PublishFrame[] = []
  await using server = await FakeServer.start((frame) => {
    if (frame.kind === 'publish') held.push(frame)
  })
  await using client = await connect({ port: server.port, maxPendingBytes: 1_000 })
  const topic = client.topic('orders', { codec: text() })
  const first = topic.publish('x'.repeat(900))
  await assert.rejects(topic.publish('y'.repeat(200)), { code: 'LVT_OVERLOADED' })
  await server.until(() => held.length === 1)
  server.peer.send(published(held[0] as PublishFrame, 0))
  await first
  const second = topic.publish('y'.repeat(200))
  await server.until(() => held.length === 2)
  server.peer.send(published(held[1] as PublishFrame, 1))
  assert.equal((await second).offset, 1)
})

test('duplicates are told, with the offset that was kept', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'publish') peer.send(published(frame, 10, { count: 2, duplicates: [1], keptOffsets: [4] }))
  })
  await using client = await connect({ port: server.port })
  const receipts = await client.topic('orders', { codec: text() }).publishAll(['a', 'b', 'c'])
  assert.deepEqual(
    receipts.map(({ offset, duplicate }) => [offset, duplicate]),
    [
      [10, false],
      [4, true],
      [11, false],
    ],
  )
})

test('records that were spread over partitions each learn where they are', async () => {
  const parts = [
    { partition: 3, baseOffset: 7, count: 1, records: [1, 2], duplicates: [2], keptOffsets: [5] },
    { partition: 0, baseOffset: 100, count: 1, records: [0], duplicates: [], keptOffsets: [] },
  ]
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'publish') peer.send(published(frame, 0, { count: 0, parts }))
  })
  await using client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  const receipts = await Promise.all(['a', 'b', 'c'].map((value) => topic.publish(value)))
  assert.deepEqual(
    receipts.map(({ partition, offset, duplicate }) => [partition, offset, duplicate]),
    [
      [0, 100, false],
      [3, 7, false],
      [3, 5, true],
    ],
  )
})

test('an answer that does not account for every record fails the publish', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'publish') peer.send(published(frame, 0, { count: 1 }))
  })
  await using client = await connect({ port: server.port })
  await assert.rejects(client.topic('orders', { codec: text() }).publishAll(['a', 'b']), { code: 'LVT_PROTOCOL' })
})

test('what cannot be published is refused in the promise, whatever it is', async () => {
  await using server = await FakeServer.start(storing().script)
  await using client = await connect({ port: server.port, maxFrameBytes: 2_048 })
  const values = client.topic('orders', { codec: json<unknown>() })
  await assert.rejects(values.publish(undefined), { code: 'LVT_CODEC', topic: 'orders' })
  await assert.rejects(values.publishAll([1, 2n]), { code: 'LVT_CODEC' })
  await assert.rejects(values.publish('x'.repeat(3_000)), { code: 'LVT_RECORD_TOO_LARGE' })
  await assert.rejects(values.publish(1, { partition: -1 }), { code: 'LVT_INVALID_ARGUMENT' })
  await assert.rejects(values.publish(1, { expectedOffset: 1.5 }), { code: 'LVT_INVALID_ARGUMENT' })
  assert.throws(() => client.topic(''), { code: 'LVT_INVALID_ARGUMENT' })
  assert.equal(server.all('publish').length, 0)
})

test('a failed publish that nobody awaits is no unhandled rejection', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => {
    unhandled.push(reason)
  }
  process.on('unhandledRejection', note)
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'publish') peer.send(failure(frame.id, 'LVT_TOPIC_LIMIT'))
  })
  const client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  void topic.publish('a')
  void topic.publish('b', { signal: new AbortController().signal })
  void topic.publishAll(['c', 'd'])
  void topic.publish('x'.repeat(9_000_000))
  await client.flush()
  void topic.publish('unsent')
  void client.ping()
  await client.close()
  void topic.publish('closed')
  await nextTurn()
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})

test('draining waits for receipts and takes nothing new, closing does not wait', async () => {
  const held: [PublishFrame, FakePeer][] = []
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'publish') held.push([frame, peer])
  })
  const client = await connect({ port: server.port })
  const topic = client.topic('orders', { codec: text() })
  const receipt = topic.publish('a')
  const drained = client.drain()
  assert.equal(client.status, 'draining')
  await assert.rejects(topic.publish('b'), { code: 'LVT_CLOSED' })
  await server.until(() => held.length === 1)
  const [frame, peer] = held[0] as [PublishFrame, FakePeer]
  peer.send(published(frame, 0))
  assert.equal((await receipt).offset, 0)
  await drained
  assert.equal(client.status, 'closed')

  const other = await connect({ port: server.port })
  const unanswered = other.topic('orders', { codec: text() }).publish('c')
  await server.until(() => held.length === 2)
  await other.close()
  await assert.rejects(unanswered, { code: 'LVT_IN_DOUBT' })
})

function disconnected(client: Client): Promise<unknown> {
  return new Promise((resolve) => client.once('disconnected', resolve))
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
}
