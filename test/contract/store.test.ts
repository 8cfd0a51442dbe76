/** What every store keeps to: see src/storage/store.ts. A new one adds a line to STORES. */
import assert from 'node:assert/strict'
import { toOffset } from '../../src/model/offset.js'
import type { Batch } from '../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../src/model/topic.js'
import { Keyring } from '../../src/storage/log/keyring.js'
import type { LogStoreConfig } from '../../src/storage/log/log-store.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import type { PartitionLog, Store } from '../../src/storage/store.js'
import { batchAt, offsetsSaid } from '../helpers/batches.js'
import { type Cases, type Implementation, runContract } from '../helpers/contract.js'
import { LogPlace } from '../helpers/log-place.js'

interface Subject {
  readonly store: Store
  /** The same place, opened again after a close. */
  reopen(): Promise<Store>
  close(): Promise<void>
}

const STORES: readonly Implementation<Subject>[] = [
  {
    name: 'memory',
    make: async () => {
      const store = new MemoryStore()
      await store.open()
      return { store, reopen: () => Promise.reject(new Error('memory is gone')), close: () => store.close() }
    },
    skips: {
      'keeps topics and records when it is closed and opened again': 'memory forgets with its process',
      'knows after it is opened again where it was told to go on': 'memory forgets with its process',
    },
  },
  { name: 'log on disk', make: () => logSubject({}) },
  { name: 'log in small segments', make: () => logSubject({ segmentBytes: 64 }) },
  { name: 'log, encrypted', make: () => logSubject({ keyring: Keyring.parse('ab'.repeat(32)) }) },
]

async function logSubject(config: Partial<LogStoreConfig>): Promise<Subject> {
  const place = await LogPlace.temporary(config)
  let store = await place.open()
  return {
    store,
    reopen: async () => {
      store = await place.open()
      return store
    },
    close: async () => {
      await store.close()
      place.remove()
    },
  }
}

const SETTINGS = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, partitions: 3 }
/** A store that cannot reach it goes as far as it can. */
const KEEP = { durability: 'disk', keep: true, producer: null } as const

async function append(log: PartitionLog, count: number, timestampMs = 0, keep = true): Promise<number> {
  const batch = batchAt(log.end, count)
  const { baseOffset } = await log.append(batch, { ...KEEP, keep, timestampMs })
  return baseOffset
}

/** Offsets of the records that a read brings, checked to be those that they say. */
async function readOffsets(log: PartitionLog, from: number, maxBytes = 1e6): Promise<number[]> {
  const offsets: number[] = []
  let next = toOffset(from)
  let bytes = 0
  // A read may bring less than it could: it goes on where it stopped.
  while (bytes < maxBytes) {
    const result = await log.read(next, maxBytes - bytes)
    assert.equal(result.loss, null)
    if (result.batches.length === 0) break
    for (const { body, baseOffset, count } of result.batches) {
      assert.deepEqual(
        offsetsSaid(body),
        Array.from({ length: count }, (_, index) => baseOffset + index),
      )
      offsets.push(...offsetsSaid(body))
      bytes += body.length
    }
    next = result.next
  }
  return offsets
}

async function partitionOf(store: Store): Promise<PartitionLog> {
  await store.saveTopic('topic', SETTINGS)
  return await store.partition('topic', 0)
}

const CASES: Cases<Subject> = {
  'keeps topics with their settings, replaces and drops them': async ({ store }) => {
    assert.equal((await store.topics()).size, 0)
    await store.saveTopic('тема/🐇', SETTINGS)
    await store.saveTopic('b', DEFAULT_TOPIC_SETTINGS)
    await store.saveTopic('b', SETTINGS)
    await store.saveTopic('c', SETTINGS)
    await store.dropTopic('c')
    const topics = await store.topics()
    assert.deepEqual([...topics.keys()].sort(), ['b', 'тема/🐇'])
    for (const settings of topics.values()) assert.deepEqual(settings, SETTINGS)
  },

  'a dropped topic comes back empty': async ({ store }) => {
    const log = await partitionOf(store)
    await append(log, 3)
    await store.dropTopic('topic')
    const again = await partitionOf(store)
    assert.deepEqual([again.logStart, again.end, again.bytes], [0, 0, 0])
  },

  'assigns offsets in the order of the calls, before they return': async ({ store }) => {
    const log = await partitionOf(store)
    const batches = [3, 1, 2]
    const appends = batches.map((count) => append(log, count))
    assert.equal(log.end, 6)
    assert.deepEqual(await Promise.all(appends), [0, 3, 4])
  },

  'partitions are logs of their own': async ({ store }) => {
    await store.saveTopic('topic', SETTINGS)
    const logs = await Promise.all([0, 1, 2].map((index) => store.partition('topic', index)))
    for (const [index, log] of logs.entries()) await append(log, index + 1)
    assert.deepEqual(
      logs.map(({ end }) => end),
      [1, 2, 3],
    )
    assert.equal(await store.partition('topic', 1), logs[1])
  },

  'reads whole batches from the one that holds the offset on': async ({ store }) => {
    const log = await partitionOf(store)
    for (const count of [2, 3, 1, 4]) await append(log, count)
    assert.deepEqual(await readOffsets(log, 0), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepEqual(await readOffsets(log, 3), [2, 3, 4, 5, 6, 7, 8, 9])
    assert.deepEqual(await readOffsets(log, 9), [6, 7, 8, 9])
    assert.deepEqual(await readOffsets(log, 10), [])
    assert.deepEqual(await readOffsets(log, 1_000), [])
  },

  'reads at least one batch, and about as many bytes as it is asked for': async ({ store }) => {
    const log = await partitionOf(store)
    for (let batch = 0; batch < 20; batch++) await append(log, 1)
    assert.deepEqual(await readOffsets(log, 4, 1), [4])
    const some = await readOffsets(log, 4, 20)
    assert.ok(some.length > 1 && some.length < 10, `${some}`)
  },

  'keeps bytes, times and the level that it reached': async ({ store }) => {
    const log = await partitionOf(store)
    const batch = batchAt(0, 2)
    const appended = await log.append(batch, { ...KEEP, timestampMs: 1_234 })
    assert.equal(appended.durability, store.durabilityMax)
    assert.equal(log.lastTimestampMs, 1_234)
    const [stored] = (await log.read(toOffset(0), 1e6)).batches
    assert.ok(stored?.body.equals(batch.body))
    assert.equal(stored?.timestampMs, 1_234)
    assert.ok(log.bytes >= batch.body.length)
  },

  'finds the first record that is not older than a time': async ({ store }) => {
    const log = await partitionOf(store)
    for (const timestampMs of [10, 10, 20, 40]) await append(log, 2, timestampMs)
    const found = await Promise.all([0, 10, 11, 20, 21, 40, 41].map((time) => log.offsetAt(time)))
    assert.deepEqual(found, [0, 0, 4, 4, 6, 6, 8])
  },

  'a topic that keeps nothing counts on, and has nothing to read': async ({ store }) => {
    const log = await partitionOf(store)
    assert.equal(await append(log, 3, 5, false), 0)
    assert.equal(await append(log, 2, 6, false), 3)
    assert.deepEqual([log.logStart, log.end, log.bytes, log.lastTimestampMs], [5, 5, 0, 6])
    assert.deepEqual(await readOffsets(log, 5), [])
    assert.equal(await log.offsetAt(0), 5)
  },

  'drops by age what is old enough, to the last record if need be': async ({ store }) => {
    const log = await partitionOf(store)
    for (const timestampMs of [10, 20, 30]) await append(log, 2, timestampMs)
    const limits = { ageMs: 100, bytes: null, records: null }
    await log.retain(limits, 109)
    assert.equal(log.logStart, 0)
    await log.retain(limits, 110)
    assert.equal(log.logStart, 2)
    assert.deepEqual(await readOffsets(log, 2), [2, 3, 4, 5])
    await log.retain(limits, 1_000)
    assert.deepEqual([log.logStart, log.end, log.bytes], [6, 6, 0])
    assert.equal(await append(log, 1, 40), 6)
  },

  'drops by count, to the record': async ({ store }) => {
    const log = await partitionOf(store)
    for (const count of [3, 3, 3]) await append(log, count)
    await log.retain({ ageMs: null, bytes: null, records: 4 }, 0)
    assert.equal(log.logStart, 5)
    assert.deepEqual(
      (await readOffsets(log, 5)).filter((offset) => offset >= 5),
      [5, 6, 7, 8],
    )
    assert.equal(await log.offsetAt(0), 5)
  },

  'drops by bytes whole batches, and keeps the newest whatever its size': async ({ store }) => {
    const log = await partitionOf(store)
    for (let batch = 0; batch < 50; batch++) await append(log, 2)
    const before = log.bytes
    await log.retain({ ageMs: null, bytes: before / 2, records: null }, 0)
    assert.ok(log.bytes <= before / 2 && log.logStart > 0 && log.logStart < log.end)
    await log.retain({ ageMs: null, bytes: 1, records: null }, 0)
    assert.equal(log.logStart, log.end - 2)
    assert.deepEqual(await readOffsets(log, log.logStart), [98, 99])
  },

  'drops nothing when nothing is limited': async ({ store }) => {
    const log = await partitionOf(store)
    for (let batch = 0; batch < 10; batch++) await append(log, 2)
    await log.retain(KEEP_FOREVER, Number.MAX_SAFE_INTEGER)
    assert.equal(log.logStart, 0)
  },

  'trims to an offset, never back and never beyond the end': async ({ store }) => {
    const log = await partitionOf(store)
    for (const count of [3, 3, 3]) await append(log, count)
    await log.trimTo(toOffset(4))
    assert.equal(log.logStart, 4)
    assert.ok((await readOffsets(log, 4)).includes(4))
    await log.trimTo(toOffset(1))
    assert.equal(log.logStart, 4)
    await log.trimTo(toOffset(1_000))
    assert.deepEqual([log.logStart, log.end], [9, 9])
    assert.equal(await append(log, 1), 9)
    assert.deepEqual(await readOffsets(log, 9), [9])
  },

  'stays right over thousands of batches that come and go': async ({ store }) => {
    const log = await partitionOf(store)
    const limits = { ageMs: null, bytes: null, records: 25 }
    for (let batch = 0; batch < 5_000; batch++) {
      await append(log, 1 + (batch % 3), batch)
      await log.retain(limits, batch)
      if (batch % 500 !== 0) continue
      const kept = (await readOffsets(log, log.logStart)).filter((offset) => offset >= log.logStart)
      assert.deepEqual([kept[0], kept.at(-1)], [log.logStart, log.end - 1])
    }
    assert.equal(log.end - log.logStart, 25)
  },

  'keeps a log for groups beside the partitions of a topic, whatever the topic keeps': async ({ store }) => {
    await store.saveTopic('fleeting', DEFAULT_TOPIC_SETTINGS)
    const log = await store.groupLog('fleeting')
    assert.equal(await store.groupLog('fleeting'), log)
    for (const text of ['one', 'no run of records']) {
      await log.append(
        { body: Buffer.from(text), count: 1 },
        { ...KEEP, durability: store.durabilityMax, timestampMs: 5 },
      )
    }
    assert.deepEqual([log.logStart, log.stableEnd], [0, 2])
    const texts: string[] = []
    for (let next = log.logStart; next < log.stableEnd; ) {
      const read = await log.read(next, 1e6)
      for (const { body } of read.batches) texts.push(`${body}`)
      next = read.next
    }
    assert.deepEqual(texts, ['one', 'no run of records'])
    assert.deepEqual(store.writtenPartitions('fleeting'), [])
    await log.trimTo(toOffset(1))
    assert.equal(log.logStart, 1)
    await store.dropTopic('fleeting')
    await store.saveTopic('fleeting', DEFAULT_TOPIC_SETTINGS)
    assert.equal((await store.groupLog('fleeting')).end, 0)
  },

  'goes on at an offset that it is told, and loses none of what it has': async ({ store }) => {
    const log = await partitionOf(store)
    await log.skipTo(toOffset(100))
    assert.deepEqual([log.logStart, log.end, log.stableEnd], [100, 100, 100])
    await append(log, 3)
    await log.skipTo(toOffset(200))
    await append(log, 2)
    assert.deepEqual([log.logStart, log.end], [100, 202])
    assert.deepEqual(await readOffsets(log, 200), [200, 201])
    const { batches } = await log.read(toOffset(100), 1)
    assert.deepEqual(batches.flatMap(({ body }) => offsetsSaid(body)).slice(0, 3), [100, 101, 102])
  },

  'knows after it is opened again where it was told to go on': async ({ store, reopen }) => {
    const log = await partitionOf(store)
    await log.skipTo(toOffset(10))
    await append(log, 3)
    await log.skipTo(toOffset(20))
    await store.close()
    const between = await reopen()
    const opened = await between.partition('topic', 0)
    assert.deepEqual([opened.logStart, opened.end], [10, 20])
    await append(opened, 2)
    await opened.skipTo(toOffset(30))
    await between.close()
    const last = await (await reopen()).partition('topic', 0)
    assert.deepEqual([last.logStart, last.end], [10, 30])
    assert.deepEqual((await last.read(toOffset(13), 1e6)).loss, { from: 13, to: 20, cause: 'corrupt' })
    assert.deepEqual((await last.read(toOffset(22), 1e6)).loss, { from: 22, to: 30, cause: 'corrupt' })
    await append(last, 1)
    assert.deepEqual(await readOffsets(last, 30), [30])
  },

  'keeps topics and records when it is closed and opened again': async ({ store, reopen }) => {
    const log = await partitionOf(store)
    await append(log, 3, 77)
    const body = Buffer.from('what groups remember')
    await (await store.groupLog('topic')).append({ body, count: 1 }, { ...KEEP, timestampMs: 77 })
    await store.close()
    const again = await reopen()
    assert.deepEqual([...(await again.topics()).keys()], ['topic'])
    const found = await again.partition('topic', 0)
    assert.deepEqual([found.end, found.lastTimestampMs], [3, 77])
    assert.deepEqual(await readOffsets(found, 0), [0, 1, 2])
    const groups = await again.groupLog('topic')
    assert.equal(`${(await groups.read(toOffset(0), 1e6)).batches[0]?.body}`, 'what groups remember')
  },
}

/** A batch is what it says it is; the helper is held to that too. */
const sample: Batch = batchAt(7, 2)
assert.deepEqual(offsetsSaid(sample.body), [7, 8])

runContract(STORES, CASES)
