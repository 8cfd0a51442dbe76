/**
 * A subscription of a connection: what SUB said, and how much of it UNSUB has left.
 */
import type { NatsSubscription, Subscriber } from './router.js'

export class ClientSubscription implements NatsSubscription {
  readonly subject: string
  readonly queue: string | null
  readonly sid: string
  readonly owner: Subscriber
  /** Messages since SUB. */
  delivered = 0
  /** It ends with this message; 0 is never. */
  max = 0
  isOver = false

  constructor(subject: string, queue: string | null, sid: string, owner: Subscriber) {
    this.subject = subject
    this.queue = queue
    this.sid = sid
    this.owner = owner
  }
}
