/**
 * A server with both dialects of RESP that is killed and comes back on the ports that it had, for clients that find it again
 * by themselves.
 */
import type { TestContext } from 'node:test'
import { freePort } from './free-port.js'
import { MortalServer } from './kill-server.js'
import { RespPeer } from './resp-peer.js'

export class MortalRespServer {
  readonly meilies: number
  readonly floki: number
  readonly #server: MortalServer

  private constructor(server: MortalServer, meilies: number, floki: number) {
    this.#server = server
    this.meilies = meilies
    this.floki = floki
  }

  /** Started; it goes with the test. */
  static async start(t: TestContext): Promise<MortalRespServer> {
    const [meilies, floki] = [await freePort(), await freePort()]
    const server = await MortalServer.make(['--meilies', String(meilies), '--floki', String(floki)])
    t.after(() => server.remove())
    await server.start()
    return new MortalRespServer(server, meilies, floki)
  }

  kill(): Promise<unknown> {
    return this.#server.kill()
  }

  startAgain(): Promise<number> {
    return this.#server.start()
  }

  /** Publish events `e<number>` with data `<number>` to a stream. */
  async fill(stream: string, ...numbers: readonly number[]): Promise<void> {
    using peer = await RespPeer.connect(this.meilies)
    for (const number of numbers) await peer.ask('publish', stream, `e${number}`, `${number}`)
  }

  async push(queue: string, message: string): Promise<void> {
    using peer = await RespPeer.connect(this.floki)
    await peer.ask('RPUSH', queue, message)
  }
}
