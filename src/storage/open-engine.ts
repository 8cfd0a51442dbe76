/**
 * Configuration to engine: the only file that names engines and stores.
 */
import { readFileSync } from 'node:fs'
import { ConfigError, UnsupportedError } from '../common/errors.js'
import type { Random } from '../common/random.js'
import type { SteadyTime } from '../common/steady-time.js'
import type { MetricsRegistry } from '../metrics/registry.js'
import type { CheckReport, CheckRequest } from './check-report.js'
import type { Engine } from './engine.js'
import { LocalEngine } from './local/local-engine.js'
import { checkData } from './log/check.js'
import { type FileSystem, nodeFileSystem } from './log/file-system.js'
import { Keyring } from './log/keyring.js'
import { LogStore } from './log/log-store.js'
import { MemoryStore } from './memory/memory-store.js'
import type { Store } from './store.js'

export interface EngineConfig {
  readonly store: string
  readonly producersMax: number
  readonly groupsMax: number
  readonly data: string
  readonly segmentBytes: number
  readonly syncIntervalMs: number
  readonly syncDelayMs: number
  readonly syncDelayBytes: number
  readonly openFilesMax: number
  readonly unwrittenBytesMax: number
  readonly encryptionKeys: string
  readonly encryptionKeyFile: string
}

/** Verify, and perhaps repair, what a store keeps in files, while nobody has it open. Throws as `checkData` does. */
export function checkStore(
  config: Pick<EngineConfig, 'encryptionKeys' | 'encryptionKeyFile'>,
  request: CheckRequest,
): Promise<CheckReport> {
  return checkData(request, { fs: nodeFileSystem, keyring: keyringOf(config) })
}

export interface EngineSeams {
  readonly clock: SteadyTime
  readonly random: Random
  readonly metrics: MetricsRegistry
  /** Where files are; the system's unless a test says otherwise. */
  readonly fileSystem?: FileSystem
}

/** The engine, not yet open. Throws UnsupportedError for a store that this version lacks, ConfigError for bad keys. */
export function createEngine(config: EngineConfig, seams: EngineSeams): Engine {
  return new LocalEngine(createStore(config, seams), {
    clock: seams.clock,
    producersMax: config.producersMax,
    groupsMax: config.groupsMax,
  })
}

function createStore(config: EngineConfig, { fileSystem = nodeFileSystem, ...seams }: EngineSeams): Store {
  switch (config.store) {
    case 'memory':
      return new MemoryStore()
    case 'log':
      return new LogStore({ ...config, keyring: keyringOf(config) }, { fs: fileSystem, ...seams })
    default:
      throw new UnsupportedError(`store "${config.store}" is not offered by this version; there are "log" and "memory"`)
  }
}

function keyringOf({
  encryptionKeys,
  encryptionKeyFile,
}: Pick<EngineConfig, 'encryptionKeys' | 'encryptionKeyFile'>): Keyring | null {
  if (encryptionKeys !== '' && encryptionKeyFile !== '') {
    throw new ConfigError(['encryptionKeys and encryptionKeyFile are both given; give one'])
  }
  if (encryptionKeyFile === '') return encryptionKeys === '' ? null : Keyring.parse(encryptionKeys)
  return Keyring.parse(readKeyFile(encryptionKeyFile))
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError([`encryptionKeyFile ${path} cannot be read`], { cause })
  }
}
