/**
 * A shared group of the local engine through random lives: members that come and go, verdicts, time, operators who move, pause
 * and forget it, restarts. Every record is done with in the end, none comes again after its ack was said to be safe, and nobody
 * has what another one has.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Verdict } from '../../src/groups/shared/settings.js'
import { toOffset } from '../../src/model/offset.js'
import type { LocalEngine } from '../../src/storage/local/local-engine.js'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { fc } from '../helpers/fast-check.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { SEED as seed } from '../helpers/seed.js'

const QUIET_TURNS = 12
const RETRY: Verdict = { kind: 'retry', delayMs: 500 }

const arbStep = fc.oneof(
  fc.record({ kind: fc.constant('publish' as const), records: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('join' as const), records: fc.integer({ min: 1, max: 7 }) }),
  fc.record({ kind: fc.constant('leave' as const), seat: fc.nat() }),
  fc.record({ kind: fc.constantFrom('ack' as const, 'retry' as const), seat: fc.nat(), place: fc.nat() }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 1_500 }) }),
  fc.record({ kind: fc.constant('restart' as const) }),
  fc.record({ kind: fc.constant('seek' as const), place: fc.nat() }),
  fc.record({ kind: fc.constant('pause' as const), isPaused: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('drop' as const, 'pass' as const), ms: fc.constant(1) }),
)
type Step = typeof arbStep extends fc.Arbitrary<infer One> ? One : never

class Life {
  readonly #disk = new EngineDisk({ segmentBytes: 2_048 })
  #engine: LocalEngine
  #seats: GroupSeat[] = []
  #end = 0
  #isPaused = false
  /** Offsets whose ack is safe, and those below a place that was sought. */
  readonly #acked = new Set<number>()

  private constructor() {
    this.#engine = this.#disk.engine()
  }

  static async begin(): Promise<Life> {
    const life = new Life()
    await life.#engine.open()
    await life.#engine.ensureTopic('topic', KEPT)
    return life
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'publish':
        await this.#engine.publish('topic', 0, batchAt(this.#end, step.records), howOf())
        this.#end += step.records
        break
      case 'join':
        this.#seats.push((await GroupSeat.take(this.#engine, 'g')).ask(step.records))
        break
      case 'leave':
        for (const seat of this.#seats.splice(step.seat % (this.#seats.length + 1), 1)) seat.leave()
        break
      case 'ack':
      case 'retry':
        await this.#say(step.kind, this.#seats[step.seat % (this.#seats.length + 1)], step.place)
        break
      case 'pass':
        this.#disk.clock.advance(step.ms)
        break
      case 'restart':
        await this.#engine.close()
        this.#seats = []
        this.#engine = await this.#disk.open()
        break
      case 'seek':
      case 'pause':
      case 'drop':
        if (await this.#isThere()) await this.#manage(step)
    }
    await this.#rest()
  }

  async #isThere(): Promise<boolean> {
    return (await this.#engine.groups('topic', '', 1)).groups.length > 0
  }

  async #manage(step: Step): Promise<void> {
    if (step.kind === 'seek') {
      const place = step.place % (this.#end + 1)
      await this.#engine.seekGroup('topic', 'g', { kind: 'offset', offset: toOffset(place) }, null)
      this.#forgetFrom(place)
      for (let offset = 0; offset < place; offset++) this.#acked.add(offset)
    } else if (step.kind === 'pause') {
      if (!step.isPaused) this.#isPaused = false
      await this.#engine.pauseGroup('topic', 'g', step.isPaused)
      for (const seat of this.#seats) this.#noteNew(seat)
      this.#isPaused = step.isPaused
    } else {
      await this.#engine.dropGroup('topic', 'g')
      for (const { reason } of this.#seats) assert.ok(reason !== null, 'its members are told')
      this.#seats = []
      this.#isPaused = false
      this.#forgetFrom(0)
    }
  }

  #forgetFrom(place: number): void {
    for (let offset = place; offset < this.#end; offset++) {
      this.#acked.delete(offset)
      this.#ackedBefore.delete(offset)
    }
  }

  /** One diligent member gets all that is left. */
  async finish(): Promise<void> {
    for (const seat of this.#seats.splice(0)) seat.leave()
    const seat = await GroupSeat.take(this.#engine, 'g')
    if (this.#isPaused) await this.#manage({ kind: 'pause', isPaused: false })
    this.#seats.push(seat)
    for (let done = 0, vain = 0; this.#acked.size < this.#end; ) {
      seat.ask(1)
      await this.#rest()
      if (seat.got.length > done) await this.#say('ack', seat, done++)
      else this.#disk.clock.advance(500)
      vain = seat.got.length > done ? 0 : vain + 1
      assert.ok(vain < 500, `${this.#acked.size} of ${this.#end} records are done with, and no more come`)
    }
  }

  async end(): Promise<void> {
    await this.#engine.close()
  }

  async #say(what: 'ack' | 'retry', seat: GroupSeat | undefined, place: number): Promise<void> {
    const record = seat?.got[place % Math.max(1, seat.got.length)]
    if (seat === undefined || record === undefined) return
    const { offset } = record
    const stale = await seat.settle(offset, offset + 1, what === 'ack' ? { kind: 'ack' } : RETRY)
    if (what === 'ack' && stale.length === 0) {
      assert.ok(!this.#acked.has(offset), `offset ${offset} was acked twice`)
      this.#acked.add(offset)
      seat.ask(1)
    }
  }

  /** Reads of the disk come to rest; then nothing has come that was acked. */
  async #rest(): Promise<void> {
    const counts = () => this.#seats.map(({ got }) => got.length).join()
    for (let quiet = 0, before = counts(); quiet < QUIET_TURNS; quiet++) {
      await new Promise(setImmediate)
      const now = counts()
      if (now !== before) quiet = 0
      before = now
    }
    for (const seat of this.#seats) this.#noteNew(seat)
  }

  readonly #seen = new WeakMap<GroupSeat, number>()

  #noteNew(seat: GroupSeat): void {
    for (const { offset } of seat.got.slice(this.#seen.get(seat) ?? 0)) {
      assert.ok(!this.#isPaused, `offset ${offset} came while the group was paused`)
      assert.ok(!this.#ackedBefore.has(offset), `offset ${offset} came again after its ack`)
    }
    this.#seen.set(seat, seat.got.length)
    for (const offset of this.#acked) this.#ackedBefore.add(offset)
  }

  readonly #ackedBefore = new Set<number>()
}

const RUNS = 60 * Number(process.env['LEVERET_ROUNDS'] ?? 1)

test('every record is done with once, through restarts and members that vanish', async (context) => {
  context.diagnostic(`seed ${seed}, ${RUNS} runs`)
  await fc.assert(
    fc.asyncProperty(fc.array(arbStep, { minLength: 10, maxLength: 60 }), async (steps) => {
      const life = await Life.begin()
      try {
        for (const step of steps) await life.step(step)
        await life.finish()
      } finally {
        await life.end()
      }
    }),
    { numRuns: RUNS, seed, includeErrorInReport: true },
  )
})
