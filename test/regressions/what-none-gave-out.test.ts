/**
 * Offsets that a topic gave out while it kept nothing are known to the catalog alone. An empty segment that came back, and
 * a line that could not be written once, made the next start give them out again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineDisk, KEPT } from '../helpers/engine-disk.js'
import { append, logOf, readAll, turns } from '../helpers/partition-work.js'

const NONE = { ...KEPT, retention: 'none' } as const

for (const isClosed of [true, false]) {
  test(`an empty segment that a loss of power brings back ${isClosed ? 'after a close ' : ''}does not count`, async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const disk = new EngineDisk({}, { seed })
      const store = await disk.openStore()
      const log = await logOf(store)
      await append(log, 'disk', { count: 100 }).promise
      await log.trimTo(log.end)
      await store.saveTopic('orders', NONE)
      for (let batch = 0; batch < 5; batch++) await append(log, 'memory', { count: 10, keep: false }).promise
      await turns()
      // By now the reservation is on the device.
      await store.saveTopic('other', KEPT)
      if (isClosed) await store.close()
      const { end } = log
      disk.powerLoss()
      const again = await disk.openStore()
      assert.ok((await again.partition('orders', 0)).end >= end, `seed ${seed}`)
    }
  })
}

test('what could not be written of it is written later', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store)
  await append(log, 'disk', { count: 10 }).promise
  await store.saveTopic('orders', NONE)
  disk.fs.plan({ op: 'write', code: 'ENOSPC', path: /catalog/, times: 4 })
  for (let batch = 0; batch < 10; batch++) {
    await append(log, 'memory', { count: 10, keep: false }).promise
    await turns()
  }
  const { end } = log
  disk.kill()
  const again = await disk.openStore()
  const found = await again.partition('orders', 0)
  assert.ok(found.end >= end, `${end} were given, the next one is ${found.end}`)
  assert.deepEqual(await readAll(found), [])
})

test('a close that cannot write it is not clean', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store)
  await append(log, 'disk', { count: 10 }).promise
  await store.saveTopic('orders', NONE)
  disk.fs.plan({ op: 'write', code: 'ENOSPC', path: /catalog/, times: 100 })
  await append(log, 'memory', { count: 10, keep: false }).promise
  await assert.rejects(store.close(), { code: 'LVT_UNAVAILABLE' })
})
