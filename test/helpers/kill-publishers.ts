/**
 * Publishers that go on whatever becomes of the server, and write down what they did: one over the client library, with
 * producer sequences, and one over bare frames, without. Both can be held for a moment, with nothing in flight.
 */
import type { Client } from '../../client/index.js'
import type { Random } from '../../src/common/random.js'
import type { ServerFrame } from '../../src/protocol/frames.js'
import { below, between } from './faulty-random.js'
import type { PublisherHistory } from './kill-history.js'
import { pause } from './kill-server.js'
import { publishFrame, WireClient } from './wire-client.js'

const RECORDS_MAX = 40
const PAYLOAD_BYTES_MAX = 700
/** Between two publishes: the machine is shared, and a full disk queue proves no more than a busy one. */
const IDLE_MS = 2

/** Holds publishers, or lets them go on, or ends them. */
export class Gate {
  isOver = false
  #closed: Promise<void> | null = null
  #open: () => void = () => undefined
  readonly #idle = new Set<object>()
  #onIdle: () => void = () => undefined

  get isOpen(): boolean {
    return this.#closed === null && !this.isOver
  }

  /** Resolves when all of `publishers` have nothing in flight. */
  async hold(publishers: number): Promise<void> {
    this.#closed = new Promise((resolve) => {
      this.#open = resolve
    })
    while (this.#idle.size < publishers) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
  }

  release(): void {
    this.#closed = null
    // They are idle no more, even if they have not noticed yet.
    this.#idle.clear()
    this.#open()
  }

  /** Called by a publisher that has nothing in flight. False when it is to end. */
  async pass(publisher: object): Promise<boolean> {
    if (this.#closed === null) return !this.isOver
    this.#idle.add(publisher)
    this.#onIdle()
    await this.#closed
    return !this.isOver
  }

  end(): void {
    this.isOver = true
    this.release()
  }
}

export interface PublisherPlan {
  readonly topic: string
  readonly partitions: number
  readonly history: PublisherHistory
  readonly gate: Gate
  readonly random: Random
}

/** Over the client library; each batch of records is spread by key over the partitions. */
export async function publishSequenced(client: Client, plan: PublisherPlan): Promise<void> {
  const { history, gate, random } = plan
  const topic = client.topic(plan.topic)
  const inFlightMax = 1 + below(random, 6)
  const inFlight = new Set<Promise<void>>()
  for (;;) {
    if (!gate.isOpen) {
      await Promise.all(inFlight)
      if (!(await gate.pass(inFlight))) return
    }
    const first = history.sends.length
    const records = Array.from({ length: between(random, 1, RECORDS_MAX) }, (_, index) => {
      const value = Buffer.from(history.make(16 + below(random, PAYLOAD_BYTES_MAX)))
      history.sent(first + index)
      return { value, key: `${history.index}-${below(random, 8)}` }
    })
    const one = topic.publishRecords(records).then(
      (receipts) => {
        for (const [index, { partition, offset, durability }] of receipts.entries()) {
          history.ackedAt(first + index, partition, offset)
          if (durability !== 'disk') history.faults.push(`${first + index} reached ${durability} only`)
        }
      },
      (error: unknown) => void history.faults.push(`publishing from ${first} on failed: ${error}`),
    )
    const entry = one.finally(() => inFlight.delete(entry))
    inFlight.add(entry)
    if (inFlight.size >= inFlightMax) await Promise.race(inFlight)
    await pause(below(random, IDLE_MS + 1))
  }
}

interface Frame {
  readonly id: number
  readonly partition: number
  readonly first: number
  readonly payloads: readonly string[]
}

/** Over bare frames. With `retries` what is unanswered is sent again on the next connection, in order; else it is given up. */
export class RawPublisher {
  readonly #port: number
  readonly #plan: PublisherPlan
  readonly #retries: boolean
  readonly #inFlight = new Map<number, Frame>()
  readonly #inFlightMax: number
  #lastId = 0

  constructor(port: number, plan: PublisherPlan, retries: boolean) {
    this.#port = port
    this.#plan = plan
    this.#retries = retries
    this.#inFlightMax = 1 + below(plan.random, 12)
  }

  async run(): Promise<void> {
    while (!(await this.#isOver())) {
      const wire = await WireClient.connect({ port: this.#port }).catch(() => null)
      if (wire === null) {
        await pause(5)
        continue
      }
      for (const frame of this.#inFlight.values()) this.#send(wire, frame)
      try {
        await this.#publishOver(wire)
      } catch {
        // The connection is over. What it still brought counts.
        for (const frame of wire.frames.splice(0)) this.#answered(frame)
        if (!this.#retries) this.#inFlight.clear()
      } finally {
        wire.destroy()
      }
    }
  }

  /** Waits at the gate when nothing is in flight. */
  async #isOver(): Promise<boolean> {
    const { gate } = this.#plan
    if (gate.isOver) return true
    if (gate.isOpen || this.#inFlight.size > 0) return false
    return !(await gate.pass(this))
  }

  async #publishOver(wire: WireClient): Promise<void> {
    const { gate, random } = this.#plan
    while (!(await this.#isOver())) {
      // Closed again since it was passed.
      if (!gate.isOpen && this.#inFlight.size === 0) continue
      if (gate.isOpen && this.#inFlight.size < this.#inFlightMax) {
        this.#publish(wire)
        await pause(below(random, IDLE_MS + 1))
        if (wire.frames.length === 0 && this.#inFlight.size < this.#inFlightMax && !wire.isOver) continue
      }
      this.#answered(await wire.next())
    }
  }

  #publish(wire: WireClient): void {
    const { history, random, partitions } = this.#plan
    const first = history.sends.length
    const count = between(random, 1, RECORDS_MAX)
    const payloads = Array.from({ length: count }, () => history.make(16 + below(random, PAYLOAD_BYTES_MAX)))
    const frame = { id: ++this.#lastId, partition: below(random, partitions), first, payloads }
    this.#inFlight.set(frame.id, frame)
    this.#send(wire, frame)
  }

  #send(wire: WireClient, { id, partition, first, payloads }: Frame): void {
    const { history, topic } = this.#plan
    for (let index = 0; index < payloads.length; index++) history.sent(first + index)
    wire.send(publishFrame(topic, payloads, { id, partition }))
  }

  #answered(answer: ServerFrame): void {
    const { history } = this.#plan
    const frame = this.#inFlight.get(answer.id)
    if (frame === undefined || answer.kind !== 'published') {
      history.faults.push(`a publish was answered with ${JSON.stringify(answer)}`)
      return
    }
    this.#inFlight.delete(answer.id)
    if (answer.count !== frame.payloads.length) history.faults.push(`${answer.count} of ${frame.payloads.length} acked`)
    if (answer.durability !== 'disk') history.faults.push(`frame ${answer.id} reached ${answer.durability} only`)
    for (let index = 0; index < frame.payloads.length; index++) {
      history.ackedAt(frame.first + index, answer.partition, answer.baseOffset + index)
    }
  }
}
