/**
 * Many clients whose connections are lost at the same moment: they come back spread over time, each subscription once, and
 * each goes on where it was.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, json, KEEP_FOREVER, type Subscription } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'

/** LEVERET_ROUNDS=50 makes them 10,000. */
const CLIENTS = 200 * Number(process.env['LEVERET_ROUNDS'] ?? 1)
const MEMBERS = 20
const LIMIT_MS = 10_000

test(`after a cut ${CLIENTS} clients are back within ten seconds, with no subscription twice`, async () => {
  await using broker = await createBroker()
  await using proxy = await TcpProxy.start(broker.port)
  const reconnect = { minDelayMs: 50, maxDelayMs: 1_000 }
  const clients: Client[] = []
  const readers: Subscription<number>[] = []
  const jobs: Subscription<number>[] = []
  const done = new Map<number, number>()
  await using admin = await connect({ port: broker.port })
  await admin.createTopic('t', { retention: KEEP_FOREVER })
  for (let index = 0; index < CLIENTS; index++) {
    const client = await connect({ port: proxy.port, reconnect })
    const topic = client.topic('t', { codec: json<number>() })
    clients.push(client)
    readers.push(topic.subscribe({ window: 4 }))
    if (index < MEMBERS) jobs.push(topic.subscribe({ group: 'g', window: 4 }))
  }
  await Promise.all([...readers, ...jobs].map(({ ready }) => ready))
  const working = jobs.map(async (records) => {
    for await (const { value } of records) done.set(value, (done.get(value) ?? 0) + 1)
  })
  const topic = admin.topic('t', { codec: json<number>() })
  await topic.publishAll([0, 1, 2])
  await Promise.all(readers.map((records) => records.next()))

  const back = clients.map((client) => new Promise<void>((resolve) => client.once('reconnected', () => resolve())))
  const down = clients.map((client) => new Promise<void>((resolve) => client.once('disconnected', () => resolve())))
  proxy.isRefusing = true
  proxy.cut()
  await Promise.all(down)
  await topic.publishAll([3, 4, 5])
  const accepted = proxy.accepted
  proxy.heal()
  const startedMs = performance.now()
  await Promise.all(back)
  assert.ok(performance.now() - startedMs < LIMIT_MS)
  assert.ok(proxy.accepted - accepted >= CLIENTS)

  // Each reader gets what it has not had, once and in order.
  await Promise.all(
    readers.map(async (records) => {
      for (let expected = 1; expected < 6; expected++) assert.equal((await records.next()).value?.value, expected)
    }),
  )
  assert.equal((await admin.describe('t')).subscribers, CLIENTS + MEMBERS)
  assert.equal((await admin.describeGroup('t', 'g')).members.length, MEMBERS)
  await Promise.all(clients.map((client) => client.close()))
  await Promise.all(working)
  assert.deepEqual([...done.keys()].sort(), [0, 1, 2, 3, 4, 5])
})
