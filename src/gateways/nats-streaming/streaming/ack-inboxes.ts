/**
 * Where the acks of a channel's subscriptions arrive. Nobody gets an answer to an ack.
 */
import type { NatsMessage, NatsSubscription, Router, Subscriber } from '../core/router.js'
import { Ack } from './messages.js'
import type { Subscription } from './subscription.js'

class AckInbox implements NatsSubscription {
  readonly subject: string
  readonly queue = null
  readonly sid = ''
  readonly owner: Subscriber
  readonly acked: Subscription
  hadUnreadable = false

  constructor(acked: Subscription, owner: Subscriber) {
    this.subject = acked.ackInbox
    this.acked = acked
    this.owner = owner
  }
}

export interface AckListener {
  acked(subscription: Subscription, sequence: number): void
  /** What came is no ack; `isFirst` of this subscription. */
  unreadable(subscription: Subscription, isFirst: boolean): void
}

export class AckInboxes implements Subscriber {
  readonly #router: Router
  readonly #listener: AckListener
  readonly #inboxes = new Map<Subscription, AckInbox>()
  readonly #ack = new Ack()

  constructor(router: Router, listener: AckListener) {
    this.#router = router
    this.#listener = listener
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
    if (this.#ack.read(payload)) {
      this.#listener.acked(subscription.acked, this.#ack.sequence)
      return
    }
    const isFirst = !subscription.hadUnreadable
    subscription.hadUnreadable = true
    this.#listener.unreadable(subscription.acked, isFirst)
  }
}
