/**
 * `leveret meilies-server`: what was started as `meilies-server` goes on under the same flags. Translates them, and `serve` does
 * the rest.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_FAILURE, say, type Terminal } from '../terminal.js'
import { serve } from './serve.js'

/** What the database of MeiliES consists of, among others. */
const ORIGINAL_FILES = ['conf', 'db']

const NAMES = { host: '--hostname', meilies: '--port', data: '--db-path' }

export interface MeiliesServerOptions {
  readonly hostname: string
  readonly port: number
  readonly dbPath: string
  readonly insecure?: true
  readonly compressionFactor?: string
  /** False when `--no-sentry` was given. */
  readonly sentry: boolean
  /** False when `--no-vigil` was given. */
  readonly vigil: boolean
}

/** Throws what `serve` throws. */
export async function meiliesServer(options: MeiliesServerOptions, terminal: Terminal): Promise<number> {
  const { hostname, port, dbPath, insecure, compressionFactor, sentry, vigil } = options
  // To start without the events that are expected would look like their loss.
  if (ORIGINAL_FILES.every((name) => existsSync(join(dbPath, name)))) {
    say(
      terminal,
      `${dbPath} is a database of MeiliES itself, which leveret does not read: docs/meilies.md tells how to copy it`,
    )
    return EXIT_FAILURE
  }
  const ignore = (flag: string, why: string): void => say(terminal, `${flag} is ignored: ${why}`)
  if (compressionFactor !== undefined) ignore('--compression-factor', 'events are stored as they are')
  if (!sentry) ignore('--no-sentry', 'nothing is reported to anybody')
  if (!vigil) ignore('--no-vigil', 'nothing is reported to anybody')
  const flags = { host: hostname, meilies: port, floki: 'off', data: dbPath }
  return await serve(insecure === true ? { ...flags, insecure } : flags, terminal, NAMES, { dialectsOnly: true })
}
