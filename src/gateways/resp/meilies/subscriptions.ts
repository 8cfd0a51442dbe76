/**
 * All subscriptions of one connection. Pulls events where they are kept, one stretch from each stream in turn, and never more
 * than the socket wants: a reader that is slow costs its place and nothing else.
 */
import type { PartitionReader } from '../../../broker/partition-reader.js'
import type { Clock } from '../../../common/clock.js'
import { LeveretError, SubscriptionLimitError } from '../../../common/errors.js'
import { createLog } from '../../../common/log.js'
import type { Turn, TurnTask } from '../../../common/turn.js'
import type { Start } from '../../../model/topic.js'
import type { RespPeer } from '../dialect.js'
import { array, bulk, integer, nil, push, respError, simple } from '../resp-encode.js'
import { type Active, type AllStreams, activeOf, boundedBy, deliveriesOf, isFinished, keyOf } from './active-spec.js'
import { Delivery, type DeliveryOwner, onlyReader } from './delivery.js'
import type { EventFrames, FrameMode } from './event-frames.js'
import { ALL_STREAMS, type StreamSpec } from './stream-spec.js'
import type { Streams } from './streams.js'

const log = createLog('gateways:meilies')
/** Events of one stretch; its bytes are limited as well. */
const STRETCH_EVENTS_MAX = 10_000

export interface SubscriptionContext {
  readonly streams: Streams
  readonly frames: EventFrames
  readonly clock: Clock
  readonly turn: Turn
  readonly limits: {
    readonly subscriptionsMax: number
    /** Of all connections together; each stream that `$all` follows is one. */
    readonly meiliesSubscriptionsMax: number
    readonly deliveryBytesMax: number
    readonly outboxBytesMax: number
  }
  /** Subscriptions of all connections, and streams that `$all` follows. */
  readonly open: { count: number }
}

export class Subscriptions implements DeliveryOwner, TurnTask {
  readonly #peer: RespPeer
  readonly #context: SubscriptionContext
  readonly #active = new Map<string, Active>()
  /** Those of them that end earlier than their specs say. */
  readonly #bounded = new Set<Active>()
  #queue: Delivery[] = []
  #isScheduled = false
  #isClosed = false

  constructor(peer: RespPeer, context: SubscriptionContext) {
    this.#peer = peer
    this.#context = context
  }

  /** Whether events come in the frames of Redis' own subscriptions. */
  get hasMessages(): boolean {
    for (const { mode } of this.#active.values()) if (mode === 'message') return true
    return false
  }

  /**
   * All of the specs, or none: confirmations first, then events. Throws SubscriptionLimitError, UnsupportedError,
   * TopicLimitError.
   */
  async subscribe(specs: readonly StreamSpec[], mode: FrameMode): Promise<void> {
    const all = specs.find(({ name }) => name === ALL_STREAMS)
    const named = new Set(specs.map(({ name }) => name))
    const ranges = all === undefined ? specs : specs.map((spec) => boundedBy(all, spec))
    const opened = new Map<string, Active>()
    try {
      for (const range of ranges) {
        const key = keyOf(range)
        if (this.#active.has(key) || opened.has(key)) continue
        const active = activeOf(range, mode, named)
        this.#reserve(active, opened.size)
        opened.set(key, active)
        await (active.all === null ? this.#openOne(active) : this.#openAll(active, active.all))
      }
      for (const { all } of opened.values()) if (all !== null && all.failure !== null) throw all.failure
    } catch (error) {
      for (const active of opened.values()) this.#close(active)
      throw error
    }
    if (this.#isClosed) for (const active of opened.values()) this.#close(active)
    else this.#begin(specs, ranges, opened, mode)
  }

  /** One frame for each spec, or for each that there is. Texts that are no spec, or not subscribed, count as well. */
  unsubscribe(specs: readonly { readonly text: string; readonly key: string }[] | null): Buffer {
    const texts = specs ?? [...this.#active.values()].map(({ text, key }) => ({ text, key }))
    if (texts.length === 0) return this.#farewell(null)
    return Buffer.concat(
      texts.map(({ text, key }) => {
        const active = this.#active.get(key)
        if (active !== undefined) this.#forget(active)
        for (const one of this.#bounded) if (one.text === text) this.#forget(one)
        return this.#farewell(text)
      }),
    )
  }

  drained(): void {
    if (this.#queue.length > 0) this.#schedule()
  }

  reset(): void {
    for (const active of [...this.#active.values()]) this.#forget(active)
    this.#queue = []
  }

  close(): void {
    this.#isClosed = true
    this.reset()
  }

  ready(delivery: Delivery): void {
    if (delivery.isQueued || delivery.isClosed || this.#isClosed) return
    delivery.isQueued = true
    this.#queue.push(delivery)
    this.#schedule()
  }

  runTurn(): void {
    this.#isScheduled = false
    if (this.#isClosed) return
    const { connection } = this.#peer
    const { clock, limits } = this.#context
    const queue = this.#queue
    const nowMs = clock.monotonic()
    let looked = 0
    while (looked < queue.length && !connection.isBlocked && connection.unsentBytes < limits.outboxBytesMax) {
      // Whoever published an event hears that it is stored before it gets it.
      if (this.#peer.heldReplies > 0) break
      const delivery = queue[looked++] as Delivery
      delivery.isQueued = false
      if (this.#deliver(delivery, nowMs) && !delivery.isQueued) {
        delivery.isQueued = true
        queue.push(delivery)
      }
    }
    this.#queue = looked === queue.length ? [] : queue.slice(looked)
    connection.flushSoon()
  }

  /** `others` are reserved and not active yet. */
  #reserve(active: Active, others: number): void {
    if (this.#active.size + others >= this.#context.limits.subscriptionsMax) throw tooMany()
    this.#requireRoom(1)
    this.#takePlace(active, 1)
  }

  #requireRoom(places: number): void {
    const { limits, open } = this.#context
    if (open.count + places > limits.meiliesSubscriptionsMax) throw tooMany()
  }

  /** Or (less than 0) give back. */
  #takePlace(active: Active, places: number): void {
    active.places += places
    this.#context.open.count += places
  }

  async #openOne(active: Active): Promise<void> {
    const { name, from, to } = active.range
    // A range that is finished: nothing to read, and nothing that could fail.
    if (from !== null && to !== null && from >= to) return
    await this.#context.streams.use(name)
    const delivery = new Delivery(name, active, true, this)
    await this.#open(delivery, startOf(from), to)
    active.delivery = delivery
  }

  async #openAll(active: Active, all: AllStreams): Promise<void> {
    const { streams } = this.#context
    const { from } = active.range
    const names = streams.names().filter((name) => this.#isWanted(all, name))
    this.#requireRoom(names.length)
    active.unwatch = streams.broker.watchTopics((name) => this.#appeared(active, all, name))
    for (const name of names) {
      if (this.#isWanted(all, name)) await this.#openOneOfAll(active, all, name, startOf(from))
    }
  }

  /** A stream that was not there when `$all` was subscribed to: from its beginning. */
  #appeared(active: Active, all: AllStreams, name: string): void {
    if (!this.#isWanted(all, name)) return
    this.#openOneOfAll(active, all, name, startOf(active.range.from ?? 0)).catch((error: unknown) => {
      log('%s of %s: %O', name, active.text, error)
      if (error instanceof SubscriptionLimitError) this.#fellShort(active, all, error)
    })
  }

  /** Who would miss a stream is told so, and follows none of them any more. */
  #fellShort(active: Active, all: AllStreams, error: SubscriptionLimitError): void {
    all.failure = error
    if (this.#active.get(active.key) !== active) return
    this.#forget(active)
    if (active.mode === 'classic') {
      this.#send(respError(`internal error; ${error.message}`))
      this.#peer.connection.flushSoon()
    } else {
      // A frame that answers nothing breaks libraries of Redis; one that is closed comes back and asks anew.
      this.#peer.shutDown()
    }
  }

  #isWanted(all: AllStreams, name: string): boolean {
    return !all.except.has(name) && !all.deliveries.has(name) && this.#context.streams.isStream(name)
  }

  async #openOneOfAll(active: Active, all: AllStreams, stream: string, start: Start): Promise<void> {
    this.#requireRoom(1)
    const delivery = new Delivery(stream, active, false, this)
    all.deliveries.set(stream, delivery)
    this.#takePlace(active, 1)
    try {
      await this.#open(delivery, start, active.range.to)
    } catch (error) {
      if (delivery.isClosed) return
      this.#unfollow(active, all, stream)
      if (!isGone(error)) throw error
      this.#appeared(active, all, stream)
      return
    }
    if (active.isConfirmed) this.ready(delivery)
  }

  async #open(delivery: Delivery, start: Start, to: number | null): Promise<void> {
    const { stream } = delivery
    delivery.open(onlyReader(stream, await this.#context.streams.broker.subscribe(stream, start, to, delivery)))
  }

  #begin(
    specs: readonly StreamSpec[],
    ranges: readonly StreamSpec[],
    opened: ReadonlyMap<string, Active>,
    mode: FrameMode,
  ): void {
    for (const [index, range] of ranges.entries()) {
      const key = keyOf(range)
      const active = opened.get(key)
      if (active !== undefined && isFinished(active)) this.#close(active)
      else if (active !== undefined) {
        this.#active.set(key, active)
        if (range.to !== specs[index]?.to) this.#bounded.add(active)
      }
      this.#confirm(range, this.#active.get(key), mode)
    }
    for (const active of opened.values()) {
      active.isConfirmed = true
      for (const delivery of deliveriesOf(active)) this.ready(delivery)
    }
    this.#peer.connection.flushSoon()
  }

  #confirm({ text, name }: StreamSpec, active: Active | undefined, mode: FrameMode): void {
    if (mode !== 'classic') {
      this.#send(push(this.#peer.version, [bulk('subscribe'), bulk(text), integer(this.#active.size)]))
      return
    }
    if (name !== ALL_STREAMS) this.#send(subscribed(name))
    for (const delivery of active?.all?.deliveries.values() ?? []) {
      if ((delivery.reader?.end ?? 0) === 0) continue
      delivery.isAnnounced = true
      this.#send(subscribed(delivery.stream))
    }
  }

  #farewell(text: string | null): Buffer {
    const { version } = this.#peer
    return push(version, [bulk('unsubscribe'), text === null ? nil(version) : bulk(text), integer(this.#active.size)])
  }

  #send(frames: Buffer): void {
    this.#peer.connection.outbox.pass(frames)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#context.turn.afterwards(this)
  }

  /** Send one stretch; says whether there may be more right away. */
  #deliver(delivery: Delivery, nowMs: number): boolean {
    const { reader, spec } = delivery
    if (reader === null) return false
    switch (reader.take(STRETCH_EVENTS_MAX, this.#context.limits.deliveryBytesMax, nowMs)) {
      case 'records':
        if (!delivery.isAnnounced && spec.mode === 'classic') this.#send(subscribed(delivery.stream))
        delivery.isAnnounced = true
        this.#send(this.#context.frames.of(reader, delivery.shape(this.#peer.version)))
        return true
      case 'lost':
        // Of topics that do not keep for ever: it goes on with what is there.
        return true
      case 'ended':
        this.#finish(delivery)
        return false
      case 'failed':
        this.#failed(delivery, reader)
        return false
      case 'waiting':
        return false
    }
  }

  /**
   * A stream that was deleted is waited for. Of one that cannot be read a subscriber is told as its kind can bear it: libraries of
   * Redis only by the end of the connection, because a frame that answers nothing breaks them.
   */
  #failed(delivery: Delivery, { failure }: PartitionReader): void {
    const { spec, stream } = delivery
    const active = this.#active.get(spec.key)
    if (isGone(failure) && active !== undefined) {
      delivery.close()
      if (active.all !== null) this.#unfollow(active, active.all, stream)
      // While it was not heard that the stream is gone, there may have come another of its name.
      if (active.all !== null) this.#appeared(active, active.all, stream)
      else this.#followAnew(active)
      return
    }
    log('%s of %s cannot be read: %O', stream, spec.text, failure)
    this.#finish(delivery)
    if (spec.mode === 'classic') this.#send(respError(failure?.message ?? 'the stream cannot be read'))
    else this.#peer.shutDown()
  }

  /** From where it was asked for, in the stream that has the name now, or as soon as one has it. */
  #followAnew(active: Active): void {
    const { name, from, to } = active.range
    const { streams } = this.#context
    active.delivery = null
    if (!streams.isStream(name)) {
      active.unwatch ??= streams.broker.watchTopics((made) => {
        if (made === name) this.#followAnew(active)
      })
      return
    }
    active.unwatch?.()
    active.unwatch = null
    const delivery = new Delivery(name, active, true, this)
    active.delivery = delivery
    this.#open(delivery, startOf(from ?? 0), to).then(
      () => this.ready(delivery),
      (error: unknown) => {
        if (delivery.isClosed) return
        log('%s of %s: %O', name, active.text, error)
        if (isGone(error)) this.#followAnew(active)
        else this.#peer.shutDown()
      },
    )
  }

  #finish(delivery: Delivery): void {
    delivery.close()
    const active = this.#active.get(delivery.spec.key)
    if (active === undefined) return
    if (active.all === null) this.#forget(active)
    else this.#unfollow(active, active.all, delivery.stream)
  }

  #unfollow(active: Active, all: AllStreams, stream: string): void {
    if (all.deliveries.delete(stream)) this.#takePlace(active, -1)
  }

  #forget(active: Active): void {
    this.#close(active)
    this.#active.delete(active.key)
    this.#bounded.delete(active)
  }

  #close(active: Active): void {
    active.unwatch?.()
    active.unwatch = null
    for (const delivery of deliveriesOf(active)) delivery.close()
    active.delivery = null
    active.all?.deliveries.clear()
    this.#takePlace(active, -active.places)
  }
}

function tooMany(): SubscriptionLimitError {
  return new SubscriptionLimitError('too many subscriptions')
}

function isGone(error: unknown): boolean {
  return error instanceof LeveretError && error.code === 'LVT_TOPIC_NOT_FOUND'
}

function startOf(from: number | null): Start {
  return from === null ? { kind: 'latest' } : { kind: 'offset', offset: from }
}

function subscribed(stream: string): Buffer {
  return array([simple('subscribed'), simple(stream)])
}
