/**
 * The log of a NATS server, line for line as its users' tools read it: `[pid] date time [LVL] text`. To standard error or to a file,
 * which is opened anew when it was moved away, and moved away when it is too long.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import type { Clock } from '../../common/clock.js'
import type { Journal } from '../../gateways/nats-streaming/streaming/journal.js'
import type { LogOptions } from './server-options.js'

export type LogLevel = 'INF' | 'DBG' | 'WRN' | 'ERR' | 'FTL' | 'TRC'

export class NatsServerLog {
  readonly #clock: Clock
  readonly #stderr: Writable
  readonly #pid: number
  #options: LogOptions
  #file: number | null = null
  #bytes = 0

  /** Throws what opening the file throws. */
  constructor(options: LogOptions, stderr: Writable, clock: Clock, pid: number) {
    this.#options = options
    this.#stderr = stderr
    this.#clock = clock
    this.#pid = pid
    this.#open()
  }

  get hasStanDebug(): boolean {
    return this.#options.stanDebug
  }

  /** What streaming says, under its prefix. */
  get journal(): Journal {
    const log = this
    return {
      get hasDebug() {
        return log.hasStanDebug
      },
      info: (line) => log.line('INF', `STREAM: ${line}`),
      warn: (line) => log.line('WRN', `STREAM: ${line}`),
      error: (line) => log.line('ERR', `STREAM: ${line}`),
      debug: (line) => {
        if (log.hasStanDebug) log.line('DBG', `STREAM: ${line}`)
      },
    }
  }

  line(level: LogLevel, text: string): void {
    const time = this.#options.hasTime ? `${stamp(this.#clock.now(), this.#options.isUtc)} ` : ''
    const line = `[${this.#pid}] ${time}[${level}] ${text}\n`
    if (this.#file === null) {
      this.#stderr.write(line)
      return
    }
    this.#bytes += writeSync(this.#file, line)
    const { sizeLimit } = this.#options
    if (sizeLimit > 0 && this.#bytes > sizeLimit) this.#rotate()
  }

  /** What may change while the server runs. */
  setLevels({ debug, trace, stanDebug, stanTrace }: LogOptions): void {
    this.#options = { ...this.#options, debug, trace, stanDebug, stanTrace }
  }

  /** Go on in a new file of the same name, after somebody moved the old one away. */
  reopen(): void {
    if (this.#file === null) return
    this.close()
    this.#open()
    this.line('INF', 'File log re-opened')
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  #open(): void {
    const { file } = this.#options
    if (file === null) return
    this.#file = openSync(file, 'a')
    this.#bytes = fstatSync(this.#file).size
  }

  #rotate(): void {
    const { file } = this.#options
    if (file === null) return
    this.close()
    const backup = `${file}.${stamp(this.#clock.now(), this.#options.isUtc).replaceAll(/[ /:]/g, '.')}000`
    renameSync(file, backup)
    this.#open()
    this.line('INF', `Rotated log, backup saved as ${JSON.stringify(backup)}`)
  }
}

/** `2026/01/31 12:00:00.123000`; the last three digits are unknown. */
function stamp(timeMs: number, isUtc: boolean): string {
  const zone = isUtc ? 0 : new Date(timeMs).getTimezoneOffset() * 60_000
  const iso = new Date(timeMs - zone).toISOString()
  return `${iso.slice(0, 10).replaceAll('-', '/')} ${iso.slice(11, 23)}000`
}
