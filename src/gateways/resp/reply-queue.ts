/**
 * Replies leave in the order of their requests, also when what they wait for is done in another order. A reply that nobody is
 * ahead of goes to the outbox at once.
 */
import type { Outbox } from '../../transport/outbox.js'

/** Requests that wait for their reply; with more the connection is not read any further. */
const PENDING_MAX = 16_384
/** The list is cut to what waits when so many before it are done. */
const DONE_KEPT = 4096

export class ReplyQueue {
  readonly #outbox: Outbox
  readonly #bytesMax: number
  /** From `#head` on: null is not settled. */
  #replies: (Buffer | null)[] = []
  #head = 0
  /** Ticket of the reply at `#head`; 0 is no ticket. */
  #first = 1
  #heldBytes = 0
  #held = 0

  constructor(outbox: Outbox, bytesMax: number) {
    this.#outbox = outbox
    this.#bytesMax = bytesMax
  }

  /** Requests without a reply in the outbox. */
  get pending(): number {
    return this.#replies.length - this.#head
  }

  /** Replies that are there, and wait for one before them. */
  get held(): number {
    return this.#held
  }

  get isFull(): boolean {
    return this.pending >= PENDING_MAX || this.#heldBytes > this.#bytesMax
  }

  /** The reply of the request at hand, which is known. */
  add(reply: Buffer): void {
    if (this.pending === 0) this.#outbox.pass(reply)
    else {
      this.#replies.push(reply)
      this.#hold(reply, 1)
    }
  }

  /** A place for the reply of the request at hand, which is not known yet. */
  open(): number {
    this.#replies.push(null)
    return this.#first + this.pending - 1
  }

  /** Once a ticket. */
  settle(ticket: number, reply: Buffer): void {
    const index = this.#head + ticket - this.#first
    if (index !== this.#head) {
      this.#replies[index] = reply
      this.#hold(reply, 1)
      return
    }
    this.#pass(reply)
    for (;;) {
      const next = this.#replies[this.#head]
      if (next === undefined || next === null) break
      this.#hold(next, -1)
      this.#pass(next)
    }
    if (this.pending === 0) {
      this.#replies = []
      this.#head = 0
    } else if (this.#head > DONE_KEPT) {
      this.#replies = this.#replies.slice(this.#head)
      this.#head = 0
    }
  }

  #pass(reply: Buffer): void {
    this.#outbox.pass(reply)
    this.#replies[this.#head] = null
    this.#head++
    this.#first++
  }

  #hold(reply: Buffer, sign: 1 | -1): void {
    this.#held += sign
    this.#heldBytes += sign * reply.length
  }
}
