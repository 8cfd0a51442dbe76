/**
 * A TCP proxy between a client and a server that fails as networks do: it cuts connections, swallows bytes, and
 * refuses to connect. What it does is decided by the test; it has no time and no chance of its own.
 */
import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net'

export class TcpProxy {
  readonly #target: number
  readonly #server: Server
  readonly #pairs = new Set<{ readonly client: Socket; readonly server: Socket }>()
  /** Connections accepted so far. */
  accepted = 0
  /** Accept, and close at once. */
  isRefusing = false
  #isBlackHole = false
  /** Cut the connection after so many more bytes from the client; null is never. */
  cutAfterBytes: number | null = null

  constructor(target: number) {
    this.#target = target
    this.#server = createServer((client) => this.#accept(client))
  }

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** From now on nothing passes on the connections that are open, in either direction; they stay open. */
  swallow(): void {
    this.#isBlackHole = true
  }

  /** Later connections work again. */
  heal(): void {
    this.#isBlackHole = false
    this.isRefusing = false
  }

  /** Cut every connection. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
  }

  async stop(): Promise<void> {
    this.cut()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #accept(client: Socket): void {
    this.accepted++
    client.on('error', () => {})
    if (this.isRefusing) {
      client.destroy()
      return
    }
    const server = createConnection({ port: this.#target, host: '127.0.0.1' })
    const pair = { client, server }
    this.#pairs.add(pair)
    server.on('error', () => {})
    let isSwallowed = false
    const isGone = (): boolean => {
      isSwallowed ||= this.#isBlackHole
      return isSwallowed
    }
    client.on('data', (chunk) => {
      if (isGone()) return
      if (this.cutAfterBytes !== null && chunk.length >= this.cutAfterBytes) {
        // What stands before the cut still arrives: the server may act on it, and nobody hears its answer.
        server.end(chunk.subarray(0, this.cutAfterBytes))
        this.cutAfterBytes = null
        client.destroy()
        return
      }
      if (this.cutAfterBytes !== null) this.cutAfterBytes -= chunk.length
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (!isGone()) client.write(chunk)
    })
    const end = (): void => {
      this.#pairs.delete(pair)
      client.destroy()
      if (!server.writableEnded) server.destroy()
    }
    client.on('close', end)
    server.on('close', end)
  }
}
