/**
 * A shared group that was being made was not among those that are told when the group log is begun anew: where it begins
 * was trimmed away with the old log, and after a restart nobody knew the group.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'

const MUCH = 1_200_000

test('a group that is made when the log is begun anew is there after a restart', async () => {
  const disk = new EngineDisk()
  const store = disk.store()
  const engine = await disk.open(store)
  await engine.ensureTopic('topic', KEPT)
  await engine.publish('topic', 0, batchAt(0, 9), howOf())
  const busy = (await GroupSeat.take(engine, 'busy')).ask(9)
  await busy.offsets(9)
  const log = await store.groupLog('topic')
  const append = log.append.bind(log)
  const settling: Promise<unknown>[] = []
  // News come while the log becomes large: with them it is begun anew.
  log.append = (batch, how) => {
    const appending = append(batch, how)
    if (batch.body.length > MUCH) settling.push(busy.settle(2, 3))
    return appending
  }
  // While one write is under way, the new group and what makes the log large wait for the next.
  settling.push(busy.settle(1, 2))
  await Promise.resolve()
  settling.push(busy.settle(0, 1, { kind: 'reject', reason: 'x'.repeat(MUCH) }))
  const made = await GroupSeat.take(engine, 'made', { start: { kind: 'latest' } })
  await Promise.all(settling)
  assert.ok(log.logStart > 0, 'it was begun anew')
  made.leave()
  await engine.close()
  const again = await disk.open()
  assert.equal((await again.group('topic', 'made')).partitions[0]?.position, 9)
  await again.close()
})
