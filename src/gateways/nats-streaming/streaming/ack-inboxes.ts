/**
 * Where the acks of a channel's subscriptions arrive. Nobody gets an answer to an ack.
 */
import type { Counter } from '../../../metrics/registry.js'
import type { NatsMessage, NatsSubscription, Router, Subscriber } from '../core/router.js'
import type { Channels } from './channels.js'
import type { Journal } from './journal.js'
import { Ack, decodeAckChannel } from './messages.js'
import type { Subscription } from './subscription.js'
import { foreignAckLine, unreadableAckLine } from './subscription-lines.js'

class AckInbox implements NatsSubscription {
  readonly subject: string
  readonly queue = null
  readonly sid = ''
  readonly owner: Subscriber
  readonly acked: Subscription
  /** Told of. */
  hadUnreadable = false
  hadForeign = false

  constructor(acked: Subscription, owner: Subscriber) {
    this.subject = acked.ackInbox
    this.acked = acked
    this.owner = owner
  }
}

export interface AckContext {
  readonly router: Router
  readonly channels: Channels
  readonly journal: Journal
  readonly counters: { readonly unreadableAcks: Counter; readonly foreignAcks: Counter }
}

export class AckInboxes implements Subscriber {
  readonly #channel: string
  readonly #context: AckContext
  readonly #router: Router
  readonly #acked: (subscription: Subscription, sequence: number) => void
  readonly #inboxes = new Map<Subscription, AckInbox>()
  readonly #ack: Ack

  constructor(channel: string, context: AckContext, acked: (subscription: Subscription, sequence: number) => void) {
    this.#channel = channel
    this.#context = context
    this.#router = context.router
    this.#acked = acked
    this.#ack = new Ack(channel)
  }

  add(subscription: Subscription): void {
    const inbox = new AckInbox(subscription, this)
    this.#inboxes.set(subscription, inbox)
    this.#router.add(inbox)
  }

  remove(subscription: Subscription): void {
    const inbox = this.#inboxes.get(subscription)
    if (inbox === undefined) return
    this.#inboxes.delete(subscription)
    this.#router.remove(inbox)
  }

  clear(): void {
    for (const inbox of this.#inboxes.values()) this.#router.remove(inbox)
    this.#inboxes.clear()
  }

  deliver(subscription: NatsSubscription, { payload }: NatsMessage): void {
    if (!(subscription instanceof AckInbox)) return
    const ack = this.#ack
    if (!ack.read(payload)) this.#unreadable(subscription)
    else if (!ack.isOfChannel) this.#foreign(subscription, ack.sequence, decodeAckChannel(payload))
    else this.#acked(subscription.acked, ack.sequence)
  }

  #unreadable(inbox: AckInbox): void {
    const { counters, journal } = this.#context
    counters.unreadableAcks.value++
    if (inbox.hadUnreadable) return
    inbox.hadUnreadable = true
    journal.error(unreadableAckLine(this.#channel, inbox.acked))
  }

  /** It names another channel, and acks nothing of either. */
  #foreign(inbox: AckInbox, sequence: number, named: string): void {
    const { counters, journal, channels } = this.#context
    counters.foreignAcks.value++
    if (inbox.hadForeign) return
    inbox.hadForeign = true
    journal.error(foreignAckLine(this.#channel, inbox.acked, { sequence, named, isThere: channels.has(named) }))
  }
}
