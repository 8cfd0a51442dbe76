/**
 * leveret as its users have it: whole processes, started from bin/leveret.js and talked to by streams and signals.
 * A test that starts a server stops it, and what it printed is at hand when something fails.
 */
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LAUNCHER = fileURLToPath(new URL('../../bin/leveret.js', import.meta.url))
const TSX = fileURLToPath(import.meta.resolve('tsx'))

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

export class Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly #stdout: Buffer[] = []
  #stderr = ''
  readonly ended: Promise<Ended>

  constructor(words: readonly string[], env: Readonly<Record<string, string>>, cwd = ROOT) {
    this.child = spawn(process.execPath, words, { cwd, env: { ...plainEnv(), ...env } })
    this.child.stdout.on('data', (chunk: Buffer) => this.#stdout.push(chunk))
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString()
    })
    // A process that ends early no longer reads: its exit says more than the broken pipe.
    this.child.stdin.on('error', () => undefined)
    this.ended = once(this.child, 'close').then(([code]) => ({
      code: typeof code === 'number' ? code : null,
      stdout: this.stdout,
      stderr: this.#stderr,
    }))
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout)
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Until the output has a match. Fails when the process ends without. */
  async printed(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    const gone = this.ended.then(() => 'ended' as const)
    for (;;) {
      const found = pattern.exec(this[stream].toString())
      if (found !== null) return found
      const outcome = await Promise.race([once(this.child[stream], 'data'), gone])
      if (outcome === 'ended' && !pattern.test(this[stream].toString())) {
        assert.fail(`ended without printing ${pattern}:\n${this.stdout.toString()}\n${this.#stderr}`)
      }
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }
}

export class Server {
  readonly process: Running
  readonly port: number

  constructor(running: Running, port: number) {
    this.process = running
    this.port = port
  }

  /** A client command against this server, run to its end. */
  leveret(words: readonly string[], input: Uint8Array | string = ''): Promise<Ended> {
    return runLeveret([...words, '--port', String(this.port)], input)
  }

  /** The same, and it must succeed. */
  async succeed(words: readonly string[], input: Uint8Array | string = ''): Promise<Ended> {
    const ended = await this.leveret(words, input)
    assert.equal(ended.code, 0, `leveret ${words.join(' ')}\n${ended.stdout.toString()}\n${ended.stderr}`)
    return ended
  }

  start(words: readonly string[]): Running {
    return startLeveret([...words, '--port', String(this.port)])
  }

  /** A `leveret sub` that the server knows of. */
  async subscriber(topic: string, ...words: readonly string[]): Promise<Running> {
    const running = this.start(['sub', topic, ...words])
    for (;;) {
      const { code, stdout } = await this.leveret(['topics', 'describe', topic, '--json'])
      if (code === 0 && (JSON.parse(stdout.toString()) as { subscribers: number }).subscribers > 0) return running
    }
  }

  /** Drain and end; it must end with 0. */
  async stop(): Promise<Ended> {
    this.process.signal('SIGTERM')
    const ended = await this.process.ended
    assert.equal(ended.code, 0, `the server ended with ${ended.code}:\n${ended.stderr}`)
    return ended
  }
}

export async function startServer(flags: readonly string[] = []): Promise<Server> {
  const running = startLeveret(['serve', '--port', '0', ...flags])
  await running.printed(/^ready$/m)
  const [, port] = await running.printed(/^listening native 127\.0\.0\.1:(\d+)$/m)
  return new Server(running, Number(port))
}

/** A server that is told nothing of data gets a directory of its own, which goes with it. */
export function startLeveret(words: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const isServer = words[0] === 'serve'
  if (!isServer || words.includes('--data') || 'LEVERET_DATA' in env) return new Running([LAUNCHER, ...words], env)
  const data = mkdtempSync(join(tmpdir(), 'leveret-data-'))
  const running = new Running([LAUNCHER, ...words], { ...env, LEVERET_DATA: data })
  void running.ended.then(() => rmSync(data, { recursive: true, force: true }))
  return running
}

/** In this working directory. */
export function startLeveretIn(cwd: string, words: readonly string[]): Running {
  return new Running([LAUNCHER, ...words], {}, cwd)
}

export function runLeveret(words: readonly string[], input: Uint8Array | string = '', env = {}): Promise<Ended> {
  const running = startLeveret(words, env)
  running.child.stdin.end(input)
  return running.ended
}

/** A source under tsx, as `npx tsx` runs it. */
export function runSource(path: string, env: Readonly<Record<string, string>>): Promise<Ended> {
  const running = new Running(['--import', TSX, path], env)
  running.child.stdin.end()
  return running.ended
}

/** The environment without settings of leveret and without what an outer test run adds. */
function plainEnv(): NodeJS.ProcessEnv {
  const isOurs = (name: string): boolean => /^(?:LEVERET_|PORT$|DEBUG$|NODE_OPTIONS$|NODE_TEST_CONTEXT$)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)))
}
