/**
 * redis-cli as its users run it, against a port of leveret.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'

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
    const child = this.#spawn(words)
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

/** Major and minor version, as a number like 7.02. */
export function redisCliVersion(file: string): number {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(execFileSync(file, ['--version']).toString()) ?? []
  return Number(major) + Number(minor) / 100
}
