/** What is given out lies in the batch that it is given out of, also when something else falls due in the same moment. */
import { test } from 'node:test'
import { SteadyTime } from '../../src/common/steady-time.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { batchAt } from '../helpers/batches.js'
import { howOf, KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

/** Time passes between one look at it and the next. */
class RunningClock extends VirtualClock {
  #looks = 0

  override monotonic(): number {
    return super.monotonic() + this.#looks++
  }
}

for (let delayMs = 1; delayMs <= 12; delayMs++) {
  test(`a record that is due again after ${delayMs} looks at the clock comes out of its own batch`, async () => {
    const engine = new LocalEngine(new MemoryStore(), { clock: new SteadyTime(new RunningClock()), producersMax: 4 })
    await engine.open()
    await engine.ensureTopic('topic', { ...KEPT, partitions: 1 })
    for (const base of [0, 3]) await engine.publish('topic', 0, batchAt(base, 3), howOf())
    const seat = (await GroupSeat.take(engine, 'g', { ackWaitMs: 1_000_000 })).ask(4)
    await seat.offsets(4)
    void seat.settle(0, 1, { kind: 'retry', delayMs })
    // The seat checks what it gets: the next record of the second batch, or the first one again.
    seat.ask(1)
    await seat.offsets(5)
    await engine.close()
  })
}
