/**
 * A server with the NATS Streaming dialect, in this process, and clients that end with the test.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { App } from '../../src/app.js'
import { systemClock } from '../../src/common/clock.js'
import { systemRandom } from '../../src/common/random.js'
import { configWith } from '../../src/config/load.js'
import type { NatsLimits } from '../../src/gateways/nats-streaming/core/nats-session.js'
import { NatsStreamingGateway } from '../../src/gateways/nats-streaming/nats-streaming-gateway.js'
import type { StreamingOptions } from '../../src/gateways/nats-streaming/streaming/streaming-server.js'
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { FileSystem } from '../../src/storage/log/file-system.js'
import { StanPeer } from './stan-peer.js'

const NATS_LIMITS: NatsLimits = {
  controlLineBytesMax: 4_096,
  payloadBytesMax: 1_048_576,
  pendingBytesMax: 64 * 1_048_576,
  writeDeadlineMs: 10_000,
  subscriptionsMax: 1_000,
  pingIntervalMs: 120_000,
  pingsOutMax: 2,
  handshakeTimeoutMs: 10_000,
  operationTimeoutMs: 10_000,
}

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

/** One with limits of its own, and with what it tells its operator. */
export async function startLimitedStan(
  t: TestContext,
  streaming: Partial<StreamingOptions>,
  data?: string,
  fileSystem?: FileSystem,
  limits: Partial<NatsLimits> = {},
): Promise<LimitedStan> {
  const config = configWith({ port: 0, ...(data === undefined ? { store: 'memory' } : { store: 'log', data }) })
  const app = new App(config, fileSystem === undefined ? {} : { fileSystem })
  await app.start()
  const lines: string[] = []
  const note = (line: string): void => {
    lines.push(line)
  }
  const gateway = new NatsStreamingGateway({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 100,
    limits: { ...NATS_LIMITS, ...limits },
    clock: systemClock,
    random: systemRandom,
    broker: app.broker,
    metrics: app.metrics,
    streaming: {
      clusterId: 'test-cluster',
      durability: data === undefined ? null : 'disk',
      recordBytesMax: 1_000_000,
      bounds: { clientsMax: 1_000, requestsMax: 1_000, publishesMax: 1_000, openingBytesMax: 1_000_000 },
      journal: { hasDebug: true, info: note, warn: note, error: note, debug: note },
      ...streaming,
    },
  })
  await gateway.start()
  const stop = async (deadlineMs = 0): Promise<void> => {
    await gateway.stop({ deadlineMs })
    await app.stop({ deadlineMs: 0 })
  }
  t.after(() => stop())
  const ending = (peer: StanPeer): StanPeer => {
    t.after(() => peer.wire.close())
    return peer
  }
  const connect = async (clientId?: string): Promise<StanPeer> => ending(await StanPeer.connect(gateway.port, clientId))
  const open = async (clientId?: string): Promise<StanPeer> => ending(await StanPeer.open(gateway.port, clientId))
  return { app, lines, connect, open, stop }
}

export interface LimitedStan {
  readonly app: App
  readonly lines: readonly string[]
  connect(clientId?: string): Promise<StanPeer>
  /** A connection that has not registered. */
  open(clientId?: string): Promise<StanPeer>
  stop(deadlineMs?: number): Promise<void>
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
