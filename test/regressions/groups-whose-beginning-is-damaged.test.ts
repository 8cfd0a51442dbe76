/**
 * Where a shared group begins may stand in a damaged part of the group log. What is known beyond it then spanned more than
 * a window can hold, and no group of the topic could be used any more.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteadyTime } from '../../src/common/steady-time.js'
import { toOffset } from '../../src/model/offset.js'
import { encodeFacts } from '../../src/storage/local/group-facts.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryPartitionLog } from '../../src/storage/memory/memory-partition-log.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const BATCH = 1_000_000
const FAR = 17 * BATCH
const HOW = { timestampMs: 0, durability: 'memory', keep: true, producer: null } as const

/** What is left of a group log whose first batch was damaged. */
class DamagedStore extends MemoryStore {
  override async groupLog(): Promise<MemoryPartitionLog> {
    const log = new MemoryPartitionLog()
    const acked = { kind: 'acked', from: toOffset(FAR), to: toOffset(FAR + 1) } as const
    const whole = { kind: 'seek', offset: toOffset(3) } as const
    const lines = [
      { group: 'damaged', partition: 0, changes: [acked] },
      { group: 'whole', partition: 0, changes: [whole] },
    ]
    for (const body of encodeFacts(lines)) {
      await log.append({ body, count: 1 }, HOW)
    }
    return log
  }
}

test('a group whose beginning is damaged begins with the log, and the others go on where they are', async () => {
  const store = new DamagedStore()
  await store.saveTopic('topic', KEPT)
  const records = await store.partition('topic', 0)
  const body = Buffer.alloc(2 * BATCH)
  for (let at = 0; at < body.length; at += 2) body[at] = 0x0a
  for (let batch = 0; batch < 18; batch++) await records.append({ body, count: BATCH }, HOW)
  const engine = new LocalEngine(store, { clock: new SteadyTime(new VirtualClock()), producersMax: 4 })
  await engine.open()
  assert.equal((await engine.group('topic', 'whole')).partitions[0]?.position, 3)
  const seat = (await GroupSeat.take(engine, 'damaged')).ask(1)
  assert.deepEqual(await seat.offsets(1), [0])
  await engine.close()
})
