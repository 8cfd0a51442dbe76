/** Named cursors through the client, against a real broker. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  type Client,
  connect,
  json,
  KEEP_FOREVER,
  type ReceivedRecord,
  type SubscribeOptions,
  type Topic,
} from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'

async function withNumbers(client: Client, count: number, partitions = 1): Promise<Topic<number>> {
  await client.createTopic('numbers', { retention: KEEP_FOREVER, partitions })
  const topic = client.topic('numbers', { codec: json<number>() })
  await topic.publishAll(Array.from({ length: count }, (_, number) => number))
  return topic
}

async function read(topic: Topic<number>, count: number, options: SubscribeOptions): Promise<number[]> {
  const seen: number[] = []
  for await (const { value } of topic.subscribe(options)) {
    seen.push(value)
    if (seen.length === count) break
  }
  return seen
}

test('a named cursor goes on where it was, over restarts of the client and of the server', async () => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-cursor-'))
  try {
    for (const expected of [
      [0, 1, 2, 3],
      [3, 4, 5, 6],
      [6, 7, 8, 9],
    ]) {
      await using broker = await createBroker({ data })
      await using client = await connect({ port: broker.port })
      const topic =
        expected[0] === 0 ? await withNumbers(client, 10) : client.topic('numbers', { codec: json<number>() })
      // The record at hand when the loop is left is not dealt with: it comes again.
      assert.deepEqual(await read(topic, 4, { name: 'reader' }), expected)
    }
  } finally {
    rmSync(data, { recursive: true })
  }
})

test('a name has one reader, who may be taken over', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withNumbers(client, 10)
  const first = topic.subscribe({ name: 'reader', window: 1 })
  assert.equal((await first.next()).value?.value, 0)
  assert.equal((await first.next()).value?.value, 1)
  const refused = topic.subscribe({ name: 'reader' })
  await assert.rejects(refused.ready, { code: 'LVT_GROUP_IN_USE' })
  await assert.rejects(refused.next(), { code: 'LVT_GROUP_IN_USE' })
  const second = topic.subscribe({ name: 'reader', takeOver: true })
  assert.equal((await second.next()).value?.value, 1)
  await assert.rejects(first.next(), { name: 'FencedError' })
  assert.equal((await first.next()).done, true)
  await second.close()
  assert.deepEqual(await read(topic, 2, { name: 'reader' }), [1, 2])
})

test('a named cursor is forgotten, and then begins anew', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withNumbers(client, 5)
  const cursor = topic.subscribe({ name: 'reader' })
  for (let index = 0; index < 3; index++) await cursor.next()
  await cursor.forget()
  assert.deepEqual(await client.groups('numbers'), [])
  assert.deepEqual(await read(topic, 2, { name: 'reader' }), [0, 1])
  // Also one that has lost its subscription.
  const closed = topic.subscribe({ name: 'reader' })
  await closed.next()
  await closed.close()
  await closed.forget()
  assert.deepEqual(await client.groups('numbers'), [])
  await closed.forget()
  await assert.rejects(topic.subscribe().forget(), { code: 'LVT_INVALID_ARGUMENT' })
})

test('an ack resolves when the position is kept, and not at all when it is moved meanwhile', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withNumbers(client, 10)
  const assigned: unknown[] = []
  const onAssigned = (now: unknown) => assigned.push(now)
  const cursor = topic.subscribe({ name: 'reader', manualCommit: true, onAssigned })
  const first = (await cursor.next()).value
  const second = (await cursor.next()).value
  await first?.ack()
  assert.equal((await client.describeGroup('numbers', 'reader')).partitions[0]?.position, 1)
  const signal = second?.signal
  await client.seekGroup('numbers', 'reader', { offset: 7 })
  await assert.rejects(async () => second?.ack(), { name: 'FencedError' })
  assert.equal(signal?.aborted, true)
  const third = (await cursor.next()).value
  assert.equal(third?.value, 7)
  await third?.ack()
  assert.equal((await client.describeGroup('numbers', 'reader')).partitions[0]?.position, 8)
  assert.deepEqual(
    assigned.map((now) => (now as { started: number[] }).started),
    [[0], [0]],
  )
  await client.deleteGroup('numbers', 'reader')
  await assert.rejects(cursor.next(), { name: 'GroupNotFoundError' })
})

test('over a reconnect what was committed does not come again, and the place is its own', async () => {
  await using broker = await createBroker()
  await using proxy = await TcpProxy.start(broker.port)
  await using client = await connect({ port: proxy.port, reconnect: { minDelayMs: 1 } })
  const topic = await withNumbers(client, 40, 3)
  const cursor = topic.subscribe({ name: 'reader', manualCommit: true, window: 7 })
  const cuts = new Set([2, 11, 12, 27, 39])
  const acked = new Set<number>()
  const again: number[] = []
  while (acked.size < 40) {
    const { value: record } = await cursor.next()
    if (record === undefined) break
    if (acked.has(record.value)) again.push(record.value)
    if (cuts.has(record.value)) proxy.cut()
    cuts.delete(record.value)
    await record.ack().then(
      () => acked.add(record.value),
      (error: unknown) => assert.match((error as { code: string }).code, /^LVT_(FENCED|IN_DOUBT)$/),
    )
  }
  assert.equal(acked.size, 40)
  assert.deepEqual(again, [])
  await client.close()
})

test('options that contradict each other are refused at once', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = client.topic('numbers')
  const onAssigned = () => {}
  for (const options of [
    { name: 'a', group: 'b' },
    { name: '' },
    { group: '' },
    { name: 'a', mode: 'shared' },
    { name: 'a', mode: 'partitioned' },
    { group: 'a', mode: 'cursor' },
    { mode: 'shared' },
    { mode: 'partitioned' },
    { takeOver: true },
    { group: 'a', takeOver: true },
    { member: 'm' },
    { name: 'a', ackWaitMs: 5 },
    { group: 'a', mode: 'partitioned', ackWaitMs: 5 },
    { group: 'a', until: 5 },
    { group: 'a', onAssigned },
    { onAssigned },
    { stallTimeoutMs: 0 },
  ] as const) {
    assert.throws(() => topic.subscribe(options), { code: 'LVT_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
})

for (const manualCommit of [false, true]) {
  test(`a named cursor that came to its end has committed it${manualCommit ? ' as far as it was acked' : ''}`, async () => {
    await using broker = await createBroker()
    await using client = await connect({ port: broker.port })
    const topic = await withNumbers(client, 10)
    const seen: number[] = []
    const cursor = topic.subscribe({ name: 'reader', until: 5, window: 2, manualCommit })
    for await (const record of cursor) {
      seen.push(record.value)
      if (manualCommit) await record.ack()
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4])
    assert.equal(cursor.isOver, true)
    const { partitions, members } = await client.describeGroup('numbers', 'reader')
    assert.deepEqual([partitions[0]?.position, members], [5, []])
    // The seat is free, and there is nothing left before the end.
    assert.deepEqual(await read(topic, 1, { name: 'reader', until: 5 }), [])
    assert.deepEqual(await read(topic, 2, { name: 'reader' }), [5, 6])
  })
}

test('what was read up to the end may be acked when the iteration is over', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withNumbers(client, 10)
  const records: ReceivedRecord<number>[] = []
  for await (const record of topic.subscribe({ name: 'reader', until: 5, manualCommit: true })) records.push(record)
  await records.at(2)?.ack()
  assert.equal((await client.describeGroup('numbers', 'reader')).members.length, 1)
  await records.at(-1)?.ack()
  const { partitions, members } = await client.describeGroup('numbers', 'reader')
  assert.deepEqual([partitions[0]?.position, members], [5, []])
})

test('a named cursor runs to its end, and is closed before it', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withNumbers(client, 10)
  const seen: number[] = []
  await topic.subscribe({ name: 'reader', until: 4 }).run(({ value }) => void seen.push(value), { concurrency: 2 })
  assert.deepEqual(seen, [0, 1, 2, 3])
  assert.equal((await client.describeGroup('numbers', 'reader')).partitions[0]?.position, 4)
  assert.deepEqual(await read(topic, 2, { name: 'reader', until: 8 }), [4, 5])
  const { partitions, members } = await client.describeGroup('numbers', 'reader')
  assert.deepEqual([partitions[0]?.position, members], [5, []])
})

test('a named cursor that loses its connection before its end is committed reads the rest again', async () => {
  await using broker = await createBroker()
  await using proxy = await TcpProxy.start(broker.port)
  await using client = await connect({ port: proxy.port, reconnect: { minDelayMs: 1, maxDelayMs: 5 } })
  const topic = await withNumbers(client, 10)
  const seen: number[] = []
  for await (const { value } of topic.subscribe({ name: 'reader', until: 5 })) {
    seen.push(value)
    if (seen.length !== 3) continue
    proxy.cut()
    while (client.status !== 'connected' || proxy.accepted < 2) await new Promise(setImmediate)
  }
  assert.deepEqual([seen.slice(0, 3), seen.at(-1), new Set(seen).size], [[0, 1, 2], 4, 5])
  await using direct = await connect({ port: broker.port })
  assert.equal((await direct.describeGroup('numbers', 'reader')).partitions[0]?.position, 5)
})
