/** Thousands of groups of one topic that nobody takes part in: they are small, and an append does not look at them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SteadyTime } from '../../src/common/steady-time.js'
import { toOffset } from '../../src/model/offset.js'
import type { Assignment, PublishHow, ShareDelivery, ShareHow } from '../../src/storage/engine.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { LocalPartition } from '../../src/storage/local/local-partition.js'
import { SharedLane } from '../../src/storage/local/shared-lane.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { batchAt } from '../helpers/batches.js'
import { KEPT } from '../helpers/engine-disk.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const GROUPS = 10_000
/** Before them, so that what code and maps take once is not counted as theirs. */
const WARM_UP = 2_000
const BYTES_MAX = 2_048
const PLAIN: PublishHow = { durability: null, expectedOffset: null, producer: '', sequence: null }
const HOW: ShareHow = {
  member: 'm',
  start: { kind: 'earliest' },
  ackWaitMs: 1_000,
  backoffMs: [],
  inFlightMax: 1_000,
  spanMax: 1_000,
  deliveryBytesMax: 1e6,
  bury: () => Promise.resolve(),
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function bytes(): number {
  // Twice: what the first finds nobody holds any more, some only in the second.
  collect()
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Gets three records, is done with them, and goes. */
async function share(engine: LocalEngine, group: string): Promise<void> {
  let delivered: (delivery: ShareDelivery) => void = () => undefined
  const delivery = new Promise<ShareDelivery>((resolve) => {
    delivered = resolve
  })
  const seat = await engine.share('topic', group, HOW, {
    delivered,
    expired: () => {},
    lost: () => {},
    ended: () => {},
  })
  // More than there are, so that it waits for the next ones.
  seat.ask(4)
  const { partition, from, to } = await delivery
  assert.deepEqual(await seat.settle(partition, from, to, { kind: 'ack' }, null), [])
  seat.leave()
}

async function read(engine: LocalEngine, group: string): Promise<void> {
  let assigned: (assignment: Assignment) => void = () => undefined
  const assignment = new Promise<Assignment>((resolve) => {
    assigned = resolve
  })
  const how = { mode: 'cursor', member: 'm', takeOver: false, start: { kind: 'earliest' } } as const
  const seat = await engine.join('topic', group, how, { assigned, ended: () => {} })
  await assignment
  await seat.commit(0, toOffset(3), 0)
  seat.leave()
}

for (const [kind, use] of [
  ['shared group', share],
  ['cursor', read],
] as const) {
  test(`an idle ${kind} costs less than 2 KiB, and is not woken by an append`, async (context) => {
    const engine = new LocalEngine(new MemoryStore(), { clock: new SteadyTime(new VirtualClock()), producersMax: 4 })
    await engine.open()
    await engine.ensureTopic('topic', KEPT)
    await engine.publish('topic', 0, batchAt(0, 3), PLAIN)
    for (let group = 0; group < WARM_UP; group++) await use(engine, `warm ${group}`)
    const before = bytes()
    for (let group = 0; group < GROUPS; group++) await use(engine, `group ${group}`)
    const each = (bytes() - before) / GROUPS
    context.diagnostic(`${Math.round(each)} B, with what the log of a store in memory has of it`)
    assert.ok(each < BYTES_MAX, `${each} B`)
    const { mock: woken } = context.mock.method(SharedLane.prototype, 'wake')
    const { mock: waiting } = context.mock.method(LocalPartition.prototype, 'wait')
    await engine.publish('topic', 0, batchAt(3, 3), PLAIN)
    assert.deepEqual([woken.callCount(), waiting.callCount()], [0, 0])
    const { lag, groups } = engine.groupCounts(0)
    assert.deepEqual([groups, lag], [GROUPS + WARM_UP, 3 * (GROUPS + WARM_UP)])
    await engine.close()
  })
}
