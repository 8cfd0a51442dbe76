/**
 * Runs the subscriptions of one channel: reads while somebody takes more, looks up what is to be sent again, keeps what
 * changed, and sends. Who gets what is decided by channel-subscriptions.ts; what was decided in a turn is kept before it is sent.
 */
import type { Broker } from '../../../broker/broker.js'
import type { PartitionReader } from '../../../broker/partition-reader.js'
import type { Slab } from '../../../broker/slab.js'
import type { Clock, Timer } from '../../../common/clock.js'
import type { LeveretError } from '../../../common/errors.js'
import type { Turn, TurnTask } from '../../../common/turn.js'
import type { Counter } from '../../../metrics/registry.js'
import { skipRecords } from '../../../model/run.js'
import type { Router } from '../core/router.js'
import { AckInboxes } from './ack-inboxes.js'
import type { ChannelSubscriptions } from './channel-subscriptions.js'
import type { Channels } from './channels.js'
import { textOf } from './fault.js'
import { Feed, type FeedOwner } from './feed.js'
import type { Journal } from './journal.js'
import { lookUp } from './lookups.js'
import { MessageEncoder } from './message-encoder.js'
import { type LaidOut, Outbound } from './outbound.js'
import { StateKeeper } from './state-keeper.js'
import type { StreamingState } from './streaming-state.js'
import type { DeliveryGroup, PendingMessage, Subscription } from './subscription.js'

/** What one look at a group reads at most; then others have their turn. */
const STRETCH_BYTES = 256 * 1024
/** With so much on its way to be kept nothing more is read. */
const UNSENT_BYTES_MAX = 4 * 1024 * 1024
/** Looked up at once. */
const LOOKUPS_MAX = 256
/** An inbox with much to take rests for so long. */
const HELD_MS = 10
const UNREADABLE_MS = 1_000
/** Clients that are not there are looked for again after so long. */
const ABSENT_MS = 100
/** Clients have so long to come back after a restart before what they had is sent again. */
const RETURN_MS = 5_000

export interface DeliveryContext {
  readonly broker: Broker
  readonly router: Router
  readonly clock: Clock
  readonly turn: Turn
  readonly channels: Channels
  readonly state: StreamingState
  readonly journal: Journal
  /** Set by the router's subscribers while a message is handed to one that has much to take already. */
  readonly pressure: { isHigh: boolean }
  readonly counters: DeliveryCounters
  /** Where messages are laid out, of all channels. */
  readonly slab: Slab
  /** Looked up now, in all channels. */
  readonly lookups: { open: number }
}

export interface DeliveryCounters {
  readonly sent: Counter
  readonly redelivered: Counter
  readonly acks: Counter
  readonly strayAcks: Counter
  readonly unreadableAcks: Counter
  readonly foreignAcks: Counter
  readonly held: Counter
  readonly stateFailures: Counter
}

export class ChannelDelivery implements FeedOwner, TurnTask {
  readonly channel: string
  readonly subscriptions: ChannelSubscriptions
  readonly acks: AckInboxes
  readonly #context: DeliveryContext
  readonly #feeds = new Map<DeliveryGroup, Feed>()
  #awake: Feed[] = []
  readonly #outbound: Outbound
  #isScheduled = false
  #isLooking = false
  #isAwaiting = false
  #isStopped = false
  #wake: Timer | null = null
  #wakeMs = 0
  /** Until then those who were there before a restart are waited for. */
  #returnMs = Number.NEGATIVE_INFINITY
  readonly #keeper: StateKeeper
  readonly #encoder: MessageEncoder
  /** Encoded in this turn, by sequence, for those who share it. */
  readonly #encoded = new Map<number, LaidOut>()
  readonly #timers = new Set<Timer>()

  constructor(subscriptions: ChannelSubscriptions, context: DeliveryContext) {
    this.channel = subscriptions.channel
    this.subscriptions = subscriptions
    this.#context = context
    this.#keeper = new StateKeeper(subscriptions, context)
    this.#encoder = new MessageEncoder(this.channel, context.slab)
    this.#outbound = new Outbound(context, (feed) => this.#rest(feed, HELD_MS))
    this.acks = new AckInboxes(this.channel, context, (subscription, sequence) => this.#acked(subscription, sequence))
  }

  get broker(): Broker {
    return this.#context.broker
  }

  get isThere(): boolean {
    return this.#context.channels.has(this.channel)
  }

  /** After a restart: who was here goes on, as soon as it is here again. */
  resume(): void {
    for (const { subscriptions } of this.subscriptions.groups()) {
      for (const subscription of subscriptions) if (subscription.isReady) this.acks.add(subscription)
    }
    this.#returnMs = this.#context.clock.monotonic() + RETURN_MS
    this.look()
  }

  /** It is known to its client: from now on it gets messages. */
  begin(subscription: Subscription): void {
    this.subscriptions.ready(subscription)
    this.#wakeGroup(subscription.group)
    this.#schedule()
  }

  /** These have left: their acks count no more, and what nobody reads is not read. */
  left(subscriptions: readonly Subscription[]): void {
    for (const subscription of subscriptions) {
      this.acks.remove(subscription)
      const { group } = subscription
      if (!group.isOffline) {
        // Others may have room now that somebody who did not answer is gone.
        this.#wakeGroup(group)
        continue
      }
      this.#feeds.get(group)?.close()
      this.#feeds.delete(group)
    }
    this.#schedule()
  }

  /** Something may have changed that is not told otherwise. */
  look(): void {
    for (const group of this.subscriptions.groups()) if (!group.isOffline) this.#wakeGroup(group)
    this.#schedule()
  }

  /** Keep everything that changed, as safely as the store can. Fails if it cannot. */
  keep(): Promise<void> {
    return this.#keeper.keep()
  }

  /** Nothing is given out any more; acks count on. Resolves when what was given out is sent. */
  rest(): Promise<void> {
    this.#halt()
    // The turn that was to send it does not come any more.
    this.#outbound.sendAfter(this.#keeper.keepTurn())
    return this.#outbound.sent()
  }

  #halt(): void {
    this.#isStopped = true
    this.#wake?.cancel()
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    for (const feed of this.#feeds.values()) feed.close()
    this.#feeds.clear()
    this.#awake = []
  }

  /** Resolves, whatever comes of it, when what was known is kept. */
  async stop(): Promise<void> {
    this.#halt()
    this.acks.clear()
    await this.#keeper.stop()
  }

  awake(feed: Feed): void {
    if (feed.isAwake || feed.isHeld || this.#isStopped) return
    feed.isAwake = true
    this.#awake.push(feed)
    this.#schedule()
  }

  unreadable(feed: Feed, error: unknown): void {
    const { journal } = this.#context
    journal.error(`Error looking up message ${this.channel}:${feed.group.lastSent + 1} (${textOf(error)})`)
    feed.rewind()
    this.#rest(feed, UNREADABLE_MS)
  }

  runTurn(): void {
    this.#isScheduled = false
    if (this.#isStopped) return
    const nowMs = this.#context.clock.monotonic()
    const awake = this.#awake
    this.#awake = []
    for (const feed of awake) {
      feed.isAwake = false
      this.#feed(feed, nowMs)
    }
    this.#encoded.clear()
    this.#lookUpDue(nowMs)
    this.#outbound.sendAfter(this.#keeper.keepTurn())
    this.#arm(nowMs)
    this.#awaitAbsent()
  }

  /** Who is away may come back: what there is for it waits, and goes at once when it does. */
  #awaitAbsent(): void {
    if (this.#isAwaiting || this.subscriptions.absent === 0) return
    this.#isAwaiting = true
    this.#after(ABSENT_MS, () => {
      this.#isAwaiting = false
      for (const group of this.subscriptions.returned()) this.#wakeGroup(group)
      this.#schedule()
    })
  }

  #after(ms: number, run: () => void): void {
    const timer = this.#context.clock.after(ms, () => {
      this.#timers.delete(timer)
      run()
    })
    this.#timers.add(timer)
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isStopped) return
    this.#isScheduled = true
    this.#context.turn.afterwards(this)
  }

  #wakeGroup(group: DeliveryGroup): void {
    let feed = this.#feeds.get(group)
    if (feed === undefined) {
      feed = new Feed(group, this)
      this.#feeds.set(group, feed)
    }
    this.awake(feed)
  }

  #acked(subscription: Subscription, sequence: number): void {
    const { counters } = this.#context
    if (!this.subscriptions.ack(subscription, sequence)) {
      counters.strayAcks.value++
      return
    }
    counters.acks.value++
    this.#wakeGroup(subscription.group)
    this.#schedule()
  }

  /** Read for a group what it takes, up to a stretch. */
  #feed(feed: Feed, nowMs: number): void {
    if (feed.isClosed || feed.isHeld || !this.subscriptions.isAttended(feed.group) || feed.group.room === 0) return
    if (this.#outbound.unsentBytes > UNSENT_BYTES_MAX) {
      this.#rest(feed, HELD_MS)
      return
    }
    const reader = feed.reader()
    const result = reader?.take(feed.group.room, STRETCH_BYTES, nowMs)
    if (reader === null || result === 'waiting') return
    if (result === 'failed') this.unreadable(feed, reader.failure)
    else if (result === 'lost') {
      if (reader.loss?.cause === 'corrupt') this.#damaged(reader.loss.from + 1, reader.loss.to)
      this.#again(feed)
    } else if (this.#give(feed, reader, nowMs)) this.#again(feed)
  }

  /** In the next turn of the loop, after others. */
  #again(feed: Feed): void {
    if (feed.isAwake || feed.isClosed) return
    feed.isAwake = true
    this.#awake.push(feed)
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#context.turn.atEnd(this)
  }

  /** False if there was somebody to take less than was read. */
  #give(feed: Feed, reader: PartitionReader, nowMs: number): boolean {
    const { body, bodyStart, baseOffset, count, timestampMs } = reader
    const encoder = this.#encoder
    let position = bodyStart
    for (let sequence = baseOffset + 1; sequence <= baseOffset + count; sequence++) {
      const to = this.subscriptions.give(feed.group, sequence, nowMs)
      if (to === null) {
        feed.rewind()
        return false
      }
      const isShared = this.#feeds.size > 1
      const known = isShared ? this.#encoded.get(sequence) : undefined
      if (known !== undefined) position = skipRecords(body, position, 1)
      else {
        position = encoder.encode(body, position, sequence, timestampMs, 0)
        const { buffer, start, end } = encoder
        if (isShared) this.#encoded.set(sequence, { buffer, start, end })
      }
      this.#outbound.add(to, known ?? encoder, feed)
    }
    return true
  }

  #lookUpDue(nowMs: number): void {
    if (this.#isLooking || this.#isWaitingForReturn(nowMs)) return
    if (this.#outbound.unsentBytes > UNSENT_BYTES_MAX) {
      // `arm` would ask again at once.
      this.#isLooking = true
      this.#after(HELD_MS, () => {
        this.#isLooking = false
        this.#schedule()
      })
      return
    }
    const due = this.subscriptions.due(nowMs, LOOKUPS_MAX)
    if (due.length === 0) return
    if (!this.isThere) {
      for (const message of due) this.subscriptions.missing(message)
      return
    }
    this.#isLooking = true
    const { broker, clock, lookups } = this.#context
    lookups.open += due.length
    void lookUp(broker, clock, this.channel, due, {
      found: (message, body, position, timestampMs) => this.#foundAgain(message, body, position, timestampMs),
      missing: (message, isDamaged) => {
        if (isDamaged) this.#damaged(message.sequence, message.sequence)
        this.subscriptions.missing(message)
      },
      failed: (message, error) => this.#lookupFailed(message, error),
    }).then(() => {
      lookups.open -= due.length
      this.#isLooking = false
      this.look()
    })
  }

  #isWaitingForReturn(nowMs: number): boolean {
    if (nowMs >= this.#returnMs) return false
    const { router } = this.#context
    for (const { subscriptions } of this.subscriptions.groups()) {
      for (const { isReady, inbox } of subscriptions) if (isReady && !router.isHeard(inbox)) return true
    }
    this.#returnMs = nowMs
    return false
  }

  #foundAgain(message: PendingMessage, body: Buffer, position: number, timestampMs: number): void {
    // What is given out is kept as sent, and it would not be.
    if (this.#isStopped || this.#outbound.unsentBytes > UNSENT_BYTES_MAX) {
      this.subscriptions.defer(message)
      return
    }
    const to = this.subscriptions.redeliver(message, this.#context.clock.monotonic())
    if (to === null) return
    this.#context.counters.redelivered.value++
    this.#encoder.encode(body, position, message.sequence, timestampMs, message.redeliveries)
    this.#outbound.add(to, this.#encoder, null)
    this.#schedule()
  }

  /** Nobody gets them, and nobody is held up by them. */
  #damaged(first: number, last: number): void {
    this.#context.journal.error(
      `Messages ${first} to ${last} of channel "${this.channel}" are damaged, and passed over`,
    )
  }

  #lookupFailed(message: PendingMessage, error: LeveretError): void {
    const { journal, clock } = this.#context
    journal.error(`Error looking up message ${this.channel}:${message.sequence} (${error.message})`)
    if (this.#isStopped) this.subscriptions.defer(message)
    else this.subscriptions.failed(message, clock.monotonic())
  }

  /** Nothing is read for it for a while. */
  #rest(feed: Feed, ms: number): void {
    if (feed.isHeld || this.#isStopped) return
    this.#context.counters.held.value++
    feed.isHeld = true
    this.#after(ms, () => {
      feed.isHeld = false
      if (!feed.isClosed) this.awake(feed)
    })
  }

  #arm(nowMs: number): void {
    const wakeMs = this.#isLooking ? null : this.subscriptions.nextWakeMs
    if (this.#wake !== null && wakeMs === this.#wakeMs) return
    this.#wake?.cancel()
    this.#wake = null
    if (wakeMs === null) return
    this.#wakeMs = wakeMs
    const delayMs = Math.max(nowMs < this.#returnMs ? ABSENT_MS : 1, wakeMs - nowMs)
    this.#wake = this.#context.clock.after(delayMs, () => {
      this.#wake = null
      this.#schedule()
    })
  }
}
