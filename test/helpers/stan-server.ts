/**
 * A server with the NATS Streaming dialect, in this process, and clients that end with the test.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../src/index.js'
import { StanPeer } from './stan-peer.js'

export interface StanServer {
  readonly broker: EmbeddedBroker
  readonly port: number
  /** Registered. */
  connect(clientId?: string, protocol?: number): Promise<StanPeer>
  /** A connection that has not registered. */
  open(clientId?: string): Promise<StanPeer>
  metric(name: string): number
}

export async function startStan(t: TestContext, options: BrokerOptions = {}): Promise<StanServer> {
  const broker = await createBroker({ natsStreaming: 0, ...options })
  t.after(() => broker.stop({ deadlineMs: 0 }))
  return stanServer(t, broker)
}

export function stanServer(t: TestContext, broker: EmbeddedBroker): StanServer {
  const listener = broker.listeners.find(({ name }) => name === 'nats-streaming')
  assert.ok(listener !== undefined)
  const { port } = listener
  const ending = (peer: StanPeer): StanPeer => {
    t.after(() => peer.wire.close())
    return peer
  }
  return {
    broker,
    port,
    connect: async (clientId, protocol) => ending(await StanPeer.connect(port, clientId, protocol)),
    open: async (clientId) => ending(await StanPeer.open(port, clientId)),
    metric: (name) => {
      const sample = broker.metrics().find((each) => each.name === `leveret_nats_streaming_${name}`)
      assert.ok(sample !== undefined, name)
      return sample.value
    },
  }
}
