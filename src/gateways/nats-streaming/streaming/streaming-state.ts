/**
 * What the streaming server has to know after a restart: its clients and what the machine of each channel keeps. One topic for
 * all; every kind has a prefix of its own.
 */
import type { Durability } from '../../../model/topic.js'
import type { StateTopic } from '../../state-topic.js'
import type { ClientFacts } from './clients.js'
import type { StateWrite } from './subscription.js'

/** Whose state it is: its clients look for it under this name only. */
const CLUSTER = 'cluster'
const CLIENT = 'client:'
/** Channels that clients of this protocol made; its limits are for them and nobody else's. */
const MADE = 'made:'

export interface Recovered {
  /** Null where nothing was kept before. */
  readonly clusterId: string | null
  readonly clients: readonly ClientFacts[]
  /** Channels that were made here. */
  readonly made: readonly string[]
  /** Of the machines. */
  readonly others: ReadonlyMap<string, Buffer>
}

export class StreamingState {
  readonly #topic: StateTopic
  readonly #durability: Durability | null

  /** `durability` is the best that the store can do; null where it has nothing but memory. */
  constructor(topic: StateTopic, durability: Durability | null) {
    this.#topic = topic
    this.#durability = durability
  }

  /** Read it once, before anything is written. */
  async open(): Promise<Recovered> {
    let clusterId: string | null = null
    const clients: ClientFacts[] = []
    const made: string[] = []
    const others = new Map<string, Buffer>()
    for (const [key, value] of await this.#topic.open()) {
      if (key === CLUSTER) clusterId = value.toString('utf8')
      else if (key.startsWith(MADE)) made.push(key.slice(MADE.length))
      else if (!key.startsWith(CLIENT)) others.set(key, value)
      else {
        const facts = clientFacts(value)
        if (facts !== null) clients.push(facts)
      }
    }
    return { clusterId, clients, made, others }
  }

  putCluster(id: string): Promise<void> {
    return this.#topic.write([{ key: CLUSTER, value: Buffer.from(id) }], this.#durability)
  }

  putClient(facts: ClientFacts): Promise<void> {
    return this.#topic.write([{ key: CLIENT + facts.id, value: Buffer.from(JSON.stringify(facts)) }], this.#durability)
  }

  removeClient(id: string): Promise<void> {
    return this.#topic.write([{ key: CLIENT + id, value: null }], this.#durability)
  }

  putChannel(name: string): Promise<void> {
    return this.#topic.write([{ key: MADE + name, value: Buffer.from('1') }], this.#durability)
  }

  removeChannel(name: string): Promise<void> {
    return this.#topic.write([{ key: MADE + name, value: null }], this.#durability)
  }

  /** What changed in a channel. Safe from the end of the process, or (`isSafest`) from that of the machine. */
  write(writes: readonly StateWrite[], isSafest: boolean): Promise<void> {
    return this.#topic.write(writes, this.#durability === null || isSafest ? this.#durability : 'os')
  }
}

/** Others may have written anything there. */
function clientFacts(value: Buffer): ClientFacts | null {
  let facts: Partial<Record<keyof ClientFacts, unknown>> | null
  try {
    facts = JSON.parse(value.toString('utf8')) as typeof facts
  } catch {
    return null
  }
  if (typeof facts !== 'object' || facts === null) return null
  const { id, heartbeatInbox, connId, protocol, pingInterval, pingMaxOut } = facts
  if (typeof id !== 'string' || typeof heartbeatInbox !== 'string' || typeof connId !== 'string') return null
  if (typeof protocol !== 'number' || typeof pingInterval !== 'number' || typeof pingMaxOut !== 'number') return null
  return { id, heartbeatInbox, connId, protocol, pingInterval, pingMaxOut }
}
