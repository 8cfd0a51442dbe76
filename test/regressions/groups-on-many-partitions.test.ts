/** When a timer fired, each partition of a shared group had all of them looked at: the work was the square of their number. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteadyTime } from '../../src/common/steady-time.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryPartitionLog } from '../../src/storage/memory/memory-partition-log.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { batchAt } from '../helpers/batches.js'
import { howOf, KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const PARTITIONS = 200

/** Counts how often somebody looks where a partition ends. */
class WatchedStore extends MemoryStore {
  looks = 0

  override async partition(topic: string, partition: number) {
    const log = await super.partition(topic, partition)
    const { looked } = this
    if (log instanceof MemoryPartitionLog) {
      const stableEnd = () => Reflect.get(MemoryPartitionLog.prototype, 'stableEnd', log)
      Object.defineProperty(log, 'stableEnd', { get: () => looked(stableEnd()), configurable: true })
    }
    return log
  }

  readonly looked = <T>(end: T): T => {
    this.looks++
    return end
  }
}

test('each partition is looked at a few times for each deadline, each setting and each member', async () => {
  const store = new WatchedStore()
  const clock = new VirtualClock()
  const engine = new LocalEngine(store, { clock: new SteadyTime(clock), producersMax: 4 })
  await engine.open()
  await engine.ensureTopic('topic', { ...KEPT, partitions: PARTITIONS })
  await engine.publish('topic', 0, batchAt(0, 1), howOf())
  const seat = (await GroupSeat.take(engine, 'g')).ask(1)
  await seat.offsets(1)
  const looksOf = async (act: () => unknown): Promise<number> => {
    store.looks = 0
    await act()
    for (let turn = 0; turn < 9; turn++) await new Promise(setImmediate)
    return store.looks / PARTITIONS
  }
  await seat.settle(0, 1, { kind: 'retry', delayMs: 10 })
  seat.ask(9)
  const looks = {
    deadline: await looksOf(() => clock.advance(10)),
    member: await looksOf(() => GroupSeat.take(engine, 'g')),
    pause: await looksOf(() => engine.pauseGroup('topic', 'g', true)),
    resume: await looksOf(() => engine.pauseGroup('topic', 'g', false)),
    seek: await looksOf(() => engine.seekGroup('topic', 'g', { kind: 'earliest' }, null)),
  }
  assert.deepEqual(await seat.offsets(3), [0, 0, 0])
  assert.ok(Math.max(...Object.values(looks)) < 20, JSON.stringify(looks))
  await engine.close()
})
