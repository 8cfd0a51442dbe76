/**
 * Damage to the newest end of a log was taken for a write that a crash had cut short: what had been acknowledged was cut
 * off, its offsets were given again, and nobody was told.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PartitionLog } from '../../src/storage/store.js'
import { EngineDisk } from '../helpers/engine-disk.js'
import { append, logOf, readAll, turns } from '../helpers/partition-work.js'

/** A killed store that had been at rest for as long as it takes to note how far it was synced, and its newest segment. */
async function rested(): Promise<{ disk: EngineDisk; newest: string }> {
  const disk = new EngineDisk({ segmentBytes: 1_000 })
  const store = await disk.openStore()
  const log = await logOf(store)
  for (let batch = 0; batch < 10; batch++) await append(log, 'disk').promise
  await turns()
  disk.clock.advance(1_000)
  await turns()
  disk.kill()
  return { disk, newest: disk.fs.files().findLast((path) => /orders.*\.log$/.test(path)) as string }
}

async function opened(disk: EngineDisk): Promise<PartitionLog> {
  const store = await disk.openStore()
  return await store.partition('orders', 0)
}

test('a bit that flips in the last batch is the loss of that batch, told to the offset', async () => {
  const { disk, newest } = await rested()
  disk.fs.flipBit(newest, 8 * (disk.fs.contents(newest).length - 10))
  const log = await opened(disk)
  assert.deepEqual([log.end, (await readAll(log)).at(-1)], [20, 'lost 18 to 20'])
  await append(log, 'disk').promise
  assert.deepEqual((await readAll(log)).slice(-3), ['lost 18 to 20', '20', '21'])
})

test('what is cut off the end of a log that had come to rest is missed', async () => {
  const { disk, newest } = await rested()
  const content = disk.fs.contents(newest)
  disk.fs.put(newest, content.subarray(0, content.length - 10))
  const log = await opened(disk)
  assert.ok(log.end >= 20)
  assert.match((await readAll(log)).at(-1) ?? '', /^lost 18 to /)
})

test('the newest segment is missed, though the checkpoint went with it', async () => {
  const { disk, newest } = await rested()
  const base = Number(/(\d+)\.log$/.exec(newest)?.[1])
  for (const path of disk.fs.files()) {
    if (path.startsWith(newest.replace(/log$/, '')) || path.endsWith('/checkpoint')) disk.fs.remove(path)
  }
  const log = await opened(disk)
  assert.ok(base > 0 && log.end >= 20)
  assert.match((await readAll(log)).at(-1) ?? '', new RegExp(`^lost ${base} to `))
})

test('files of another partition are refused, and left as they are', async () => {
  const { disk, newest } = await rested()
  const store = await disk.openStore()
  await store.saveTopic('other', { ...(await store.topics()).get('orders') } as never)
  await append(await store.partition('other', 0), 'disk').promise
  await store.close()
  const other = disk.fs.files().find((path) => /other.*\.log$/.test(path)) as string
  for (const path of disk.fs.files()) if (/orders.*(log|index|checkpoint)$/.test(path)) disk.fs.remove(path)
  const misplaced = newest.replace(/\d+\.log$/, '00000000000000000000.log')
  disk.fs.put(misplaced, disk.fs.contents(other))
  await assert.rejects(opened(disk), { code: 'LVT_DATA_DAMAGED' })
  assert.deepEqual(disk.fs.contents(misplaced), disk.fs.contents(other))
})
