/**
 * What every bench is handed: how much to measure, the compiled workers, the peer, and the servers to start.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type LeveretOptions, startLeveret } from '../peers/leveret.js'
import { type NatsServer, startNats } from '../peers/nats.js'
import type { RedisServer } from '../peers/redis.js'
import type { ChildServer } from './child-server.js'
import { CACHE, type WorkerCode } from './worker.js'

export interface Folder extends AsyncDisposable {
  readonly path: string
}

export interface BenchOptions {
  readonly code: WorkerCode
  /** Null when it is not installed: its rows are left out. */
  readonly nats: NatsServer | null
  /** The one for JetStream, where it is another. */
  readonly jetstream: NatsServer | null
  readonly redis: RedisServer | null
  readonly isQuick: boolean
  readonly runs: number
  /** Throughput and durable cases by their label. */
  readonly filter: RegExp
  /** Folder for CPU profiles of leveret; null for none. */
  readonly profiles: string | null
}

export class Bench implements Disposable {
  readonly code: WorkerCode
  readonly nats: NatsServer | null
  readonly jetstream: NatsServer | null
  readonly redis: RedisServer | null
  readonly isQuick: boolean
  readonly runs: number
  readonly filter: RegExp
  readonly #profiles: string | null
  /** On the disk of the project: data in a file system that is memory would be measured for nothing. */
  readonly #folder = mkdtempSync(join(CACHE, 'data-'))

  constructor(options: BenchOptions) {
    this.code = options.code
    this.nats = options.nats
    this.jetstream = options.jetstream
    this.redis = options.redis
    this.isQuick = options.isQuick
    this.runs = options.runs
    this.filter = options.filter
    this.#profiles = options.profiles
  }

  /** Started in `cwd`, or in a new folder. `label` names the profile's folder. */
  startLeveret(
    label: string,
    cwd = this.newFolder(),
    protocol: LeveretOptions['protocol'] = 'native',
  ): Promise<ChildServer> {
    return startLeveret({ cwd, profiles: this.#profilesOf(label), protocol })
  }

  #profilesOf(label: string): string | null {
    if (this.#profiles === null) return null
    const profiles = join(this.#profiles, label)
    mkdirSync(profiles, { recursive: true })
    return profiles
  }

  startNats(): Promise<ChildServer> {
    if (this.nats === null) throw new Error('nats-server is not installed')
    return startNats(this.nats, this.#folder)
  }

  /** An empty one, that goes at the end. */
  newFolder(): string {
    return mkdtempSync(join(this.#folder, 'server-'))
  }

  /** An empty one, that goes when it is disposed of: so that what one case wrote is no burden to the next. */
  folder(): Folder {
    const path = this.newFolder()
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
  }

  /** Null, and a problem more, when `work` fails. */
  async attempt<T>(label: string, problems: string[], work: () => Promise<T>): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      problems.push(problem)
      this.say(`  ${label}: INVALID, ${problem}`)
      return null
    }
  }

  say(line: string): void {
    process.stderr.write(`${line}\n`)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
