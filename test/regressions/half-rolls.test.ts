/**
 * A roll makes the next segment and seals the old one. When it failed half way, appends went on in the old segment, and
 * the empty new one hid them from the next opening: records acknowledged at level `disk` were lost without a word.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineDisk } from '../helpers/engine-disk.js'
import { append, logOf, readAll } from '../helpers/partition-work.js'

const FIRST = /orders.*\/00000000000000000000\.log$/

for (const ending of ['a clean close', 'a kill'] as const) {
  for (const fault of [
    { op: 'open', code: 'EMFILE', path: FIRST },
    { op: 'size', code: 'EIO', path: FIRST },
    { op: 'sync-directory', code: 'EIO', path: /orders/ },
  ] as const) {
    test(`${fault.op} fails in a roll: what is acknowledged afterwards is there after ${ending}`, async () => {
      const disk = new EngineDisk({ segmentBytes: 1_000, openFilesMax: fault.op === 'open' ? 1 : 16 })
      const store = await disk.openStore()
      const log = await logOf(store)
      for (let batch = 0; batch < 4; batch++) await append(log, 'disk').promise
      disk.fs.plan(fault)
      // So large that it needs a new segment; the next one is not.
      await append(log, 'disk', { padding: 400 }).outcome()
      disk.fs.forgetPlans()
      await append(log, 'disk').promise
      const { end } = log
      const before = await readAll(log)
      if (ending === 'a clean close') await store.close()
      else disk.kill()
      const again = await disk.openStore()
      const found = await again.partition('orders', 0)
      assert.deepEqual([found.end, await readAll(found), again.problems()], [end, before, []])
      await append(found, 'disk', { padding: 400 }).promise
      assert.equal((await readAll(found)).length, found.end)
    })
  }
}

test('a file of a failed roll that a loss of power brings back hides nothing', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const disk = new EngineDisk({ segmentBytes: 1_000 }, { seed })
    const store = await disk.openStore()
    const log = await logOf(store)
    for (let batch = 0; batch < 4; batch++) await append(log, 'disk').promise
    disk.fs.plan({ op: 'sync-directory', code: 'EIO', path: /orders/ })
    await append(log, 'disk', { padding: 400 }).outcome()
    for (let batch = 0; batch < 1 + (seed % 8); batch++) await append(log, 'disk').promise
    const before = await readAll(log)
    disk.powerLoss()
    const again = await disk.openStore()
    const found = await again.partition('orders', 0)
    const lost = again.problems().filter(({ kind }) => kind === 'corrupt')
    assert.deepEqual([await readAll(found), lost], [before, []], `seed ${seed}`)
  }
})

test('a purge of everything that fails half way loses nothing of what comes after it', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store)
  for (let batch = 0; batch < 4; batch++) await append(log, 'disk').promise
  disk.fs.plan({ op: 'size', code: 'EIO', path: FIRST })
  await log.trimTo(log.end).catch(() => undefined)
  disk.fs.forgetPlans()
  for (let batch = 0; batch < 5; batch++) await append(log, 'disk').promise
  disk.kill()
  const again = await disk.openStore()
  assert.equal((await again.partition('orders', 0)).end, 18)
})
