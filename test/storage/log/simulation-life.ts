/**
 * What the parts of the simulation of a log store know of each other.
 */
import type { Durability } from '../../../src/model/topic.js'
import type { LocalEngine } from '../../../src/storage/local/local-engine.js'
import type { LogStore } from '../../../src/storage/log/log-store.js'
import type { VirtualClock } from '../../helpers/virtual-clock.js'

/** One life of the store. */
export interface Life {
  readonly engine: LocalEngine
  readonly store: LogStore
  readonly clock: VirtualClock
  /** Nothing that ends after this is heard of. */
  isOver: boolean
}

export interface Tally {
  crashes: number
  powerLosses: number
  verified: number
  appends: number
  acked: number
}

export const LEVELS: readonly Durability[] = ['memory', 'os', 'disk']
