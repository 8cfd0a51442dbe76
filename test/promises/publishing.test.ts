/** What a publisher is promised: order, places, expected offsets, retries that store nothing twice, and parts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { partitionOf } from '../../src/broker/partitioner.js'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { NewRecord } from '../../src/model/record.js'
import { fc } from '../helpers/fast-check.js'
import {
  commitFrame,
  type FrameOf,
  KEPT,
  payloadsIn,
  publishFrame,
  recordsIn,
  recordsOf,
  subscribeFrame,
  WireClient,
} from '../helpers/wire-client.js'

let broker: EmbeddedBroker
let topics = 0

before(async () => {
  broker = await createBroker()
})
after(() => broker.stop())

const newTopic = () => `topic-${topics++}`

test('one connection publishes and subscribes, to one topic and to others', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  await client.subscribe(topic, { window: 2 })
  for (let offset = 0; offset < 20; offset++) {
    client.send(publishFrame(topic, [`${offset}`], { id: offset + 1 }), publishFrame(`${topic}-other`, ['x']))
    const frames = [await client.next(), await client.next()]
    assert.deepEqual(frames.map(({ kind }) => kind).sort(), ['delivery', 'published'])
    client.send(commitFrame({ offset }))
  }
})

test('publishes of one connection are appended in their order, whichever level and manner each asks for', async () => {
  const arbPublishes = fc.array(
    fc.record({
      count: fc.integer({ min: 1, max: 4 }),
      manner: fc.constantFrom('plain', 'memory', 'sequence', 'expected', 'silent'),
    }),
    { minLength: 1, maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(arbPublishes, async (publishes) => {
      await using client = await WireClient.connect(broker)
      const topic = newTopic()
      await client.create(topic)
      let offset = 0
      const frames = publishes.map(({ count, manner }, index) => {
        const values = Array.from({ length: count }, (_, place) => `${offset + place}`)
        const id = manner === 'silent' ? 0 : index + 1
        const frame = publishFrame(topic, values, {
          id,
          durability: manner === 'memory' ? 'memory' : null,
          expectedOffset: manner === 'expected' ? offset : null,
          producer: manner === 'sequence' ? 'p' : '',
          sequence: manner === 'sequence' ? index : null,
        })
        offset += count
        return frame
      })
      client.send(...frames, subscribeFrame(topic, { id: 1_000, window: 1_000 }))
      const seen: string[] = []
      while (seen.length < offset) {
        const frame = await client.next()
        assert.notEqual(frame.kind, 'failure')
        if (frame.kind === 'delivery') seen.push(...payloadsIn(frame))
      }
      assert.deepEqual(
        seen,
        seen.map((_, index) => `${index}`),
      )
    }),
    { numRuns: 40 },
  )
})

test('of publishers that expect the same offset one is appended, and the others are told', async () => {
  const topic = newTopic()
  const clients = await Promise.all(Array.from({ length: 12 }, () => WireClient.connect(broker)))
  for (let round = 0; round < 10; round++) {
    const frame = publishFrame(topic, [`${round}`], { expectedOffset: round })
    const answers = await Promise.all(clients.map((client) => client.ask(frame)))
    assert.equal(answers.filter(({ kind }) => kind === 'published').length, 1)
    for (const answer of answers) if (answer.kind === 'failure') assert.equal(answer.code, 'LVT_WRONG_OFFSET')
  }
  for (const client of clients) client.destroy()
})

test('a publish that is sent again with its sequence stores nothing twice and gets its first receipt', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  await client.create(topic)
  const send = (sequence: number, producer = 'p') =>
    client.publish(topic, [`${producer} ${sequence} a`, `${producer} ${sequence} b`], { producer, sequence })
  assert.equal((await send(1)).baseOffset, 0)
  assert.equal((await send(2)).baseOffset, 2)
  assert.equal((await send(1, 'other')).baseOffset, 4)
  for (const [sequence, baseOffset] of [
    [1, 0],
    [2, 2],
  ] as const) {
    const again = await send(sequence)
    assert.deepEqual([again.baseOffset, again.count], [baseOffset, 2])
  }
  assert.equal((await client.publish(topic, ['end'])).baseOffset, 6)
})

test('a publish and its repetition on another connection, both under way, store it once', async () => {
  await using one = await WireClient.connect(broker)
  await using two = await WireClient.connect(broker)
  for (let round = 0; round < 20; round++) {
    const topic = newTopic()
    const frame = publishFrame(topic, ['a', 'b'], { producer: 'p', sequence: 7 })
    const receipts = await Promise.all([one.askFor('published', frame), two.askFor('published', frame)])
    assert.deepEqual(
      receipts.map(({ baseOffset, count }) => [baseOffset, count]),
      [
        [0, 2],
        [0, 2],
      ],
    )
    assert.equal((await one.publish(topic, ['c'])).baseOffset, 2)
  }
})

test('a sequence from before what is remembered is refused, not stored', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  for (let sequence = 1; sequence <= 70; sequence++) {
    client.send(publishFrame(topic, ['a'], { producer: 'p', sequence }))
  }
  const old = publishFrame(topic, ['a'], { producer: 'p', sequence: 3 })
  assert.equal(await client.fails(old), 'LVT_SEQUENCE_TOO_OLD')
  const known = await client.publish(topic, ['a'], { producer: 'p', sequence: 60 })
  assert.equal(known.baseOffset, 59)
  assert.equal((await client.publish(topic, ['b'])).baseOffset, 70)
})

test('a publish that failed may be sent again with its sequence', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  const frame = publishFrame(topic, ['a'], { producer: 'p', sequence: 1, expectedOffset: 1 })
  assert.equal(await client.fails(frame), 'LVT_WRONG_OFFSET')
  await client.publish(topic, ['first'])
  assert.equal((await client.askFor('published', frame)).baseOffset, 1)
})

test('a publish says what is wrong with it', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  await client.create(topic, { ...KEPT, partitions: 2 })
  const cases = [
    [publishFrame(topic, []), 'LVT_INVALID_ARGUMENT'],
    [publishFrame(topic, ['a'], { partition: 2 }), 'LVT_PARTITION_NOT_FOUND'],
    [publishFrame(topic, ['a'], { expectedOffset: 0 }), 'LVT_INVALID_ARGUMENT'],
    [publishFrame(topic, ['a'], { sequence: 1 }), 'LVT_INVALID_ARGUMENT'],
    [publishFrame(topic, ['a'], { partition: 0, durability: 'disk' }), 'LVT_UNSUPPORTED'],
    [publishFrame(topic, ['a'], { partition: 0, durability: 'replicated' }), 'LVT_UNSUPPORTED'],
  ] as const
  for (const [frame, code] of cases) assert.equal(await client.fails(frame), code)
  client.send(publishFrame(topic, ['a'], { partition: 9 }))
  const silent = await client.expect('failure')
  assert.deepEqual([silent.id, silent.code, silent.topic], [0, 'LVT_PARTITION_NOT_FOUND', topic])
})

/** Everything in a topic, partition by partition. */
async function contents(client: WireClient, topic: string, total: number): Promise<NewRecord[][]> {
  await client.subscribe(topic, { subscription: 99, window: total })
  const found: NewRecord[][] = []
  for (let left = total; left > 0; ) {
    const delivery = await client.expect('delivery')
    const records = recordsIn(delivery)
    const partition = found[delivery.partition] ?? []
    found[delivery.partition] = partition
    assert.equal(delivery.baseOffset, partition.length)
    partition.push(...records)
    left -= records.length
  }
  return found
}

test('a key goes to the partition of its hash, alone or among others, and a spread publish tells each part', async () => {
  const arbRecords = fc.array(fc.record({ key: fc.option(fc.nat({ max: 30 })), value: fc.nat() }), {
    minLength: 1,
    maxLength: 30,
  })
  await fc.assert(
    fc.asyncProperty(fc.array(arbRecords, { minLength: 1, maxLength: 6 }), async (publishes) => {
      await using client = await WireClient.connect(broker)
      const topic = newTopic()
      await client.create(topic, { ...KEPT, partitions: 5 })
      const stored = new Map<string, NewRecord>()
      let total = 0
      for (const publish of publishes) {
        const records = publish.map(({ key, value }): NewRecord => {
          const bytes = key === null ? null : Buffer.from(`${key}`)
          return { key: bytes, payload: Buffer.from(`${value}`), headers: [] }
        })
        total += records.length
        const receipt = await client.publish(topic, records)
        for (const [index, place] of placesOf(receipt, records.length).entries()) {
          const record = records[index] as NewRecord
          assert.ok(!stored.has(place), 'two records have one place')
          stored.set(place, record)
          if (record.key !== null) assert.equal(Number(place.split('/')[0]), partitionOf(record.key, 5))
        }
      }
      const found = await contents(client, topic, total)
      for (const [partition, records] of found.entries()) {
        for (const [offset, { payload }] of (records ?? []).entries()) {
          assert.deepEqual(payload, stored.get(`${partition}/${offset}`)?.payload)
        }
      }
    }),
    { numRuns: 40 },
  )
})

/** `partition/offset` of each record, from a receipt with parts or without. */
function placesOf(receipt: FrameOf<'published'>, count: number): string[] {
  const { partition, baseOffset, parts } = receipt
  if (parts.length === 0) return Array.from({ length: count }, (_, index) => `${partition}/${baseOffset + index}`)
  const places: string[] = []
  for (const part of parts) {
    assert.equal(part.count, part.records.length)
    for (const [index, record] of part.records.entries())
      places[record] = `${part.partition}/${part.baseOffset + index}`
  }
  assert.equal(Object.keys(places).length, count, 'a record has no place')
  return places
}

test('records without a key take the partitions in turn', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  await client.create(topic, { ...KEPT, partitions: 3 })
  const seen: number[] = []
  for (let index = 0; index < 9; index++) seen.push((await client.publish(topic, ['a'])).partition)
  assert.deepEqual([...new Set(seen.slice(0, 3))].sort(), [0, 1, 2])
  assert.deepEqual(seen.slice(3), seen.slice(0, 6))
})

test('a spread publish tells duplicates by their index in the publish, and what was kept in their partition', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  await client.create(topic, { ...KEPT, partitions: 4, compactionWindowMs: 60_000 })
  const records = ['a', 'b', 'c', 'a', 'd', 'b'].flatMap((key) => recordsOf([key], key))
  const receipt = await client.publish(topic, records)
  const duplicates = receipt.parts.flatMap((part) => [...part.duplicates]).sort()
  assert.deepEqual(duplicates, [3, 5])
  for (const part of receipt.parts) {
    assert.equal(part.count + part.duplicates.length, part.records.length)
    assert.equal(part.keptOffsets.length, part.duplicates.length)
    for (const kept of part.keptOffsets) assert.ok(kept < part.baseOffset + part.count)
  }
})

test('a spread publish that is sent again with its sequence stores nothing twice', async () => {
  await using client = await WireClient.connect(broker)
  const topic = newTopic()
  await client.create(topic, { ...KEPT, partitions: 4 })
  const records = [...recordsOf(['x', 'y']), ...['a', 'b', 'c'].flatMap((key) => recordsOf([key], key))]
  const first = await client.publish(topic, records, { producer: 'p', sequence: 1 })
  const again = await client.publish(topic, records, { producer: 'p', sequence: 1 })
  assert.deepEqual(again.parts, first.parts)
  const frame = { kind: 'describe', id: 0, topic, group: '', after: '', groups: false } as const
  const { topics: described } = await client.askFor('description', frame)
  const total = described[0]?.partitions.reduce((sum, { end }) => sum + end, 0)
  assert.equal(total, records.length)
})
