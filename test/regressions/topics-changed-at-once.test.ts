/**
 * Calls for one topic that do not wait for each other: none of them works on, or takes away, the topic of another one, and
 * the engine has what its store has.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../src/model/offset.js'
import { KEEP_FOREVER } from '../../src/model/topic.js'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { holdSyncs, turns, Watched } from '../helpers/partition-work.js'

const AGING = { ...KEPT, retention: { ...KEEP_FOREVER, ageMs: 1_000 } }

/** An engine whose next creation of a topic fails, once `fail` is called. */
async function failingToCreate() {
  const disk = new EngineDisk()
  const store = disk.store()
  const engine = await disk.open(store)
  const release = holdSyncs(disk.fs, /catalog\.a/)
  const creating = new Watched(engine.ensureTopic('orders', KEPT))
  await turns()
  const fail = () => {
    disk.fs.plan({ op: 'write', code: 'ENOSPC', path: /catalog\.b/ })
    release()
  }
  return { store, engine, creating, fail }
}

test('a topic that is changed while it cannot be made is not made by the change', async () => {
  const { store, engine, creating, fail } = await failingToCreate()
  const changing = new Watched(engine.changeTopic('orders', AGING))
  await turns()
  fail()
  assert.equal(await creating.outcome(), 'LVT_UNAVAILABLE')
  assert.notEqual(await changing.outcome(), 'done')
  assert.deepEqual([await engine.topics(), [...(await store.topics()).keys()]], [[], []])
  await engine.close()
})

test('a topic that is made behind one that could not be made is not forgotten with it', async () => {
  const { store, engine, creating, fail } = await failingToCreate()
  const dropping = new Watched(engine.dropTopic('orders'))
  const again = new Watched(engine.ensureTopic('orders', KEPT))
  await turns()
  fail()
  assert.equal(await creating.outcome(), 'LVT_UNAVAILABLE')
  assert.equal(await dropping.outcome(), 'LVT_TOPIC_NOT_FOUND')
  assert.equal(await again.outcome(), 'done')
  assert.deepEqual([await engine.topics(), [...(await store.topics()).keys()]], [['orders'], ['orders']])
  assert.equal((await engine.publish('orders', 0, batchAt(0, 2), howOf())).baseOffset, 0)
  await engine.close()
})

test('a change of a topic that is dropped meanwhile is refused', async () => {
  const engine = await new EngineDisk().open()
  await engine.ensureTopic('orders', KEPT)
  const changing = new Watched(engine.changeTopic('orders', AGING))
  await engine.dropTopic('orders')
  assert.equal(await changing.outcome(), 'LVT_TOPIC_NOT_FOUND')
  await engine.close()
})

for (const end of ['close', 'drop'] as const) {
  test(`who reads a partition that is opened during a ${end} is told`, async () => {
    const disk = new EngineDisk()
    const first = await disk.open()
    await first.ensureTopic('orders', KEPT)
    await first.publish('orders', 0, batchAt(0, 2), howOf())
    await first.close()

    const engine = await disk.open()
    const reading = new Watched(
      engine.read('orders', 0, toOffset(2)).then((cursor) => cursor.next(1e6, new AbortController().signal)),
    )
    await (end === 'close' ? engine.close() : engine.dropTopic('orders'))
    assert.equal(await reading.outcome(), end === 'close' ? 'LVT_CLOSED' : 'LVT_TOPIC_NOT_FOUND')
    await engine.close()
  })
}
