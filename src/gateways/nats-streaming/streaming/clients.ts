/**
 * Who is registered: clients by their ID and by the ID of their connection, and whether they still answer. A client is no
 * connection of the network: it comes back on another one without a word, and is gone only when it says so or answers no more.
 */
import type { Clock, Timer } from '../../../common/clock.js'
import type { Counter, MetricsRegistry } from '../../../metrics/registry.js'
import type { Router } from '../core/router.js'
import { Inquiries } from './inquiries.js'

/** How long the client that is registered has to say that it is there when another one comes with its ID. */
const DUPLICATE_CHECK_MS = 500
const HURRY_MS = 1

/** What is kept of a client over restarts. */
export interface ClientFacts {
  readonly id: string
  /** Empty: not to be reached. */
  readonly heartbeatInbox: string
  /** Empty: it has none. */
  readonly connId: string
  readonly protocol: number
  readonly pingInterval: number
  readonly pingMaxOut: number
}

export interface Client extends ClientFacts {
  /** Heartbeats in a row that were not answered. */
  readonly failures: number
  readonly isFailing: boolean
  /** Replaced, timed out, or never kept: what it asked for and is not done is refused. Who closes gets what it asked for before. */
  readonly isCastOut: boolean
  /** Its publishes without an answer; counted by whoever answers them. */
  publishes: number
}

export interface HeartbeatSettings {
  readonly intervalMs: number
  readonly timeoutMs: number
  /** One more, and the client is closed. */
  readonly failuresMax: number
}

export interface ClientsListener {
  /** It began to answer no heartbeats, or answers again. */
  failing(client: Client): void
  /** It answered no heartbeat for so long that it is to be closed. It is still registered. */
  timedOut(client: Client): void
}

export interface ClientsOptions {
  readonly router: Router
  readonly clock: Clock
  readonly heartbeats: HeartbeatSettings
  readonly listener: ClientsListener
  readonly metrics: MetricsRegistry
}

class Registration implements Client {
  readonly id: string
  readonly heartbeatInbox: string
  readonly connId: string
  readonly protocol: number
  readonly pingInterval: number
  readonly pingMaxOut: number
  failures = 0
  isCastOut = false
  publishes = 0
  /** Somebody else asks for its ID, and it is asked whether it is there. */
  isChecked = false
  timer: Timer | null = null

  constructor(facts: ClientFacts) {
    this.id = facts.id
    this.heartbeatInbox = facts.heartbeatInbox
    this.connId = facts.connId
    this.protocol = facts.protocol
    this.pingInterval = facts.pingInterval
    this.pingMaxOut = facts.pingMaxOut
  }

  get isFailing(): boolean {
    return this.failures > 0
  }
}

export class Clients {
  readonly #options: ClientsOptions
  readonly #inquiries: Inquiries
  readonly #byId = new Map<string, Registration>()
  readonly #byConnId = new Map<string, Registration>()
  readonly #missed: Counter
  readonly #timedOut: Counter

  constructor(options: ClientsOptions) {
    this.#options = options
    this.#inquiries = new Inquiries(options.router, options.clock)
    const { metrics } = options
    metrics.gauge('leveret_nats_streaming_clients', 'Clients that are registered', () => this.#byId.size)
    this.#missed = metrics.counter('leveret_nats_streaming_heartbeats_missed_total', 'Heartbeats without an answer')
    this.#timedOut = metrics.counter(
      'leveret_nats_streaming_clients_timed_out_total',
      'Clients that were closed because they answered no heartbeats',
    )
  }

  get size(): number {
    return this.#byId.size
  }

  start(): void {
    this.#inquiries.start()
  }

  stop(): void {
    for (const client of this.#byId.values()) client.timer?.cancel()
    this.#inquiries.stop()
  }

  get(id: string): Client | null {
    return this.#byId.get(id) ?? null
  }

  all(): Iterable<Client> {
    return this.#byId.values()
  }

  ofConnection(connId: string): Client | null {
    return this.#byConnId.get(connId) ?? null
  }

  /** Who publishes under these names; those who know of no connections are known by their ID alone. */
  publisher(id: string, connId: string): Client | null {
    return (connId === '' ? this.#byId.get(id) : this.#byConnId.get(connId)) ?? null
  }

  /** From now on the ID is taken. It must be free. */
  add(facts: ClientFacts): Client {
    const client = new Registration(facts)
    this.#byId.set(client.id, client)
    if (client.connId !== '') this.#byConnId.set(client.connId, client)
    return client
  }

  /** Ask it for a sign of life from time to time, as long as it is registered. */
  watch(client: Client): void {
    const registered = this.#byId.get(client.id)
    if (registered === client) this.#arm(registered, this.#options.heartbeats.intervalMs)
  }

  /** It is registered no more, and nothing that is under way for it is done. False if it was not there any more. */
  castOut(client: Client): boolean {
    const registered = this.#byId.get(client.id)
    if (registered === client) registered.isCastOut = true
    return this.remove(client)
  }

  /** It is registered no more. False if it was not there any more. */
  remove(client: Client): boolean {
    const registered = this.#byId.get(client.id)
    if (registered !== client) return false
    registered.timer?.cancel()
    registered.timer = null
    this.#byId.delete(client.id)
    if (this.#byConnId.get(client.connId) === registered) this.#byConnId.delete(client.connId)
    return true
  }

  /** It has shown itself: what it missed is looked at again right away. */
  hurry(client: Client): void {
    const registered = this.#byId.get(client.id)
    if (registered === client && registered.isFailing) this.#arm(registered, HURRY_MS)
  }

  /** Whether it answers within half a second; null if that is being asked already. */
  isThere(client: Client): Promise<boolean> | null {
    const registered = this.#byId.get(client.id)
    if (registered === undefined || registered !== client) return Promise.resolve(false)
    if (registered.isChecked) return null
    registered.isChecked = true
    return new Promise((resolve) => {
      this.#inquiries.ask(registered.heartbeatInbox, DUPLICATE_CHECK_MS, (isAnswered) => {
        registered.isChecked = false
        resolve(isAnswered)
      })
    })
  }

  #arm(client: Registration, delayMs: number): void {
    client.timer?.cancel()
    client.timer = this.#options.clock.after(delayMs, () => this.#ask(client))
  }

  #ask(client: Registration): void {
    client.timer = null
    this.#inquiries.ask(client.heartbeatInbox, this.#options.heartbeats.timeoutMs, (isAnswered) =>
      this.#heard(client, isAnswered),
    )
  }

  #heard(client: Registration, isAnswered: boolean): void {
    if (this.#byId.get(client.id) !== client) return
    const { heartbeats, listener } = this.#options
    const wasFailing = client.isFailing
    if (isAnswered) client.failures = 0
    else {
      client.failures++
      this.#missed.value++
    }
    if (client.isFailing !== wasFailing) listener.failing(client)
    if (client.failures > heartbeats.failuresMax) {
      this.#timedOut.value++
      listener.timedOut(client)
    } else if (client.timer === null) this.#arm(client, heartbeats.intervalMs)
  }
}
