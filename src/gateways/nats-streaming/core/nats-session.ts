/**
 * One connection of the NATS protocol: chunks to operations, messages to the router, and what the router has for its
 * subscriptions to the socket. Sole owner of its socket. Knows nothing of streaming.
 */
import type { Clock, Timer } from '../../../common/clock.js'
import { brief, createLog } from '../../../common/log.js'
import type { Counter } from '../../../metrics/registry.js'
import type { Connection } from '../../../transport/connection.js'
import type { Accepted } from '../../../transport/tcp-listener.js'
import { ClientSubscription } from './client-subscription.js'
import { type ConnectOptions, DEFAULT_CONNECT_OPTIONS, mergeConnect } from './connect-options.js'
import { Liveness } from './liveness.js'
import { writeMessage } from './message-writer.js'
import { NatsFault } from './nats-fault.js'
import { OP, type Op, type OperationLimits, OperationParser } from './operation-parser.js'
import { ReceivedMessage } from './received-message.js'
import type { NatsMessage, NatsSubscription, Router, Subscriber } from './router.js'
import type { SubjectNames } from './subject-names.js'
import { subjectKind } from './subjects.js'

const log = createLog('gateways:nats')
/** A peer that was told goodbye has this long to read it. */
const GOODBYE_MS = 5_000
/** Whoever publishes to a slow reader is read no further for this long at most. */
const STALL_MS = 10
/** Part of the pending bytes from which on a reader slows its publishers down. */
const STALL_PART = 8

const OK = Buffer.from('+OK\r\n')
const PING = Buffer.from('PING\r\n')
const PONG = Buffer.from('PONG\r\n')
const NO_RESPONDERS = Buffer.from('NATS/1.0 503\r\n\r\n')
const NOTHING = Buffer.alloc(0)

export interface NatsLimits extends OperationLimits {
  /** Bytes that wait to be written before the connection is ended as a slow consumer. */
  readonly pendingBytesMax: number
  /** Time in which a peer must take what was written to it. */
  readonly writeDeadlineMs: number
  readonly subscriptionsMax: number
  readonly pingIntervalMs: number
  /** Pings without an answer. */
  readonly pingsOutMax: number
  /** Time from connecting to the first whole operation. */
  readonly handshakeTimeoutMs: number
  /** Time from the first byte of an operation to its last. */
  readonly operationTimeoutMs: number
}

export interface NatsCounters {
  readonly messagesIn: Counter
  readonly messagesOut: Counter
  readonly faults: Counter
  readonly timeouts: Counter
  readonly slowConsumers: Counter
  readonly stalls: Counter
  readonly unreadable: Counter
}

export interface NatsContext {
  readonly router: Router
  readonly names: SubjectNames
  readonly clock: Clock
  readonly limits: NatsLimits
  readonly counters: NatsCounters
  /** Set by a reader that has much to take; whoever published to it waits a little. One for all connections. */
  readonly pressure: { isHigh: boolean }
  info(connection: Connection): Buffer
  /** Coarse monotonic time of the listener. */
  coarseNowMs(): number
  /** The server stops: resolves as soon as the parts of this process have answered what they took. */
  settled(): Promise<void>
}

export class NatsSession implements Accepted, Subscriber {
  readonly connection: Connection
  readonly #context: NatsContext
  readonly #parser: OperationParser
  readonly #message = new ReceivedMessage()
  readonly #subscriptions = new Map<string, ClientSubscription>()
  readonly #liveness: Liveness
  #options: ConnectOptions = DEFAULT_CONNECT_OPTIONS
  /** While it is read no further for the sake of its readers. */
  #stall: Timer | null = null
  /** Coarse time since when goodbye is said. */
  #endedMs: number | null = null

  constructor(connection: Connection, context: NatsContext) {
    this.connection = connection
    this.#context = context
    this.#parser = new OperationParser(context.limits)
    this.#liveness = new Liveness(context.limits, context.coarseNowMs())
    connection.outbox.pass(context.info(connection))
    connection.flushSoon()
  }

  get subscriptions(): number {
    return this.#subscriptions.size
  }

  /** Bytes on their way to the peer. */
  get pendingBytes(): number {
    return this.connection.unsentBytes
  }

  get isPressed(): boolean {
    return this.connection.unsentBytes > this.#context.limits.pendingBytesMax / STALL_PART
  }

  received(chunk: Buffer): void {
    if (this.connection.isEnding) return
    this.#liveness.heard(this.#context.coarseNowMs())
    this.#parser.push(chunk)
    this.#read()
  }

  ended(): void {
    this.connection.end()
  }

  drained(): void {
    // Nothing waits for room: what does not fit is the end of the connection.
  }

  closed(): void {
    this.#stall?.cancel()
    const { router } = this.#context
    for (const subscription of this.#subscriptions.values()) {
      subscription.isOver = true
      router.remove(subscription)
    }
    this.#subscriptions.clear()
  }

  sweep(nowMs: number): void {
    const { limits, counters } = this.#context
    if (this.#endedMs !== null) {
      if (nowMs - this.#endedMs > GOODBYE_MS) this.connection.destroy()
      return
    }
    const { blockedSinceMs } = this.connection
    if (blockedSinceMs !== null && nowMs - blockedSinceMs > limits.writeDeadlineMs) {
      this.#slow(`it did not read for ${nowMs - blockedSinceMs} ms`)
      return
    }
    switch (this.#liveness.look(nowMs)) {
      case 'ping':
        this.#say(PING)
        return
      case 'stale':
        counters.timeouts.value++
        this.#break(new NatsFault('Stale Connection', 'pings without an answer'))
        return
      case 'late':
        counters.timeouts.value++
        this.#break(new NatsFault('Authentication Timeout', 'an operation that does not come'))
        return
      default:
    }
  }

  /** What the peer says meanwhile is still read: acks of what it has count. */
  shutDown(): void {
    void this.#context.settled().then(() => this.#end())
  }

  refuse(): void {
    this.#error('maximum connections exceeded')
    this.#end()
  }

  deliver(subscription: NatsSubscription, message: NatsMessage): void {
    const { connection } = this
    if (connection.isEnding || !(subscription instanceof ClientSubscription) || subscription.isOver) return
    const { counters } = this.#context
    subscription.delivered++
    if (writeMessage(connection.outbox, subscription.sid, message, this.#options.headers)) {
      counters.messagesOut.value++
      connection.flushSoon()
    } else counters.unreadable.value++
    if (subscription.delivered === subscription.max) this.#remove(subscription)
    this.#checkPending()
  }

  /** Read what was pushed, as far as there are whole operations. */
  #read(): void {
    const { pressure, clock, counters } = this.#context
    const { connection } = this
    pressure.isHigh = false
    try {
      for (;;) {
        const op = this.#parser.next()
        if (op === OP.none || connection.isEnding) break
        this.#liveness.spoke()
        this.#handle(op)
      }
    } catch (error) {
      if (!(error instanceof NatsFault)) throw error
      this.#break(error)
    }
    this.#message.clear()
    if (connection.isEnding) return
    this.#liveness.reading(this.#parser.inOperation, this.#context.coarseNowMs())
    if (!pressure.isHigh) return
    counters.stalls.value++
    connection.pause()
    this.#stall?.cancel()
    this.#stall = clock.after(STALL_MS, () => connection.resume())
  }

  #handle(op: Op): void {
    switch (op) {
      case OP.pub:
      case OP.hpub:
        this.#publish()
        return
      case OP.sub:
        this.#subscribe()
        return
      case OP.unsub:
        this.#unsubscribe()
        return
      case OP.ping:
        this.#liveness.ponged()
        this.#say(PONG)
        return
      case OP.connect:
        this.#connect()
        return
      case OP.err:
        throw new NatsFault(null, 'the peer said -ERR')
      default:
    }
  }

  #connect(): void {
    const { buffer, starts, ends } = this.#parser
    this.#options = mergeConnect(this.#options, buffer.toString('utf8', starts[0], ends[0]))
    const { headers, name, lang, version } = this.#options
    log.enabled && log('%d: CONNECT %s, %s %s', this.connection.id, brief(name), brief(lang), brief(version))
    this.#parser.hasHeaders = headers
    this.#liveness.connected()
    this.#acknowledge()
  }

  #publish(): void {
    const parser = this.#parser
    const { router, names, counters } = this.#context
    const { echo, noResponders, pedantic } = this.#options
    const { buffer, starts, ends, count, headerBytes, bodyAt } = parser
    const message = this.#message
    // The lengths are the last arguments: one of PUB, two of HPUB.
    const lengthAt = parser.op === OP.hpub ? count - 2 : count - 1
    const hasReply = lengthAt === 2
    message.subject = names.get(buffer, starts[0] as number, ends[0] as number)
    message.buffer = buffer
    message.replyStart = hasReply ? (starts[1] as number) : 0
    message.replyEnd = hasReply ? (ends[1] as number) : 0
    message.bodyAt = bodyAt
    message.bodyBytes = parser.bodyBytes
    message.headerBytes = headerBytes
    const isLike = parser.isPlain && (parser.op === OP.pub || headerBytes > 0)
    message.tailAt = isLike ? (starts[1] as number) : -1
    counters.messagesIn.value++
    if (pedantic && subjectKind(message.subject) !== 'literal') this.#error('Invalid Publish Subject')
    this.#acknowledge()
    const reached = router.publish(message, echo ? null : this)
    if (reached === 0 && hasReply && noResponders) this.#tellNobody(message.reply)
  }

  /** Nobody got the request: whoever waits for the answer is told. That is none of the messages that UNSUB counts. */
  #tellNobody(reply: string): void {
    const subscription = this.#context.router.subscriptionOf(this, reply)
    if (subscription === null) return
    const message = { subject: reply, reply: '', headers: NO_RESPONDERS, payload: NOTHING }
    writeMessage(this.connection.outbox, subscription.sid, message, true)
    this.connection.flushSoon()
  }

  #subscribe(): void {
    const parser = this.#parser
    if (parser.count !== 2 && parser.count !== 3) throw new NatsFault(null, 'SUB with too few or too many arguments')
    const subject = parser.text(0)
    const queue = parser.count === 3 ? parser.text(1) : null
    const sid = parser.text(parser.count - 1)
    if (!this.#subscriptions.has(sid)) {
      if (this.#subscriptions.size >= this.#context.limits.subscriptionsMax) {
        this.#error('maximum subscriptions exceeded')
        return
      }
      if (subjectKind(subject) === 'empty') {
        this.#error('Invalid Subject')
        return
      }
      const subscription = new ClientSubscription(subject, queue, sid, this)
      this.#subscriptions.set(sid, subscription)
      this.#context.router.add(subscription)
    }
    this.#acknowledge()
  }

  #unsubscribe(): void {
    const parser = this.#parser
    if (parser.count !== 1 && parser.count !== 2) throw new NatsFault(null, 'UNSUB with too few or too many arguments')
    const max = parser.count === 2 ? parser.number(1) : 0
    const subscription = this.#subscriptions.get(parser.text(0))
    if (subscription !== undefined) {
      if (max > subscription.delivered) subscription.max = max
      else this.#remove(subscription)
    }
    this.#acknowledge()
  }

  #remove(subscription: ClientSubscription): void {
    subscription.isOver = true
    this.#subscriptions.delete(subscription.sid)
    this.#context.router.remove(subscription)
  }

  #acknowledge(): void {
    if (this.#options.verbose) this.#say(OK)
  }

  #say(line: Buffer): void {
    this.connection.outbox.pass(line)
    this.connection.flushSoon()
    this.#checkPending()
  }

  #error(text: string): void {
    log('%d: -ERR %s', this.connection.id, text)
    this.#say(Buffer.from(`-ERR '${text}'\r\n`))
  }

  /** A peer that does not read what it is sent must not grow for ever, and slows those down who write to it. */
  #checkPending(): void {
    const { limits, pressure } = this.#context
    const pending = this.connection.unsentBytes
    if (pending > limits.pendingBytesMax) this.#slow(`${pending} bytes wait for it`)
    else if (pending > limits.pendingBytesMax / STALL_PART) pressure.isHigh = true
  }

  /** Nothing is said to it: it does not read, and clients come back by themselves. */
  #slow(reason: string): void {
    this.#context.counters.slowConsumers.value++
    log('%d: slow consumer, %s', this.connection.id, reason)
    this.connection.destroy()
  }

  /** Nothing more can be read: say why, and end. */
  #break(fault: NatsFault): void {
    this.#context.counters.faults.value++
    log('%d: %s', this.connection.id, fault.message)
    if (fault.text !== null) this.#error(fault.text)
    this.#end()
  }

  #end(): void {
    if (this.connection.isEnding) return
    this.#endedMs = this.#context.coarseNowMs()
    this.connection.end()
  }
}
