/**
 * Configuration to engine: the only file that names engines and stores.
 */
import type { Clock } from '../common/clock.js'
import { UnsupportedError } from '../common/errors.js'
import type { Engine } from './engine.js'
import { LocalEngine } from './local/local-engine.js'
import { MemoryStore } from './memory/memory-store.js'

export interface EngineConfig {
  readonly store: string
  readonly producersMax: number
}

/** The engine, not yet open. Throws UnsupportedError for a store that this version lacks. */
export function createEngine(config: EngineConfig, clock: Clock): Engine {
  if (config.store !== 'memory') {
    throw new UnsupportedError(`store "${config.store}" is not offered by this version; there is "memory"`)
  }
  return new LocalEngine(new MemoryStore(), { clock, producersMax: config.producersMax })
}
