/**
 * Which messages of a channel are in flight, and under which tickets. A ticket is a number that nobody guesses, and that
 * every client can hold: 1 to 2^52.
 */
import type { Random } from '../../../common/random.js'

/** Hexadecimal digits of a ticket: 52 bits. */
const DIGITS = 13
const DRAWN_AT_ONCE = 64

/** Draws tickets. One for all channels, as they cost less by the dozen. */
export class TicketDraw {
  readonly #random: Random
  #digits = ''
  #at = 0

  constructor(random: Random) {
    this.#random = random
  }

  next(): number {
    if (this.#at >= this.#digits.length) {
      this.#digits = this.#random.id((DIGITS * DRAWN_AT_ONCE) / 2)
      this.#at = 0
    }
    const ticket = Number.parseInt(this.#digits.slice(this.#at, this.#at + DIGITS), 16)
    this.#at += DIGITS
    return ticket + 1
  }
}

export class Tickets {
  readonly #draw: TicketDraw
  readonly #offsets = new Map<number, number>()
  readonly #tickets = new Map<number, number>()

  constructor(draw: TicketDraw) {
    this.#draw = draw
  }

  get size(): number {
    return this.#offsets.size
  }

  /** A new ticket for the record at `offset`; the one it had is dead. */
  give(offset: number): number {
    this.drop(offset)
    let ticket = this.#draw.next()
    while (this.#offsets.has(ticket)) ticket = this.#draw.next()
    this.#offsets.set(ticket, offset)
    this.#tickets.set(offset, ticket)
    return ticket
  }

  /** The offset that the ticket stands for, which it does no more; null for what is no ticket. */
  take(ticket: number): number | null {
    const offset = this.#offsets.get(ticket)
    if (offset === undefined) return null
    this.#offsets.delete(ticket)
    this.#tickets.delete(offset)
    return offset
  }

  drop(offset: number): void {
    const ticket = this.#tickets.get(offset)
    if (ticket === undefined) return
    this.#tickets.delete(offset)
    this.#offsets.delete(ticket)
  }

  /** The same for offsets [from, to), however many of them are in flight. */
  dropRange(from: number, to: number): void {
    if (to - from <= this.#tickets.size) {
      for (let offset = from; offset < to; offset++) this.drop(offset)
      return
    }
    for (const offset of [...this.#tickets.keys()]) if (offset >= from && offset < to) this.drop(offset)
  }

  clear(): void {
    this.#offsets.clear()
    this.#tickets.clear()
  }
}

/** What a ticket stands for. */
export interface Lease {
  readonly era: number
  readonly offset: number
}

/** The tickets of a channel. A seek begins another era: what is in flight then keeps its tickets, and may get others as well. */
export class TicketBook {
  readonly #draw: TicketDraw
  /** Those that have any. */
  readonly #eras = new Map<number, Tickets>()

  constructor(draw: TicketDraw) {
    this.#draw = draw
  }

  get size(): number {
    let size = 0
    for (const tickets of this.#eras.values()) size += tickets.size
    return size
  }

  give({ era, offset }: Lease): number {
    let tickets = this.#eras.get(era)
    if (tickets === undefined) {
      tickets = new Tickets(this.#draw)
      this.#eras.set(era, tickets)
    }
    return tickets.give(offset)
  }

  /** What the ticket stands for, which it does no more; null for what is no ticket. */
  take(ticket: number): Lease | null {
    for (const [era, tickets] of this.#eras) {
      const offset = tickets.take(ticket)
      if (offset === null) continue
      this.#forgetEmpty(era, tickets)
      return { era, offset }
    }
    return null
  }

  dropRange(era: number, from: number, to: number): void {
    const tickets = this.#eras.get(era)
    if (tickets === undefined) return
    tickets.dropRange(from, to)
    this.#forgetEmpty(era, tickets)
  }

  clear(): void {
    this.#eras.clear()
  }

  #forgetEmpty(era: number, tickets: Tickets): void {
    if (tickets.size === 0) this.#eras.delete(era)
  }
}
