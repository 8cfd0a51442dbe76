/**
 * A member of a partitioned group that does as it is told, late and in its own time, and what all of them together know of
 * each partition: which records were handled, and whose it was when.
 */
import assert from 'node:assert/strict'
import type { EmbeddedBroker } from '../../src/index.js'
import type { AssignedFrame, DeliveryFrame, ServerFrame } from '../../src/protocol/frames.js'
import { commitFrame, subscribeFrame, WireClient } from './wire-client.js'

/** What the members of one group know together. */
export class StormLedger {
  /** By partition, every offset that somebody handled. */
  readonly handled: Set<number>[]
  /** By partition: the newest generation of whoever was sent a record. */
  readonly #newest: number[]
  /** By partition: the highest position that anybody has asked to be committed, and that is known to be. */
  readonly asked: number[]
  readonly done: number[]
  fenced = 0
  twice = 0

  constructor(partitions: number) {
    this.handled = Array.from({ length: partitions }, () => new Set<number>())
    this.#newest = Array.from({ length: partitions }, () => 0)
    this.asked = Array.from({ length: partitions }, () => 0)
    this.done = Array.from({ length: partitions }, () => 0)
  }

  /** The first delivery of whoever got the partition in this generation. */
  begun(partition: number, offset: number, generation: number): void {
    assert.ok(generation >= (this.#newest[partition] ?? 0), `partition ${partition} went back to an older generation`)
    this.#newest[partition] = generation
    assert.ok(offset <= (this.asked[partition] ?? 0), `partition ${partition} has a gap before ${offset}`)
  }

  took(partition: number, offset: number): void {
    const handled = this.handled[partition] as Set<number>
    if (handled.has(offset)) this.twice++
    handled.add(offset)
  }

  /** Somebody got it after this one. */
  isPast(partition: number, generation: number): boolean {
    return generation < (this.#newest[partition] ?? 0)
  }
}

interface Tenure {
  readonly generation: number
  /** Of the next delivery; null before the first. */
  next: number | null
}

interface Said {
  readonly partition: number
  readonly position: number
  readonly isLate: boolean
}

export class StormMember {
  readonly name: string
  readonly #client: WireClient
  readonly #ledger: StormLedger
  readonly #tenures = new Map<number, Tenure>()
  readonly #said = new Map<number, Said>()
  /** Handled and not committed yet. */
  readonly #todo: { readonly partition: number; readonly offset: number; readonly generation: number }[] = []
  #letGo = 0
  #generation = 0
  #nextId = 10
  /** It has no place any more. */
  isOver = false
  #isGone = false

  private constructor(name: string, client: WireClient, ledger: StormLedger) {
    this.name = name
    this.#client = client
    this.#ledger = ledger
  }

  static async join(broker: EmbeddedBroker, topic: string, name: string, ledger: StormLedger): Promise<StormMember> {
    const client = await WireClient.connect(broker)
    const member = new StormMember(name, client, ledger)
    client.send(subscribeFrame(topic, { id: 1, mode: 'partitioned', group: 'storm', window: 8, member: name }))
    return member
  }

  /** Look at what has come. */
  handle(): void {
    for (const frame of this.#client.frames.splice(0)) this.#frame(frame)
  }

  /**
   * Say what is finished, and let go of what was taken; a careless one does that first. One whose place was taken still
   * says what it had finished.
   */
  speak(isCareless = false): void {
    if (this.#isGone) return
    if (isCareless) this.#confirm()
    for (const { partition, offset, generation } of this.#todo.splice(0)) {
      const id = this.#nextId++
      const isLate = this.#ledger.isPast(partition, generation)
      this.#said.set(id, { partition, position: offset + 1, isLate })
      this.#ledger.asked[partition] = Math.max(this.#ledger.asked[partition] ?? 0, offset + 1)
      this.#client.send(commitFrame({ id, partition, offset, generation }))
    }
    this.#confirm()
  }

  #confirm(): void {
    if (this.isOver || this.#letGo === this.#generation) return
    this.#letGo = this.#generation
    this.#client.send(commitFrame({ generation: this.#generation }))
  }

  /** With a word, or without. */
  leave(isPolite: boolean): void {
    this.isOver = true
    this.#isGone = true
    if (!isPolite) this.#client.destroy()
    else this.#client.send({ kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  }

  async close(): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }

  #frame(frame: ServerFrame): void {
    switch (frame.kind) {
      case 'assigned':
        this.#assigned(frame)
        return
      case 'delivery':
        this.#delivered(frame)
        return
      case 'ended':
        assert.equal(frame.reason, 'taken-over')
        this.isOver = true
        return
      case 'done':
        this.#answered(frame.id, true)
        return
      case 'failure':
        assert.ok(['LVT_FENCED', 'LVT_SUBSCRIPTION_NOT_FOUND'].includes(frame.code), JSON.stringify(frame))
        this.#answered(frame.id, false)
        return
      default:
        assert.fail(`${this.name}: ${frame.kind}`)
    }
  }

  #assigned({ generation, partitions, started }: AssignedFrame): void {
    assert.ok(generation > this.#generation, `generation ${generation} after ${this.#generation}`)
    this.#generation = generation
    for (const partition of this.#tenures.keys()) if (!partitions.includes(partition)) this.#tenures.delete(partition)
    for (const partition of started) this.#tenures.set(partition, { generation, next: null })
    assert.deepEqual([...this.#tenures.keys()].sort(), [...partitions].sort())
  }

  #delivered({ partition, baseOffset, run }: DeliveryFrame): void {
    const tenure = this.#tenures.get(partition)
    assert.ok(tenure !== undefined, `${this.name} has no partition ${partition}`)
    if (tenure.next === null) this.#ledger.begun(partition, baseOffset, tenure.generation)
    else assert.equal(baseOffset, tenure.next, `${this.name} has a gap in partition ${partition}`)
    tenure.next = baseOffset + run.count
    for (let offset = baseOffset; offset < tenure.next; offset++) this.#ledger.took(partition, offset)
    this.#todo.push({ partition, offset: tenure.next - 1, generation: tenure.generation })
  }

  #answered(id: number, isDone: boolean): void {
    const said = this.#said.get(id)
    if (said === undefined) return
    this.#said.delete(id)
    const { partition, position, isLate } = said
    if (!isDone) this.#ledger.fenced++
    else {
      assert.ok(!isLate, `${this.name} committed ${position} of partition ${partition}, which another had got`)
      this.#ledger.done[partition] = Math.max(this.#ledger.done[partition] ?? 0, position)
    }
  }
}
