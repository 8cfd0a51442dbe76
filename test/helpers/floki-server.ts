/**
 * A server with the Floki dialect, in this process, and what its tests say to it.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BrokerOptions, createBroker, type EmbeddedBroker } from '../../src/index.js'
import { RespPeer } from './resp-peer.js'
import type { RespValue } from './resp-values.js'

export interface FlokiServer {
  readonly broker: EmbeddedBroker
  readonly port: number
  /** A connection that ends with the test. */
  connect(): Promise<FlokiPeer>
}

/** A message as HMGET brings it. */
export interface Message {
  readonly id: number
  readonly ticket: number
  readonly body: string
}

export async function startFloki(t: TestContext, options: BrokerOptions = {}): Promise<FlokiServer> {
  const broker = await createBroker({ floki: 0, ...options })
  t.after(() => broker.stop({ deadlineMs: 0 }))
  const listener = broker.listeners.find(({ name }) => name === 'floki')
  assert.ok(listener !== undefined)
  const { port } = listener
  const connect = async (): Promise<FlokiPeer> => {
    const peer = new FlokiPeer(await RespPeer.connect(port))
    t.after(() => peer.raw[Symbol.dispose]())
    return peer
  }
  return { broker, port, connect }
}

export class FlokiPeer {
  readonly raw: RespPeer

  constructor(raw: RespPeer) {
    this.raw = raw
  }

  send(words: string): void {
    this.raw.send(...wordsOf(words))
  }

  /** Words with a space between them, answered with these bytes. `''` is an empty word. */
  async expect(words: string, reply: string): Promise<void> {
    this.send(words)
    await this.raw.expect(`${reply}\r\n`)
  }

  ask(words: string): Promise<RespValue | null> {
    return this.raw.ask(...wordsOf(words))
  }

  /** What a request brings that is answered with messages. */
  async fetch(words: string): Promise<Message[]> {
    return messagesOf(await this.ask(words))
  }

  async nextMessages(): Promise<Message[]> {
    return messagesOf(await this.raw.next())
  }

  /** The document that a request is answered with, in an array or (alias) alone. */
  async json(words: string): Promise<Record<string, unknown>> {
    const reply = await this.ask(words)
    const value = reply?.[0] === '*' ? (reply[1] as readonly RespValue[]) : [reply]
    assert.equal(value.length, 1)
    assert.equal(value[0]?.[0], '$', JSON.stringify(reply))
    return JSON.parse(String(value[0]?.[1])) as Record<string, unknown>
  }
}

/** Resolves when the channel has nothing in flight: its time is over, which a process that stands still puts off. */
export async function untilTimedOut(peer: FlokiPeer, queue = 'q', channel = 'c'): Promise<void> {
  for (;;) {
    const queues = (await peer.json('INFO queues')) as Record<
      string,
      { channels: Record<string, { in_flight_count: number }> }
    >
    if (queues[queue]?.channels[channel]?.in_flight_count === 0) return
    await sleep(20)
  }
}

export function messagesOf(reply: RespValue | null): Message[] {
  assert.ok(reply !== null && reply[0] === '*', JSON.stringify(reply))
  return (reply[1] as readonly RespValue[]).map((message) => {
    assert.equal(message[0], '*')
    const [id, ticket, body] = message[1] as readonly RespValue[]
    assert.deepEqual([id?.[0], ticket?.[0], body?.[0]], [':', ':', '$'])
    return { id: Number(id?.[1]), ticket: Number(ticket?.[1]), body: String(body?.[1]) }
  })
}

function wordsOf(words: string): string[] {
  return words.split(' ').map((word) => (word === "''" ? '' : word))
}
