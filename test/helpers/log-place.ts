/**
 * A place for a log store: a temporary directory, or a file system that fails from a seed. Any number of stores can be
 * opened there one after the other.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../src/common/clock.js'
import { systemRandom } from '../../src/common/random.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { MetricsRegistry } from '../../src/metrics/registry.js'
import { type FileSystem, nodeFileSystem } from '../../src/storage/log/file-system.js'
import { LogStore, type LogStoreConfig, type LogStoreSeams } from '../../src/storage/log/log-store.js'
import { VirtualClock } from './virtual-clock.js'

export const LOG_DEFAULTS = {
  segmentBytes: 1024 * 1024,
  syncIntervalMs: 1_000,
  openFilesMax: 64,
  unwrittenBytesMax: 1024 * 1024,
  keyring: null,
} as const

/** Seams of a store; what is left out is real, but for the time, which stands still. */
export interface PlaceSeams extends Partial<Omit<LogStoreSeams, 'clock'>> {
  readonly clock?: Clock
}

export class LogPlace {
  readonly data: string
  readonly #config: Partial<LogStoreConfig>
  readonly #seams: LogStoreSeams
  readonly #isTemporary: boolean

  private constructor(data: string, config: Partial<LogStoreConfig>, seams: LogStoreSeams, isTemporary: boolean) {
    this.data = data
    this.#config = config
    this.#seams = seams
    this.#isTemporary = isTemporary
  }

  static async temporary(config: Partial<LogStoreConfig> = {}, seams: PlaceSeams = {}): Promise<LogPlace> {
    const data = mkdtempSync(join(tmpdir(), 'leveret-log-'))
    return new LogPlace(data, config, logSeams(seams), true)
  }

  /** Over a file system of a test's making, in the directory `/data`. */
  static over(fs: FileSystem, config: Partial<LogStoreConfig> = {}, seams: PlaceSeams = {}): LogPlace {
    return new LogPlace('/data', config, logSeams({ ...seams, fs }), false)
  }

  /** A store that is not open yet. */
  store(config: Partial<LogStoreConfig> = {}): LogStore {
    return new LogStore({ ...LOG_DEFAULTS, ...this.#config, ...config, data: this.data }, this.#seams)
  }

  async open(config: Partial<LogStoreConfig> = {}): Promise<LogStore> {
    const store = this.store(config)
    await store.open()
    return store
  }

  remove(): void {
    if (this.#isTemporary) rmSync(this.data, { recursive: true, force: true })
  }
}

export function logSeams({ clock = new VirtualClock(), ...others }: PlaceSeams = {}): LogStoreSeams {
  const defaults = { fs: nodeFileSystem, random: systemRandom, metrics: new MetricsRegistry() }
  return { ...defaults, ...others, clock: new SteadyTime(clock) }
}
