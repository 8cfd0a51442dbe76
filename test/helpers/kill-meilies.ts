/**
 * What publishers and followers of MeiliES streams know over all lives of a server that is killed, and what must be true of it:
 * numbers are dense, what was answered OK is there, nothing is there twice, and what was seen once is what is there.
 */
import assert from 'node:assert/strict'
import type { RespPeer } from './resp-peer.js'
import type { RespValue } from './resp-values.js'

/** Publishes under way of one publisher. */
const WINDOW = 32
/** Sequence of a publisher and its number as one: an event takes eight bytes to remember. */
const SEQUENCES = 2 ** 32

/** Publishes `number/0`, `number/1`... to its stream over one connection after the other. */
export class EventPublisher {
  readonly stream: string
  acked = 0
  /** Sent in one life and never answered: first and end of each window. */
  readonly doubts: [number, number][] = []
  readonly #number: number
  #sent = 0

  constructor(number: number, stream: string) {
    this.#number = number
    this.stream = stream
  }

  get number(): number {
    return this.#number
  }

  get doubtful(): number {
    return this.doubts.reduce((sum, [first, end]) => sum + end - first, 0)
  }

  /** Until the connection ends, or nothing more is wanted. */
  async run(peer: RespPeer, isOver: () => boolean, rest: () => Promise<void>): Promise<void> {
    let next = this.#sent
    for (;;) {
      while (this.#sent < next + WINDOW && !isOver()) {
        peer.send('publish', this.stream, 'e', `${this.#number}/${this.#sent++}`)
      }
      if (next === this.#sent) return
      const reply = await peer.next()
      if (reply === null) break
      assert.deepEqual(reply, ['+', 'OK'])
      this.acked++
      if (++next % WINDOW === 0) await rest()
    }
    this.doubts.push([next, this.#sent])
  }

  /** What must be stored is everything but what is in doubt; of that a beginning. */
  check(stored: readonly number[]): void {
    let at = 0
    let expected = 0
    const take = (end: number, isSure: boolean): void => {
      for (; expected < end && stored[at] === expected; at++) expected++
      assert.ok(!isSure || expected === end, `publisher ${this.#number}: ${expected} was answered and is lost`)
      expected = end
    }
    for (const [first, end] of this.doubts) {
      take(first, true)
      take(end, false)
    }
    take(this.#sent, true)
    assert.equal(at, stored.length, `publisher ${this.#number}: ${stored[at]} is there twice, or out of order`)
  }
}

/** Follows a stream, each time from where it was. */
export class EventFollower {
  readonly stream: string
  /** What it saw at each number. */
  readonly seen: number[] = []

  constructor(stream: string) {
    this.stream = stream
  }

  /** Until the connection ends, or it has seen so many. */
  async run(peer: RespPeer, until = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.seen.length >= until) return
    peer.send('subscribe', `${this.stream}:${this.seen.length}`)
    const confirmed = await peer.next()
    if (confirmed === null) return
    assert.equal(listOf(confirmed)[0]?.[1], 'subscribed')
    while (this.seen.length < until) {
      const event = await peer.next()
      if (event === null) return
      const [, , number, , data] = listOf(event)
      assert.equal(number?.[1], this.seen.length, `${this.stream}: a number was skipped, or came twice`)
      const [publisher, sequence] = String(data?.[1]).split('/')
      this.seen.push(Number(publisher) * SEQUENCES + Number(sequence))
    }
  }

  /** What it saw is the beginning of what is stored. */
  checkAgainst(stored: readonly number[]): void {
    for (let number = 0; number < this.seen.length; number++) {
      assert.equal(this.seen[number], stored[number], `${this.stream}: event ${number} is not what it was`)
    }
  }

  /** Sequences of one publisher, in the order of the stream. */
  ofPublisher(number: number): number[] {
    return this.seen.filter((event) => Math.floor(event / SEQUENCES) === number).map((event) => event % SEQUENCES)
  }
}

export async function eventsIn(peer: RespPeer, stream: string): Promise<number> {
  const reply = await peer.ask('last-event-number', stream)
  assert.ok(reply !== null)
  const last = listOf(reply)[2]
  return last?.[0] === ':' ? last[1] + 1 : 0
}

function listOf(value: RespValue): readonly RespValue[] {
  assert.ok(value[0] === '*', JSON.stringify(value))
  return value[1]
}
