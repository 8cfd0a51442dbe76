/**
 * The NATS libraries for Node as their users have them, behind one face: what a test wants is the same for all, how it is said
 * is each library's own.
 */
import type * as Transport from '@nats-io/transport-node'
import type * as Nats1 from 'nats-1'
import type { Package } from './peer.js'

export interface Received {
  readonly subject: string
  readonly reply: string
  readonly data: string
  /** Of the header `k`; empty when there is none. */
  readonly header: string
}

export interface NatsUser {
  /** `header` is for the header `k`, where the library has headers. */
  publish(subject: string, data: Uint8Array, options?: { readonly reply?: string; readonly header?: string }): void
  subscribe(
    subject: string,
    receive: (message: Received) => void,
    options?: { readonly queue?: string; readonly max?: number },
  ): { unsubscribe(): void }
  /** Rejects when nobody answers. */
  request(subject: string, data: Uint8Array): Promise<Received>
  flush(): Promise<void>
  close(): Promise<void>
}

export interface NatsLibrary {
  readonly title: string
  readonly package: string
  readonly hasHeaders: boolean
  connect(found: Package, port: number): Promise<NatsUser>
}

/** Binary as text with one character a byte. */
function latin1(data: Uint8Array): string {
  return Buffer.from(data).toString('latin1')
}

function exportedBy(found: Package): unknown {
  if (!found.found) throw new Error(found.skip)
  return found.exported
}

class Nats1User implements NatsUser {
  readonly #client: Nats1.Client

  constructor(client: Nats1.Client) {
    this.#client = client
  }

  publish(subject: string, data: Uint8Array, { reply }: { readonly reply?: string } = {}): void {
    if (reply === undefined) this.#client.publish(subject, Buffer.from(data))
    else this.#client.publish(subject, Buffer.from(data), reply)
  }

  subscribe(
    subject: string,
    receive: (message: Received) => void,
    options: { readonly queue?: string; readonly max?: number } = {},
  ): { unsubscribe(): void } {
    const client = this.#client
    const sid = client.subscribe(subject, options, (data: Buffer, reply: string | undefined, from: string) =>
      receive({ subject: from, reply: reply ?? '', data: latin1(data), header: '' }),
    )
    return { unsubscribe: () => client.unsubscribe(sid) }
  }

  request(subject: string, data: Uint8Array): Promise<Received> {
    return new Promise((resolve, reject) => {
      this.#client.requestOne(subject, Buffer.from(data), 1_000, (answer: unknown) => {
        if (Buffer.isBuffer(answer)) resolve({ subject: '', reply: '', data: latin1(answer), header: '' })
        else reject(answer)
      })
    })
  }

  flush(): Promise<void> {
    return new Promise((resolve) => this.#client.flush(() => resolve()))
  }

  close(): Promise<void> {
    this.#client.close()
    return Promise.resolve()
  }
}

/** What both of the newer ones have in common. */
type Modern = Pick<typeof Transport, 'connect' | 'headers'>

class ModernUser implements NatsUser {
  readonly #connection: Transport.NatsConnection
  readonly #headers: Modern['headers']

  constructor(connection: Transport.NatsConnection, headers: Modern['headers']) {
    this.#connection = connection
    this.#headers = headers
  }

  publish(
    subject: string,
    data: Uint8Array,
    { reply, header }: { readonly reply?: string; readonly header?: string } = {},
  ): void {
    const headers = this.#headers()
    if (header !== undefined) headers.set('k', header)
    const options = { ...(reply === undefined ? {} : { reply }), ...(header === undefined ? {} : { headers }) }
    this.#connection.publish(subject, data, options)
  }

  subscribe(
    subject: string,
    receive: (message: Received) => void,
    options: { readonly queue?: string; readonly max?: number } = {},
  ): { unsubscribe(): void } {
    return this.#connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error === null) receive(received(message))
      },
    })
  }

  async request(subject: string, data: Uint8Array): Promise<Received> {
    return received(await this.#connection.request(subject, data, { timeout: 1_000 }))
  }

  flush(): Promise<void> {
    return this.#connection.flush()
  }

  close(): Promise<void> {
    return this.#connection.close()
  }
}

function received(message: Transport.Msg): Received {
  const { subject, reply = '', data, headers } = message
  return { subject, reply, data: latin1(data), header: headers?.get('k') ?? '' }
}

async function connectModern(found: Package, port: number): Promise<NatsUser> {
  const library = exportedBy(found) as Modern
  const connection = await library.connect({ servers: `127.0.0.1:${port}`, reconnect: false })
  return new ModernUser(connection, library.headers)
}

export const NATS_LIBRARIES: readonly NatsLibrary[] = [
  {
    title: 'nats 1',
    package: 'nats-1',
    hasHeaders: false,
    async connect(found, port) {
      const library = exportedBy(found) as typeof Nats1
      const client = library.connect({
        url: `nats://127.0.0.1:${port}`,
        encoding: 'binary',
        preserveBuffers: true,
        reconnect: false,
      })
      await new Promise<void>((resolve, reject) => {
        client.on('connect', () => resolve())
        client.on('error', reject)
      })
      return new Nats1User(client)
    },
  },
  { title: 'nats 2', package: 'nats-2', hasHeaders: true, connect: connectModern },
  { title: '@nats-io/transport-node', package: '@nats-io/transport-node', hasHeaders: true, connect: connectModern },
]
