/**
 * `node-nats-streaming` as programs use it, on a server in this process: as much of its interface as its tests need.
 */
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../src/index.js'
import { findPackage } from './peer.js'

export interface LibraryMessage {
  getSubject(): string
  getSequence(): number
  getData(): string | Buffer
  getRawData(): Buffer
  getTimestamp(): Date
  isRedelivered(): boolean
  getRedeliveryCount?(): number
  ack(): void
}

export interface LibraryOptions {
  setMaxInFlight(count: number): LibraryOptions
  setAckWait(ms: number): LibraryOptions
  setStartAtSequence(sequence: number): LibraryOptions
  setStartTime(date: Date): LibraryOptions
  setStartAtTimeDelta(ms: number): LibraryOptions
  setStartWithLastReceived(): LibraryOptions
  setDeliverAllAvailable(): LibraryOptions
  setManualAckMode(isManual: boolean): LibraryOptions
  setDurableName(name: string): LibraryOptions
}

export interface LibrarySubscription extends EventEmitter {
  isClosed(): boolean
  unsubscribe(): void
  close(): void
}

export interface LibraryClient extends EventEmitter {
  readonly nc: (EventEmitter & { close(): void }) | undefined
  close(): void
  publish(subject: string, data?: string | Buffer, done?: (error: Error | undefined, guid: string) => void): string
  subscribe(subject: string, options?: LibraryOptions): LibrarySubscription
  subscribe(subject: string, queue: string, options?: LibraryOptions): LibrarySubscription
  subscriptionOptions(): LibraryOptions
}

interface Library {
  connect(clusterId: string, clientId: string, options?: Readonly<Record<string, unknown>>): LibraryClient
}

const found = await findPackage('node-nats-streaming')

/** For tests that need it. */
export const withLibrary = { skip: found.found ? false : found.skip, timeout: 30_000 }

export interface LibraryServer {
  readonly url: string
  readonly broker: EmbeddedBroker
  stop(): Promise<void>
  restart(): Promise<void>
  /** Not connected yet. */
  open(clientId: string, options?: Readonly<Record<string, unknown>>, clusterId?: string): LibraryClient
  connect(clientId: string, options?: Readonly<Record<string, unknown>>): Promise<LibraryClient>
}

export async function startForLibrary(
  t: TestContext,
  isKept = false,
  options: BrokerOptions = {},
): Promise<LibraryServer> {
  const data = isKept ? await mkdtemp(join(tmpdir(), 'leveret-')) : null
  const clients: LibraryClient[] = []
  const start = (port: number): Promise<EmbeddedBroker> =>
    createBroker({ ...options, natsStreaming: port, ...(data === null ? {} : { data }) })
  let broker = await start(0)
  const port = broker.listeners.find(({ name }) => name === 'nats-streaming')?.port ?? 0
  t.after(async () => {
    for (const client of clients) end(client)
    await broker.stop({ deadlineMs: 0 })
    if (data !== null) await rm(data, { recursive: true, force: true })
  })
  const url = `nats://127.0.0.1:${port}`
  const open = (clientId: string, more: Readonly<Record<string, unknown>> = {}, clusterId = 'test-cluster') => {
    assert.ok(found.found)
    const { default: library } = found.exported as { default: Library }
    const client = library.connect(clusterId, clientId, { url, ...more })
    clients.push(client)
    return client
  }
  return {
    url,
    get broker() {
      return broker
    },
    stop: () => broker.stop({ deadlineMs: 0 }),
    restart: async () => {
      await broker.stop({ deadlineMs: 500 })
      broker = await start(port)
    },
    open,
    connect: async (clientId, more) => {
      const client = open(clientId, more)
      await once(client, 'connect')
      return client
    },
  }
}

/** Resolves with its guid when the server has it. */
export function publish(client: LibraryClient, subject: string, data: string | Buffer = 'x'): Promise<string> {
  return new Promise((resolve, reject) => {
    client.publish(subject, data, (error, guid) => (error === undefined ? resolve(guid) : reject(error)))
  })
}

/** The messages of a subscription, as they come. */
export class Received {
  readonly messages: LibraryMessage[] = []
  readonly #subscription: LibrarySubscription

  constructor(subscription: LibrarySubscription) {
    this.#subscription = subscription
    subscription.on('message', (message: LibraryMessage) => this.messages.push(message))
  }

  get sequences(): number[] {
    return this.messages.map((message) => message.getSequence())
  }

  async until(count: number): Promise<readonly LibraryMessage[]> {
    while (this.messages.length < count) await once(this.#subscription, 'message')
    return this.messages
  }
}

function end(client: LibraryClient): void {
  client.removeAllListeners()
  client.on('error', () => undefined)
  client.close()
  client.nc?.close()
}
