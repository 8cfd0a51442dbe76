/** Topics: created once whoever asks first, never replaced, limited, listed, described, and gone when nobody cares. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import type { TopicSettings } from '../../src/model/topic.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { FLEETING, KEPT, publishFrame, subscribeFrame, WireClient } from '../helpers/wire-client.js'

const CONNECTIONS = 40

async function crowd(broker: { readonly port: number }): Promise<WireClient[]> {
  return await Promise.all(Array.from({ length: CONNECTIONS }, () => WireClient.connect(broker)))
}

test('a topic is created once by first publishes that race, and they share its offsets', async () => {
  await using broker = await createBroker()
  const clients = await crowd(broker)
  const receipts = await Promise.all(clients.map((client, index) => client.publish('topic', [`${index}`])))
  const offsets = receipts.map(({ baseOffset }) => baseOffset).sort((a, b) => a - b)
  assert.deepEqual(
    offsets,
    clients.map((_, index) => index),
  )
  for (const client of clients) client.destroy()
})

test('a topic is created once by first subscriptions that race, and all of them hear the same', async () => {
  await using broker = await createBroker()
  const clients = await crowd(broker)
  await Promise.all(clients.map((client) => client.subscribe('topic', { window: 10 })))
  await clients[0]?.publish('topic', ['a', 'b', 'c'])
  for (const client of clients) {
    const delivery = await client.expect('delivery')
    assert.deepEqual([delivery.baseOffset, delivery.run.count], [0, 3])
  }
  for (const client of clients) client.destroy()
})

test('publishes, subscriptions and creations of one new topic race to one topic', async () => {
  await using broker = await createBroker()
  const clients = await crowd(broker)
  const answers = await Promise.all(
    clients.map((client, index) => {
      if (index % 3 === 0) return client.ask(publishFrame('topic', ['a']))
      if (index % 3 === 1) return client.ask(subscribeFrame('topic'))
      return client.ask({ kind: 'create-topic', id: 0, topic: 'topic', settings: FLEETING })
    }),
  )
  const kinds = answers.map((answer, index) => `${index % 3} ${answer.kind}`)
  assert.deepEqual([...new Set(kinds)].sort(), ['0 published', '1 done', '2 done'])
  const { topics } = await (clients[0] as WireClient).askFor('description', describeFrame(''))
  assert.deepEqual(
    topics.map(({ name }) => name),
    ['topic'],
  )
  for (const client of clients) client.destroy()
})

test('creating a topic again is no change, and with other settings a conflict that names them', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', KEPT)
  await client.publish('topic', ['a'])
  await client.create('topic', KEPT)
  const answer = await client.askFor('failure', {
    kind: 'create-topic',
    id: 0,
    topic: 'topic',
    settings: { ...KEPT, partitions: 2, ringBytes: 4096 },
  })
  assert.equal(answer.code, 'LVT_TOPIC_CONFLICT')
  assert.equal(answer.topic, 'topic')
  assert.match(answer.message, /partitions, ringBytes/)
  const { topics } = await client.askFor('description', describeFrame('topic'))
  assert.deepEqual(topics[0]?.settings, KEPT)
  assert.equal(topics[0]?.partitions[0]?.end, 1)
})

test('of creations with different settings that race one wins and the others are told', async () => {
  await using broker = await createBroker()
  const clients = await crowd(broker)
  const answers = await Promise.all(
    clients.map((client, index) => {
      const settings: TopicSettings = { ...KEPT, partitions: 1 + (index % 4) }
      return client.ask({ kind: 'create-topic', id: 0, topic: 'topic', settings })
    }),
  )
  const winners = answers.flatMap((answer, index) => (answer.kind === 'done' ? [1 + (index % 4)] : []))
  assert.equal(winners.length, CONNECTIONS / 4)
  assert.equal(new Set(winners).size, 1)
  for (const client of clients) client.destroy()
})

test('settings and names that no topic can have are refused', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  const wrong: readonly Partial<TopicSettings>[] = [
    { partitions: 1_025 },
    { slowConsumer: 'block' },
    { slowConsumer: 'disconnect' },
    { ringBytes: 1 },
  ]
  for (const settings of wrong) {
    const frame = { kind: 'create-topic', id: 0, topic: 'topic', settings: { ...KEPT, ...settings } } as const
    assert.equal(await client.fails(frame), 'LVT_INVALID_ARGUMENT', JSON.stringify(settings))
  }
  const lacking: readonly Partial<TopicSettings>[] = [{ keepLatestPerKey: true }, { durability: 'replicated' }]
  for (const settings of lacking) {
    const frame = { kind: 'create-topic', id: 0, topic: 'topic', settings: { ...KEPT, ...settings } } as const
    assert.equal(await client.fails(frame), 'LVT_UNSUPPORTED', JSON.stringify(settings))
  }
  for (const topic of ['', 'x'.repeat(256), 'a\nb', 'a\u0085b']) {
    assert.equal(await client.fails(publishFrame(topic, ['a'])), 'LVT_INVALID_ARGUMENT')
    assert.equal(await client.fails(subscribeFrame(topic)), 'LVT_INVALID_ARGUMENT')
  }
  await client.publish('x'.repeat(255), ['a'])
  await client.publish('тема/🐇 ..', ['a'])
})

test('beyond topicsMax a new topic is refused, and the known ones go on', async () => {
  await using broker = await createBroker({ topicsMax: 3 })
  await using client = await WireClient.connect(broker)
  for (const topic of ['a', 'b', 'c']) await client.publish(topic, ['1'])
  assert.equal(await client.fails(publishFrame('d', ['1'])), 'LVT_TOPIC_LIMIT')
  assert.equal(await client.fails(subscribeFrame('d')), 'LVT_TOPIC_LIMIT')
  const create = { kind: 'create-topic', id: 0, topic: 'd', settings: KEPT } as const
  assert.equal(await client.fails(create), 'LVT_TOPIC_LIMIT')
  assert.equal((await client.publish('a', ['2'])).baseOffset, 1)
})

test('more than a thousand names are listed in pages, in order, each once', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  const names = Array.from({ length: 2_345 }, (_, index) => `topic ${(index * 7_919) % 10_007}`)
  client.send(...names.map((topic) => publishFrame(topic, ['a'])))
  const listed: string[] = []
  let pages = 0
  for (let more = true; more; pages++) {
    const page = await client.askFor('description', describeFrame('', listed.at(-1)))
    listed.push(...page.topics.map(({ name }) => name))
    more = page.more
  }
  assert.deepEqual(listed, [...names].sort())
  assert.equal(pages, 3)
})

test('a description tells settings, log starts, ends, bytes and subscribers', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  const settings: TopicSettings = { ...KEPT, partitions: 2, retention: { ageMs: null, bytes: null, records: 2 } }
  await client.create('topic', settings)
  for (const value of ['a', 'b', 'c']) await client.publish('topic', [value], { partition: 1 })
  await client.subscribe('topic')
  const { topics, more } = await client.askFor('description', describeFrame('topic'))
  assert.equal(more, false)
  const [topic] = topics
  assert.deepEqual(topic?.settings, settings)
  assert.equal(topic?.subscribers, 1)
  assert.deepEqual(
    topic?.partitions.map(({ partition, logStart, end }) => [partition, logStart, end]),
    [
      [0, 0, 0],
      [1, 1, 3],
    ],
  )
  assert.ok((topic?.partitions[1]?.bytes ?? 0) > 0)
})

test('a topic is deleted after inactivityMs with no publish and no subscription, and not before', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  const isThere = async () => (await client.ask(describeFrame('topic'))).kind === 'description'
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000)
      await client.ping()
    }
  }
  await client.create('topic', { ...KEPT, inactivityMs: 10_000 })
  await pass(9_000)
  await client.publish('topic', ['a'])
  await pass(9_000)
  assert.ok(await isThere(), 'a publish keeps it')
  await client.subscribe('topic')
  await client.expect('delivery')
  await pass(60_000)
  assert.ok(await isThere(), 'a subscription keeps it')
  await client.askFor('done', { kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  await pass(13_000)
  assert.ok(!(await isThere()), 'nobody cares any more')
  assert.equal((await client.publish('topic', ['a'])).baseOffset, 0)
})

test('a topic that keeps nothing goes on counting after its ring was let go of', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.publish('topic', ['a', 'b'])
  for (let second = 0; second < 70; second++) {
    clock.advance(1_000)
    await client.ping()
  }
  const ring = broker.metrics().find(({ name }) => name === 'leveret_broker_ring_bytes')
  assert.equal(ring?.value, 0)
  await client.subscribe('topic')
  assert.equal((await client.publish('topic', ['c'])).baseOffset, 2)
  assert.equal((await client.expect('delivery')).baseOffset, 2)
})

test('brokers in one process share nothing', async () => {
  await using first = await createBroker()
  await using second = await createBroker()
  await using one = await WireClient.connect(first)
  await using two = await WireClient.connect(second)
  await one.publish('topic', ['a', 'b'])
  assert.equal((await two.publish('topic', ['a'])).baseOffset, 0)
  assert.notEqual(first.port, second.port)
})

function describeFrame(topic: string, after = '') {
  return { kind: 'describe', id: 0, topic, group: '', after, groups: false } as const
}
