/** A member of a shared group through the client, against a real broker. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, json, KEEP_FOREVER, type Topic } from '../../client/index.js'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'

const GROUP = { mode: 'shared', group: 'workers' } as const

async function withJobs(client: Client, count: number, deadLetterTopic: string | null = null): Promise<Topic<number>> {
  await client.createTopic('jobs', { retention: KEEP_FOREVER, deadLetterTopic })
  const topic = client.topic('jobs', { codec: json<number>() })
  await topic.publishAll(Array.from({ length: count }, (_, job) => job))
  return topic
}

function counter(broker: EmbeddedBroker, name: string): number | undefined {
  return broker.metrics().find((metric) => metric.name === name)?.value
}

test('asking for the next record acks the one before, and leaving the loop does not', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 5)
  const first: number[] = []
  for await (const record of topic.subscribe(GROUP)) {
    first.push(record.value)
    if (first.length === 3) break
  }
  assert.deepEqual(first, [0, 1, 2])
  const second: [number, number][] = []
  for await (const record of topic.subscribe(GROUP)) {
    second.push([record.value, record.deliveryCount])
    if (second.length === 3) break
  }
  assert.deepEqual(
    second,
    [
      [2, 1],
      [3, 0],
      [4, 0],
    ],
    'what was fetched and not handed out was not looked at',
  )
})

test('each record can be acked, retried, rejected and held on to', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 4, 'failed')
  const seen: [number, number][] = []
  for await (const record of topic.subscribe({ ...GROUP, ackWaitMs: 20_000 })) {
    const { value, deliveryCount } = record
    seen.push([value, deliveryCount])
    if (value === 0) await record.ack()
    if (value === 0) await assert.rejects(record.ack(), { code: 'LVT_LEASE_LOST' })
    if (value === 1 && deliveryCount === 0) await record.retry({ delayMs: 1 })
    if (value === 2) await record.reject()
    if (value === 3) await record.extend()
    if (value === 1 && deliveryCount === 1) {
      await record.ack()
      break
    }
  }
  assert.deepEqual(seen, [
    [0, 0],
    [1, 0],
    [2, 0],
    [3, 0],
    [1, 1],
  ])
  for await (const record of client.topic('failed', { codec: json<number>() }).subscribe()) {
    assert.equal(record.value, 2)
    assert.ok(record.headers.some(({ name, value }) => name === 'leveret-offset' && `${Buffer.from(value)}` === '2'))
    break
  }
  assert.equal(counter(broker, 'leveret_broker_dead_letters_stored_total'), 1)
})

test('two members share the work, and every job is done once', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await using other = await connect({ port: broker.port })
  const topic = await withJobs(client, 0)
  const done: number[] = []
  const stop = new AbortController()
  const work = async (of: Client) => {
    let mine = 0
    const jobs = of.topic('jobs', { codec: json<number>() }).subscribe({ ...GROUP, window: 8, signal: stop.signal })
    try {
      for await (const record of jobs) {
        await record.ack()
        done.push(record.value)
        mine++
        if (done.length === 500) stop.abort()
      }
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'LVT_ABORTED')
    }
    return mine
  }
  const working = [work(client), work(other)]
  await topic.publishAll(Array.from({ length: 500 }, (_, job) => job))
  const shares = await Promise.all(working)
  assert.equal(new Set(done).size, 500)
  assert.equal(done.length, 500)
  assert.ok(Math.min(...shares) > 50, `the shares are ${shares.join(' and ')}`)
})

test('members that come and go with full windows bring no record nearer to its dead letter', async () => {
  await using broker = await createBroker()
  await using admin = await connect({ port: broker.port })
  const settings = { retention: KEEP_FOREVER, deadLetterTopic: 'failed', maxDeliveries: 3, partitions: 2 }
  await admin.createTopic('jobs', settings)
  const jobs = Array.from({ length: 60 }, (_, job) => job)
  for (const partition of [0, 1]) await admin.topic('jobs', { codec: json<number>() }).publishAll(jobs, { partition })
  for (const how of ['close', 'drain', 'close the client', 'abort', 'run'] as const) {
    const client = await connect({ port: broker.port })
    const stop = new AbortController()
    const records = client.topic('jobs').subscribe({ ...GROUP, signal: stop.signal })
    if (how === 'run') await records.run(() => void records.close())
    else await (await records.next()).value?.ack()
    if (how === 'close') await records.close()
    else if (how === 'abort') stop.abort()
    else if (how === 'drain') await client.drain()
    await client.close()
    assert.equal(records.lostLeases, 0)
  }
  const counts: number[] = []
  for await (const { deliveryCount } of admin.topic('jobs').subscribe(GROUP)) {
    counts.push(deliveryCount)
    if (counts.length === 115) break
  }
  assert.deepEqual([...new Set(counts)], [0])
  assert.equal(counter(broker, 'leveret_broker_dead_letters_stored_total'), 0)
})

test('one that is silent for ever keeps only what it may have, and the newest of it', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 20)
  const silent = topic.subscribe({ ...GROUP, manualCommit: true, window: 4, ackWaitMs: 60 })
  await silent.ready
  for (let lag = 20; ; ) {
    const { expired } = await client.describeGroup('jobs', 'workers')
    if (expired >= 12) break
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(lag, 20)
  }
  // It wakes up: what lay there for longer was let go of.
  const seen = new Map<number, number>()
  for await (const record of silent) {
    await record.ack().then(
      () => seen.set(record.value, (seen.get(record.value) ?? 0) + 1),
      () => undefined,
    )
    if (seen.size === 20) break
  }
  assert.ok([...seen.values()].every((times) => times === 1))
})

test('over a reconnect a member joins again: what it has not acked comes again, and says so', async () => {
  await using broker = await createBroker()
  const proxy = await TcpProxy.start(broker.port)
  await using client = await connect({ port: proxy.port, reconnect: { minDelayMs: 1 } })
  const topic = await withJobs(client, 3)
  const jobs = topic.subscribe({ ...GROUP, manualCommit: true, window: 1 })
  const next = async () => {
    const result = await jobs.next()
    assert.ok(result.done !== true)
    return result.value
  }
  const first = await next()
  await first.ack()
  const second = await next()
  assert.equal(second.value, 1)
  proxy.cut()
  const again = await next()
  assert.deepEqual([again.value, again.deliveryCount], [1, 1])
  await assert.rejects(second.ack(), { code: 'LVT_LEASE_LOST' })
  await again.ack()
  const last = await next()
  assert.deepEqual([last.value, last.deliveryCount], [2, 0])
  await jobs.close()
  await client.close()
  await proxy.stop()
})

test('a cursor knows acks only', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 1)
  for await (const record of topic.subscribe()) {
    for (const verdict of [record.retry(), record.reject(), record.extend()]) {
      await assert.rejects(verdict, { code: 'LVT_UNSUPPORTED' })
    }
    break
  }
})
