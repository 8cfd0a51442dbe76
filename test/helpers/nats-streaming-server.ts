/**
 * A server with the NATS protocol, in this process and in memory, and connections to it that end with their test.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../src/index.js'
import { NatsPeer, QUIET } from './nats-peer.js'

export interface NatsStreamingServer {
  readonly broker: EmbeddedBroker
  readonly port: number
  connect(hello?: string): Promise<NatsPeer>
  metric(name: string): number
}

export async function startNatsStreaming(t: TestContext, options: BrokerOptions = {}): Promise<NatsStreamingServer> {
  const broker = await createBroker({ natsStreaming: 0, ...options })
  const peers: NatsPeer[] = []
  t.after(async () => {
    // With a clock of its own no deadline comes: nobody may be left to wait for.
    for (const peer of peers) peer[Symbol.dispose]()
    await broker.stop({ deadlineMs: 0 })
  })
  const port = natsPort(broker)
  const connect = async (hello = QUIET): Promise<NatsPeer> => {
    const peer = await NatsPeer.connect(port, hello)
    peers.push(peer)
    return peer
  }
  const metric = (name: string): number => {
    const sample = broker.metrics().find((each) => each.name === `leveret_nats_${name}`)
    assert.ok(sample !== undefined, name)
    return sample.value
  }
  return { broker, port, connect, metric }
}

export function natsPort(broker: EmbeddedBroker): number {
  const listener = broker.listeners.find(({ name }) => name === 'nats-streaming')
  assert.ok(listener !== undefined)
  return listener.port
}
