/**
 * The client and a real broker over a network that fails: what was acknowledged is there once and in order, and a
 * subscriber sees each record once. The places of the cuts come from a seed, which a failure prints.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, KEEP_FOREVER, type Receipt, text } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { fc } from '../helpers/fast-check.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'

const RECORDS = 300
const RECONNECT = { minDelayMs: 1, maxDelayMs: 20 }

/** After how many bytes from the client the connections are cut, one after the other. */
const arbCuts = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 8 })

test('publishes over cut connections are stored exactly once and in order', async () => {
  await using broker = await createBroker({ store: 'memory' })
  await using direct = await connect({ port: broker.port })
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      arbCuts,
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom(1, 3),
      async (cuts, burst, partitions) => {
        const name = `exactly-once-${run++}`
        await direct.createTopic(name, { retention: KEEP_FOREVER, partitions })
        await using proxy = await TcpProxy.start(broker.port)
        await using client = await connect({ port: proxy.port, batchBytes: 200, reconnect: RECONNECT })
        cutAt(proxy, client, cuts)
        const topic = client.topic(name, { codec: text() })
        const receipts: Promise<Receipt>[] = []
        while (receipts.length < RECORDS) {
          for (let left = burst; left > 0; left--) receipts.push(topic.publish(`${receipts.length}`))
          await receipts[receipts.length - 1]
        }
        const told = await Promise.all(receipts)
        const stored = await readAll(direct, name)
        assert.equal(stored.length, receipts.length)
        for (const [index, { partition, offset, duplicate }] of told.entries()) {
          assert.equal(duplicate, false)
          assert.equal(
            stored.find((record) => record.partition === partition && record.offset === offset)?.value,
            `${index}`,
          )
        }
        for (let partition = 0; partition < partitions; partition++) {
          const values = stored.filter((record) => record.partition === partition).map(({ value }) => Number(value))
          assert.deepEqual(
            values,
            values.toSorted((a, b) => a - b),
          )
        }
      },
    ),
    { numRuns: 15 },
  )
})

test('a subscriber over cut connections sees every record once and in order', async () => {
  await using broker = await createBroker({ store: 'memory' })
  await using direct = await connect({ port: broker.port })
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      arbCuts,
      fc.constantFrom(1, 7, 1_000),
      fc.constantFrom(1, 3),
      fc.constantFrom('earliest', 'latest'),
      async (cuts, window, partitions, from) => {
        const name = `resume-${run++}`
        await direct.createTopic(name, { retention: KEEP_FOREVER, partitions })
        await using proxy = await TcpProxy.start(broker.port)
        await using client = await connect({ port: proxy.port, reconnect: RECONNECT })
        const records = client.topic(name, { codec: text() }).subscribe({ window, from })
        await records.ready
        // The client says little: half of its words for the cut to come while it listens.
        cutAt(
          proxy,
          client,
          cuts.map((bytes) => bytes % 100),
        )
        const publishing = publishInBursts(direct, name)
        const seen: string[] = []
        const next = new Map<number, number>()
        for await (const { partition, offset, value } of records) {
          assert.equal(offset, next.get(partition) ?? 0)
          next.set(partition, offset + 1)
          seen.push(value)
          if (seen.length === RECORDS) break
        }
        await publishing
        assert.deepEqual(seen.toSorted(), Array.from({ length: RECORDS }, (_, index) => `${index}`).toSorted())
      },
    ),
    { numRuns: 15 },
  )
})

test('a connection that swallows everything is given up, and the subscription goes on', async () => {
  await using broker = await createBroker({ store: 'memory' })
  await using direct = await connect({ port: broker.port })
  await direct.createTopic('black-hole', { retention: KEEP_FOREVER })
  await using proxy = await TcpProxy.start(broker.port)
  await using client = await connect({ port: proxy.port, reconnect: RECONNECT, heartbeatMs: 30 })
  const topic = client.topic('black-hole', { codec: text() })
  const records = topic.subscribe()
  await records.ready
  const up = new Promise<void>((resolve) => client.once('reconnected', () => resolve()))
  proxy.swallow()
  const published = topic.publish('through the hole')
  await direct.topic('black-hole', { codec: text() }).publish('meanwhile')
  await new Promise<void>((resolve) => client.once('disconnected', () => resolve()))
  proxy.heal()
  await up
  await published
  assert.deepEqual(
    [await records.next(), await records.next()].map(({ value }) => value?.value),
    ['meanwhile', 'through the hole'],
  )
})

test('a client waits out a server that refuses for a while', async () => {
  await using broker = await createBroker({ store: 'memory' })
  await using proxy = await TcpProxy.start(broker.port)
  await using client = await connect({ port: proxy.port, reconnect: RECONNECT })
  proxy.isRefusing = true
  proxy.cut()
  const receipt = client.topic('patience').publish(Buffer.from('a'))
  while (proxy.accepted < 4) await new Promise((resolve) => setImmediate(resolve))
  proxy.heal()
  assert.equal((await receipt).offset, 0)
})

test('a server that comes back empty is noticed: the loss is told and the new records come', async () => {
  const lost: unknown[] = []
  const first = await createBroker({ store: 'memory' })
  const { port } = first
  await using client = await connect({ port, reconnect: RECONNECT })
  await client.createTopic('reborn', { retention: KEEP_FOREVER })
  const topic = client.topic('reborn', { codec: text() })
  await topic.publishAll(['a', 'b', 'c'])
  const records = topic.subscribe({ onLost: ({ from, to, cause }) => lost.push([from, to, cause]) })
  for (let index = 0; index < 3; index++) await records.next()
  await first.stop({ deadlineMs: 0 })
  await using second = await createBroker({ store: 'memory', port })
  await using direct = await connect({ port: second.port })
  await direct.createTopic('reborn', { retention: KEEP_FOREVER })
  await direct.topic('reborn', { codec: text() }).publish('new')
  const { value } = await records.next()
  assert.equal(value?.value, 'new')
  assert.equal(lost.length, 1)
})

/** Cut the first connection after so many bytes of the client, and each later one in its turn. */
function cutAt(proxy: TcpProxy, client: Client, cuts: readonly number[]): void {
  let index = 0
  const arm = (): void => {
    proxy.cutAfterBytes = cuts[index++] ?? null
  }
  arm()
  client.on('reconnected', arm)
}

async function publishInBursts(client: Client, name: string): Promise<void> {
  const topic = client.topic(name, { codec: text() })
  for (let first = 0; first < RECORDS; first += 50) {
    const values = Array.from({ length: 50 }, (_, index) => index + first)
    await Promise.all(values.map((value) => topic.publish(`${value}`, { key: `${value}` })))
  }
}

async function readAll(client: Client, name: string) {
  const { partitions } = await client.describe(name)
  let left = 0
  for (const { end } of partitions) left += end
  const records: { readonly partition: number; readonly offset: number; readonly value: string }[] = []
  if (left === 0) return records
  for await (const { partition, offset, value } of client.topic(name, { codec: text() }).subscribe()) {
    records.push({ partition, offset, value })
    if (records.length === left) break
  }
  return records
}
