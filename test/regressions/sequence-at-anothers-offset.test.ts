/**
 * At level `memory` a sequence may be in the checkpoint and never in the log. Its offset was given to somebody else in the
 * next life, and the life after that told the producer that its record was there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../src/model/offset.js'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { someTurns } from '../helpers/faulty-rounds.js'

test('a sequence whose record was lost is new again, whoever has its offset since then', async () => {
  const disk = new EngineDisk()
  const first = await disk.open()
  await first.ensureTopic('orders', { ...KEPT, durability: 'memory' })
  await first.publish('orders', 0, batchAt(0, 2), howOf())
  await someTurns()
  // A sync that never ends, and behind it what is acknowledged and not written.
  disk.fs.beforeSync((path) => (/orders.*\.log$/.test(path) ? new Promise(() => {}) : Promise.resolve()))
  disk.clock.advance(1_000)
  await someTurns()
  assert.equal((await first.publish('orders', 0, batchAt(2, 2), howOf('p', 7))).baseOffset, 2)
  // That writes the checkpoint.
  await first.purge('orders', 0, toOffset(1))
  disk.fs.beforeSync(null)
  disk.kill()

  const second = await disk.open()
  const other = await second.publish('orders', 0, batchAt(2, 4), { ...howOf('q', 1), durability: 'disk' })
  assert.equal(other.baseOffset, 2)
  disk.kill()

  const third = await disk.open()
  const mine = await third.publish('orders', 0, batchAt(6, 2), howOf('p', 7))
  assert.deepEqual([mine.baseOffset, mine.replayed], [6, false])
  const others = await third.publish('orders', 0, batchAt(2, 4), howOf('q', 1))
  assert.deepEqual([others.baseOffset, others.replayed], [2, true])
  await third.close()
})
