import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, KEEP_FOREVER, text } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { LogPlace } from '../helpers/log-place.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { KEPT, recordsOf, WireClient } from '../helpers/wire-client.js'

const WINDOW_MS = 60_000

test('the compaction window outlives a restart, whatever the clock does meanwhile', async () => {
  const place = await LogPlace.temporary()
  const wallMs = 1_700_000_000_000
  const settings = { ...KEPT, compactionWindowMs: WINDOW_MS, durability: 'os' as const }
  const publish = async (client: WireClient, key: string) => {
    const { count, keptOffsets } = await client.publish('topic', recordsOf(['payload'], key))
    return count === 1 ? 'new' : keptOffsets?.[0]
  }
  const life = async (clock: VirtualClock, work: (client: WireClient) => Promise<void>) => {
    await using broker = await createBroker({ clock, store: 'log', data: place.data })
    await using client = await WireClient.connect(broker)
    await client.create('topic', settings)
    await work(client)
  }
  try {
    const first = new VirtualClock(wallMs)
    await life(first, async (client) => {
      assert.equal(await publish(client, 'old'), 'new')
      first.advance(WINDOW_MS - 10_000)
      for (const key of ['a', 'b']) assert.equal(await publish(client, key), 'new')
    })
    const second = new VirtualClock(first.now() + 10_000)
    await life(second, async (client) => {
      assert.equal(await publish(client, 'a'), 1)
      assert.equal(await publish(client, 'b'), 2)
      assert.equal(await publish(client, 'old'), 'new')
      second.advance(WINDOW_MS - 10_000)
      assert.equal(await publish(client, 'a'), 'new', 'the time before the restart counts')
    })
    await life(new VirtualClock(wallMs - 3_600_000), async (client) => {
      assert.equal(await publish(client, 'a'), 4, 'a clock set back ends no window')
    })
  } finally {
    place.remove()
  }
})

test('a publish repeated after a restart gets its first receipt again', async () => {
  const place = await LogPlace.temporary()
  const clock = new VirtualClock()
  const receipts: unknown[] = []
  try {
    for (let life = 0; life < 2; life++) {
      await using broker = await createBroker({ clock, store: 'log', data: place.data })
      await using client = await WireClient.connect(broker)
      await client.create('topic', { ...KEPT, compactionWindowMs: WINDOW_MS })
      if (life === 0) await client.publish('topic', recordsOf(['0'], 'a'))
      const records = [...recordsOf(['1'], 'a'), ...recordsOf(['2'], 'b')]
      const { id: _, ...receipt } = await client.publish('topic', records, { producer: 'p', sequence: 3 })
      receipts.push(receipt)
    }
    assert.deepEqual(receipts[1], receipts[0])
  } finally {
    place.remove()
  }
})

test('a topic that keeps the latest of each key is offered by the log, and only to those that keep records', async () => {
  const place = await LogPlace.temporary()
  try {
    await using broker = await createBroker({ store: 'log', data: place.data })
    await using client = await WireClient.connect(broker)
    await client.create('topic', { ...KEPT, keepLatestPerKey: true })
    const frame = { kind: 'create-topic', id: 0, topic: 'other' } as const
    const settings = { ...KEPT, keepLatestPerKey: true, retention: 'none' } as const
    assert.equal(await client.fails({ ...frame, settings }), 'LVT_INVALID_ARGUMENT')
  } finally {
    place.remove()
  }
})

test('readers of a compacted topic see the newest of each key, and are told of no loss', async () => {
  const place = await LogPlace.temporary()
  const clock = new VirtualClock()
  try {
    await using broker = await createBroker({ clock, store: 'log', data: place.data, segmentBytes: 64 * 1024 })
    await using client = await connect({ port: broker.port })
    const settings = { retention: KEEP_FOREVER, keepLatestPerKey: true, durability: 'os', ringRecords: 10 } as const
    await client.createTopic('topic', settings)
    const topic = client.topic('topic', { codec: text() })
    const records = 2_000
    for (let index = 0; index < records; index += 100) {
      const batch = Array.from({ length: 100 }, (_, place) => {
        const value = `${index + place}`.padEnd(200, '.')
        return topic.publish(value, { key: `key ${(index + place) % 7}` })
      })
      await Promise.all(batch)
    }
    const bytesOf = async () => (await client.describe('topic')).partitions[0]?.bytes ?? 0
    const before = await bytesOf()
    clock.advance(10_000)
    while ((await bytesOf()) > before / 2) await new Promise(setImmediate)
    const latest = new Map<string, number>()
    let seen = 0
    for await (const record of topic.subscribe({ from: 'earliest', until: records })) {
      assert.equal(Number.parseInt(record.value, 10), record.offset)
      latest.set(Buffer.from(record.key ?? '').toString(), record.offset)
      seen++
    }
    assert.ok(seen < records / 2, `${seen} records`)
    assert.deepEqual(
      [...latest.values()].sort(),
      Array.from({ length: 7 }, (_, index) => records - 7 + index),
    )
    // Ends in the midst of what was superseded, where no record will ever come.
    for await (const record of topic.subscribe({ from: { offset: 5 }, until: 100 })) assert.ok(record)
  } finally {
    place.remove()
  }
})
