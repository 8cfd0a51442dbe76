/**
 * A server process with both dialects of RESP, and connections to it. Whoever starts one kills it in the end, whatever became of
 * the test: connections end with their server, so that nothing is left open.
 */
import { type Server, startServer } from './leveret-process.js'
import { residentBytes } from './process-memory.js'
import { RespPeer } from './resp-peer.js'

export type DialectName = 'meilies' | 'floki'

export class DialectServer {
  readonly ports: Readonly<Record<DialectName, number>>
  readonly #server: Server

  private constructor(server: Server, ports: Readonly<Record<DialectName, number>>) {
    this.#server = server
    this.ports = ports
  }

  static async start(flags: readonly string[] = []): Promise<DialectServer> {
    const server = await startServer(['--meilies', '0', '--floki', '0', ...flags])
    const portOf = async (name: DialectName): Promise<number> => {
      const [, port] = await server.process.printed(new RegExp(`^listening ${name} 127\\.0\\.0\\.1:(\\d+)$`, 'm'))
      return Number(port)
    }
    return new DialectServer(server, { meilies: await portOf('meilies'), floki: await portOf('floki') })
  }

  get pid(): number | undefined {
    return this.#server.process.child.pid
  }

  connect(name: DialectName): Promise<RespPeer> {
    return RespPeer.connect(this.ports[name])
  }

  /** So many connections, a few hundred at a time, as the queue of a listener takes them. */
  async crowd(name: DialectName, size: number): Promise<RespPeer[]> {
    const peers: RespPeer[] = []
    while (peers.length < size) {
      const some = Math.min(200, size - peers.length)
      peers.push(...(await Promise.all(Array.from({ length: some }, () => this.connect(name)))))
    }
    return peers
  }

  /** Drain and end, with 0 and without a word. */
  async stop(): Promise<string> {
    return (await this.#server.stop()).stderr
  }

  kill(): void {
    this.#server.process.signal('SIGKILL')
  }
}

/** Watches the memory of a process: how far it grew at the most. */
export class MemoryPeak implements Disposable {
  readonly #pid: number | undefined
  readonly #before: number | null
  readonly #timer: NodeJS.Timeout
  #grown = 0

  constructor(pid: number | undefined) {
    this.#pid = pid
    this.#before = residentBytes(pid)
    this.#timer = setInterval(() => this.grownBytes, 50)
  }

  /** 0 where memory cannot be measured. */
  get grownBytes(): number {
    const now = residentBytes(this.#pid)
    if (now !== null && this.#before !== null) this.#grown = Math.max(this.#grown, now - this.#before)
    return this.#grown
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
