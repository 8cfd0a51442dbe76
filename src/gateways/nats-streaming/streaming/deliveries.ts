/**
 * The subscriptions of all channels: made, closed and unsubscribed as clients ask, and kept before that is answered.
 */
import type { Clock } from '../../../common/clock.js'
import { inParallel } from '../../../common/in-parallel.js'
import type { MetricsRegistry } from '../../../metrics/registry.js'
import { ChannelDelivery, type DeliveryContext } from './channel-delivery.js'
import { ChannelSubscriptions } from './channel-subscriptions.js'
import type { Channels } from './channels.js'
import type { Client } from './clients.js'
import { textOf } from './fault.js'
import { isInbox } from './inbox.js'
import type { SubscriptionRequest, UnsubscribeRequest } from './messages.js'
import { momentOf } from './moment.js'
import { readStored, restoreChannel, type SequenceBounds, type StoredChannel } from './restore-subscriptions.js'
import { lastSentOf } from './start-position.js'
import type { StoreLimits } from './store-limits.js'
import type { SubscribeRequest, Subscription } from './subscription.js'
import { leftLine, skippedLine, subscribedLine } from './subscription-lines.js'

const UNKNOWN_CLIENT = 'stan: unknown clientID'
const SECOND_MS = 1_000

export interface DeliveriesOptions {
  readonly context: DeliveryContext
  readonly channels: Channels
  readonly limits: StoreLimits
  readonly isDurableReplaced: boolean
  readonly metrics: MetricsRegistry
}

export class Deliveries {
  readonly #options: DeliveriesOptions
  readonly #clock: Clock
  readonly #byChannel = new Map<string, ChannelDelivery>()
  /** Channels that somebody is about to subscribe to, and how many. */
  readonly #subscribing = new Map<string, number>()
  #unwatch: (() => void) | null = null
  #isResting = false
  #isStopped = false

  constructor(options: DeliveriesOptions) {
    this.#options = options
    this.#clock = options.context.clock
    const sum = (read: (delivery: ChannelDelivery) => number) => () => {
      let total = 0
      for (const delivery of this.#byChannel.values()) total += read(delivery)
      return total
    }
    options.metrics.gauge(
      'leveret_nats_streaming_subscriptions',
      'Subscriptions, offline durables included',
      sum(({ subscriptions }) => subscriptions.count),
    )
    options.metrics.gauge(
      'leveret_nats_streaming_subscriptions_absent',
      'Subscriptions that something waits for while nobody listens to their inboxes',
      sum(({ subscriptions }) => subscriptions.absent),
    )
  }

  /**
   * Everybody whom `values` speak of is there again, if `isClientKnown`; nobody gets anything before `begin`. So many
   * channels are looked at side by side. Throws what the store throws.
   */
  async recover(
    values: ReadonlyMap<string, Buffer>,
    atOnce: number,
    isClientKnown: (id: string) => boolean,
  ): Promise<void> {
    const { journal } = this.#options.context
    const damaged: string[] = []
    const stored = [...readStored(values, damaged)]
    const failures = await inParallel(stored, atOnce, ([channel, known]) =>
      this.#recover(channel, known, isClientKnown),
    )
    for (const key of damaged) journal.warn(`what was kept under ${key} cannot be read, and is passed over`)
    if (failures.length > 0) throw failures[0]
  }

  async #recover(channel: string, stored: StoredChannel, isClientKnown: (id: string) => boolean): Promise<void> {
    const { channels, context } = this.#options
    const delivery = this.#of(channel)
    const { subscriptions } = delivery
    if (channels.has(channel)) {
      subscriptions.restore(restoreChannel(stored, await this.#bounds(channel), isClientKnown), momentOf(this.#clock))
      await delivery.keep()
      return
    }
    // It was deleted, and what was kept of it was not.
    subscriptions.restore(restoreChannel(stored, { first: 0, last: 0 }, () => false))
    await context.state.write(subscriptions.discard(), false)
    this.#byChannel.delete(channel)
  }

  /** Go on where a restart was. */
  begin(): void {
    this.#unwatch = this.#options.context.broker.watchTopics((name) => this.#renew(name))
    for (const delivery of this.#byChannel.values()) delivery.resume()
  }

  /** Nothing is given out any more; acks count on. Resolves when what was given out is sent. */
  async rest(): Promise<void> {
    this.#isResting = true
    await Promise.all([...this.#byChannel.values()].map((delivery) => delivery.rest()))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unwatch?.()
    await Promise.all([...this.#byChannel.values()].map((delivery) => delivery.stop()))
    this.#byChannel.clear()
  }

  /** The channel is deleted, and nobody is in it: what was known of it is forgotten. Throws what the store throws. */
  async discard(channel: string): Promise<void> {
    const delivery = this.#byChannel.get(channel)
    if (delivery === undefined) return
    this.#byChannel.delete(channel)
    const writes = delivery.subscriptions.discard()
    await delivery.stop()
    await this.#options.context.state.write(writes, true)
  }

  /** Somebody is subscribed, or is about to be. */
  isActive(channel: string): boolean {
    return this.#subscribing.has(channel) || (this.#byChannel.get(channel)?.subscriptions.active ?? 0) > 0
  }

  /**
   * `told` gives the client the inbox for its acks, before the first message. Returns what is wrong, or nothing. Throws what
   * the store throws.
   */
  async subscribe(client: Client, request: SubscriptionRequest, told: (ackInbox: string) => void): Promise<string> {
    const { channel } = request
    this.#subscribing.set(channel, (this.#subscribing.get(channel) ?? 0) + 1)
    try {
      return await this.#subscribe(client, request, told)
    } finally {
      const left = (this.#subscribing.get(channel) ?? 1) - 1
      if (left === 0) this.#subscribing.delete(channel)
      else this.#subscribing.set(channel, left)
    }
  }

  async #subscribe(client: Client, request: SubscriptionRequest, told: (ackInbox: string) => void): Promise<string> {
    const { channels, context } = this.#options
    await channels.use(request.channel)
    const delivery = this.#of(request.channel)
    const { subscriptions } = delivery
    const asked = this.#asked(request)
    const lastSent = subscriptions.needsStart(asked) ? await lastSentOf(context.broker, this.#clock, request) : 0
    if (client.isCastOut || this.#isStopped) return UNKNOWN_CLIENT
    // Others deleted the channel meanwhile, and there is a new one of that name.
    if (this.#byChannel.get(request.channel) !== delivery) return await this.#subscribe(client, request, told)
    const outcome = subscriptions.subscribe(asked, lastSent, this.#clock.monotonic())
    if (outcome.kind === 'refused') return outcome.error
    const { subscription, replaced, kind } = outcome
    if (replaced !== null) delivery.left([replaced])
    delivery.acks.add(subscription)
    let failure = ''
    try {
      await delivery.keep()
    } catch (error) {
      failure = textOf(error)
    }
    if (failure === '' && client.isCastOut) failure = UNKNOWN_CLIENT
    if (failure !== '') {
      this.#undo(delivery, subscription, kind === 'created')
      return failure
    }
    if (this.#byChannel.get(request.channel) !== delivery) return await this.#subscribe(client, request, told)
    const { journal } = context
    if (journal.hasDebug) journal.debug(subscribedLine(outcome, request, lastSent, this.#clock.now()))
    told(subscription.ackInbox)
    delivery.begin(subscription)
    return ''
  }

  /** Close a subscription, or unsubscribe. Returns what is wrong, or nothing. Throws what the store throws. */
  async leave({ clientId, channel, inbox }: UnsubscribeRequest, isClose: boolean): Promise<string> {
    if (!this.#options.channels.has(channel)) return 'stan: unknown channel'
    const delivery = this.#byChannel.get(channel)
    const subscription = delivery?.subscriptions.find(inbox) ?? null
    if (delivery === undefined || subscription === null) return 'stan: invalid subscription'
    if (subscription.clientId !== clientId) return UNKNOWN_CLIENT
    const nowMs = this.#clock.monotonic()
    if (isClose) delivery.subscriptions.close(subscription, nowMs)
    else delivery.subscriptions.unsubscribe(subscription, nowMs)
    this.#left(delivery, [subscription], isClose)
    await delivery.keep()
    return ''
  }

  /** Let go of all that a client has. Throws what the store throws. */
  async closeClient(id: string): Promise<void> {
    const nowMs = this.#clock.monotonic()
    const kept: Promise<void>[] = []
    for (const delivery of this.#byChannel.values()) {
      const gone = delivery.subscriptions.closeClient(id, nowMs)
      if (gone.length === 0) continue
      this.#left(delivery, gone, true)
      kept.push(delivery.keep())
    }
    await Promise.all(kept)
  }

  setFailing(clientId: string, isFailing: boolean): void {
    for (const delivery of this.#byChannel.values()) {
      delivery.subscriptions.setFailing(clientId, isFailing)
      delivery.look()
    }
  }

  /** Somebody else deleted the channel, and now there is one of that name again: who is subscribed gets all of it. */
  #renew(channel: string): void {
    const old = this.#byChannel.get(channel)
    if (old === undefined || this.#isStopped) return
    const { state, journal } = this.#options.context
    const subscribed = [...old.subscriptions.groups()].flatMap(({ subscriptions }) => subscriptions)
    const active = subscribed.filter(({ isReady, isGone }) => isReady && !isGone)
    const forgotten = state.write(old.subscriptions.discard(), false)
    void Promise.all([old.stop(), forgotten]).catch((error: unknown) => journal.error(textOf(error)))
    this.#byChannel.delete(channel)
    const delivery = this.#of(channel)
    for (const asked of active) {
      const outcome = delivery.subscriptions.subscribe(asked, 0, this.#clock.monotonic())
      if (outcome.kind === 'refused') continue
      delivery.acks.add(outcome.subscription)
      delivery.begin(outcome.subscription)
    }
  }

  async #bounds(channel: string): Promise<SequenceBounds> {
    const { partitions } = await this.#options.context.broker.describeTopic(channel)
    const { logStart, end } = partitions[0] ?? { logStart: 0, end: 0 }
    return { first: end === 0 ? 0 : logStart + 1, last: end }
  }

  #of(channel: string): ChannelDelivery {
    let delivery = this.#byChannel.get(channel)
    if (delivery === undefined) {
      const { limits, isDurableReplaced, context } = this.#options
      const rules = {
        subscriptionsMax: limits.of(channel).subscriptionsMax ?? Number.POSITIVE_INFINITY,
        isDurableReplaced,
      }
      const { journal, router } = context
      const host = {
        isHeard: (inbox: string): boolean => router.isHeard(inbox),
        isPressed: (inbox: string): boolean => router.isPressed(inbox),
        skipped: (subscription: Subscription): void => {
          if (journal.hasDebug) journal.debug(skippedLine(subscription))
        },
      }
      delivery = new ChannelDelivery(new ChannelSubscriptions(channel, rules, host), context)
      this.#byChannel.set(channel, delivery)
      if (this.#isResting) void delivery.rest()
    }
    return delivery
  }

  #asked(request: SubscriptionRequest): SubscribeRequest {
    const { clientId, inbox, queue, durableName, maxInFlight, ackWaitSeconds } = request
    return {
      clientId,
      inbox: isInbox(inbox) ? inbox : '',
      ackInbox: this.#options.context.router.newInbox(),
      queue,
      durableName,
      maxInFlight,
      ackWaitMs: ackWaitSeconds * SECOND_MS,
    }
  }

  #left(delivery: ChannelDelivery, subscriptions: readonly Subscription[], isClose: boolean): void {
    delivery.left(subscriptions)
    const { journal } = this.#options.context
    if (!journal.hasDebug) return
    for (const subscription of subscriptions) journal.debug(leftLine(delivery.channel, subscription, isClose))
  }

  #undo(delivery: ChannelDelivery, subscription: Subscription, isNew: boolean): void {
    const nowMs = this.#clock.monotonic()
    if (isNew) delivery.subscriptions.unsubscribe(subscription, nowMs)
    else delivery.subscriptions.close(subscription, nowMs)
    delivery.left([subscription])
    // It was never answered: whether that is kept now or later is the same to everybody.
    delivery.look()
  }
}
