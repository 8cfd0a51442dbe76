/**
 * A connection of the NATS protocol with no library: what is written is written as it is, what comes in is cut into lines and
 * messages.
 */
import { connect, type Socket } from 'node:net'

export interface WireMessage {
  readonly subject: string
  readonly sid: string
  readonly reply: string
  readonly payload: Buffer
}

const CRLF = Buffer.from('\r\n')
const WAIT_MS = 10_000

export class NatsWire {
  /** Everything that came in, in its order, as `MSG subject` or as the line it was. */
  readonly seen: string[] = []
  readonly #socket: Socket
  readonly #handlers = new Map<string, (message: WireMessage) => void>()
  #bytes: Buffer = Buffer.alloc(0)
  readonly #pongs: (() => void)[] = []
  #lastSid = 0
  isClosed = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#received(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.isClosed = true
      for (const pong of this.#pongs) pong()
    })
  }

  /** Ready when its CONNECT was answered. */
  static async open(port: number, options: Readonly<Record<string, unknown>> = {}): Promise<NatsWire> {
    // What is written is on its way: a second request is not to wait for the answer to the first.
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const wire = new NatsWire(socket)
    wire.write(`CONNECT ${JSON.stringify({ verbose: false, pedantic: false, protocol: 1, ...options })}\r\n`)
    await wire.flush()
    return wire
  }

  write(text: string | Buffer): void {
    this.#socket.write(text)
  }

  /** Everything that was written before is handled, and what it said at once is here. */
  async flush(): Promise<void> {
    const pong = new Promise<void>((resolve) => this.#pongs.push(resolve))
    this.write('PING\r\n')
    await within('PONG', pong)
  }

  subscribe(subject: string, handler: (message: WireMessage) => void): string {
    const sid = String(++this.#lastSid)
    this.#handlers.set(sid, handler)
    this.write(`SUB ${subject} ${sid}\r\n`)
    return sid
  }

  unsubscribe(sid: string): void {
    this.#handlers.delete(sid)
    this.write(`UNSUB ${sid}\r\n`)
  }

  publish(subject: string, payload: Buffer, reply = ''): void {
    const head = reply === '' ? `PUB ${subject} ${payload.length}\r\n` : `PUB ${subject} ${reply} ${payload.length}\r\n`
    this.write(Buffer.concat([Buffer.from(head, 'latin1'), payload, CRLF]))
  }

  /** Read nothing until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  close(): void {
    this.#socket.destroy()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #received(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk])
    for (;;) {
      const end = this.#bytes.indexOf(CRLF)
      if (end < 0) return
      const line = this.#bytes.toString('latin1', 0, end)
      if (!line.startsWith('MSG ')) {
        this.#bytes = this.#bytes.subarray(end + 2)
        this.seen.push(line.trim())
        if (line === 'PONG') this.#pongs.shift()?.()
        continue
      }
      const words = line.split(' ')
      const size = Number(words.at(-1))
      if (this.#bytes.length < end + 2 + size + 2) return
      const payload = Buffer.from(this.#bytes.subarray(end + 2, end + 2 + size))
      this.#bytes = this.#bytes.subarray(end + 2 + size + 2)
      const [, subject = '', sid = '', reply = ''] = words
      this.seen.push(`MSG ${subject}`)
      this.#handlers.get(sid)?.({ subject, sid, reply: words.length === 5 ? reply : '', payload })
    }
  }
}

/** Rejects when it takes too long. */
export async function within<T>(what: string, promise: Promise<T>, ms = WAIT_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
