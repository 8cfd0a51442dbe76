/**
 * Random histories of a shared group, step by step against a naive oracle that knows every record: whoever takes gets
 * the same, every verdict counts for the same, and after any history all records can be brought to an end.
 * fast-check prints the seed of a failure.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change } from '../../src/groups/shared/changes.js'
import { ACK, type SharedSettings, type Verdict } from '../../src/groups/shared/settings.js'
import { SharedPartition } from '../../src/groups/shared/shared-partition.js'
import { type Offset, toOffset } from '../../src/model/offset.js'
import { fc } from '../helpers/fast-check.js'
import { NaiveGroup } from './shared-oracle.js'
import { arbSettings, arbStep, type PickedBatch, type Step } from './shared-steps.js'

const EVERYWHERE = { from: toOffset(0), to: toOffset(Number.MAX_SAFE_INTEGER) }

/** The machine and the oracle side by side, with the log that the machine's caller would keep. */
class History {
  readonly oracle: NaiveGroup
  machine: SharedPartition
  nowMs = 0
  log: Change[]
  /** Members that left are new ones when they come back. */
  readonly numbers = [0, 1, 2, 3]
  #members = 4

  constructor(settings: SharedSettings) {
    this.oracle = new NaiveGroup(settings)
    this.machine = new SharedPartition(toOffset(0), settings)
    this.log = this.machine.snapshot()
  }

  run(step: Step): void {
    switch (step.kind) {
      case 'publish':
        this.oracle.publish(step.records)
        break
      case 'take':
        this.#takeSome(this.#number(step.member), step.max, step.batch)
        break
      case 'settle':
      case 'anywhere':
        this.#settleSome(step)
        break
      case 'pass':
        this.nowMs += step.ms
        break
      case 'expire':
        this.expire()
        break
      case 'leave':
        this.#leave(step.member)
        break
      case 'dead':
        this.dead(step.max, step.isWritten)
        break
      case 'seek':
      case 'seek-keeping':
        this.#seek(step.pick % (this.oracle.end + 3), step.kind === 'seek-keeping')
        break
      case 'purge':
        assert.equal(this.machine.purge(toOffset(this.#near(step.pick))), this.oracle.purge(this.#near(step.pick)))
        break
      case 'pause':
        this.pause(step.paused)
        break
      case 'configure':
        this.machine.configure(step.settings)
        this.oracle.configure(step.settings)
        break
      case 'drain':
        this.drain()
        break
      case 'checkpoint':
        this.log = this.machine.snapshot()
        this.oracle.keep()
        break
      case 'crash':
        this.#crash()
        break
    }
  }

  /** How many records the member got. */
  take(member: number, max: number, within = EVERYWHERE): number {
    const inFlight = this.oracle.inFlight
    const taken = this.machine.take(member, max, toOffset(this.oracle.end), this.nowMs, within)
    const offsets = taken.flatMap(({ era, from, to, deliveryCount }) =>
      spread(from, to).map((at) => [era, at, deliveryCount]),
    )
    assert.deepEqual(offsets, this.oracle.take(member, max, this.nowMs, within))
    assert.ok(this.oracle.inFlight <= Math.max(inFlight, this.oracle.settings.inFlightMax))
    return offsets.length
  }

  settle(member: number, from: number, to: number, verdict: Verdict, era: number | null = null): void {
    const stale = this.machine.settle(member, toOffset(from), toOffset(to), verdict, this.nowMs, era)
    assert.deepEqual(
      stale.flatMap((range) => spread(range.from, range.to)),
      this.oracle.settle(member, from, to, verdict, this.nowMs, era),
    )
    assert.ok(stale.every((range, index) => index === 0 || (stale[index - 1]?.to ?? 0) < range.from))
  }

  expire(): void {
    assert.equal(this.machine.expire(this.nowMs), this.oracle.expire(this.nowMs))
    assert.ok((this.machine.nextDeadlineMs ?? Number.POSITIVE_INFINITY) > this.nowMs)
  }

  dead(max: number, isWritten: boolean): void {
    const dead = this.oracle.count('dead')
    const handed = this.machine.takeDead(max)
    assert.equal(handed.length, Math.min(max, dead))
    for (const { offset, ...facts } of handed) assert.deepEqual(facts, this.oracle.takeDead(offset))
    // One that was handed over by an earlier step may still be out.
    const out: Offset[] = [...handed.map(({ offset }) => offset), toOffset(this.oracle.floor)]
    for (const offset of out) {
      if (isWritten) assert.equal(this.machine.deadDone(offset), this.oracle.deadDone(offset))
      else if (offset % 2 === 0) assert.equal(this.machine.deadFailed(offset), this.oracle.deadFailed(offset))
    }
  }

  pause(paused: boolean): void {
    if (paused) this.machine.pause()
    else this.machine.resume()
    this.oracle.paused = paused
  }

  drain(): void {
    const hadChanges = this.machine.hasChanges
    const changes = this.machine.changes()
    assert.equal(changes.length > 0, hadChanges)
    assert.equal(this.machine.hasChanges, false)
    for (const change of changes) {
      if (change.kind === 'redelivered') assert.ok(change.count > 0 && change.from >= this.oracle.floor)
    }
    this.log.push(...changes)
    this.oracle.keep()
    const replayed = SharedPartition.restore(this.log, this.oracle.settings)
    assert.deepEqual(replayed.snapshot(), this.machine.snapshot())
    assert.deepEqual(replayed.changes(), [])
  }

  /** Bring every record to an end with one well-behaved member, in as many steps as there can be at most. */
  finish(): void {
    const { oracle } = this
    this.pause(false)
    const stepsMax = 20 + oracle.end * 4
    for (let steps = 0; oracle.floor < oracle.end || oracle.asides.length > 0; steps++) {
      assert.ok(steps < stepsMax, `no progress at ${oracle.floor} of ${oracle.end}`)
      const taken = this.take(99, 7)
      this.settle(99, 0, oracle.end, ACK)
      this.dead(5, true)
      for (const offset of oracle.offsets(({ status }) => status === 'handed-over')) {
        assert.equal(this.machine.deadDone(toOffset(offset)), oracle.deadDone(offset))
      }
      if (taken === 0) this.nowMs = Math.max(this.nowMs, this.machine.nextDeadlineMs ?? this.nowMs)
      this.check()
    }
    for (let offset = 0; offset < oracle.end; offset++) assert.ok(oracle.finished.has(offset), `${offset} was skipped`)
  }

  check(): void {
    const { oracle, machine, nowMs } = this
    const lapses = machine
      .takeLapses()
      .flatMap(({ member, from, to }) => spread(from, to).map((at) => `${member}/${at}`))
    assert.deepEqual(lapses, oracle.lapses)
    oracle.lapses = []
    const facts = machine.facts(toOffset(oracle.end))
    assert.equal(facts.floor, oracle.floor)
    assert.equal(machine.low, oracle.low)
    assert.equal(facts.held, oracle.count('held'))
    assert.equal(facts.due, oracle.count('ready'))
    assert.equal(facts.waiting, oracle.count('waiting'))
    assert.equal(facts.dead, oracle.count('dead', 'handed-over'))
    assert.equal(facts.inFlight, oracle.inFlight)
    assert.equal(facts.lag, oracle.offsets(({ status }) => status !== 'done').length + oracle.asides.length)
    for (const { member, held } of facts.members) assert.equal(held, oracle.heldBy(member))
    assert.equal(
      facts.held,
      facts.members.reduce((sum, { held }) => sum + held, 0),
    )
    assert.ok((machine.nextDeadlineMs ?? Number.POSITIVE_INFINITY) <= oracle.firstDeadlineMs)
    const hasWork = machine.hasWork(toOffset(oracle.end), nowMs)
    if (oracle.count('ready') > 0 && oracle.count('held') < oracle.settings.inFlightMax)
      assert.equal(hasWork, !oracle.paused)
  }

  /** What one batch has, as those do who read it; who is offered something gets it. */
  #takeSome(member: number, max: number, batch: PickedBatch | null): void {
    if (batch === null) {
      this.take(member, max)
      return
    }
    this.expire()
    const offer = batch.isOffered ? this.machine.peek(toOffset(this.oracle.end), this.nowMs) : null
    const place = offer?.from ?? this.#near(batch.pick)
    const within = { from: toOffset(Math.max(0, place - batch.before)), to: toOffset(place + batch.rest) }
    const count = this.take(member, max, within)
    if (offer !== null && max > 0) assert.ok(count > 0, `${offer.from} was offered and not given`)
  }

  #settleSome(step: Step & { kind: 'settle' | 'anywhere' }): void {
    const member = this.#number(step.member)
    const { oracle } = this
    const own = [
      ...oracle.offsets(({ holder }) => holder === member).map((offset) => ({ era: oracle.era, offset })),
      ...oracle.asides.filter(({ holder }) => holder === member),
    ]
    const lease = own[step.pick % Math.max(1, own.length)]
    const from = step.kind === 'settle' ? lease?.offset : this.#near(step.pick)
    const era = step.isExact && step.kind === 'settle' ? (lease?.era ?? null) : null
    if (from !== undefined) this.settle(member, from, from + step.length, step.verdict, era)
  }

  #leave(place: number): void {
    const member = this.#number(place)
    assert.equal(this.machine.leave(member, this.nowMs), this.oracle.leave(member, this.nowMs))
    const late = this.oracle.floor
    this.settle(member, late, late + 3, ACK)
    this.numbers[place] = this.#members++
  }

  #seek(offset: number, keeps: boolean): void {
    // Offsets that do not exist yet are published, so that the oracle has a record for each.
    if (offset > this.oracle.end) this.oracle.publish(offset - this.oracle.end)
    if (keeps) {
      this.machine.seekKeeping(toOffset(offset))
      this.oracle.seekKeeping(offset)
    } else {
      this.machine.seek(toOffset(offset))
      this.oracle.seek(offset)
    }
  }

  #crash(): void {
    this.machine = SharedPartition.restore(this.log, this.oracle.settings)
    this.oracle.crash(this.oracle.settings, this.machine.era)
    for (let place = 0; place < 4; place++) this.numbers[place] = this.#members++
  }

  #number(place: number): number {
    return this.numbers[place] ?? 0
  }

  /** Somewhere around what is in flight. */
  #near(pick: number): number {
    return Math.min(this.oracle.end, Math.max(0, this.oracle.floor - 3 + (pick % 40)))
  }
}

function spread(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

test('whatever happens, a shared group does what the oracle does, and every record comes to an end', () => {
  fc.assert(
    fc.property(arbSettings, fc.array(arbStep, { minLength: 20, maxLength: 150, size: 'max' }), (settings, steps) => {
      const history = new History(settings)
      for (const step of steps) {
        history.run(step)
        history.check()
      }
      history.drain()
      history.finish()
    }),
    { numRuns: 400, includeErrorInReport: true },
  )
})

test('a log of all changes and a snapshot with the changes after it restore the same group', () => {
  fc.assert(
    fc.property(
      arbSettings,
      fc.array(arbStep, { maxLength: 120, size: 'max' }),
      fc.nat({ max: 120 }),
      (settings, steps, at) => {
        const history = new History(settings)
        const whole: Change[] = history.machine.snapshot()
        let short: Change[] = history.machine.snapshot()
        steps
          .filter(({ kind }) => kind !== 'crash' && kind !== 'drain' && kind !== 'checkpoint')
          .forEach((step, index) => {
            history.run(step)
            if (index === at) short = history.machine.snapshot()
            if (index % 7 !== 0) return
            const changes = history.machine.changes()
            whole.push(...changes)
            short.push(...changes)
          })
        const changes = history.machine.changes()
        const expected = history.machine.snapshot()
        assert.deepEqual(SharedPartition.restore([...whole, ...changes], settings).snapshot(), expected)
        assert.deepEqual(SharedPartition.restore([...short, ...changes], settings).snapshot(), expected)
        assert.deepEqual(SharedPartition.restore(expected, settings).snapshot(), expected)
      },
    ),
    { numRuns: 300, includeErrorInReport: true },
  )
})
