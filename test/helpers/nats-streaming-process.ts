/**
 * `nats-streaming-server` as a process that can be frozen, killed and started again on its port, with or without a store that
 * outlives it. It ends with its test.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Running } from './leveret-process.js'

const LAUNCHER = fileURLToPath(new URL('../../bin/nats-streaming-server.js', import.meta.url))

export class NatsStreamingProcess {
  readonly #words: readonly string[]
  #running: Running | null = null
  /** Any, until the first start has found one. */
  #port = -1

  private constructor(words: readonly string[]) {
    this.#words = words
  }

  static async start(t: TestContext, words: readonly string[] = []): Promise<NatsStreamingProcess> {
    const server = new NatsStreamingProcess(words)
    t.after(() => server.kill())
    await server.start()
    return server
  }

  /** What it has is there again after a kill. */
  static startKept(t: TestContext): Promise<NatsStreamingProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'leveret-stan-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    return NatsStreamingProcess.start(t, ['--store', 'FILE', '--dir', folder])
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    assert.equal(this.#running, null, 'it runs already')
    this.#running = new Running([LAUNCHER, '-a', '127.0.0.1', '-p', String(this.#port), ...this.#words], {})
    await this.#running.printed(/STREAM: Streaming Server is ready\n/, 'stderr')
    const [, port] = await this.#running.printed(/client connections on 127\.0\.0\.1:(\d+)\n/, 'stderr')
    this.#port = Number(port)
  }

  /** It neither reads nor writes, and its connections stay. */
  freeze(): void {
    this.#running?.signal('SIGSTOP')
  }

  thaw(): void {
    this.#running?.signal('SIGCONT')
  }

  async kill(): Promise<void> {
    const running = this.#running
    this.#running = null
    running?.signal('SIGKILL')
    await running?.ended
  }
}
