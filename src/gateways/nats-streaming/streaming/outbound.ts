/**
 * Messages on their way to inboxes: gathered in a turn, and sent together when what they changed is kept.
 */
import type { Counter } from '../../../metrics/registry.js'
import { ReceivedMessage } from '../core/received-message.js'
import type { Router } from '../core/router.js'
import type { Feed } from './feed.js'
import type { Subscription } from './subscription.js'

export interface OutboundContext {
  readonly router: Router
  /** Set by the router's subscribers while a message is handed to one that has much to take already. */
  readonly pressure: { isHigh: boolean }
  readonly counters: { readonly sent: Counter }
}

/** Where a message lies; CRLF follows it. */
export interface LaidOut {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

interface Outgoing extends LaidOut {
  readonly to: Subscription
  /** Of a first delivery; those that are sent again are in nobody's way. */
  readonly feed: Feed | null
}

export class Outbound {
  readonly #context: OutboundContext
  readonly #pressed: (feed: Feed) => void
  #gathered: Outgoing[] = []
  /** Turns that were not sent at once; what comes after them waits as well. */
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()
  unsentBytes = 0

  /** `pressed` is told whose inbox has much to take. */
  constructor(context: OutboundContext, pressed: (feed: Feed) => void) {
    this.#context = context
    this.#pressed = pressed
  }

  add(to: Subscription, { buffer, start, end }: LaidOut, feed: Feed | null): void {
    this.#gathered.push({ to, buffer, start, end, feed })
    this.unsentBytes += end - start
  }

  /** Send what was gathered, at once or when `kept` resolves, which must not fail; calls are in their order. */
  sendAfter(kept: Promise<void> | null): void {
    if (this.#gathered.length === 0) return
    const outgoing = this.#gathered
    this.#gathered = []
    if (kept === null && this.#waiting === 0) {
      this.#send(outgoing)
      return
    }
    this.#waiting++
    this.#last = Promise.all([this.#last, kept]).then(() => {
      this.#waiting--
      this.#send(outgoing)
    })
  }

  /** Resolves when everything until now is sent. */
  async sent(): Promise<void> {
    await this.#last
  }

  #send(outgoing: readonly Outgoing[]): void {
    const { router, pressure, counters } = this.#context
    const message = new ReceivedMessage()
    for (const { to, buffer, start, end, feed } of outgoing) {
      this.unsentBytes -= end - start
      if (to.isGone || to.inbox === '') continue
      message.subject = to.inbox
      message.buffer = buffer
      message.bodyAt = start
      message.bodyBytes = end - start
      pressure.isHigh = false
      router.publish(message)
      counters.sent.value++
      // Of a group, the others go on; its slow member has as much as it may have in flight.
      if (pressure.isHigh && feed !== null && to.queue === '') this.#pressed(feed)
    }
  }
}
