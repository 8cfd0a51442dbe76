/**
 * One RESP connection: chunks to requests, requests to the verbs of its dialect, replies to the outbox in the order of the
 * requests. Sole owner of its socket. An error in a request is answered; a stream that cannot be read any further is
 * answered too, and ended.
 */
import { asLeveretError } from '../../common/errors.js'
import { brief, createLog } from '../../common/log.js'
import type { Turn, TurnTask } from '../../common/turn.js'
import type { Counter } from '../../metrics/registry.js'
import type { Connection } from '../../transport/connection.js'
import type { Accepted } from '../../transport/tcp-listener.js'
import type { Conversation, Dialect, RespPeer, Verb, Wording } from './dialect.js'
import { ReplyQueue } from './reply-queue.js'
import { type RequestLimits, RequestParser } from './request-parser.js'
import { type RespVersion, respError } from './resp-encode.js'
import { RespFault } from './resp-fault.js'
import type { RespRequest } from './resp-request.js'

const log = createLog('gateways:resp')
/** A peer that was told goodbye has this long to read it. */
const GOODBYE_MS = 5_000
/** What is read of a connection while a request waits, so that it is seen to leave. */
const BACKLOG_BYTES_MAX = 64 * 1024
const NO_NAME = Buffer.alloc(0)

export interface RespLimits extends RequestLimits {
  /** Bytes that wait to be written before nothing more is read and nothing delivered. */
  readonly outboxBytesMax: number
  /** Time from the first byte of a request to its last. A peer that says nothing may do so for ever. */
  readonly requestTimeoutMs: number
  /** The same for the first request of a connection, of whom nobody knows yet whether it speaks RESP at all. */
  readonly handshakeTimeoutMs: number
  /** Time in which a peer must take what was written to it; null is for ever. */
  readonly drainTimeoutMs: number | null
}

export interface RespCounters {
  readonly requests: Counter
  readonly errors: Counter
  readonly faults: Counter
  readonly timeouts: Counter
}

export interface RespContext<State extends Conversation> {
  readonly dialect: Dialect<State>
  readonly handshake: ReadonlyMap<string, Verb<Conversation>>
  readonly limits: RespLimits
  readonly turn: Turn
  readonly counters: RespCounters
  /** Coarse monotonic time of the listener. */
  coarseNowMs(): number
}

export class RespSession<State extends Conversation> implements Accepted, RespPeer, TurnTask {
  readonly connection: Connection
  version: RespVersion = 2
  clientName = ''
  isLibrary = false
  hasSpoken = false
  readonly #context: RespContext<State>
  readonly #parser: RequestParser
  readonly #replies: ReplyQueue
  readonly #state: State
  /** A whole request came. */
  #isKnown = false
  /** A request is under way that the next one has to wait for. */
  #isBusy = false
  /** The request at hand waits for the replies of those before it. */
  #waiting: Verb<State> | null = null
  #isScheduled = false
  /** A verb of the dialect, and how it was spelled. */
  #lastVerb: Verb<State> | null = null
  #lastName: Buffer = NO_NAME
  /** Arrived while a request waited, and not parsed yet. */
  readonly #backlog: Buffer[] = []
  #backlogBytes = 0
  /** Nothing more is read: when all is answered the connection ends. */
  #isLeaving = false
  /** What was read and not handled is not looked at any more. */
  #isOver = false
  /** Coarse times: since when a request is half there, goodbye said. */
  #requestSinceMs: number | null = null
  #endedMs: number | null = null

  constructor(connection: Connection, context: RespContext<State>) {
    this.connection = connection
    this.#context = context
    this.#parser = new RequestParser(context.limits)
    this.#replies = new ReplyQueue(connection.outbox, context.limits.outboxBytesMax)
    this.#state = context.dialect.open(this)
  }

  get heldReplies(): number {
    return this.#replies.held
  }

  received(chunk: Buffer): void {
    if (this.connection.isEnding || this.#isOver) return
    if (this.#isBusy) {
      this.#backlog.push(chunk)
      this.#backlogBytes += chunk.length
      if (this.#backlogBytes > BACKLOG_BYTES_MAX) this.connection.pause()
      return
    }
    this.#parser.push(chunk)
    this.#readRequests()
  }

  ended(): void {
    this.#isLeaving = true
    this.#state.ended()
    this.#readRequests()
  }

  drained(): void {
    this.#state.drained()
    this.#readRequests()
  }

  closed(): void {
    this.#state.close()
  }

  quit(): void {
    this.#isLeaving = true
    this.#isOver = true
  }

  sweep(nowMs: number): void {
    const { limits, counters } = this.#context
    if (this.#endedMs !== null) {
      if (nowMs - this.#endedMs > GOODBYE_MS) this.connection.destroy()
      return
    }
    const { blockedSinceMs } = this.connection
    if (blockedSinceMs !== null && limits.drainTimeoutMs !== null && nowMs - blockedSinceMs > limits.drainTimeoutMs) {
      counters.timeouts.value++
      log('%d: destroyed, it did not read for %d ms', this.connection.id, nowMs - blockedSinceMs)
      this.connection.destroy()
      return
    }
    if (this.#requestSinceMs === null) return
    // A peer that is not read cannot be late.
    if (this.#isBusy || this.connection.isBlocked) this.#requestSinceMs = nowMs
    else if (nowMs - this.#requestSinceMs > (this.#isKnown ? limits.requestTimeoutMs : limits.handshakeTimeoutMs)) {
      counters.timeouts.value++
      this.#break(new RespFault('late', 'a request was begun and not finished in time'))
    }
  }

  shutDown(): void {
    this.#isLeaving = true
    this.#state.ended()
    this.#readRequests()
  }

  refuse(): void {
    this.connection.outbox.pass(respError('ERR max number of clients reached'))
    this.#end()
  }

  reply(bytes: Buffer): void {
    this.#state.flush()
    this.#replies.add(bytes)
    this.connection.flushSoon()
  }

  fail(text: string): void {
    this.#context.counters.errors.value++
    this.reply(respError(text))
  }

  later(): number {
    this.#state.flush()
    return this.#replies.open()
  }

  settle(ticket: number, bytes: Buffer): void {
    const replies = this.#replies
    const { held, isFull } = replies
    replies.settle(ticket, bytes)
    if (this.connection.isEnding) return
    this.connection.flushSoon()
    const isAwaited = this.#waiting !== null || this.#isLeaving
    if (isFull || (held > 0 && replies.held === 0) || (isAwaited && replies.pending === 0)) this.#goOnSoon()
  }

  /** Replies that others waited for have left. */
  runTurn(): void {
    this.#isScheduled = false
    if (this.connection.isEnding) return
    const verb = this.#waiting
    if (verb !== null && this.#replies.pending === 0) {
      this.#waiting = null
      this.#isBusy = false
      this.#run(verb)
    }
    this.#state.drained()
    this.#readRequests()
  }

  #goOnSoon(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#context.turn.afterwards(this)
  }

  #readRequests(): void {
    const isFull = this.#handleRequests()
    this.#state.flush()
    if (isFull) {
      // The peer has much to read, or to wait for: it is answered before it is asked any more.
      this.connection.flushSoon()
      this.connection.pause()
      return
    }
    if (this.#isBusy || this.connection.isEnding) return
    if (this.#isLeaving) {
      this.connection.pause()
      if (this.#replies.pending === 0) this.#end()
      return
    }
    this.connection.resume()
    if (this.#parser.inRequest) this.#requestSinceMs ??= this.#context.coarseNowMs()
  }

  /** Until none is left, or one has to be waited for, or (true) too much waits for the peer. */
  #handleRequests(): boolean {
    while (!this.#isBusy && !this.#isOver && !this.connection.isEnding) {
      if (this.connection.unsentBytes > this.#context.limits.outboxBytesMax || this.#replies.isFull) return true
      if (this.#nextRequest()) this.#handle()
      else if (!this.#nextChunk()) break
    }
    return false
  }

  #nextChunk(): boolean {
    const chunk = this.#backlog.shift()
    if (chunk === undefined || this.#isOver) return false
    this.#backlogBytes -= chunk.length
    this.#parser.push(chunk)
    return true
  }

  #nextRequest(): boolean {
    try {
      return this.#parser.next()
    } catch (error) {
      if (!(error instanceof RespFault)) throw error
      this.#break(error)
      return false
    }
  }

  #handle(): void {
    const { dialect, counters } = this.#context
    const { request } = this.#parser
    counters.requests.value++
    this.#isKnown = true
    // The request is whole; the next one has its own time, even if it began in the same chunk.
    this.#requestSinceMs = null
    const complaint = complaintOn(request, dialect.wording)
    if (complaint !== null) {
      this.fail(complaint)
      return
    }
    const verb = this.#verb(request)
    log.enabled && log('%d -> %s', this.connection.id, brief(request.shown(0)))
    if (verb === null) {
      const name = request.text(0)
      this.fail(name === null ? dialect.wording.odd : dialect.wording.unknown(name))
      return
    }
    if (verb.isOrdered) this.#state.flush()
    if (verb.isOrdered && this.#replies.pending > 0) {
      this.#waiting = verb
      this.#isBusy = true
    } else this.#run(verb)
  }

  #verb(request: RespRequest): Verb<State> | null {
    const { dialect, handshake } = this.#context
    // Who has said it once says it again.
    if (this.#lastVerb !== null && request.is(0, this.#lastName)) return this.#lastVerb
    const name = request.shown(0)
    const spoken = dialect.verbs.get(name) ?? dialect.verbs.get(name.toLowerCase())
    if (spoken === undefined) return handshake.get(name.toLowerCase()) ?? null
    this.hasSpoken = true
    this.#lastName = Buffer.from(name)
    this.#lastVerb = spoken
    return spoken
  }

  #run(verb: Verb<State>): void {
    try {
      const pending = verb.run(this.#state, this.#parser.request, this)
      if (pending !== null) this.#await(pending)
    } catch (error) {
      this.#failed(error)
    }
  }

  #await(pending: Promise<void>): void {
    this.#isBusy = true
    pending
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#isBusy = false
        this.#readRequests()
      })
  }

  #failed(thrown: unknown): void {
    const error = asLeveretError(thrown)
    if (error.code === 'LVT_INTERNAL') log('%d: defect: %O', this.connection.id, error.cause ?? error)
    this.fail(this.#context.dialect.wording.failure(error))
  }

  /** The stream cannot be read any further: say why, behind what is still to be answered, and end. */
  #break(fault: RespFault): void {
    this.#context.counters.faults.value++
    log('%d: %s', this.connection.id, fault.message)
    this.fail(this.#context.dialect.wording.fault(fault))
    this.quit()
    this.#requestSinceMs = null
    this.connection.pause()
    if (this.#replies.pending === 0) this.#end()
  }

  #end(): void {
    if (this.connection.isEnding) return
    this.#endedMs = this.#context.coarseNowMs()
    this.#state.close()
    this.connection.end()
  }
}

/** Why a request is none, whatever its verb. */
function complaintOn(request: RespRequest, wording: Wording): string | null {
  if (request.shape === 'odd' || request.shape === 'nil') return wording.noArray
  if (request.count === 0) return wording.empty
  if (request.oddities > 0) return wording.odd
  return request.lines > 0 ? wording.lines(request) : null
}
