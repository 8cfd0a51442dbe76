/**
 * One native connection: chunks to frames, frames to the broker, answers to the outbox. Sole owner of its socket.
 * A malformed frame fails one request; an undecodable stream, or a peer that keeps no time, ends the connection.
 */
import type { Broker } from '../broker/broker.js'
import type { TopicFacts } from '../broker/topic-facts.js'
import type { Clock } from '../common/clock.js'
import { asLeveretError, type ErrorCode, LeaseLostError, type LeveretError } from '../common/errors.js'
import { brief, createLog } from '../common/log.js'
import type { PublishReceipt } from '../model/receipt.js'
import { ClientFrameDecoder } from '../protocol/decode-client.js'
import {
  DONE_BYTES_MAX,
  encodeServerFrame,
  publishedBytesMax,
  putDone,
  putPublished,
} from '../protocol/encode-server.js'
import { FrameSplitter } from '../protocol/frame-splitter.js'
import type { ClientFrame, ServerFrame } from '../protocol/frames.js'
import type { Connection } from '../transport/connection.js'
import { type Accepted, COARSE_MS } from '../transport/tcp-listener.js'
import { type DispatchTarget, dispatch, type ServerIdentity } from './dispatch.js'
import { foreignProtocol } from './foreign-protocol.js'
import type { SessionCounters } from './session-counters.js'
import { type SubscriptionLimits, SubscriptionManager } from './subscription-manager.js'

const log = createLog('session')
/** A peer that was told goodbye has this long to read it. */
const GOODBYE_MS = 5_000

export interface SessionLimits extends SubscriptionLimits {
  readonly maxFrameBytes: number
  readonly handshakeTimeoutMs: number
  readonly frameTimeoutMs: number
  readonly drainTimeoutMs: number
}

export interface SessionContext {
  readonly broker: Broker
  readonly clock: Clock
  readonly limits: SessionLimits
  readonly identity: ServerIdentity
  readonly counters: SessionCounters
  /** Where else the server listens, in words; empty if nowhere. */
  elsewhere(): string
  /** Coarse monotonic time of the listener. */
  coarseNowMs(): number
}

export class NativeSession implements Accepted, DispatchTarget {
  readonly #connection: Connection
  readonly #context: SessionContext
  readonly #splitter: FrameSplitter
  readonly #decoder = new ClientFrameDecoder()
  #subscriptions: SubscriptionManager | null = null
  /** A whole, valid frame has arrived: the peer speaks leveret. */
  #isKnown = false
  /** A frame waits for the engine; the next ones are not read until it is answered. */
  #isBusy = false
  /** The peer has sent FIN. What it said before is still answered. */
  #isPeerDone = false
  /** Requests with an id whose publish, or verdict on records of a group, is not settled. */
  #publishing = 0
  /** Requests that are answered together, by what they wait for: there may be one for each record of a group. */
  readonly #settling = new Map<Promise<void>, number[]>()
  /** What to say once nothing is under way any more. */
  #goodbye: { code: ErrorCode; message: string } | null = null
  #heartbeatMs: number | null = null
  /** Coarse times: since when a frame is half there (or the first is missing), last byte heard, goodbye said. */
  #frameSinceMs: number | null
  #heardMs: number
  #endedMs: number | null = null

  constructor(connection: Connection, context: SessionContext) {
    this.#connection = connection
    this.#context = context
    this.#splitter = new FrameSplitter(context.limits.maxFrameBytes)
    this.#frameSinceMs = context.coarseNowMs()
    this.#heardMs = this.#frameSinceMs
  }

  get broker(): Broker {
    return this.#context.broker
  }

  get hasSubscriptions(): boolean {
    return (this.#subscriptions?.size ?? 0) > 0
  }

  get ownsFrame(): boolean {
    return this.#splitter.isOwned
  }

  get identity(): ServerIdentity {
    return this.#context.identity
  }

  get subscriptions(): SubscriptionManager {
    const { broker, clock, limits } = this.#context
    this.#subscriptions ??= new SubscriptionManager({
      broker,
      clock,
      limits,
      turn: broker.turn,
      connection: this.#connection,
      disconnect: (error) => this.#close(error.code, error.message),
    })
    return this.#subscriptions
  }

  received(chunk: Buffer): void {
    if (this.#connection.isEnding || this.#goodbye !== null) return
    this.#heardMs = this.#context.coarseNowMs()
    this.#context.counters.bytesReceived.value += chunk.length
    if (!this.#isKnown && !this.#splitter.inFrame) {
      const foreign = foreignProtocol(chunk)
      if (foreign === 'RESP') {
        this.#turnAway()
        return
      }
      if (foreign !== null) {
        this.#close('LVT_NOT_LEVERET', `this port speaks the native protocol of leveret, not ${foreign}`)
        return
      }
    }
    this.#splitter.push(chunk)
    this.#readFrames()
  }

  ended(): void {
    this.#isPeerDone = true
    this.#readFrames()
  }

  drained(): void {
    this.#subscriptions?.drained()
    this.#readFrames()
  }

  closed(): void {
    this.#subscriptions?.close()
  }

  sweep(nowMs: number): void {
    const { limits } = this.#context
    if (this.#endedMs !== null) {
      if (nowMs - this.#endedMs > GOODBYE_MS) this.#connection.destroy()
      return
    }
    const { blockedSinceMs } = this.#connection
    if (blockedSinceMs !== null && nowMs - blockedSinceMs > limits.drainTimeoutMs) {
      this.#context.counters.timeouts.value++
      log('%d: destroyed, it did not read for %d ms', this.#connection.id, nowMs - blockedSinceMs)
      this.#connection.destroy()
      return
    }
    // A peer that we ourselves do not read cannot be late.
    if (this.#isBusy || this.#connection.isBlocked) {
      this.#heardMs = nowMs
      if (this.#frameSinceMs !== null) this.#frameSinceMs = nowMs
      return
    }
    const since = this.#frameSinceMs
    if (since !== null && nowMs - since > (this.#isKnown ? limits.frameTimeoutMs : limits.handshakeTimeoutMs)) {
      this.#timeOut(this.#isKnown ? 'LVT_FRAME_TIMEOUT' : 'LVT_HANDSHAKE_TIMEOUT', 'no whole frame arrived in time')
    } else if (this.#heartbeatMs !== null && nowMs - this.#heardMs > 2 * this.#heartbeatMs + COARSE_MS) {
      this.#timeOut('LVT_HEARTBEAT_TIMEOUT', `nothing was heard for two intervals of ${this.#heartbeatMs} ms`)
    }
  }

  shutDown(): void {
    this.#goodbye = { code: 'LVT_SHUTTING_DOWN', message: 'the server is stopping' }
    this.#sayGoodbyeIfSettled()
  }

  refuse(): void {
    this.#close('LVT_CONNECTION_LIMIT', 'the server holds as many connections as it may')
  }

  reply(frame: ServerFrame): void {
    if (this.#connection.isEnding) return
    log.enabled && log('%d <- %s %d', this.#connection.id, frame.kind, frame.id)
    this.#connection.outbox.pass(encodeServerFrame(frame))
    this.#connection.flushSoon()
  }

  greeted(heartbeatMs: number | null): void {
    this.#heartbeatMs = heartbeatMs
  }

  closeRequested(): void {
    this.#goodbye = { code: 'LVT_CLOSED', message: 'closed as requested' }
    this.#sayGoodbyeIfSettled()
  }

  publishing(token: number): void {
    if (token !== 0) this.#publishing += token > 0 ? 1 : -1
  }

  published(token: number, topic: TopicFacts, receipt: PublishReceipt): void {
    this.#publishing--
    const { outbox, isEnding } = this.#connection
    if (isEnding) return
    if (receipt.duplicates === null && receipt.parts === null) {
      const name = topic.nameBytes
      const slab = outbox.room(publishedBytesMax(name.length))
      outbox.wrote(putPublished(slab.buffer, slab.used, token, name, receipt))
    } else outbox.pass(encodePublished(token, topic, receipt))
    this.#connection.flushSoon()
    if (this.#goodbye !== null) this.#sayGoodbyeIfSettled()
  }

  publishFailed(token: number, topic: TopicFacts, error: LeveretError): void {
    if (token !== 0) this.#publishing--
    this.#fail(token, error, topic.name)
    if (this.#goodbye !== null) this.#sayGoodbyeIfSettled()
  }

  answerLater(id: number, pending: Promise<void>): void {
    this.publishing(id)
    const ids = this.#settling.get(pending)
    if (ids !== undefined) {
      ids.push(id)
      return
    }
    this.#settling.set(pending, [id])
    pending.then(
      () => this.#settled(pending, null),
      (error: unknown) => this.#settled(pending, asLeveretError(error)),
    )
  }

  #settled(pending: Promise<void>, error: LeveretError | null): void {
    const ids = this.#settling.get(pending) ?? []
    this.#settling.delete(pending)
    for (const id of ids) {
      if (error !== null) this.#fail(id, error, '')
      else if (id !== 0) this.#done(id)
      this.publishing(-id)
    }
    if (this.#goodbye !== null) this.#sayGoodbyeIfSettled()
  }

  #done(id: number): void {
    const { outbox, isEnding } = this.#connection
    if (isEnding) return
    const slab = outbox.room(DONE_BYTES_MAX)
    outbox.wrote(putDone(slab.buffer, slab.used, id))
    this.#connection.flushSoon()
  }

  #readFrames(): void {
    while (!this.#isBusy && this.#goodbye === null && !this.#connection.isEnding) {
      if (this.#connection.unsentBytes > this.#context.limits.outboxBytesMax) {
        // The peer has much to read: it is asked to do so before it is answered any more.
        this.#connection.flushSoon()
        this.#connection.pause()
        return
      }
      if (!this.#nextFrame()) break
      this.#handle()
    }
    if (this.#isBusy) return
    this.#decoder.release()
    this.#connection.resume()
    this.#timeFrame()
    if (this.#isPeerDone) {
      this.#goodbye ??= { code: 'LVT_CLOSED', message: 'the peer closed its side' }
      this.#sayGoodbyeIfSettled()
    }
  }

  #nextFrame(): boolean {
    try {
      return this.#splitter.next()
    } catch (error) {
      const { code, message } = asLeveretError(error)
      this.#close(code, message)
      return false
    }
  }

  #handle(): void {
    const { buffer, start, end } = this.#splitter
    const { counters } = this.#context
    counters.frames.value++
    // The frame is whole; the next one has its own time, even if it began in the same chunk.
    this.#frameSinceMs = null
    let frame: ClientFrame
    try {
      frame = this.#decoder.decode(buffer, start, end)
    } catch (error) {
      counters.malformed.value++
      const { message, code } = asLeveretError(error)
      if (this.#isKnown) this.#fail(this.#decoder.failedId, asLeveretError(error), '')
      else this.#close(code === 'LVT_PROTOCOL' ? 'LVT_NOT_LEVERET' : code, message)
      return
    }
    this.#isKnown = true
    log.enabled &&
      log('%d -> %s %d %s', this.#connection.id, frame.kind, frame.id, 'topic' in frame ? brief(frame.topic) : '')
    try {
      const pending = dispatch(this, frame)
      if (pending !== null) this.#await(pending, frame)
    } catch (error) {
      this.#fail(frame.id, asLeveretError(error), 'topic' in frame ? frame.topic : '')
    }
  }

  #await(pending: Promise<void>, frame: ClientFrame): void {
    this.#isBusy = true
    this.#connection.pause()
    pending
      .catch((error: unknown) => this.#fail(frame.id, asLeveretError(error), 'topic' in frame ? frame.topic : ''))
      .finally(() => {
        this.#isBusy = false
        if (this.#goodbye !== null) this.#sayGoodbyeIfSettled()
        else this.#readFrames()
      })
  }

  /** Note since when a frame is half there. */
  #timeFrame(): void {
    if (this.#splitter.inFrame) this.#frameSinceMs ??= this.#context.coarseNowMs()
  }

  #fail(id: number, error: LeveretError, topic: string): void {
    this.#context.counters.failures.value++
    if (error.code === 'LVT_INTERNAL') log('%d: defect: %O', this.#connection.id, error.cause ?? error)
    const { code, message, retryable } = error
    const offsets = error instanceof LeaseLostError ? error.offsets : []
    this.reply({ kind: 'failure', id, code, message, retryable, topic: error.topic ?? topic, offsets })
  }

  #timeOut(code: ErrorCode, message: string): void {
    this.#context.counters.timeouts.value++
    this.#close(code, message)
  }

  #sayGoodbyeIfSettled(): void {
    if (this.#goodbye === null || this.#publishing > 0 || this.#isBusy) return
    this.#close(this.#goodbye.code, this.#goodbye.message)
  }

  /** Tell the peer why, then FIN. */
  /** A client of Redis is told in its own words, and where to go. */
  #turnAway(): void {
    const elsewhere = this.#context.elsewhere()
    const where = elsewhere === '' ? 'serve --meilies or --floki opens one that does' : `this server has ${elsewhere}`
    this.#connection.outbox.pass(
      Buffer.from(`-ERR this port speaks the native protocol of leveret, not RESP; ${where}\r\n`),
    )
    this.#end()
  }

  #close(code: ErrorCode, message: string): void {
    if (this.#connection.isEnding) return
    log('%d: closing, %s: %s', this.#connection.id, code, message)
    this.reply({ kind: 'closing', id: 0, code, message })
    this.#end()
  }

  #end(): void {
    this.#endedMs = this.#context.coarseNowMs()
    this.#subscriptions?.close()
    this.#connection.end()
  }
}

function encodePublished(id: number, topic: TopicFacts, receipt: PublishReceipt): Buffer {
  const { partition, baseOffset, count, durability, duplicates, keptOffsets, parts } = receipt
  return encodeServerFrame({
    kind: 'published',
    id,
    topic: topic.name,
    partition,
    baseOffset,
    count,
    durability,
    duplicates: duplicates ?? [],
    keptOffsets: keptOffsets ?? [],
    parts: parts ?? [],
  })
}
