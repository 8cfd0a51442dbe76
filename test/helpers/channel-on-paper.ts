/**
 * A channel without a broker: messages are numbers, and what is sent is a list of lines. Runs the machine of its
 * subscriptions as a server would, one thing after the other.
 */
import assert from 'node:assert/strict'
import {
  type ChannelRules,
  ChannelSubscriptions,
} from '../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import type { Moment } from '../../src/gateways/nats-streaming/streaming/moment.js'
import { readStored, restoreChannel } from '../../src/gateways/nats-streaming/streaming/restore-subscriptions.js'
import type {
  DeliveryGroup,
  Refusal,
  SubscribeRequest,
  Subscription,
} from '../../src/gateways/nats-streaming/streaming/subscription.js'
import { EVERYBODY_LISTENS } from './everybody-listens.js'

const NAME = 'paper'
const SHIFT_MS = 654_321

export class ChannelOnPaper {
  readonly #rules: ChannelRules
  readonly #kept = new Map<string, Buffer>()
  readonly #removed = new Set<number>()
  #lines: string[] = []
  machine: ChannelSubscriptions
  last = 0
  nowMs = 1_000_000_000
  /** How far the clock of the wall is ahead of it; each restart begins to count anew. */
  wallAheadMs = 1_000_000_000_000

  constructor(rules: Partial<ChannelRules> = {}) {
    this.#rules = { subscriptionsMax: 1_000, isDurableReplaced: false, ...rules }
    this.machine = new ChannelSubscriptions(NAME, this.#rules, EVERYBODY_LISTENS)
  }

  /** The client of a durable is the same for all of them unless it is named; it begins with the first message. */
  asked(inbox: string, settings: Partial<SubscribeRequest> = {}): SubscribeRequest {
    const clientId = settings.durableName === undefined ? inbox : 'client'
    const plain = { clientId, queue: '', durableName: '', maxInFlight: 1_000, ackWaitMs: 1_000 }
    return { ...plain, inbox, ackInbox: `ack of ${inbox}`, ...settings }
  }

  request(inbox: string, settings: Partial<SubscribeRequest> = {}, start = 0): Subscription {
    const outcome = this.machine.subscribe(this.asked(inbox, settings), start, this.nowMs)
    assert.ok(outcome.kind !== 'refused', `${inbox} is refused`)
    return outcome.subscription
  }

  subscribe(inbox: string, settings: Partial<SubscribeRequest> = {}, start = 0): Subscription {
    const subscription = this.request(inbox, settings, start)
    this.machine.ready(subscription)
    this.pass(0)
    return subscription
  }

  refused(inbox: string, settings: Partial<SubscribeRequest> = {}): Refusal | null {
    const outcome = this.machine.subscribe(this.asked(inbox, settings), 0, this.nowMs)
    return outcome.kind === 'refused' ? outcome.error : null
  }

  publish(messages: number): void {
    this.last += messages
    this.deliver()
  }

  remove(sequence: number): void {
    this.#removed.add(sequence)
  }

  ack(inbox: string, sequence: number): void {
    assert.ok(this.machine.ack(this.#find(inbox), sequence), `nobody waits for ${sequence}`)
    this.deliver()
  }

  close(inbox: string): void {
    this.machine.close(this.#find(inbox), this.nowMs)
    this.deliver()
  }

  unsubscribe(inbox: string): void {
    this.machine.unsubscribe(this.#find(inbox), this.nowMs)
    this.deliver()
  }

  group(inbox: string): DeliveryGroup {
    return this.#find(inbox).group
  }

  /** Whoever has room gets what is new. */
  deliver(): void {
    for (const group of this.machine.groups()) {
      for (let sequence = group.lastSent + 1; sequence <= this.last && group.room > 0; sequence++) {
        if (this.#removed.has(sequence)) continue
        const to = this.machine.give(group, sequence, this.nowMs)
        if (to !== null) this.#lines.push(`${to.inbox}:${sequence}`)
      }
    }
    this.#keep(false)
  }

  pass(ms: number): void {
    this.nowMs += ms
    for (const message of this.machine.due(this.nowMs, Number.POSITIVE_INFINITY)) {
      if (this.#removed.has(message.sequence)) {
        this.machine.missing(message)
        continue
      }
      const to = this.machine.redeliver(message, this.nowMs)
      if (to !== null) this.#lines.push(`${to.inbox}:${message.sequence} again ${message.redeliveries}`)
    }
    this.deliver()
  }

  /** All that was sent since the last call. */
  sent(): string[] {
    const lines = this.#lines
    this.#lines = []
    return lines
  }

  /** What the other has written is found here as well. */
  mix(other: ChannelOnPaper): void {
    for (const [key, value] of other.#kept) this.#kept.set(key, value)
  }

  restart(isClientKnown: (clientId: string) => boolean = () => true, awayMs = 0): void {
    this.#keep(true)
    this.nowMs -= SHIFT_MS
    this.wallAheadMs += SHIFT_MS + awayMs
    this.machine = new ChannelSubscriptions(NAME, this.#rules, EVERYBODY_LISTENS)
    const stored = readStored(this.#kept, []).get(NAME)
    const bounds = { first: this.last === 0 ? 0 : 1, last: this.last }
    if (stored !== undefined) this.machine.restore(restoreChannel(stored, bounds, isClientKnown), this.#moment())
    this.pass(0)
  }

  #keep(isWhole: boolean): void {
    for (const { key, value } of this.machine.takeWrites(isWhole, 0, this.#moment())) {
      if (value === null) this.#kept.delete(key)
      else this.#kept.set(key, value)
    }
  }

  #moment(): Moment {
    return { ms: this.nowMs, wallMs: this.nowMs + this.wallAheadMs }
  }

  #find(inbox: string): Subscription {
    const found = this.machine.find(inbox)
    assert.ok(found !== null, `nobody has the inbox ${inbox}`)
    return found
  }
}
