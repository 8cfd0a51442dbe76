/**
 * One socket: chunks in, ordered writes out once a turn, back-pressure both ways, and the times by which a peer that
 * does not read is told. Knows bytes, not frames.
 */
import type { Socket } from 'node:net'
import { createLog } from '../common/log.js'
import type { Turn, TurnTask } from '../common/turn.js'
import { Outbox, type OutboxSlab } from './outbox.js'

const log = createLog('transport:connection')
const COMPACTED_BYTES_MAX = 16 * 1024

/** Who owns the connection. Every call comes from the socket; none after `closed`. */
export interface ConnectionOwner {
  received(chunk: Buffer): void
  /** The peer will send nothing more. */
  ended(): void
  /** What was written has left; there is room for more. */
  drained(): void
  closed(): void
}

export interface ConnectionContext {
  readonly turn: Turn
  readonly slab: OutboxSlab
  /** Coarse monotonic time in milliseconds, as of the listener's last sweep. */
  coarseNowMs(): number
  /** The connection is gone. */
  forget(connection: Connection): void
}

export class Connection implements TurnTask {
  readonly id: number
  readonly outbox: Outbox
  readonly #socket: Socket
  readonly #context: ConnectionContext
  #owner: ConnectionOwner | null = null
  #isScheduled = false
  #isEnding = false
  #isPaused = false
  #isClosed = false
  /** Coarse time since when the socket takes no more, or null while it does. */
  blockedSinceMs: number | null = null

  constructor(id: number, socket: Socket, context: ConnectionContext) {
    this.id = id
    this.#socket = socket
    this.#context = context
    this.outbox = new Outbox(context.slab)
  }

  get remote(): string {
    return `${this.#socket.remoteAddress ?? '?'}:${this.#socket.remotePort ?? 0}`
  }

  /** Begin to pass on what arrives. */
  open(owner: ConnectionOwner): void {
    this.#owner = owner
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => owner.received(chunk))
    socket.on('drain', () => this.#drained())
    socket.on('end', () => owner.ended())
    socket.on('error', (error) => log('%d: %s', this.id, error.message))
    socket.on('close', () => this.#closed())
  }

  /** Bytes on their way to the peer that the kernel has not taken. */
  get unsentBytes(): number {
    return this.outbox.bytes + this.#socket.writableLength
  }

  /** Whether the socket has said that it wants no more for now. */
  get isBlocked(): boolean {
    return this.blockedSinceMs !== null
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whether `end` or `destroy` was called. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Something was put into the outbox: it is written when this turn's frames are all there. */
  flushSoon(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    this.#context.turn.afterwards(this)
  }

  runTurn(): void {
    this.#isScheduled = false
    this.#flush()
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isPaused || this.#isClosed) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** Write what waits, then FIN. What still arrives is thrown away. */
  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    this.#flush()
    this.#socket.end()
    this.#socket.resume()
  }

  destroy(): void {
    this.#isEnding = true
    this.#socket.destroy()
  }

  #flush(): void {
    const socket = this.#socket
    if (this.#isClosed || socket.destroyed) {
      this.outbox.take()
      return
    }
    const { bytes } = this.outbox
    const chunks = this.outbox.take()
    if (chunks.length === 0) return
    if ((socket.writableLength > 0 || chunks.length > 1) && bytes <= COMPACTED_BYTES_MAX) {
      // A peer that is behind must not keep a whole slab in memory for each few bytes; and a write of several pieces
      // costs more than to copy so few.
      socket.write(Buffer.concat(chunks, bytes))
    } else if (chunks.length === 1) socket.write(chunks[0] as Buffer)
    else {
      socket.cork()
      for (const chunk of chunks) socket.write(chunk)
      socket.uncork()
    }
    if (socket.writableNeedDrain) this.blockedSinceMs ??= this.#context.coarseNowMs()
    // The kernel took at once what the owner stopped at: no event will tell it to go on.
    else if (bytes >= socket.writableHighWaterMark && !this.#isEnding) this.#owner?.drained()
  }

  #drained(): void {
    this.blockedSinceMs = null
    this.#owner?.drained()
  }

  #closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isEnding = true
    this.outbox.take()
    this.#owner?.closed()
    this.#owner = null
    this.#context.forget(this)
  }
}
