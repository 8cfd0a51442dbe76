/** How a connection and a server end: what was accepted is answered, then Closing, then FIN. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnavailableError } from '../../src/common/errors.js'
import { createBroker } from '../../src/index.js'
import type { ServerFrame } from '../../src/protocol/frames.js'
import { startSlowServer } from '../helpers/slow-engine.js'
import { FLEETING, KEPT, payloadsIn, publishFrame, subscribeFrame, WireClient } from '../helpers/wire-client.js'

function told(frames: readonly ServerFrame[]): (number | string)[] {
  return frames.map((frame) =>
    frame.kind === 'closing' ? frame.code : frame.kind === 'published' ? frame.id : frame.kind,
  )
}

test('Close: publishes under way are answered, then Closing, then FIN, and what comes behind it is not done', async () => {
  await using server = await startSlowServer()
  await using client = await WireClient.connect(server)
  await client.create('topic')
  server.engine.hold()
  const frames = Array.from({ length: 5 }, (_, index) => publishFrame('topic', ['a'], { id: index + 1 }))
  client.send(...frames, { kind: 'close', id: 9 }, publishFrame('topic', ['late'], { id: 6 }))
  await using other = await WireClient.connect(server)
  await other.ping()
  assert.deepEqual(client.frames, [], 'nothing is said before it is so')
  server.engine.release()
  assert.deepEqual(told(await client.rest()), [1, 2, 3, 4, 5, 'LVT_CLOSED'])
  assert.equal((await other.publish('topic', ['next'])).baseOffset, 5)
})

test('Close ends the subscriptions: nothing is delivered behind Closing', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic')
  await client.subscribe('topic', { window: 1_000 })
  client.send(publishFrame('topic', ['a']), { kind: 'close', id: 1 }, publishFrame('topic', ['b']))
  const said = await client.rest()
  assert.equal(said.at(-1)?.kind, 'closing')
  assert.equal(said.filter(({ kind }) => kind === 'closing').length, 1)
})

test('a Ping behind a publish that waits is answered at once, and the publish when it is safe', async () => {
  await using server = await startSlowServer()
  await using client = await WireClient.connect(server)
  await client.create('topic')
  server.engine.hold()
  client.send(publishFrame('topic', ['a'], { id: 1 }), { kind: 'ping', id: 2 })
  assert.equal((await client.next()).id, 2)
  server.engine.release()
  assert.equal((await client.next()).id, 1)
})

test('nobody reads a record before its publish reached its durability', async () => {
  await using server = await startSlowServer()
  await using client = await WireClient.connect(server)
  await client.create('topic')
  await client.subscribe('topic', { window: 10 })
  server.engine.hold()
  client.send(publishFrame('topic', ['a'], { id: 1 }))
  for (let round = 0; round < 20; round++) await client.ping()
  assert.deepEqual(client.frames, [])
  server.engine.release()
  await client.until(() => client.frames.length === 2)
  assert.deepEqual(client.frames.map(({ kind }) => kind).sort(), ['delivery', 'published'])
})

test('an append that fails fails its publishes alone, and takes its keys out of the compaction window', async () => {
  await using server = await startSlowServer()
  await using client = await WireClient.connect(server)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  const record = { key: Buffer.from('k'), payload: Buffer.from('v'), headers: [] }
  server.engine.failNext = new UnavailableError('the disk is full')
  assert.equal(await client.fails(publishFrame('topic', [record])), 'LVT_UNAVAILABLE')
  const receipt = await client.publish('topic', [record])
  assert.deepEqual([receipt.count, receipt.baseOffset], [1, 0])
})

test('a duplicate of a record that failed fails with it', async () => {
  await using server = await startSlowServer()
  await using client = await WireClient.connect(server)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  const keyed = { key: Buffer.from('k'), payload: Buffer.from('v'), headers: [] }
  const plain = { key: null, payload: Buffer.from('v'), headers: [] }
  server.engine.failNext = new UnavailableError('the disk is full')
  client.send(
    publishFrame('topic', [keyed], { id: 1, expectedOffset: 0 }),
    publishFrame('topic', [keyed], { id: 2 }),
    publishFrame('topic', [keyed, plain], { id: 3, producer: 'p', sequence: 1 }),
  )
  const codes: string[] = []
  for (const id of [1, 2, 3]) {
    const answer = await client.answer(id)
    codes.push(answer.kind === 'failure' ? answer.code : answer.kind)
  }
  assert.deepEqual(codes, ['LVT_UNAVAILABLE', 'LVT_UNAVAILABLE', 'LVT_IN_DOUBT'])
})

test('a graceful stop under load answers everything that it accepted, and what it answered is stored', async () => {
  await using server = await startSlowServer()
  const clients = await Promise.all(Array.from({ length: 8 }, () => WireClient.connect(server)))
  await clients[0]?.create('topic')
  await clients[0]?.subscribe('topic', { subscription: 5, window: 1_000_000 })
  let isStopping = false
  let stopping: Promise<void> = Promise.resolve()
  const sent = clients.map((client, index) => {
    let id = 0
    const more = () => {
      if (client.isOver || isStopping) return
      const frames = Array.from({ length: 20 }, () => publishFrame('topic', [`${index} ${id}`], { id: ++id }))
      client.send(...frames)
      setImmediate(more)
    }
    more()
    return () => id
  })
  await clients[0]?.until(() => (clients[0]?.frames.length ?? 0) > 200)
  isStopping = true
  stopping = server.stop()
  const said = await Promise.all(clients.map((client) => client.rest()))
  await stopping
  const stored = new Map<number, string>()
  for (const frame of said[0] ?? []) {
    if (frame.kind !== 'delivery') continue
    for (const [index, payload] of payloadsIn(frame).entries()) stored.set(frame.baseOffset + index, payload)
  }
  const highest = Math.max(...stored.keys())
  for (const [index, frames] of said.entries()) {
    const answers = frames.filter((frame) => frame.kind === 'published')
    assert.deepEqual(
      answers.map(({ id }) => id),
      answers.map((_, place) => place + 1),
      'an accepted publish was not answered',
    )
    assert.ok(answers.length > 0 && answers.length <= (sent[index]?.() ?? 0))
    const last = frames.at(-1)
    assert.ok(last?.kind === 'closing' && last.code === 'LVT_SHUTTING_DOWN')
    for (const answer of answers) {
      if (answer.kind === 'published' && answer.baseOffset <= highest) {
        assert.ok(stored.get(answer.baseOffset)?.startsWith(`${index} `))
      }
    }
  }
})

test('a stop cuts off at its deadline those who do not take their leave', async () => {
  const broker = await createBroker()
  const frozen = await WireClient.connect(broker)
  await frozen.create('topic', { ...FLEETING, ringRecords: 1, slowConsumer: 'block' })
  await frozen.subscribe('topic')
  await frozen.publish('topic', ['a'])
  await frozen.publish('topic', ['b'])
  frozen.send(publishFrame('topic', ['c'], { id: 1 }))
  await frozen.ping()
  await broker.stop({ deadlineMs: 0 })
  await broker.stop()
  await frozen.rest()
  await assert.rejects(WireClient.connect(broker), { code: 'ECONNREFUSED' })
})

test('a topic that is deleted ends its subscriptions and frees its name', async () => {
  await using server = await startSlowServer()
  await using client = await WireClient.connect(server)
  await client.create('topic')
  await client.publish('topic', ['a', 'b'])
  await client.subscribe('topic')
  await client.expect('delivery')
  await server.broker.deleteTopic('topic')
  await client.commit({ offset: 0 })
  assert.equal((await client.expect('ended')).reason, 'topic-deleted')
  assert.equal((await client.publish('topic', ['again'])).baseOffset, 0)
  await client.askFor('done', subscribeFrame('topic', { subscription: 1, start: { kind: 'latest' } }))
})
