/**
 * What pushers and consumers of a Floki queue know over all lives of a server that is killed, and what must be true of it: what
 * was answered is brought to every channel, an id stands for one message for ever, and what was acked does not come again.
 */
import assert from 'node:assert/strict'
import { FlokiPeer, messagesOf } from './floki-server.js'
import type { RespPeer } from './resp-peer.js'

/** Requests under way of one pusher. */
const WINDOW = 16
const FETCH = 20

export class Pusher {
  readonly answered = new Set<string>()
  readonly #name: string
  readonly #queue: string
  #sent = 0

  constructor(name: string, queue: string) {
    this.#name = name
    this.#queue = queue
  }

  /** Until the connection ends, or nothing more is wanted. */
  async run(peer: RespPeer, isOver: () => boolean, rest: () => Promise<void>): Promise<void> {
    const underway: string[][] = []
    for (;;) {
      while (underway.length < WINDOW && !isOver()) {
        const bodies = Array.from({ length: 1 + (this.#sent % 3) }, () => `${this.#name}/${this.#sent++}`)
        underway.push(bodies)
        peer.send('RPUSH', this.#queue, ...bodies)
      }
      const bodies = underway.shift()
      if (bodies === undefined) return
      const reply = await peer.next()
      if (reply === null) return
      assert.deepEqual(reply, [':', bodies.length])
      for (const body of bodies) this.answered.add(body)
      if (this.answered.size % WINDOW === 0) await rest()
    }
  }
}

/** A channel, and all who consume it. */
export class Channel {
  readonly name: string
  readonly queue: string
  readonly #bodies: Map<number, string>
  readonly #seen = new Set<string>()
  readonly #acked = new Set<number>()
  /** Brought again after a time in which nobody acked them. */
  repeated = 0

  /** `bodies` is what each id of the queue stands for, the same for all channels of it. */
  constructor(queue: string, name: string, bodies: Map<number, string>) {
    this.queue = queue
    this.name = name
    this.#bodies = bodies
  }

  get acked(): number {
    return this.#acked.size
  }

  /** Until the connection ends, or a fetch waits so many seconds for nothing once nothing more is wanted. */
  async run(raw: RespPeer, isOver: () => boolean, patienceSeconds: number): Promise<void> {
    const peer = new FlokiPeer(raw)
    for (;;) {
      const wasOver = isOver()
      const reply = await peer.ask(`HMGET ${this.queue} ${this.name} ${FETCH} ${wasOver ? patienceSeconds : 1}`)
      if (reply === null) return
      if (reply[0] === 'nil') {
        if (wasOver) return
        continue
      }
      const messages = messagesOf(reply)
      for (const { id, body } of messages) this.#brought(id, body)
      const tickets = messages.map(({ ticket }) => ticket)
      const ack = await peer.ask(`HDEL ${this.queue} ${this.name} ${tickets.join(' ')}`)
      if (ack === null) return
      // With fewer some came too late, and nobody knows which.
      if (ack[1] === messages.length) for (const { id } of messages) this.#acked.add(id)
    }
  }

  check(pushers: readonly Pusher[]): void {
    for (const { answered } of pushers) {
      for (const body of answered) assert.ok(this.#seen.has(body), `${this.name}: ${body} was answered and is lost`)
    }
  }

  #brought(id: number, body: string): void {
    assert.ok(!this.#acked.has(id), `${this.name}: ${id} was acked and comes again`)
    assert.equal(this.#bodies.get(id) ?? body, body, `${id} stands for two messages`)
    this.#bodies.set(id, body)
    if (this.#seen.has(body)) this.repeated++
    this.#seen.add(body)
  }
}
