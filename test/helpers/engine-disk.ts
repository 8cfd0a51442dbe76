/**
 * Local engines over log stores on one disk that can fail, fill up and lose what was not synced: one life after the
 * other, by one clock.
 */
import { SteadyTime } from '../../src/common/steady-time.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import type { PublishHow } from '../../src/storage/engine.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import type { LogStore, LogStoreConfig } from '../../src/storage/log/log-store.js'
import { forgetHolder } from '../storage/log/simulation.js'
import { FaultyFileSystem } from './faulty-file-system.js'
import type { FaultOptions } from './faulty-machine.js'
import { LogPlace } from './log-place.js'
import { VirtualClock } from './virtual-clock.js'

export const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }

/** Publish as a producer does that may try again, or without a sequence. */
export function howOf(producer = '', sequence: number | null = null): PublishHow {
  return { durability: null, expectedOffset: null, producer, sequence }
}

export class EngineDisk {
  readonly fs: FaultyFileSystem
  readonly clock = new VirtualClock()
  readonly #config: Partial<LogStoreConfig>

  constructor(config: Partial<LogStoreConfig> = {}, faults: FaultOptions = {}) {
    this.fs = new FaultyFileSystem(faults)
    this.#config = { syncsInPlace: false, spareBytes: 0, ...config }
  }

  /** Of the life that begins now; not open yet. */
  store(): LogStore {
    return LogPlace.over(this.fs.process(), this.#config, { clock: this.clock }).store()
  }

  /** The same, open. */
  async openStore(): Promise<LogStore> {
    const store = this.store()
    await store.open()
    return store
  }

  /** Of the life that begins now; not open yet. */
  engine(store = this.store()): LocalEngine {
    return new LocalEngine(store, { clock: new SteadyTime(this.clock), producersMax: 16 })
  }

  async open(store = this.store()): Promise<LocalEngine> {
    const engine = this.engine(store)
    await engine.open()
    return engine
  }

  /** The process dies; what it has written stays. */
  kill(): void {
    this.fs.forgetPlans()
    this.fs.kill()
    forgetHolder(this.fs)
  }

  /** The machine dies: what was not synced may be gone. */
  powerLoss(): void {
    this.fs.forgetPlans()
    this.fs.powerLoss()
    forgetHolder(this.fs)
  }

  fill(): void {
    this.fs.capacityBytes = this.fs.usedBytes
  }

  free(): void {
    this.fs.capacityBytes = Number.POSITIVE_INFINITY
  }
}
