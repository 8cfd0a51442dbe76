/** Who took a seat in the very moment in which the topic was dropped had one in a group that was closed, and never heard of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteadyTime } from '../../src/common/steady-time.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { PartitionSeat } from '../helpers/partition-seat.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const TAKING = {
  shared: (engine: LocalEngine) => GroupSeat.take(engine, 'g'),
  partitioned: (engine: LocalEngine) => PartitionSeat.take(engine, 'g', 'b', { mode: 'partitioned' }),
}

for (const mode of ['shared', 'partitioned'] as const) {
  for (const isKnown of [true, false]) {
    test(`a member of a ${mode} group that is ${isKnown ? 'known' : 'new'} is refused, or told`, async () => {
      for (let steps = 0; steps < 60; steps++) {
        const clock = new VirtualClock()
        const engine = new LocalEngine(new MemoryStore(), { clock: new SteadyTime(clock), producersMax: 4 })
        await engine.open()
        await engine.ensureTopic('topic', KEPT)
        if (isKnown) await TAKING[mode](engine)
        const taking = TAKING[mode](engine).catch(() => null)
        for (let step = 0; step < steps; step++) await Promise.resolve()
        await engine.dropTopic('topic')
        const seat = await taking
        await new Promise(setImmediate)
        assert.ok(seat === null || seat.reason !== null, `${steps} steps`)
        await engine.close()
      }
    })
  }
}
