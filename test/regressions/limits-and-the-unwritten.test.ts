/**
 * Records of level `memory` are acknowledged before they are written. Limits looked at what is written only: they dropped
 * young records with the old ones, waited for a write on a full disk, and went beyond offsets that were given again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../src/model/offset.js'
import { KEEP_FOREVER } from '../../src/model/topic.js'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { append, holdSyncs, logOf, turns, Watched } from '../helpers/partition-work.js'

const AGE_MS = 60_000
const MEMORY = { ...KEPT, durability: 'memory' } as const

test('a record that is not written yet is not as old as those that are', async () => {
  const disk = new EngineDisk()
  const engine = await disk.open()
  await engine.ensureTopic('orders', { ...MEMORY, retention: { ...KEEP_FOREVER, ageMs: AGE_MS } })
  await engine.publish('orders', 0, batchAt(0, 2), howOf())
  await turns()
  disk.clock.advance(2 * AGE_MS)
  disk.fill()
  const { baseOffset } = await engine.publish('orders', 0, batchAt(2, 2), howOf())
  await turns()
  await engine.tidy()
  assert.equal((await engine.partition('orders', 0)).logStart, baseOffset)
  disk.free()
  await engine.close()
})

test('nothing waits for limits that wait for room', async () => {
  const disk = new EngineDisk({ segmentBytes: 300 })
  const engine = await disk.open()
  await engine.ensureTopic('orders', { ...MEMORY, retention: { ...KEEP_FOREVER, ageMs: AGE_MS, records: 2 } })
  await engine.publish('orders', 0, batchAt(0, 2), howOf())
  await turns()
  disk.fill()
  for (let batch = 0; batch < 3; batch++) await engine.publish('orders', 0, batchAt(0, 2), howOf())
  await turns()
  disk.clock.advance(2 * AGE_MS)
  const changed = { ...MEMORY, retention: { ...KEEP_FOREVER, ageMs: 1 } }
  for (const work of [
    () => engine.tidy(),
    () => engine.resolve('orders', 0, { kind: 'earliest' }),
    () => engine.resolve('orders', 0, { kind: 'age', ageMs: 10 }),
    () => engine.purge('orders', 0, toOffset(2)),
    () => engine.changeTopic('orders', changed),
    () => engine.close(),
  ]) {
    assert.notEqual(await new Watched<unknown>(work()).outcome(), 'pending', String(work))
  }
})

for (const how of ['a limit by count', 'a purge'] as const) {
  test(`${how} does not go beyond what may be taken back`, async () => {
    const disk = new EngineDisk()
    const engine = await disk.open()
    await engine.ensureTopic('orders', { ...MEMORY, retention: { ...KEEP_FOREVER, records: 10 } })
    await engine.publish('orders', 0, batchAt(0, 10), { ...howOf(), durability: 'disk' })
    const release = holdSyncs(disk.fs, /orders.*\.log$/)
    await engine.publish('orders', 0, batchAt(10, 1), howOf())
    await turns()
    disk.clock.advance(1_000)
    await turns()
    disk.fill()
    const refused = new Watched(engine.publish('orders', 0, batchAt(11, 10), { ...howOf(), durability: 'disk' }))
    await turns()
    if (how === 'a purge') new Watched(engine.purge('orders', 0, toOffset(1_000_000)))
    else await engine.resolve('orders', 0, { kind: 'earliest' })
    release()
    assert.equal(await refused.outcome(), 'LVT_UNAVAILABLE')
    disk.free()
    const { logStart } = await engine.partition('orders', 0)
    assert.equal(logStart, how === 'a purge' ? 11 : 1)
    const receipt = await engine.publish('orders', 0, batchAt(11, 3), { ...howOf(), durability: 'disk' })
    assert.equal(receipt.baseOffset, 11)
    await engine.close()
  })
}

test('a reader that waits for a write is told that the log was closed', async () => {
  const disk = new EngineDisk()
  const engine = await disk.open()
  await engine.ensureTopic('orders', MEMORY)
  await engine.publish('orders', 0, batchAt(0, 2), howOf())
  await turns()
  disk.fill()
  await engine.publish('orders', 0, batchAt(2, 2), howOf())
  const cursor = await engine.read('orders', 0, toOffset(2))
  const next = new Watched(cursor.next(1e6, new AbortController().signal))
  await turns()
  await engine.close().catch(() => undefined)
  assert.equal(await next.outcome(), 'LVT_CLOSED')
})

test('partitions that keep nothing any more are not among those to be synced', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store, { durability: 'memory' })
  await append(log, 'memory').promise
  await turns()
  await append(log, 'memory', { keep: false }).promise
  const syncs = disk.fs.ops.length
  disk.clock.advance(2_000)
  await turns()
  assert.deepEqual(
    disk.fs.ops.slice(syncs).filter(({ name, path }) => name === 'sync' && path.includes('orders')),
    [],
  )
})
