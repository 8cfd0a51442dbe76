/**
 * Questions that the server asks of its clients: an empty message to one of their inboxes, and whether anything comes back.
 * One inbox for all answers. What is asked holds up nobody but the one who asks.
 */
import type { Clock, Timer } from '../../../common/clock.js'
import type { NatsMessage, NatsSubscription, Router, Subscriber } from '../core/router.js'

const EMPTY = Buffer.alloc(0)

interface Inquiry {
  readonly timeout: Timer
  readonly answered: (isAnswered: boolean) => void
}

export class Inquiries implements Subscriber {
  readonly #router: Router
  readonly #clock: Clock
  readonly #open = new Map<string, Inquiry>()
  readonly #inbox: string
  readonly #subscription: NatsSubscription
  #asked = 0

  constructor(router: Router, clock: Clock) {
    this.#router = router
    this.#clock = clock
    this.#inbox = router.newInbox()
    this.#subscription = { subject: `${this.#inbox}.*`, queue: null, sid: '', owner: this }
  }

  /** Those without an answer. */
  get open(): number {
    return this.#open.size
  }

  start(): void {
    this.#router.add(this.#subscription)
  }

  /** Nobody is told any more. */
  stop(): void {
    this.#router.remove(this.#subscription)
    for (const { timeout } of this.#open.values()) timeout.cancel()
    this.#open.clear()
  }

  /** Calls back once, perhaps at once, with whether anything came within `timeoutMs`. */
  ask(subject: string, timeoutMs: number, answered: (isAnswered: boolean) => void): void {
    const reply = `${this.#inbox}.${(this.#asked++).toString(36)}`
    const end = (): void => this.#end(reply, false)
    this.#open.set(reply, { timeout: this.#clock.after(timeoutMs, end), answered })
    if (subject !== '' && this.#router.publish({ subject, reply, headers: null, payload: EMPTY }) > 0) return
    // Nobody is there, which is an answer too.
    end()
  }

  deliver(_subscription: NatsSubscription, { subject }: NatsMessage): void {
    this.#end(subject, true)
  }

  #end(reply: string, isAnswered: boolean): void {
    const inquiry = this.#open.get(reply)
    if (inquiry === undefined) return
    this.#open.delete(reply)
    inquiry.timeout.cancel()
    inquiry.answered(isAnswered)
  }
}
