/**
 * A drop that cannot be written did not happen. The topic was gone from the engine all the same, and came back with the
 * next start; and if it was made again in the same moment, the drop was told as done, and the data did not open again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Broker } from '../../src/broker/broker.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { configWith } from '../../src/config/load.js'
import { MetricsRegistry } from '../../src/metrics/registry.js'
import { toOffset } from '../../src/model/offset.js'
import type { LogStore } from '../../src/storage/log/log-store.js'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { append, holdSyncs, logOf, turns, Watched } from '../helpers/partition-work.js'

const FULL = { code: 'LVT_UNAVAILABLE' }
const GONE = { code: 'LVT_TOPIC_NOT_FOUND' }

const namesIn = async (store: LogStore) => [...(await store.topics()).keys()]

/** The data opens, and holds what the last life said. */
async function assertOpens(disk: EngineDisk, topics: readonly string[]): Promise<void> {
  const again = await disk.openStore()
  assert.deepEqual(await namesIn(again), topics)
  await again.close()
}

test('a drop and a creation in one turn on a full disk are told as they went', async () => {
  const disk = new EngineDisk({ spareBytes: 4_000 })
  const store = await disk.openStore()
  await append(await logOf(store), 'disk').promise
  disk.fill()
  const [drop, create] = [new Watched(store.dropTopic('orders')), new Watched(store.saveTopic('orders', KEPT))]
  // The room that is kept for it lets the drop be done; what was asked for on top of it is to be tried again.
  assert.deepEqual([await drop.outcome(), await create.outcome()], ['done', 'LVT_UNAVAILABLE'])
  assert.deepEqual(await namesIn(store), [])
  disk.free()
  await store.saveTopic('orders', KEPT)
  await store.close()
  await assertOpens(disk, ['orders'])
})

test('a creation that comes while a drop is being written fails with the drop', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  await append(await logOf(store), 'disk').promise
  const release = holdSyncs(disk.fs, /catalog\.a/)
  const drop = new Watched(store.dropTopic('orders'))
  await turns()
  const create = new Watched(store.saveTopic('orders', KEPT))
  disk.fs.plan({ op: 'write', code: 'ENOSPC', path: /catalog\.b/ })
  release()
  assert.deepEqual([await drop.outcome(), await create.outcome()], ['LVT_UNAVAILABLE', 'LVT_UNAVAILABLE'])
  await store.close()
  await assertOpens(disk, ['orders'])
})

test('a topic that could not be dropped is used as before, and can be dropped later', async () => {
  const disk = new EngineDisk()
  const store = disk.store()
  const engine = await disk.open(store)
  await engine.ensureTopic('orders', KEPT)
  await engine.publish('orders', 0, batchAt(0, 2), howOf('p', 1))
  const cursor = await engine.read('orders', 0, toOffset(2))
  const reading = cursor.next(1e6, new AbortController().signal)
  disk.fill()
  const dropping = engine.dropTopic('orders')
  await assert.rejects(engine.publish('orders', 0, batchAt(2, 2), howOf()), GONE)
  await assert.rejects(dropping, FULL)
  disk.free()

  assert.deepEqual(await engine.topics(), await namesIn(store))
  assert.equal((await engine.publish('orders', 0, batchAt(0, 2), howOf('p', 1))).replayed, true)
  assert.equal((await engine.publish('orders', 0, batchAt(2, 2), howOf('p', 2))).baseOffset, 2)
  const chunk = await reading
  assert.ok(chunk.kind === 'batches' && chunk.next === 4)

  const waiting = cursor.next(1e6, new AbortController().signal)
  await engine.dropTopic('orders')
  await assert.rejects(waiting, GONE)
  assert.deepEqual(await engine.topics(), [])
  await engine.close()
  await assertOpens(disk, [])
})

for (const isFull of [false, true]) {
  test(`a creation waits for a drop that ${isFull ? 'fails, and finds the topic as it was' : 'goes well'}`, async () => {
    const disk = new EngineDisk()
    const engine = await disk.open()
    const before = await engine.ensureTopic('orders', KEPT)
    await engine.publish('orders', 0, batchAt(0, 2), howOf())
    if (isFull) disk.fill()
    const dropping = new Watched(engine.dropTopic('orders'))
    const after = await engine.ensureTopic('orders', { ...KEPT, partitions: 3 })
    assert.equal(after === before, isFull)
    assert.equal(await dropping.outcome(), isFull ? FULL.code : 'done')
    disk.free()
    assert.equal((await engine.partition('orders', 0)).end, isFull ? 2 : 0)
    await engine.close()
  })
}

test('a broker lists a topic that could not be dropped, and drops it when there is room', async () => {
  const disk = new EngineDisk()
  const limits = { ...configWith({}), topicDefaults: KEPT }
  const broker = new Broker(await disk.open(), new SteadyTime(disk.clock), limits, new MetricsRegistry())
  await broker.createTopic('orders', { ...KEPT, partitions: 2 })
  disk.fill()
  await assert.rejects(broker.deleteTopic('orders'), FULL)
  disk.free()
  assert.deepEqual(broker.topicNames('', 10).names, ['orders'])
  assert.equal((await broker.describeTopic('orders')).partitions.length, 2)
  await broker.deleteTopic('orders')
  assert.deepEqual(broker.topicNames('', 10).names, [])
  await broker.stop({ deadlineMs: 1_000 })
})
