/**
 * A server process under test: started, waited for until it says where it listens, and ended by its own pid.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const START_MS_MAX = 20_000
const STOP_MS_MAX = 5_000
const TEXT_KEPT = 4_000

export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd: string
  /** Its first group is the port. */
  readonly listening: RegExp
}

export class ChildServer implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly port: number
  #isStopping = false

  private constructor(process: ChildProcess, port: number) {
    this.#process = process
    this.port = port
  }

  static async start({ command, args, cwd, listening }: ServerCommand): Promise<ChildServer> {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    const port = await new Promise<number>((resolve, reject) => {
      const end = (error: string): void => {
        clearTimeout(timeout)
        reject(new Error(`${command}: ${error}\n${text}`))
      }
      const timeout = setTimeout(() => {
        child.kill('SIGKILL')
        end(`not listening after ${START_MS_MAX} ms`)
      }, START_MS_MAX)
      const onText = (chunk: Buffer): void => {
        text = `${text}${chunk.toString()}`.slice(-TEXT_KEPT)
        const found = listening.exec(text)
        if (found === null) return
        clearTimeout(timeout)
        resolve(Number(found[1]))
      }
      child.stdout.on('data', onText)
      child.stderr.on('data', onText)
      child.on('error', (error) => end(error.message))
      child.on('exit', (code) => end(`ended with ${code}`))
    })
    const server = new ChildServer(child, port)
    child.on('exit', (code, signal) => {
      if (!server.#isStopping) console.error(`${command} ended with ${signal ?? code}, having said:\n${text}`)
    })
    return server
  }

  get pid(): number {
    return this.#process.pid as number
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    const timeout = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS_MAX)
    this.#process.kill('SIGTERM')
    await exit
    clearTimeout(timeout)
  }
}
