/**
 * What every bench is handed: how much to measure, the compiled workers, the peer, and the servers to start.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLeveret } from '../peers/leveret.js'
import { type NatsServer, startNats } from '../peers/nats.js'
import type { ChildServer } from './child-server.js'
import type { WorkerCode } from './worker.js'

export interface BenchOptions {
  readonly code: WorkerCode
  /** Null when it is not installed: its rows are left out. */
  readonly nats: NatsServer | null
  readonly isQuick: boolean
  readonly runs: number
  /** Throughput cases by their label. */
  readonly filter: RegExp
  /** Folder for CPU profiles of leveret; null for none. */
  readonly profiles: string | null
}

export class Bench implements Disposable {
  readonly code: WorkerCode
  readonly nats: NatsServer | null
  readonly isQuick: boolean
  readonly runs: number
  readonly filter: RegExp
  readonly #profiles: string | null
  readonly #folder = mkdtempSync(join(tmpdir(), 'leveret-bench-'))

  constructor(options: BenchOptions) {
    this.code = options.code
    this.nats = options.nats
    this.isQuick = options.isQuick
    this.runs = options.runs
    this.filter = options.filter
    this.#profiles = options.profiles
  }

  /** `label` names the profile's folder. */
  startLeveret(label: string): Promise<ChildServer> {
    const profiles = this.#profiles === null ? null : join(this.#profiles, label)
    if (profiles !== null) mkdirSync(profiles, { recursive: true })
    return startLeveret({ cwd: this.#folder, profiles })
  }

  startNats(): Promise<ChildServer> {
    if (this.nats === null) throw new Error('nats-server is not installed')
    return startNats(this.nats, this.#folder)
  }

  say(line: string): void {
    process.stderr.write(`${line}\n`)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
