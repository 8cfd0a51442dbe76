/** The engines that the contract suites run, each on a clock that stands still. */
import { SteadyTime } from '../../src/common/steady-time.js'
import type { Engine } from '../../src/storage/engine.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import type { Store } from '../../src/storage/store.js'
import type { Implementation } from './contract.js'
import { LogPlace } from './log-place.js'
import { VirtualClock } from './virtual-clock.js'

export interface EngineSubject {
  readonly engine: Engine
  readonly clock: VirtualClock
  /** The same place, opened again after the engine was closed. */
  reopen(): Promise<Engine>
  close(): Promise<void>
}

async function subjectOver(clock: VirtualClock, store: () => Store, remove: () => void): Promise<EngineSubject> {
  const open = async () => {
    const engine = new LocalEngine(store(), { clock: new SteadyTime(clock), producersMax: 4 })
    await engine.open()
    return engine
  }
  let engine = await open()
  return {
    engine,
    clock,
    reopen: async () => {
      engine = await open()
      return engine
    },
    close: async () => {
      await engine.close()
      remove()
    },
  }
}

export const ENGINES: readonly Implementation<EngineSubject>[] = [
  {
    name: 'local over memory',
    make: () =>
      subjectOver(
        new VirtualClock(1_000),
        () => new MemoryStore(),
        () => undefined,
      ),
  },
  {
    name: 'local over log',
    make: async () => {
      const clock = new VirtualClock(1_000)
      const place = await LogPlace.temporary({ segmentBytes: 4096 }, { clock })
      return subjectOver(
        clock,
        () => place.store(),
        () => place.remove(),
      )
    },
  },
]
