/**
 * A start goes on without a partition whose recovery takes long. When it then failed, the recovery went on with the lock
 * given back, and cut a log that the next start appended to.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EngineDisk } from '../helpers/engine-disk.js'
import { append, logOf, readAll, turns, Watched } from '../helpers/partition-work.js'

test('a start that fails has ended its recovery before it gives the directory back', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  const log = await logOf(store)
  for (let batch = 0; batch < 3; batch++) await append(log, 'disk').promise
  disk.kill()
  // An unfinished write at the end, as a crash leaves it.
  const path = disk.fs.files().find((file) => /orders.*\.log$/.test(file)) as string
  const content = disk.fs.contents(path)
  disk.fs.put(path, Buffer.concat([content, content.subarray(0, 70)]))
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  // The directory is slow when the unfinished write has been put aside and is about to be cut.
  const isAboutToCut = () => disk.fs.files().some((file) => /torn-\d+$/.test(file))
  disk.fs.beforeSync((synced) => (/orders@1\/0$/.test(synced) && isAboutToCut() ? gate : Promise.resolve()))
  const refused = new Watched(disk.store().open())
  await turns()
  disk.fs.plan({ op: 'sync', code: 'EIO', path: /catalog/ })
  disk.clock.advance(1_000)
  assert.equal(await refused.outcome(), 'pending')
  await assert.rejects(disk.store().open(), { code: 'LVT_DATA_IN_USE' })
  release()
  assert.equal(await refused.outcome(), 'LVT_READ_ONLY')
  disk.fs.forgetPlans()
  disk.fs.beforeSync(null)
  const again = await disk.openStore()
  const found = await again.partition('orders', 0)
  await append(found, 'disk').promise
  assert.deepEqual(await readAll(found), ['0', '1', '2', '3', '4', '5', '6', '7'])
})
