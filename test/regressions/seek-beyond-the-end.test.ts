/** A seek beyond the end held until the next start, which brought it back to the end: records were skipped or not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { PartitionSeat } from '../helpers/partition-seat.js'

for (const mode of ['shared', 'cursor'] as const) {
  test(`a ${mode} group that was moved beyond the end is where it was after a restart`, async () => {
    const disk = new EngineDisk()
    const engine = await disk.open()
    await engine.ensureTopic('topic', KEPT)
    await engine.publish('topic', 0, batchAt(0, 10), howOf())
    if (mode === 'shared') await GroupSeat.take(engine, 'g')
    else await PartitionSeat.take(engine, 'g', 'a')
    await engine.seekGroup('topic', 'g', { kind: 'offset', offset: 1_000 }, null)
    const before = (await engine.group('topic', 'g')).partitions[0]?.position
    assert.equal(before, 10)
    await engine.close()
    const again = await disk.open()
    assert.equal((await again.group('topic', 'g')).partitions[0]?.position, before)
    await again.close()
  })
}
