/** What every engine keeps to: see src/storage/engine.ts. A new one adds a line to test/helpers/engines.ts. */
import assert from 'node:assert/strict'
import { toOffset } from '../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type Start, type TopicSettings } from '../../src/model/topic.js'
import type { Chunk, Engine, PublishHow, Receipt } from '../../src/storage/engine.js'
import { batchAt, offsetsSaid } from '../helpers/batches.js'
import { type Cases, runContract } from '../helpers/contract.js'
import { ENGINES, type EngineSubject } from '../helpers/engines.js'

const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, partitions: 2 }
const PLAIN: PublishHow = { durability: null, expectedOffset: null, producer: '', sequence: null }
const never = new AbortController().signal

async function withTopic(engine: Engine, settings = KEPT): Promise<void> {
  await engine.ensureTopic('topic', settings)
}

/** Records say the offset that they are to get. */
function publish(engine: Engine, base: number, count: number, how: Partial<PublishHow> = {}): Promise<Receipt> {
  return engine.publish('topic', 0, batchAt(base, count), { ...PLAIN, ...how })
}

function offsetsIn(chunk: Chunk): number[] {
  assert.equal(chunk.kind, 'batches')
  return chunk.kind === 'batches' ? chunk.batches.flatMap(({ body }) => offsetsSaid(body)) : []
}

const CASES: Cases<EngineSubject> = {
  'makes a topic once, and gives it back as it is to whoever asks again': async ({ engine }) => {
    const made = await Promise.all([engine.ensureTopic('topic', KEPT), engine.ensureTopic('topic', KEPT)])
    for (const { settings } of made) assert.deepEqual(settings, KEPT)
    const other = await engine.ensureTopic('topic', { ...KEPT, partitions: 9 })
    assert.equal(other.settings.partitions, 2)
    assert.deepEqual(await engine.topics(), ['topic'])
    assert.equal((await engine.topic('topic'))?.name, 'topic')
    assert.equal(await engine.topic('other'), null)
  },

  'knows no topic and no partition that is not there': async ({ engine }) => {
    await withTopic(engine)
    const code = (expected: string) => ({ code: expected })
    await assert.rejects(engine.partition('other', 0), code('LVT_TOPIC_NOT_FOUND'))
    await assert.rejects(engine.publish('other', 0, batchAt(0, 1), PLAIN), code('LVT_TOPIC_NOT_FOUND'))
    await assert.rejects(engine.read('other', 0, toOffset(0)), code('LVT_TOPIC_NOT_FOUND'))
    await assert.rejects(engine.dropTopic('other'), code('LVT_TOPIC_NOT_FOUND'))
    await assert.rejects(engine.partition('topic', 2), code('LVT_PARTITION_NOT_FOUND'))
  },

  'appends in the order of the calls': async ({ engine }) => {
    await withTopic(engine)
    const receipts = await Promise.all([publish(engine, 0, 3), publish(engine, 3, 1), publish(engine, 4, 2)])
    assert.deepEqual(
      receipts.map(({ baseOffset, replayed }) => [baseOffset, replayed]),
      [
        [0, false],
        [3, false],
        [4, false],
      ],
    )
    const { logStart, end, bytes } = await engine.partition('topic', 0)
    assert.deepEqual([logStart, end], [0, 6])
    assert.ok(bytes > 0)
  },

  'appends only at the offset that is expected': async ({ engine }) => {
    await withTopic(engine)
    await assert.rejects(publish(engine, 0, 1, { expectedOffset: 1 }), { code: 'LVT_WRONG_OFFSET' })
    await publish(engine, 0, 2, { expectedOffset: 0 })
    const race = await Promise.allSettled([
      publish(engine, 2, 1, { expectedOffset: 2 }),
      publish(engine, 2, 1, { expectedOffset: 2 }),
    ])
    assert.deepEqual(
      race.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    )
    assert.equal((await engine.partition('topic', 0)).end, 3)
  },

  'appends a producer sequence once, also while it is under way, and again after it failed': async ({ engine }) => {
    await withTopic(engine)
    const how = { producer: 'p', sequence: 5 }
    const [first, again] = await Promise.all([publish(engine, 0, 2, how), publish(engine, 0, 2, how)])
    assert.deepEqual([first.replayed, again.replayed, again.baseOffset], [false, true, 0])
    const failing = { producer: 'p', sequence: 6, expectedOffset: 9 }
    await assert.rejects(publish(engine, 2, 1, failing), { code: 'LVT_WRONG_OFFSET' })
    assert.equal((await publish(engine, 2, 1, { producer: 'p', sequence: 6 })).baseOffset, 2)
    for (let sequence = 7; sequence < 80; sequence++) await publish(engine, sequence, 1, { producer: 'p', sequence })
    await assert.rejects(publish(engine, 0, 2, how), { code: 'LVT_SEQUENCE_TOO_OLD' })
  },

  'tells the level that it reached, and refuses one that it cannot reach': async ({ engine }) => {
    await withTopic(engine)
    const levels = ['memory', 'os', 'disk', 'replicated'] as const
    const { durability } = await publish(engine, 0, 1)
    for (const level of levels) {
      const isReached = levels.indexOf(level) <= levels.indexOf(durability)
      const asked = publish(engine, 1, 1, { durability: level })
      if (isReached) assert.ok(levels.indexOf((await asked).durability) >= levels.indexOf(level))
      else await assert.rejects(asked, { code: 'LVT_UNSUPPORTED' })
    }
  },

  'stamps arrival, and never goes back': async ({ engine, clock }) => {
    await withTopic(engine)
    const times: number[] = []
    for (const jump of [0, 500, -10_000, 100]) {
      clock.jumpWall(jump)
      times.push((await publish(engine, times.length, 1)).timestampMs)
    }
    assert.deepEqual(times, [1_000, 1_500, 1_500, 1_500])
  },

  'finds the offset of every start': async ({ engine, clock }) => {
    await withTopic(engine)
    for (let batch = 0; batch < 5; batch++) {
      await publish(engine, 2 * batch, 2)
      clock.advance(10)
    }
    const starts: readonly (readonly [Start, number])[] = [
      [{ kind: 'earliest' }, 0],
      [{ kind: 'latest' }, 10],
      [{ kind: 'last' }, 9],
      [{ kind: 'last-n', records: 4 }, 6],
      [{ kind: 'last-n', records: 99 }, 0],
      [{ kind: 'offset', offset: 77 }, 77],
      [{ kind: 'time', timeMs: 1_020 }, 4],
      [{ kind: 'age', ageMs: 20 }, 6],
    ]
    for (const [start, offset] of starts) {
      assert.equal(await engine.resolve('topic', 0, start), offset, JSON.stringify(start))
    }
    await engine.purge('topic', 0, toOffset(7))
    assert.equal(await engine.resolve('topic', 0, { kind: 'earliest' }), 7)
    assert.equal(await engine.resolve('topic', 0, { kind: 'last-n', records: 99 }), 7)
    assert.equal(await engine.resolve('topic', 0, { kind: 'offset', offset: 2 }), 2)
  },

  'tells the segments of a partition, and closes them at a size and when it is told to': async ({ engine }) => {
    await withTopic(engine)
    assert.ok((await engine.segments('topic', 0, 2_000)).every(({ bytes }) => bytes === 0))
    for (let offset = 0; offset < 40; offset++) await engine.publish('topic', 0, batchAt(offset, 1, 0, 500), PLAIN)
    const closed = await engine.segments('topic', 0, null)
    assert.ok(closed.length > 5, `${closed.length} segments`)
    assert.ok(closed.slice(0, -1).every(({ bytes }) => bytes > 500 && bytes <= 2_000))
    assert.deepEqual([closed[0]?.base, closed.at(-1)?.end], [0, 40])
    for (const [index, { base }] of closed.entries()) if (index > 0) assert.equal(base, closed[index - 1]?.end)
    await engine.closeSegment('topic', 0)
    await engine.publish('topic', 0, batchAt(40, 1), PLAIN)
    const [last] = (await engine.segments('topic', 0, null)).slice(-1)
    assert.deepEqual([last?.base, last?.end], [40, 41])
    assert.ok(last !== undefined && last.firstMs !== null && last.firstMs === last.lastMs)
    await engine.purge('topic', 0, toOffset(40))
    assert.deepEqual(
      (await engine.segments('topic', 0, null)).map(({ base }) => base),
      [40],
    )
  },

  'a cursor brings everything once and in order, and waits at the end': async ({ engine }) => {
    await withTopic(engine)
    for (let batch = 0; batch < 20; batch++) await publish(engine, 3 * batch, 3)
    const cursor = await engine.read('topic', 0, toOffset(4))
    const seen: number[] = []
    while (seen.at(-1) !== 59) seen.push(...offsetsIn(await cursor.next(30, never)))
    assert.equal(seen[0], 3, 'the first batch is whole')
    assert.deepEqual(
      seen,
      seen.map((_, index) => 3 + index),
    )
    const waiting = cursor.next(30, never)
    await publish(engine, 60, 1)
    assert.deepEqual(offsetsIn(await waiting), [60])
    cursor.close()
  },

  'a cursor that starts beyond the end waits for its offset': async ({ engine }) => {
    await withTopic(engine)
    const cursor = await engine.read('topic', 0, toOffset(4))
    const waiting = cursor.next(1_000, never)
    await publish(engine, 0, 2)
    await publish(engine, 2, 2)
    await publish(engine, 4, 2)
    assert.deepEqual(offsetsIn(await waiting), [4, 5])
    cursor.close()
  },

  'a cursor tells what is gone, once, and goes on behind it': async ({ engine }) => {
    await withTopic(engine)
    for (let batch = 0; batch < 5; batch++) await publish(engine, 2 * batch, 2)
    await engine.purge('topic', 0, toOffset(5))
    const cursor = await engine.read('topic', 0, toOffset(1))
    assert.deepEqual(await cursor.next(1, never), { kind: 'lost', loss: { from: 1, to: 5, cause: 'trimmed' } })
    assert.deepEqual(offsetsIn(await cursor.next(1, never)), [4, 5])
    await engine.purge('topic', 0, toOffset(10))
    assert.equal((await cursor.next(1, never)).kind, 'lost')
    cursor.close()
  },

  'a cursor that waits ends with its signal, its close, its topic and its engine': async ({ engine }) => {
    await withTopic(engine)
    await engine.ensureTopic('second', KEPT)
    const abort = new AbortController()
    const aborted = (await engine.read('topic', 0, toOffset(0))).next(1, abort.signal)
    abort.abort()
    await assert.rejects(aborted, { code: 'LVT_ABORTED' })
    const cursor = await engine.read('topic', 0, toOffset(0))
    const closed = cursor.next(1, never)
    cursor.close()
    await assert.rejects(closed, { code: 'LVT_ABORTED' })
    const dropped = await engine.read('topic', 0, toOffset(0))
    const waiting = dropped.next(1, never)
    await Promise.all([engine.dropTopic('topic'), assert.rejects(waiting, { code: 'LVT_TOPIC_NOT_FOUND' })])
    await assert.rejects(dropped.next(1, never), { code: 'LVT_TOPIC_NOT_FOUND' })
    const last = (await engine.read('second', 0, toOffset(0))).next(1, never)
    await Promise.all([engine.close({ deadlineMs: 0 }), assert.rejects(last, { code: 'LVT_CLOSED' })])
  },

  'a dropped topic is gone, and its name begins anew': async ({ engine }) => {
    await withTopic(engine)
    await publish(engine, 0, 2)
    await engine.dropTopic('topic')
    assert.deepEqual(await engine.topics(), [])
    await assert.rejects(publish(engine, 2, 1), { code: 'LVT_TOPIC_NOT_FOUND' })
    await withTopic(engine)
    assert.equal((await publish(engine, 0, 1)).baseOffset, 0)
  },

  'drops by age in the course of time, and by count with each append': async ({ engine, clock }) => {
    await withTopic(engine, { ...KEPT, retention: { ageMs: 100, bytes: null, records: 3 } })
    for (let offset = 0; offset < 5; offset++) await publish(engine, offset, 1)
    assert.equal((await engine.partition('topic', 0)).logStart, 2)
    clock.advance(100)
    await engine.tidy()
    assert.deepEqual(await engine.partition('topic', 0), { logStart: 5, end: 5, bytes: 0 })
  },

  'a topic that keeps nothing counts on': async ({ engine }) => {
    await withTopic(engine, { ...KEPT, retention: 'none' })
    await publish(engine, 0, 3)
    assert.deepEqual(await engine.partition('topic', 0), { logStart: 3, end: 3, bytes: 0 })
    assert.equal((await publish(engine, 3, 1)).baseOffset, 3)
  },

  'offers groups, or says that it does not': async ({ engine }) => {
    await withTopic(engine)
    if (!engine.can.has('groups')) await assert.rejects(engine.groups('topic', '', 1), { code: 'LVT_UNSUPPORTED' })
  },

  'is closed for good': async ({ engine }) => {
    await withTopic(engine)
    await publish(engine, 0, 1)
    await engine.close({ deadlineMs: 0 })
    await engine.close({ deadlineMs: 0 })
    await assert.rejects(publish(engine, 1, 1), { code: 'LVT_CLOSED' })
    await assert.rejects(engine.partition('topic', 0), { code: 'LVT_CLOSED' })
    await assert.rejects(engine.ensureTopic('other', KEPT), { code: 'LVT_CLOSED' })
  },
}

runContract(ENGINES, CASES)
