/**
 * A server that is killed and comes back: real processes, one after the other, on the same data directory and port.
 * The sources are compiled once, so that all lives of a server are of one make however long a run takes.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/common/clock.js'
import { type Ended, Running } from './leveret-process.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COMPILER = new URL('../../scripts/compiled-sources.js', import.meta.url).href

export interface Stopped extends Ended {
  /** From the signal to the end of the process. */
  readonly tookMs: number
}

export class MortalServer {
  readonly data: string
  /** 0 until the first start has found one; then the same for all lives. */
  port = 0
  /** Milliseconds from spawning to ready, of each start but the first. */
  readonly restartsMs: number[] = []
  kills = 0
  readonly #main: string
  readonly #flags: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  #running: Running | null = null

  private constructor(main: string, flags: readonly string[], env: Readonly<Record<string, string>>) {
    this.#main = main
    this.#flags = flags
    this.#env = env
    this.data = mkdtempSync(join(tmpdir(), 'leveret-kill-'))
  }

  /** Not started yet. With a data directory of its own, which goes with it. */
  static async make(flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<MortalServer> {
    const { compiledSources } = (await import(COMPILER)) as { compiledSources(root: string): string }
    return new MortalServer(join(compiledSources(ROOT), 'src', 'main.js'), flags, env)
  }

  get isRunning(): boolean {
    return this.#running !== null
  }

  get stderr(): string {
    return this.#running?.stderr ?? ''
  }

  /** Resolves when it is ready, with what that took. */
  async start(): Promise<number> {
    const startedMs = systemClock.monotonic()
    const running = this.spawn()
    await running.printed(/^ready$/m)
    const tookMs = systemClock.monotonic() - startedMs
    if (this.port !== 0) this.restartsMs.push(tookMs)
    const [, port] = await running.printed(/^listening native 127\.0\.0\.1:(\d+)$/m)
    this.port = Number(port)
    return tookMs
  }

  /** Until it has printed something like this. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    assert.ok(this.#running !== null, 'it does not run')
    return this.#running.printed(pattern)
  }

  /** Begin a start and do not wait for it. */
  spawn(): Running {
    assert.equal(this.#running, null, 'it runs already')
    const words = [this.#main, 'serve', '--port', String(this.port), '--data', this.data, ...this.#flags]
    this.#running = new Running(['--enable-source-maps', ...words], this.#env)
    return this.#running
  }

  /** `kill -9`. It must have been alive until then. */
  async kill(): Promise<Ended> {
    const running = this.#take()
    assert.equal(running.child.exitCode, null, `the server ended by itself:\n${running.stderr}`)
    running.signal('SIGKILL')
    const ended = await running.ended
    this.kills++
    assert.equal(ended.code, null, `the server ended by itself, with ${ended.code}:\n${ended.stderr}`)
    return ended
  }

  /** SIGTERM, and whatever becomes of it. */
  async stop(): Promise<Stopped> {
    const running = this.#take()
    const askedMs = systemClock.monotonic()
    running.signal('SIGTERM')
    const ended = await running.ended
    return { ...ended, tookMs: systemClock.monotonic() - askedMs }
  }

  async remove(): Promise<void> {
    if (this.#running !== null) await this.kill().catch(() => undefined)
    rmSync(this.data, { recursive: true, force: true })
  }

  #take(): Running {
    assert.ok(this.#running !== null, 'it does not run')
    const running = this.#running
    this.#running = null
    return running
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.after(ms, resolve, true)
  })
}

/** For a summary: median, 99 of 100, and the longest. */
export function spread(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`
}
