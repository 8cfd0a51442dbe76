/**
 * After a crash the producer sequences are read when a partition is first used. A call that failed there was remembered,
 * and the partition could not be used, nor the engine be closed, until the process was started again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'

const FAULTS = [
  { op: 'open', code: 'EMFILE' },
  { op: 'read', code: 'EIO' },
] as const

for (const { op, code } of FAULTS) {
  test(`a partition whose sequences could not be read once (${op}: ${code}) is used as if nothing had been`, async () => {
    // One open file, so that the other topic takes it away.
    const disk = new EngineDisk({ openFilesMax: 1 })
    const first = await disk.open()
    for (const topic of ['orders', 'other']) {
      await first.ensureTopic(topic, KEPT)
      for (let sequence = 0; sequence < 5; sequence++) {
        await first.publish(topic, 0, batchAt(2 * sequence, 2), howOf('p', sequence))
      }
    }
    disk.kill()

    const engine = await disk.open()
    await engine.partition('other', 0)
    disk.fs.plan({ op, code, path: /orders.*\.log$/ })
    await assert.rejects(engine.publish('orders', 0, batchAt(8, 2), howOf('p', 4)), { code })
    const again = await engine.publish('orders', 0, batchAt(8, 2), howOf('p', 4))
    assert.deepEqual([again.baseOffset, again.replayed], [8, true])
    const next = await engine.publish('orders', 0, batchAt(10, 2), howOf('p', 5))
    assert.deepEqual([next.baseOffset, next.replayed], [10, false])
    await engine.close()
  })
}
