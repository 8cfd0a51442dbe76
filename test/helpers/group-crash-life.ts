/**
 * The life of a shared group over a disk that can be cut off at any moment, beside an oracle that knows what was said of each
 * record and what of it was safe. For test/broker/group-crashes.test.ts.
 */
import assert from 'node:assert/strict'
import { Broker } from '../../src/broker/broker.js'
import type { GroupDelivery, GroupListener, GroupMember, GroupOutcome } from '../../src/broker/group-member.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { configWith } from '../../src/config/load.js'
import { MetricsRegistry } from '../../src/metrics/registry.js'
import { toOffset } from '../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS } from '../../src/model/topic.js'
import { decodeRun } from '../../src/protocol/records.js'
import type { LocalEngine } from '../../src/storage/local/local-engine.js'
import { batchAt } from './batches.js'
import { EngineDisk, howOf, KEPT } from './engine-disk.js'

export const ACK_WAIT_MS = 1_000
export const DELIVERIES_MAX = 4
const QUIET_TURNS = 12
const VAIN_MAX = 300

type End = 'acked' | 'rejected'

/** When the process ends, and how. */
export interface Cut {
  readonly turns: number
  readonly isPowerLoss: boolean
}

interface Known {
  /** What was said and is safe; or may be safe, because nobody has answered. */
  safe: End | null
  maybe: End | null
  holder: Seat | null
  heldUntilMs: number
  /** How often the last delivery of this life said that it came before; null in a new life. */
  lastCount: number | null
  /** Deliveries so far, and those among them that were given back and are known to be stored. */
  given: number
  stored: number
}

/** A member, and what it was given and has said nothing of. */
export class Seat implements GroupListener {
  readonly held = new Map<number, number>()
  /** Of them, those that it has no more: what it says of them is late. */
  readonly late = new Set<number>()
  member: GroupMember | null = null
  readonly #life: GroupLife
  readonly #window: number

  constructor(life: GroupLife, window: number) {
    this.#life = life
    this.#window = window
  }

  /** As a session does: what it has not said anything of takes its places. */
  ask(): void {
    this.member?.ask(this.#window - (this.held.size - this.late.size))
  }

  delivered({ from, to, deliveryCount }: GroupDelivery): void {
    for (let offset: number = from; offset < to; offset++) this.#life.given(this, offset, deliveryCount)
  }

  expired(_partition: number, from: number, to: number): void {
    for (let offset = from; offset < to; offset++) this.#life.expired(this, offset)
    this.ask()
  }

  lost(): void {
    assert.fail('nothing is ever lost here')
  }

  ended(): void {
    this.member = null
  }
}

export class GroupLife {
  readonly #disk = new EngineDisk({ segmentBytes: 4_096 })
  #engine: LocalEngine | null = null
  #broker: Broker | null = null
  readonly #seats: Seat[] = []
  readonly #records: Known[] = []
  #end = 0
  #failure: unknown = null

  static async begin(): Promise<GroupLife> {
    const life = new GroupLife()
    await life.#start()
    const settings = { ...KEPT, deadLetterTopic: 'failed', maxDeliveries: DELIVERIES_MAX }
    await life.#require(life.#broker).createTopic('jobs', settings)
    return life
  }

  async publish(records: number): Promise<void> {
    await this.#require(this.#engine).publish('jobs', 0, batchAt(this.#end, records), howOf())
    for (let each = 0; each < records; each++) {
      const fresh = { safe: null, maybe: null, holder: null, heldUntilMs: 0, lastCount: null, given: 0, stored: 0 }
      this.#records.push(fresh)
    }
    this.#end += records
    await this.rest()
  }

  async join(records: number): Promise<void> {
    const seat = new Seat(this, records)
    const lengths = { ackWaitMs: ACK_WAIT_MS, backoffMs: [0, 100], deliveryBytesMax: 1e6 }
    const how = { member: '', start: { kind: 'earliest' }, ...lengths } as const
    seat.member = await this.#require(this.#broker).join('jobs', 'workers', how, seat)
    this.#seats.push(seat)
    seat.ask()
    await this.rest()
  }

  /** The member vanishes with whatever it has. */
  async leave(pick: number): Promise<void> {
    const [seat] = this.#seats.splice(pick % Math.max(1, this.#seats.length), 1)
    if (seat === undefined) return
    this.#release(seat)
    seat.member?.leave()
    await this.rest()
  }

  /** A member says something of one of its records; with `cut` the process dies so many turns of the loop later. */
  async say(outcome: GroupOutcome, pick: number, cut: Cut | null = null): Promise<void> {
    const seat = this.#seats[pick % Math.max(1, this.#seats.length)]
    const offset = [...(seat?.held.keys() ?? [])][pick % Math.max(1, seat?.held.size ?? 0)]
    if (seat?.member == null || offset === undefined) return
    await this.#settle(seat, offset, outcome, cut)
  }

  async pass(ms: number): Promise<void> {
    this.#disk.clock.advance(ms)
    await this.rest()
  }

  async kill(isPowerLoss: boolean): Promise<void> {
    const broker = this.#require(this.#broker)
    if (isPowerLoss) this.#disk.powerLoss()
    else this.#disk.kill()
    await broker.stop({ deadlineMs: 0 }).catch(() => undefined)
    for (const seat of this.#seats.splice(0)) this.#release(seat)
    for (const record of this.#records) record.lastCount = null
    await this.#start()
  }

  /** One diligent member does what is left, and then everything is as it was said. */
  async finish(): Promise<void> {
    for (const seat of [...this.#seats]) {
      seat.member?.ask(0)
      await this.leave(this.#seats.indexOf(seat))
    }
    await this.join(5)
    const [seat] = this.#seats as [Seat]
    for (let vain = 0; ; vain++) {
      const [offset] = seat.held.keys()
      if (offset !== undefined) {
        await this.#settle(seat, offset, 'ack', null)
        seat.ask()
        vain = 0
      } else {
        const dead = await this.#deadLetters()
        if (this.#records.every(({ safe, maybe }, at) => safe === 'acked' || maybe === 'acked' || dead.has(at))) break
        assert.ok(vain < VAIN_MAX, `no progress: ${JSON.stringify(this.#records.map(({ safe }) => safe))}`)
        this.#disk.clock.advance(ACK_WAIT_MS / 2)
      }
      await this.rest()
    }
    await this.#judge()
    await this.#require(this.#broker).stop({ deadlineMs: 0 })
  }

  /** Called by the engine, which would not pass on what is thrown: it is kept for the next step. */
  given(seat: Seat, offset: number, deliveryCount: number): void {
    try {
      this.#given(seat, offset, deliveryCount)
    } catch (error) {
      this.#failure ??= error
    }
  }

  /** Called by the engine: the seat has the record no more, which is due. */
  expired(seat: Seat, offset: number): void {
    try {
      const { holder, heldUntilMs } = this.#records[offset] as Known
      assert.ok(seat.held.has(offset) && !seat.late.has(offset), `offset ${offset} was not its own`)
      assert.equal(holder, seat)
      assert.ok(heldUntilMs <= this.#disk.clock.monotonic(), `offset ${offset} was taken before its time`)
      seat.late.add(offset)
    } catch (error) {
      this.#failure ??= error
    }
  }

  #given(seat: Seat, offset: number, deliveryCount: number): void {
    const record = this.#records[offset]
    assert.ok(record !== undefined, `offset ${offset} was never published`)
    assert.equal(record.safe, null, `offset ${offset} came again although it was safely ${record.safe}`)
    const nowMs = this.#disk.clock.monotonic()
    assert.ok(record.holder === null || record.holder.late.has(offset), `offset ${offset} is with two members at once`)
    if (record.lastCount !== null) assert.equal(deliveryCount, record.lastCount + 1, `offset ${offset}`)
    assert.ok(deliveryCount >= record.stored && deliveryCount <= record.given, `offset ${offset}: ${deliveryCount}`)
    assert.ok(deliveryCount < DELIVERIES_MAX)
    if (record.holder !== null) this.#drop(record.holder, offset)
    record.holder = seat
    record.heldUntilMs = nowMs + ACK_WAIT_MS
    record.lastCount = deliveryCount
    record.given++
    // What may have been acked was not, since here it is.
    record.maybe = null
    seat.held.set(offset, deliveryCount)
  }

  /** Reads and writes of the disk come to rest. */
  async rest(): Promise<void> {
    const given = () => this.#records.reduce((sum, record) => sum + record.given, 0)
    for (let quiet = 0, before = given(); quiet < QUIET_TURNS; quiet++) {
      await new Promise(setImmediate)
      const now = given()
      if (now !== before) quiet = 0
      before = now
    }
    if (this.#failure !== null) throw this.#failure
  }

  async #settle(seat: Seat, offset: number, outcome: GroupOutcome, cut: Cut | null): Promise<void> {
    const record = this.#records[offset] as Known
    const range = { from: toOffset(offset), to: toOffset(offset + 1) }
    const deliveries = (seat.held.get(offset) ?? 0) + 1
    const end: End | null = outcome === 'ack' ? 'acked' : outcome === 'reject' ? 'rejected' : null
    const isHeld = record.holder === seat && !seat.late.has(offset)
    if (outcome === 'release' && isHeld) {
      // It is as if it had not been given.
      record.lastCount = (record.lastCount ?? 0) - 1
      record.given--
    }
    const settling = seat.member?.settle(0, range, outcome, 50, 'no good') ?? Promise.resolve([range])
    if (outcome !== 'extend') this.#drop(seat, offset)
    if (cut === null) {
      const stale = await settling
      this.#settled(record, outcome, end, deliveries, stale)
      if (outcome === 'release') assert.equal(stale.length === 0, isHeld)
      await this.rest()
      return
    }
    record.maybe = end
    settling.then(
      (stale) => this.#settled(record, outcome, end, deliveries, stale),
      () => undefined,
    )
    for (let turn = 0; turn < cut.turns; turn++) await new Promise(setImmediate)
    await this.kill(cut.isPowerLoss)
  }

  #settled(record: Known, outcome: GroupOutcome, end: End | null, deliveries: number, stale: readonly unknown[]): void {
    if (stale.length === 0 && end !== null) record.safe = end
    if (stale.length === 0 && outcome === 'extend') record.heldUntilMs = this.#disk.clock.monotonic() + ACK_WAIT_MS
    if (stale.length === 0 && outcome === 'retry') record.stored = Math.max(record.stored, deliveries)
  }

  #release(seat: Seat): void {
    for (const offset of [...seat.held.keys()]) this.#drop(seat, offset)
  }

  #drop(seat: Seat, offset: number): void {
    seat.held.delete(offset)
    seat.late.delete(offset)
    const record = this.#records[offset] as Known
    if (record.holder === seat) record.holder = null
  }

  async #judge(): Promise<void> {
    const dead = await this.#deadLetters()
    for (const [offset, { safe, maybe }] of this.#records.entries()) {
      const copies = dead.get(offset) ?? 0
      if (safe === 'acked') assert.equal(copies, 0, `offset ${offset} was safely acked, and has a dead letter`)
      else if (safe === 'rejected') assert.equal(copies, 1, `offset ${offset} was safely rejected`)
      else assert.ok(copies === 1 || (copies === 0 && maybe === 'acked'), `offset ${offset} has ${copies} dead letters`)
    }
  }

  /** How many dead letters there are of each offset. */
  async #deadLetters(): Promise<Map<number, number>> {
    const engine = this.#require(this.#engine)
    const found = new Map<number, number>()
    if ((await engine.topic('failed')) === null) return found
    const { end } = await engine.partition('failed', 0)
    const cursor = await engine.read('failed', 0, toOffset(0))
    for (let next = 0; next < end; ) {
      const chunk = await cursor.next(1e6, AbortSignal.timeout(10_000))
      assert.ok(chunk.kind === 'batches')
      next = chunk.next
      for (const { headers } of chunk.batches.flatMap(({ body }) => [...decodeRun(body)])) {
        const place = Number(headers.find(({ name }) => name === 'leveret-offset')?.value.toString())
        found.set(place, (found.get(place) ?? 0) + 1)
      }
    }
    cursor.close()
    return found
  }

  async #start(): Promise<void> {
    const clock = new SteadyTime(this.#disk.clock)
    this.#engine = this.#disk.engine()
    const limits = { ...configWith({}), topicDefaults: DEFAULT_TOPIC_SETTINGS }
    this.#broker = new Broker(this.#engine, clock, limits, new MetricsRegistry())
    await this.#broker.start()
  }

  #require<T>(value: T | null): T {
    assert.ok(value !== null)
    return value
  }
}
