/**
 * What was written beside a sync waits for the next one. When the write after it failed, nobody began that sync, and its
 * publishers were never answered.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineDisk } from '../helpers/engine-disk.js'
import { append, holdSyncs, logOf, readAll, turns, Watched } from '../helpers/partition-work.js'

const LOG = /orders.*\.log$/

test('on a full disk, what is written is synced and answered, though something waits for room', async () => {
  const disk = new EngineDisk({ besideBytes: 1 })
  const store = await disk.openStore()
  const log = await logOf(store, { durability: 'memory' })
  await append(log, 'disk').promise
  const release = holdSyncs(disk.fs, LOG)
  const first = append(log, 'disk')
  await turns()
  const beside = append(log, 'disk')
  await turns()
  disk.fill()
  append(log, 'memory')
  await turns()
  release()
  assert.deepEqual([await first.outcome(), await beside.outcome()], ['done', 'done'])
  disk.free()
  await store.close()
})

test('when the cut behind a failed write fails too, what was written beside a sync is answered', async () => {
  const disk = new EngineDisk({ besideBytes: 1 })
  const store = await disk.openStore()
  const log = await logOf(store)
  await append(log, 'disk').promise
  const release = holdSyncs(disk.fs, LOG)
  const first = append(log, 'disk')
  await turns()
  const beside = append(log, 'disk')
  await turns()
  disk.fs.plan({ op: 'write', code: 'EIO', path: LOG })
  disk.fs.plan({ op: 'size', code: 'EIO', path: LOG })
  const failing = append(log, 'disk')
  await turns()
  release()
  const outcomes = [await first.outcome(), await beside.outcome(), await failing.outcome()]
  assert.deepEqual(outcomes, ['done', 'LVT_IN_DOUBT', 'LVT_READ_ONLY'])
  await store.close()
})

test('what is written is synced in its time while something waits for room', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store, { durability: 'memory' })
  await append(log, 'os').promise
  disk.fill()
  append(log, 'memory')
  for (let second = 0; second < 3; second++) {
    await turns()
    disk.clock.advance(1_000)
  }
  await turns()
  assert.ok(disk.fs.ops.some(({ name, path }) => name === 'sync' && LOG.test(path)))
  disk.free()
  await store.close()
})

test('a close tries once more what waits for room', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store, { durability: 'memory' })
  await append(log, 'disk').promise
  disk.fill()
  await append(log, 'memory').promise
  await turns()
  disk.free()
  assert.equal(await new Watched(store.close()).outcome(), 'done')
  const again = await disk.openStore()
  assert.deepEqual(await readAll(await again.partition('orders', 0)), ['0', '1', '2', '3'])
})
