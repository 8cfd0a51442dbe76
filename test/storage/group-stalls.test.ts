/** A process that stands still hears nobody: what members have said meanwhile counts, and none of them is taken for silent. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Timer } from '../../src/common/clock.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { STALL_GRACE_MS } from '../../src/storage/local/stall-grace.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { batchAt } from '../helpers/batches.js'
import { howOf, KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { PartitionSeat } from '../helpers/partition-seat.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

/** Timers that fall due while it stands still fire when it goes on. */
class StallingClock extends VirtualClock {
  #isStill = false
  readonly #late: (() => void)[] = []

  override after(delayMs: number, callback: () => void): Timer {
    let isCancelled = false
    const fire = () => {
      if (!isCancelled) callback()
    }
    const timer = super.after(delayMs, () => (this.#isStill ? void this.#late.push(fire) : fire()))
    return {
      cancel: () => {
        isCancelled = true
        timer.cancel()
      },
    }
  }

  standStill(ms: number): void {
    this.#isStill = true
    this.advance(ms)
    this.#isStill = false
    for (const fire of this.#late.splice(0)) fire()
  }
}

async function begin(partitions: number): Promise<{ clock: StallingClock; engine: LocalEngine }> {
  const clock = new StallingClock()
  const engine = new LocalEngine(new MemoryStore(), { clock: new SteadyTime(clock), producersMax: 4 })
  await engine.open()
  await engine.ensureTopic('topic', { ...KEPT, partitions })
  await engine.publish('topic', 0, batchAt(0, 9), howOf())
  return { clock, engine }
}

async function rest(): Promise<void> {
  for (let turn = 0; turn < 9; turn++) await new Promise(setImmediate)
}

test('records are not taken from a member whose acks could not be read', async () => {
  const { clock, engine } = await begin(1)
  const seat = (await GroupSeat.take(engine, 's')).ask(2)
  const other = (await GroupSeat.take(engine, 's')).ask(9)
  await seat.offsets(2)
  await other.offsets(7)
  assert.deepEqual(await other.settle(2, 9), [])
  clock.advance(900)
  clock.standStill(5_000)
  await rest()
  assert.deepEqual(await seat.settle(0, 1), [])
  assert.equal(other.got.length, 7)
  clock.advance(STALL_GRACE_MS)
  await rest()
  assert.deepEqual(
    other.got.slice(7).map(({ offset }) => offset),
    [1],
    'who says nothing after that is silent',
  )
  await engine.close()
})

test('a member that let go while nobody could hear it has its commits', async () => {
  const { clock, engine } = await begin(2)
  const first = await PartitionSeat.take(engine, 'g', 'a', { mode: 'partitioned' })
  clock.advance(500)
  await first.assignments(1)
  const second = await PartitionSeat.take(engine, 'g', 'b', { mode: 'partitioned' })
  clock.advance(500)
  await first.assignments(2)
  clock.standStill(20_000)
  await rest()
  const [lost = 0] = [0, 1].filter((partition) => !first.partitions.includes(partition))
  await first.commit(lost === 0 ? 5 : 0, lost, 1)
  assert.deepEqual(second.partitions, [])
  clock.advance(STALL_GRACE_MS)
  await second.until(() => second.partitions.length > 0)
  await assert.rejects(first.commit(lost === 0 ? 6 : 0, lost, 1), { code: 'LVT_FENCED' })
  await engine.close()
})

test('a group that was given time is described all the same', async () => {
  const { clock, engine } = await begin(1)
  const seat = (await GroupSeat.take(engine, 's')).ask(9)
  await seat.offsets(9)
  clock.advance(900)
  void seat.settle(0, 1)
  clock.standStill(300)
  const { oldestMs, members } = await engine.group('topic', 's')
  assert.deepEqual([(oldestMs ?? 0) >= 0, members.map(({ silentMs }) => (silentMs ?? 0) >= 0)], [true, [true]])
  await engine.close()
})
