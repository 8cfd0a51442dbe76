/**
 * A channel: a shared group of the topic, with one member for all connections. Those who wait for messages stand in line;
 * the member asks for what the first of them wants, and for nothing when nobody waits. In flight is what the group has
 * given out: a ticket stands for its offset.
 */

import type { GroupDelivery, GroupListener, GroupMember } from '../../../broker/group-member.js'
import type { Clock, Timer } from '../../../common/clock.js'
import { asLeveretError, type LeveretError } from '../../../common/errors.js'
import { skipRecords } from '../../../model/run.js'
import { MessageReplies } from './message-record.js'
import { type Lease, TicketBook, type TicketDraw } from './tickets.js'

/** Messages; `nothing` at once, or (`late`) when the time was over. */
export type Fetched = MessageReplies | 'nothing' | 'late' | LeveretError

/** Somebody in line. */
export interface Waiter {
  /** It goes without an answer. */
  cancel(): void
  /** It waits for nothing that is to come: it gets what there is now. */
  hurry(): void
}

interface Place extends Waiter {
  readonly count: number
  /** Null is nothing yet. */
  got: MessageReplies | null
  timer: Timer | null
  answer(fetched: Fetched): void
}

interface LeaseRange {
  readonly era: number
  readonly from: number
  to: number
}

export interface ChannelContext {
  readonly clock: Clock
  readonly draw: TicketDraw
  /** About the most that one answer brings. */
  readonly fetchBytesMax: number
  /** The group is gone. */
  ended(channel: Channel, reason: LeveretError): void
}

export class Channel implements GroupListener {
  readonly name: string
  /** Seconds since 1970 of the last get, ack, seek or purge. */
  touched: number
  /** Records below are passed over: a seek went beyond the end. */
  skipBelow = 0
  readonly #context: ChannelContext
  readonly #tickets: TicketBook
  readonly #line = new Set<Place>()
  /** Those in line who do not wait for what is to come. */
  readonly #impatient = new Set<Place>()
  #member: GroupMember | null = null

  constructor(name: string, context: ChannelContext) {
    this.name = name
    this.#context = context
    this.#tickets = new TicketBook(context.draw)
    this.touched = nowSeconds(context.clock)
  }

  get inFlight(): number {
    return this.#tickets.size
  }

  /** Those who wait for what is to come. */
  get waiting(): number {
    return this.#line.size - this.#impatient.size
  }

  sit(member: GroupMember): void {
    this.#member = member
    this.#ask()
  }

  touch(): void {
    this.touched = nowSeconds(this.#context.clock)
  }

  /** The group goes on elsewhere. */
  sought(skipBelow: number): void {
    this.touch()
    this.skipBelow = skipBelow
  }

  /**
   * Stand in line for 1 to `count` messages, for so long; 0: for what there is now. `answer` is called once, perhaps before
   * this returns.
   */
  fetch(count: number, timeoutMs: number, answer: (fetched: Fetched) => void): Waiter {
    this.touch()
    const place: Place = {
      count,
      got: null,
      timer: null,
      answer,
      cancel: () => this.#leave(place),
      hurry: () => this.#hurry(place),
    }
    this.#line.add(place)
    if (timeoutMs > 0) this.#setTimer(place, this.#context.clock.monotonic() + timeoutMs)
    else this.#impatient.add(place)
    this.#ask()
    return place
  }

  /** How many of the tickets counted, when that is safe. */
  ack(tickets: readonly number[]): Promise<number> {
    this.touch()
    const member = this.#member
    if (member === null) return Promise.resolve(0)
    const leases: Lease[] = []
    for (const ticket of tickets) {
      const lease = this.#tickets.take(ticket)
      if (lease !== null) leases.push(lease)
    }
    const ranges = rangesOf(leases)
    const [range] = ranges
    // What one fetch brought is one, mostly.
    if (range !== undefined && ranges.length === 1) return ackRange(member, range)
    return Promise.all(ranges.map((each) => ackRange(member, each))).then((counts) =>
      counts.reduce((sum, counted) => sum + counted, 0),
    )
  }

  leave(): void {
    this.#member?.leave()
    this.#member = null
  }

  delivered({ partition, batch, from, to, era, isAside }: GroupDelivery): void {
    const first = isAside ? from : Math.max(from, Math.min(to, this.skipBelow))
    if (first > from) this.#pass(partition, from, first, era)
    const [place] = this.#line
    if (place === undefined) {
      void this.#member?.settle(partition, { from: first, to }, 'release', 0, '', era).catch(() => undefined)
      return
    }
    let position = skipRecords(batch.body, 0, first - batch.baseOffset)
    place.got ??= new MessageReplies(Math.ceil((batch.body.length * (to - first)) / batch.count), to - first)
    const { got } = place
    for (let offset = first; offset < to; offset++) {
      position = got.add(batch.body, position, offset + 1, this.#tickets.give({ era, offset }))
    }
    if (got.count >= place.count || got.bytes >= this.#context.fetchBytesMax) this.#finish(place, 'nothing')
    else if (first > from) this.#ask()
  }

  expired(_partition: number, from: number, to: number, era: number): void {
    this.#tickets.dropRange(era, from, to)
  }

  lost(): void {
    // Readers see a gap.
  }

  nothingLeft(): void {
    const [first] = this.#line
    for (const place of this.#impatient) this.#answer(place, 'nothing')
    if (first !== undefined && hasGot(first)) this.#answer(first, 'nothing')
    const [left] = this.#line
    if (left !== first) this.#ask()
  }

  ended(reason: Error): void {
    const error = asLeveretError(reason)
    this.#member = null
    this.#tickets.clear()
    this.#context.ended(this, error)
    for (const place of this.#line) this.#answer(place, error)
  }

  /** What a seek passed over before it was there is done with. */
  #pass(partition: number, from: number, to: number, era: number): void {
    // What fails is told again, and passed over again.
    void this.#member?.settle(partition, { from, to }, 'ack', 0, '', era).catch(() => undefined)
  }

  /** Timers of the system may come a little early, and nobody is told too early that there is nothing. */
  #setTimer(place: Place, deadlineMs: number): void {
    const { clock } = this.#context
    place.timer = clock.after(deadlineMs - clock.monotonic(), () => {
      if (clock.monotonic() < deadlineMs) this.#setTimer(place, deadlineMs)
      else this.#finish(place, 'late')
    })
  }

  #hurry(place: Place): void {
    if (!this.#line.has(place)) return
    place.timer?.cancel()
    this.#impatient.add(place)
    this.#ask()
  }

  #leave(place: Place): void {
    const [first] = this.#line
    if (!this.#drop(place)) return
    if (place === first) this.#ask()
  }

  #finish(place: Place, empty: 'nothing' | 'late'): void {
    const [first] = this.#line
    this.#answer(place, empty)
    if (place === first) this.#ask()
  }

  /** What it has got, or why it has got nothing. Who is first now is not served yet. */
  #answer(place: Place, otherwise: 'nothing' | 'late' | LeveretError): void {
    if (this.#drop(place)) place.answer(hasGot(place) ? place.got : otherwise)
  }

  #drop(place: Place): boolean {
    if (!this.#line.delete(place)) return false
    this.#impatient.delete(place)
    place.timer?.cancel()
    return true
  }

  /** For who is first. */
  #ask(): void {
    const [place] = this.#line
    this.#member?.ask(place === undefined ? 0 : place.count - (place.got?.count ?? 0))
  }
}

function hasGot(place: Place): place is Place & { got: MessageReplies } {
  return place.got !== null && place.got.count > 0
}

/** How many of them counted. */
async function ackRange(member: GroupMember, { era, from, to }: LeaseRange): Promise<number> {
  let counted = to - from
  for (const stale of await member.settle(0, { from, to }, 'ack', 0, '', era)) counted -= stale.to - stale.from
  return counted
}

/** As ranges, so that neighbours are one. */
function rangesOf(leases: Lease[]): LeaseRange[] {
  const ranges: LeaseRange[] = []
  for (const { era, offset } of leases.sort((a, b) => a.era - b.era || a.offset - b.offset)) {
    const last = ranges.at(-1)
    if (last?.era === era && last.to === offset) last.to++
    else ranges.push({ era, from: offset, to: offset + 1 })
  }
  return ranges
}

function nowSeconds(clock: Clock): number {
  return Math.floor(clock.now() / 1_000)
}
