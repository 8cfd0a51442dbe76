/**
 * A server with the MeiliES dialect, in this process and in memory, and what its tests say to it.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../src/index.js'
import { RespPeer } from './resp-peer.js'
import type { RespValue } from './resp-values.js'

export const ARGUMENT_ERROR = 'invalid request message; Invalid argument resp type'

export interface MeiliesServer {
  readonly broker: EmbeddedBroker
  readonly port: number
  /** A connection that ends with the test. */
  connect(): Promise<RespPeer>
  /** Publish so many events `e0`, `e1`... with data `0`, `1`... to a stream. */
  fill(stream: string, count: number, first?: number): Promise<void>
}

export async function startMeilies(t: TestContext, options: BrokerOptions = {}): Promise<MeiliesServer> {
  const broker = await createBroker({ meilies: 0, ...options })
  t.after(() => broker.stop({ deadlineMs: 0 }))
  const port = meiliesPort(broker)
  const connect = async (): Promise<RespPeer> => {
    const peer = await RespPeer.connect(port)
    t.after(() => peer[Symbol.dispose]())
    return peer
  }
  const fill = async (stream: string, count: number, first = 0): Promise<void> => {
    using peer = await RespPeer.connect(port)
    for (let number = first; number < first + count; number++) peer.send('publish', stream, `e${number}`, `${number}`)
    for (const reply of await peer.take(count)) assert.deepEqual(reply, ['+', 'OK'])
  }
  return { broker, port, connect, fill }
}

export function meiliesPort(broker: EmbeddedBroker): number {
  const listener = broker.listeners.find(({ name }) => name === 'meilies')
  assert.ok(listener !== undefined)
  return listener.port
}

/** The classic frame of event `number` as `fill` publishes it. */
export function classicEvent(stream: string, number: number): RespValue {
  return [
    '*',
    [
      ['+', 'event'],
      ['+', stream],
      [':', number],
      ['+', `e${number}`],
      ['$', `${number}`],
    ],
  ]
}

export function subscribedFrame(stream: string): RespValue {
  return [
    '*',
    [
      ['+', 'subscribed'],
      ['+', stream],
    ],
  ]
}
