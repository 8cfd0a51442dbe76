/**
 * Worker processes of the bench: compiled once for a run, started as plain Node without a loader, so that what is
 * measured is the code and not the tool that runs it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import type { Answer, Methods } from './calls.js'

const BENCH = fileURLToPath(new URL('..', import.meta.url))
const CALL_MS_MAX = 120_000

export const CACHE = join(BENCH, '.cache')

/** The workers of one run, each compiled when it is first started; disposing removes what was compiled. */
export class WorkerCode implements Disposable {
  readonly #folder: string
  readonly #compiled = new Set<string>()

  constructor() {
    mkdirSync(CACHE, { recursive: true })
    this.#folder = mkdtempSync(join(CACHE, 'run-'))
  }

  start<Api extends Methods<Api>>(name: string): Worker<Api> {
    const file = join(this.#folder, `${name}.mjs`)
    if (!this.#compiled.has(name)) this.#compile(name, file)
    return new Worker<Api>(name, file)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #compile(name: string, outfile: string): void {
    buildSync({
      entryPoints: [join(BENCH, 'workers', `${name}.ts`)],
      outfile,
      bundle: true,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node20',
      logLevel: 'error',
    })
    this.#compiled.add(name)
  }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** One worker process. Disposing ends it. */
export class Worker<Api extends Methods<Api>> implements AsyncDisposable {
  readonly #name: string
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #ended: Promise<void>
  #calls = 0

  constructor(name: string, file: string) {
    this.#name = name
    this.#process = fork(file, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
    this.#process.on('message', (answer: Answer) => this.#onAnswer(answer))
    this.#ended = new Promise((resolve) => {
      this.#process.on('exit', () => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`the worker ${name} ended`))
        this.#waiting.clear()
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#process.pid as number
  }

  call<Name extends keyof Api & string>(
    name: Name,
    argument: Parameters<Api[Name]>[0],
  ): Promise<Awaited<ReturnType<Api[Name]>>> {
    const call = ++this.#calls
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(
        () => reject(new Error(`${this.#name}.${name} gave no answer in ${CALL_MS_MAX} ms`)),
        CALL_MS_MAX,
      )
      this.#waiting.set(call, {
        resolve: (value) => {
          clearTimeout(timeout)
          resolve(value as Awaited<ReturnType<Api[Name]>>)
        },
        reject: (error) => {
          clearTimeout(timeout)
          reject(error)
        },
      })
      this.#process.send({ call, name, argument })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    await this.#ended
  }

  #onAnswer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.call)
    this.#waiting.delete(answer.call)
    if (answer.error === undefined) waiting?.resolve(answer.value)
    else waiting?.reject(new Error(`${this.#name}: ${answer.error}`))
  }
}
