/**
 * Accepts connections on one address: a cap, a set of what is open, one coarse clock and one sweep for all timeouts,
 * and an orderly stop. What a connection speaks is its owner's business.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Clock, Timer } from '../common/clock.js'
import { LeveretError } from '../common/errors.js'
import { createLog } from '../common/log.js'
import type { Service, StopOptions } from '../common/service.js'
import type { Turn, TurnTask } from '../common/turn.js'
import type { Counter, MetricsRegistry } from '../metrics/registry.js'
import { Connection, type ConnectionContext, type ConnectionOwner } from './connection.js'
import { OutboxSlab } from './outbox.js'

const SWEEP_MS = 500
/** A sweep that comes this much later than it should says that the process stood still. */
const STALL_MS = 500
/** How far coarse time is behind at most, while the process does not stall. */
export const COARSE_MS = SWEEP_MS
/** Half-open peers are found by TCP itself after this long in silence. */
const KEEP_ALIVE_MS = 30_000
const BACKLOG = 4096
const log = createLog('transport:listener')

/** One accepted connection, as the listener needs it. */
export interface Accepted extends ConnectionOwner {
  /** Look at the timeouts; called about twice a second. */
  sweep(nowMs: number): void
  /** The server stops: tell the peer, finish what is under way, then end. */
  shutDown(): void
  /** The server is full: tell the peer and end. */
  refuse(): void
}

export interface ListenerOptions {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly connectionsMax: number
  /** High-water mark of a connection's socket, in bytes. */
  readonly outboxBytesMax: number
  readonly clock: Clock
  readonly turn: Turn
  readonly metrics: MetricsRegistry
  /** What its metrics are named after; `transport` unless given. */
  readonly metricsRoom?: string
  readonly accept: (connection: Connection) => Accepted
}

export class TcpListener implements Service, ConnectionContext, TurnTask {
  readonly name: string
  readonly host: string
  readonly slab = new OutboxSlab()
  readonly turn: Turn
  readonly #options: ListenerOptions
  readonly #accepted = new Map<Connection, Accepted>()
  readonly #accepts: Counter
  readonly #refusals: Counter
  readonly #stalls: Counter
  #longestStallMs = 0
  #server: Server | null = null
  #sweep: Timer | null = null
  /** Coarse time: the monotonic time without the stretches in which the loop stood still. */
  #nowMs: number
  /** Monotonic time of the last sweep. */
  #sweptMs: number
  #isSweeping = false
  #nextId = 1
  /** Resolves `stop` when the last connection is gone. */
  #onEmpty: (() => void) | null = null
  /** Set while `stop` drains. */
  #deadline: Timer | null = null

  constructor(options: ListenerOptions) {
    this.name = options.name
    this.host = options.host
    this.turn = options.turn
    this.#options = options
    this.#nowMs = options.clock.monotonic()
    this.#sweptMs = this.#nowMs
    const { metrics } = options
    const room = `leveret_${options.metricsRoom ?? 'transport'}`
    this.#accepts = metrics.counter(`${room}_connections_accepted_total`, 'Connections accepted')
    this.#refusals = metrics.counter(`${room}_connections_refused_total`, 'Connections refused at the limit')
    this.#stalls = metrics.counter(
      `${room}_stalls_total`,
      `Times that the process stood still for ${STALL_MS} ms and more; no peer is taken for silent by that`,
    )
    metrics.gauge(`${room}_longest_stall_ms`, 'Longest time that the process stood still', () =>
      Math.round(this.#longestStallMs),
    )
    metrics.gauge(`${room}_connections`, 'Open connections', () => this.#accepted.size)
  }

  /** The port that was opened; the configured one before. */
  get port(): number {
    const address = this.#server?.address() as AddressInfo | null | undefined
    return address?.port ?? this.#options.port
  }

  get connections(): number {
    return this.#accepted.size
  }

  coarseNowMs(): number {
    return this.#nowMs
  }

  async start(): Promise<void> {
    const { host, port, clock, outboxBytesMax } = this.#options
    const server = createServer(
      {
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_MS,
        highWaterMark: outboxBytesMax,
      },
      (socket) => this.#accept(socket),
    )
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, this.name, host, port)))
      server.listen({ host, port, backlog: BACKLOG }, resolve)
    })
    // Failing to accept, for want of file descriptors, ends no connection and not the server.
    server.on('error', (error) => log('%s: %s', this.name, error.message))
    this.#server = server
    this.#sweep = clock.every(SWEEP_MS, () => this.#sweepAll())
  }

  async stop({ deadlineMs }: StopOptions): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    server.close()
    for (const accepted of [...this.#accepted.values()]) accepted.shutDown()
    if (this.#accepted.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve
        this.#deadline = this.#options.clock.after(deadlineMs, () => this.#destroyAll(), true)
      })
      this.#deadline?.cancel()
    }
    this.#sweep?.cancel()
    this.#sweep = null
  }

  #accept(socket: Socket): void {
    const connection = new Connection(this.#nextId++, socket, this)
    const accepted = this.#options.accept(connection)
    this.#accepted.set(connection, accepted)
    connection.open(accepted)
    this.#accepts.value++
    if (this.#accepted.size > this.#options.connectionsMax || this.#server === null) {
      this.#refusals.value++
      accepted.refuse()
    }
  }

  /** A connection is gone; its owner has been told. */
  forget(connection: Connection): void {
    this.#accepted.delete(connection)
    if (this.#accepted.size === 0) this.#onEmpty?.()
  }

  #destroyAll(): void {
    for (const connection of [...this.#accepted.keys()]) connection.destroy()
  }

  /** The second half of a sweep: the sockets of this turn have been read. */
  runTurn(): void {
    this.#isSweeping = false
    for (const accepted of this.#accepted.values()) accepted.sweep(this.#nowMs)
  }

  /** A stall of this process is no silence of its peers: it counts as one late sweep, and they are heard first. */
  #sweepAll(): void {
    const nowMs = this.#options.clock.monotonic()
    this.#noteStall(nowMs - this.#sweptMs - SWEEP_MS)
    this.#nowMs += Math.min(nowMs - this.#sweptMs, 2 * SWEEP_MS)
    this.#sweptMs = nowMs
    if (this.#isSweeping) return
    this.#isSweeping = true
    this.turn.atEnd(this)
  }

  #noteStall(lateMs: number): void {
    if (lateMs < STALL_MS) return
    this.#stalls.value++
    this.#longestStallMs = Math.max(this.#longestStallMs, lateMs)
    log('%s: the process stood still for %d ms', this.name, lateMs)
  }
}

function listenError(error: NodeJS.ErrnoException, name: string, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    const message = `cannot listen on ${host}:${port} for ${name}: the address is already in use`
    return new LeveretError('LVT_ADDRESS_IN_USE', message, { cause: error })
  }
  return new LeveretError('LVT_CONFIG_INVALID', `cannot listen on ${host}:${port} for ${name}: ${error.message}`, {
    cause: error,
  })
}
