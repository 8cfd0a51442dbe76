/**
 * A server with the defects of MeiliES' last version: a subscription from a number delivers that one event and then only new ones,
 * numbers may have holes, and the first error is the last thing that it says.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { type RespValue, valueAt } from './resp-values.js'

interface Stored {
  readonly number: number
  readonly name: string
  readonly data: string
}

interface Range {
  readonly stream: string
  readonly from: number
  readonly to: number
}

export class FakeMeilies {
  readonly port: number
  /** Requests, as they came. */
  readonly asked: string[][] = []
  readonly #server: Server
  readonly #streams: Map<string, Stored[]>
  readonly #followers = new Map<Socket, Range[]>()

  private constructor(server: Server, streams: Map<string, Stored[]>) {
    this.#server = server
    this.#streams = streams
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => this.#serve(socket))
  }

  static async start(): Promise<FakeMeilies> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FakeMeilies(server, new Map())
  }

  /** Store an event under this number, whatever is there, and tell those who follow. */
  put(stream: string, event: Stored): void {
    const events = this.#streams.get(stream) ?? []
    this.#streams.set(stream, [...events, event])
    for (const [socket, ranges] of this.#followers) {
      for (const { from, to, ...range } of ranges) {
        if (range.stream === stream && event.number >= from && event.number < to) socket.write(frameOf(stream, event))
      }
    }
  }

  stop(): void {
    this.#server.close()
    for (const socket of this.#followers.keys()) socket.destroy()
  }

  #serve(socket: Socket): void {
    let pending = Buffer.alloc(0)
    this.#followers.set(socket, [])
    socket.on('close', () => this.#followers.delete(socket))
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      for (let found = valueAt(pending, 0); found !== null; found = valueAt(pending, 0)) {
        pending = pending.subarray(found.end)
        const words = (found.value[1] as readonly RespValue[]).map(([, word]) => String(word))
        this.asked.push(words)
        this.#answer(socket, words)
      }
    })
  }

  #answer(socket: Socket, [verb, ...words]: readonly string[]): void {
    const [stream = ''] = words
    switch (verb) {
      case 'stream-names': {
        const names = [...this.#streams.keys()].map((name) => `+${name}\r\n`)
        socket.write(`*${names.length + 1}\r\n+stream-names\r\n${names.join('')}`)
        return
      }
      case 'last-event-number': {
        const numbers = (this.#streams.get(stream) ?? []).map(({ number }) => number)
        const last = numbers.length === 0 ? '$-1' : `:${Math.max(...numbers)}`
        socket.write(`*3\r\n+last-event-number\r\n+${stream}\r\n${last}\r\n`)
        return
      }
      case 'subscribe':
        for (const spec of words) this.#subscribe(socket, spec)
        return
      default:
        socket.end('-invalid request message; Unknown command name\r\n')
    }
  }

  #subscribe(socket: Socket, spec: string): void {
    const [stream = '', from, to] = spec.split(':')
    socket.write(`*2\r\n+subscribed\r\n+${stream}\r\n`)
    const end = to === undefined ? Number.POSITIVE_INFINITY : Number(to)
    const events = from === undefined ? [] : (this.#streams.get(stream) ?? [])
    const isShown = ({ number }: Stored): boolean =>
      to === undefined ? number === Number(from) : number >= Number(from) && number < end
    for (const event of [...events].sort((a, b) => a.number - b.number)) {
      if (isShown(event)) socket.write(frameOf(stream, event))
    }
    this.#followers.get(socket)?.push({ stream, from: Number(from ?? 0), to: end })
  }
}

function frameOf(stream: string, { number, name, data }: Stored): string {
  return `*5\r\n+event\r\n+${stream}\r\n:${number}\r\n+${name}\r\n$${data.length}\r\n${data}\r\n`
}
