/**
 * Hands messages to whoever subscribed to their subject: connections of the NATS protocol and parts of this process alike.
 * Called synchronously, in the order of the bytes that came in. Keeps nothing and knows no socket.
 */
import type { Random } from '../../../common/random.js'
import { SubjectIndex } from './subject-index.js'

/**
 * Valid only until `deliver` returns, unless its buffers are copied. Subjects have one character for each byte: see
 * subjects.ts for text that is not ASCII.
 */
export interface NatsMessage {
  readonly subject: string
  /** Empty: nobody waits for an answer. */
  readonly reply: string
  /** The whole block from `NATS/1.0` to its empty line. */
  readonly headers: Buffer | null
  readonly payload: Buffer
}

/** Whoever has subscriptions: a connection, or a part of this process. */
export interface Subscriber {
  /** Takes what it wants to keep. May publish, subscribe and unsubscribe; must not throw. */
  deliver(subscription: NatsSubscription, message: NatsMessage): void
  /** It has much to take already. */
  readonly isPressed?: boolean
}

export interface NatsSubscription {
  /** Valid, as `subjectKind` sees it. */
  readonly subject: string
  /** The group of which only one member gets a message. */
  readonly queue: string | null
  readonly sid: string
  readonly owner: Subscriber
}

const INBOX_PREFIX = '_INBOX.'
/** In hexadecimal they make the 22 characters that a NUID has. */
const INBOX_RANDOM_BYTES = 11

export class Router {
  readonly #index = new SubjectIndex<NatsSubscription>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  get subscriptions(): number {
    return this.#index.size
  }

  add(subscription: NatsSubscription): void {
    this.#index.add(subscription)
  }

  /** Twice is once. A message that is being handed out may still reach it. */
  remove(subscription: NatsSubscription): void {
    this.#index.remove(subscription)
  }

  /** How many it was handed to. Nothing of it comes back to `except`, who publishes and does not want its own messages. */
  publish(message: NatsMessage, except: Subscriber | null = null): number {
    const { plain, queues } = this.#index.match(message.subject)
    let count = 0
    for (let index = 0; index < plain.length; index++) {
      const subscription = plain[index] as NatsSubscription
      if (subscription.owner === except) continue
      subscription.owner.deliver(subscription, message)
      count++
    }
    for (let index = 0; index < queues.length; index++) {
      const member = this.#pick(queues[index] as readonly NatsSubscription[], except)
      if (member === null) continue
      member.owner.deliver(member, message)
      count++
    }
    return count
  }

  /** The first plain subscription of this owner that wants the subject. */
  subscriptionOf(owner: Subscriber, subject: string): NatsSubscription | null {
    return this.#index.match(subject).plain.find((each) => each.owner === owner) ?? null
  }

  /** Whether anybody would get it. */
  isHeard(subject: string): boolean {
    const { plain, queues } = this.#index.match(subject)
    return plain.length > 0 || queues.length > 0
  }

  /** Whether anybody who would get it has much to take already. */
  isPressed(subject: string): boolean {
    return this.#index.match(subject).plain.some(({ owner }) => owner.isPressed === true)
  }

  newInbox(): string {
    return INBOX_PREFIX + this.#random.id(INBOX_RANDOM_BYTES)
  }

  #pick(members: readonly NatsSubscription[], except: Subscriber | null): NatsSubscription | null {
    const first = members.length === 1 ? 0 : Math.floor(this.#random.next() * members.length)
    for (let step = 0; step < members.length; step++) {
      const member = members[(first + step) % members.length] as NatsSubscription
      if (member.owner !== except) return member
    }
    return null
  }
}
