/**
 * What clients ask for, one handler a subject: what is wrong is told in the words and in the order of the original. A request
 * counts from the moment it arrives, so that what a connection sent before it is done before it; what has to be kept is kept
 * before it is answered.
 */
import type { Counter, MetricsRegistry } from '../../../metrics/registry.js'
import type { NatsMessage, Router } from '../core/router.js'
import { isChannelName } from './channel-names.js'
import type { Client, ClientFacts, Clients } from './clients.js'
import type { Deliveries } from './deliveries.js'
import { textOf } from './fault.js'
import { isInbox } from './inbox.js'
import type { Journal } from './journal.js'
import {
  type ConnectRequest,
  decodeCloseRequest,
  decodeConnectRequest,
  decodePing,
  decodeSubscriptionRequest,
  decodeUnsubscribeRequest,
  encodeConnectError,
  encodeConnectResponse,
  encodeError,
  encodeSubscriptionError,
  encodeSubscriptionResponse,
  START_FIRST,
  type SubscriptionRequest,
} from './messages.js'
import { Order } from './order.js'
import type { StreamingState } from './streaming-state.js'
import type { StreamingSubjects } from './streaming-subjects.js'

const CLIENT_ID = /^[a-zA-Z0-9_-]+$/
const INVALID_CONNECT = 'stan: invalid connection request'
const INVALID_CLIENT_ID = 'stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed'
const TAKEN = 'stan: clientID already registered'
const UNKNOWN_CLIENT = 'stan: unknown clientID'
const NOT_REGISTERED = 'client has been replaced or is no longer registered'
const TOO_MANY_CLIENTS = 'too many clients'
const TOO_MANY_REQUESTS = 'too many requests at once'
const NOTHING = Buffer.alloc(0)

export interface RequestsOptions {
  readonly router: Router
  readonly clients: Clients
  readonly deliveries: Deliveries
  readonly state: StreamingState
  readonly subjects: StreamingSubjects
  readonly journal: Journal
  readonly limits: {
    readonly clientsMax: number
    /** That are begun and not answered. */
    readonly requestsMax: number
  }
  readonly metrics: MetricsRegistry
}

export class Requests {
  readonly #options: RequestsOptions
  readonly #order = new Order()
  readonly #counters: { readonly requests: Counter; readonly refused: Counter }

  constructor(options: RequestsOptions) {
    this.#options = options
    const { metrics } = options
    this.#counters = {
      requests: metrics.counter('leveret_nats_streaming_requests_total', 'Requests of clients, publishes aside'),
      refused: metrics.counter('leveret_nats_streaming_requests_refused_total', 'Requests answered with an error'),
    }
    metrics.gauge('leveret_nats_streaming_requests_pending', 'Requests without an answer', () => this.#order.running)
  }

  connect({ payload, reply }: NatsMessage): void {
    this.#counters.requests.value++
    const refusal = this.#connect(decodeConnectRequest(payload), reply)
    if (refusal !== null) this.#refuse(reply, encodeConnectError(refusal))
  }

  ping({ payload, reply }: NatsMessage): void {
    const connId = payload.length === 0 ? null : decodePing(payload)
    if (connId === null || reply === '') return
    const client = this.#options.clients.ofConnection(connId)
    if (client !== null) this.#options.clients.hurry(client)
    this.#send(reply, client === null ? encodeError(NOT_REGISTERED) : NOTHING)
  }

  subscribe({ payload, reply }: NatsMessage): void {
    this.#counters.requests.value++
    const refusal = this.#subscribe(decodeSubscriptionRequest(payload), reply)
    if (refusal !== null) this.#refuse(reply, encodeSubscriptionError(refusal))
  }

  unsubscribe(message: NatsMessage): void {
    this.#leave(message, false)
  }

  closeSubscription(message: NatsMessage): void {
    this.#leave(message, true)
  }

  close({ payload, reply }: NatsMessage): void {
    this.#counters.requests.value++
    const id = decodeCloseRequest(payload)
    const client = id === null ? null : this.#options.clients.get(id)
    if (client === null) {
      this.#refuse(reply, encodeError(id === null ? 'stan: invalid close request' : UNKNOWN_CLIENT))
      return
    }
    this.#options.clients.remove(client)
    this.#letGo(client, (error) => {
      if (error === '') this.#send(reply, NOTHING)
      else this.#refuse(reply, encodeError(error))
    })
  }

  /** It answers no heartbeats. */
  timedOut(client: Client): void {
    this.#options.journal.error(`[Client:${client.id}] Timed out on heartbeats`)
    this.#options.clients.castOut(client)
    this.#letGo(client, () => undefined)
  }

  /** Resolves as soon as all that were begun are answered. */
  settled(): Promise<void> {
    return this.#order.settled()
  }

  get #isFull(): boolean {
    return this.#order.running >= this.#options.limits.requestsMax
  }

  /** What is wrong with it; null when it is answered later. */
  #connect(request: ConnectRequest | null, reply: string): string | null {
    if (request === null || request.heartbeatInbox === '') return INVALID_CONNECT
    if (!CLIENT_ID.test(request.clientId)) return INVALID_CLIENT_ID
    if (this.#isFull) return TOO_MANY_REQUESTS
    const { clients, limits } = this.#options
    const known = clients.get(request.clientId)
    if (known === null) {
      if (clients.size >= limits.clientsMax) return TOO_MANY_CLIENTS
      this.#register(request, reply)
      return null
    }
    const answer = clients.isThere(known)
    if (answer === null) return TAKEN
    // Its client waits for that, and others with this ID do not.
    void this.#order.aside(async () => {
      const isThere = await answer
      const current = clients.get(request.clientId)
      // Closed meanwhile, or somebody else was quicker.
      const isTaken = current === known ? isThere : current !== null
      if (!isTaken) {
        this.#replace(request, reply, current)
        return
      }
      this.#debug(() => `[Client:${request.clientId}] Connect failed; already connected`)
      this.#refuse(reply, encodeConnectError(TAKEN))
    })
    return null
  }

  #subscribe(request: SubscriptionRequest | null, reply: string): string | null {
    if (request === null) return 'stan: invalid subscription request'
    const refusal = refusalOf(request)
    if (refusal !== null) return refusal
    const { clients, deliveries } = this.#options
    const client = clients.get(request.clientId)
    if (client === null) return UNKNOWN_CLIENT
    if (this.#isFull) return TOO_MANY_REQUESTS
    this.#order.beside(client.id, async () => {
      const told = (ackInbox: string): void => this.#send(reply, encodeSubscriptionResponse(ackInbox))
      const failed = await deliveries.subscribe(client, request, told).catch(textOf)
      if (failed !== '') this.#refuse(reply, encodeSubscriptionError(failed))
    })
    return null
  }

  #register(request: ConnectRequest, reply: string): void {
    const { clients, state, journal } = this.#options
    const facts = factsOf(request)
    const client = clients.add(facts)
    this.#order.alone(client.id, async () => {
      try {
        await state.putClient(facts)
      } catch (error) {
        clients.castOut(client)
        this.#refuse(reply, encodeConnectError(textOf(error)))
        // Nobody can say that nothing of it was kept.
        if (clients.get(client.id) === null) await state.removeClient(client.id).catch(() => undefined)
        return
      }
      clients.watch(client)
      if (journal.hasDebug) journal.debug(`[Client:${client.id}] Connected (Inbox=${facts.heartbeatInbox})`)
      this.#send(reply, this.#welcome(request))
    })
  }

  #replace(request: ConnectRequest, reply: string, old: Client | null): void {
    const { clients, deliveries } = this.#options
    const id = request.clientId
    if (old !== null) {
      clients.castOut(old)
      this.#order.alone(id, async () => {
        this.#debug(() => `[Client:${id}] Replaced old client (Inbox=${request.heartbeatInbox})`)
        await deliveries.closeClient(id).catch((error: unknown) => this.#complain(id, error))
      })
    }
    this.#register(request, reply)
  }

  #leave({ payload, reply }: NatsMessage, isClose: boolean): void {
    this.#counters.requests.value++
    const request = decodeUnsubscribeRequest(payload)
    if (request === null || this.#isFull) {
      const error = request === null ? 'stan: invalid unsubscribe request' : TOO_MANY_REQUESTS
      this.#refuse(reply, encodeSubscriptionError(error))
      return
    }
    // What the client subscribed to before may still be on its way, and is to go as well.
    this.#order.alone(request.clientId, async () => {
      const failed = await this.#options.deliveries.leave(request, isClose).catch(textOf)
      if (failed === '') this.#send(reply, NOTHING)
      else this.#refuse(reply, encodeSubscriptionError(failed))
    })
  }

  /** It is unknown from now on; what it had, and what it gets by what it asked for before, is let go of when that is done. */
  #letGo(client: Client, done: (error: string) => void): void {
    const { clients, deliveries, state } = this.#options
    this.#order.alone(client.id, async () => {
      try {
        const kept = [deliveries.closeClient(client.id)]
        // Somebody may have come with the same ID, and what is written last counts.
        if (clients.get(client.id) === null) kept.push(state.removeClient(client.id))
        await Promise.all(kept)
      } catch (error) {
        this.#complain(client.id, error)
        done(textOf(error))
        return
      }
      this.#debug(() => `[Client:${client.id}] Closed (Inbox=${client.heartbeatInbox})`)
      done('')
    })
  }

  #welcome({ protocol, pingInterval, pingMaxOut }: ConnectRequest): Buffer {
    const { subjects } = this.#options
    return encodeConnectResponse({
      pubPrefix: subjects.publishPrefix,
      subRequests: subjects.subscribe,
      unsubRequests: subjects.unsubscribe,
      closeRequests: subjects.close,
      subCloseRequests: subjects.closeSubscription,
      pings: protocol >= 1 ? { requests: subjects.pings, interval: pingInterval, maxOut: pingMaxOut } : null,
    })
  }

  #debug(line: () => string): void {
    const { journal } = this.#options
    if (journal.hasDebug) journal.debug(line())
  }

  #complain(id: string, error: unknown): void {
    this.#options.journal.error(`[Client:${id}] ${textOf(error)}`)
  }

  #refuse(subject: string, payload: Buffer): void {
    this.#counters.refused.value++
    this.#send(subject, payload)
  }

  #send(subject: string, payload: Buffer): void {
    if (subject !== '') this.#options.router.publish({ subject, reply: '', headers: null, payload })
  }
}

/** What is wrong with it, as far as that can be told from the request alone. */
function refusalOf(request: SubscriptionRequest): string | null {
  if (request.clientId === '') return 'stan: clientID missing'
  if (request.ackWaitSeconds <= 0) return 'stan: invalid ack wait time, should be >= 1s'
  if (request.maxInFlight <= 0) return 'stan: invalid MaxInflight, should be >= 1'
  if (request.startPosition < 0 || request.startPosition > START_FIRST) return 'stan: invalid start position'
  return isChannelName(request.channel) ? null : 'stan: invalid subject'
}

/** An inbox that nothing can be sent to is none. */
function factsOf({
  clientId,
  heartbeatInbox,
  connId,
  protocol,
  pingInterval,
  pingMaxOut,
}: ConnectRequest): ClientFacts {
  const inbox = isInbox(heartbeatInbox) ? heartbeatInbox : ''
  return { id: clientId, heartbeatInbox: inbox, connId, protocol, pingInterval, pingMaxOut }
}
