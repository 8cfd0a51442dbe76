import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EPOCHS_MAX, STEP_MS_MIN, SteadyTime } from '../../src/common/steady-time.js'
import { fc } from '../helpers/fast-check.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const HOUR = 3_600_000
const TODAY = 1_700_000_000_000
/** Stamps are whole milliseconds, and at half the pace of time two of them share one. */
const ROUNDING_MS = 2

interface Stamped {
  readonly timestampMs: number
  readonly atMs: number
}

/** A partition as the engine stamps it, with the truth about each record beside it. */
class Partition {
  readonly records: Stamped[] = []
  #lastMs: number

  constructor(lastMs = 0) {
    this.#lastMs = lastMs
  }

  append(time: SteadyTime): void {
    this.#lastMs = Math.max(this.#lastMs, time.now())
    this.records.push({ timestampMs: this.#lastMs, atMs: time.monotonic() })
  }
}

function assertNeverEarly(time: SteadyTime, { records }: Partition, ageMs: number): void {
  const expiredMs = time.expiredBefore(ageMs)
  for (const { timestampMs, atMs } of records) {
    const isOld = time.monotonic() - atMs >= ageMs
    if (!isOld && timestampMs <= expiredMs)
      assert.fail(`${timestampMs} is ${time.monotonic() - atMs} ms old, not ${ageMs}`)
  }
}

function assertNeverLate(time: SteadyTime, { records }: Partition, ageMs: number, lateMs: number): void {
  const expiredMs = time.expiredBefore(ageMs)
  for (const { timestampMs, atMs } of records) {
    const isDue = time.monotonic() - atMs >= ageMs + lateMs
    if (isDue && timestampMs > expiredMs)
      assert.fail(`${timestampMs} is ${time.monotonic() - atMs} ms old, over ${ageMs}`)
  }
}

type Step =
  | { readonly do: 'pass' | 'jump' | 'append'; readonly ms: number }
  | { readonly do: 'set'; readonly ms: number }
  | { readonly do: 'look'; readonly ms: number }

const arbJump = fc.oneof(
  fc.constantFrom(HOUR, -HOUR, -1, 1, -1_000, 1_000, -999, 1_001, -1_001, 24 * HOUR),
  fc.integer({ min: -5_000, max: 5_000 }),
)

function arbSteps(maxLength: number): fc.Arbitrary<Step[]> {
  const pass = fc.oneof(fc.constant(0), fc.nat({ max: 20 }), fc.nat({ max: 3_000 }), fc.nat({ max: HOUR }))
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: pass }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), ms: fc.nat({ max: 2 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('look' as const), ms: pass }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('jump' as const), ms: arbJump }) },
    {
      weight: 1,
      // To 1970, to today, to the end of the century.
      arbitrary: fc.record({ do: fc.constant('set' as const), ms: fc.constantFrom(0, TODAY, 4_000_000_000_000) }),
    },
  )
  return fc.array(step, { minLength: 10, maxLength, size: 'max' })
}

/** Run the steps over three partitions; `look` is called with every age that is asked for. */
function runSteps(
  steps: readonly Step[],
  bootMs: number,
  look: (time: SteadyTime, partition: Partition, ageMs: number) => void,
): void {
  const clock = new VirtualClock(bootMs)
  const time = new SteadyTime(clock)
  const partitions = [new Partition(), new Partition(), new Partition()]
  let shownMs = 0
  for (const step of steps) {
    if (step.do === 'pass') clock.advance(step.ms)
    else if (step.do === 'jump') clock.jumpWall(step.ms)
    else if (step.do === 'set') clock.jumpWall(step.ms - clock.now())
    else if (step.do === 'append') partitions[step.ms]?.append(time)
    else for (const partition of partitions) look(time, partition, step.ms)
    if (step.do === 'append') {
      assert.ok(time.now() >= shownMs, 'time went back')
      shownMs = time.now()
    }
  }
  // And with every age that makes a record just old enough, and just not.
  for (const partition of partitions) {
    for (const { atMs } of partition.records) {
      look(time, partition, clock.monotonic() - atMs)
      look(time, partition, clock.monotonic() - atMs + 1)
    }
  }
}

test('nothing is old before its age or long after it, wherever the clock is set to and from', () => {
  fc.assert(
    fc.property(arbSteps(100), fc.constantFrom(0, TODAY), (steps, bootMs) => {
      const jumps = steps.filter(({ do: what }) => what === 'jump' || what === 'set').length
      // Being set back makes two epochs: until the clock has caught up, and after.
      fc.pre(2 * jumps < EPOCHS_MAX)
      runSteps(steps, bootMs, (time, partition, ageMs) => {
        assertNeverEarly(time, partition, ageMs)
        assertNeverLate(time, partition, ageMs, STEP_MS_MIN + ROUNDING_MS)
      })
    }),
    { numRuns: 200 },
  )
})

test('nothing is old before its age with a clock that is set more often than is remembered', () => {
  const arbRound = fc.record({
    jumpMs: fc.oneof(
      fc.integer({ min: -999, max: 0 }),
      fc.integer({ min: -3_000, max: 3_000 }),
      fc.integer({ min: -60_000, max: 60_000 }),
    ),
    passMs: fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 3_000 }), fc.nat({ max: 20_000 })),
    appends: fc.nat({ max: 3 }),
  })
  fc.assert(
    fc.property(fc.array(arbRound, { minLength: 200, maxLength: 500, size: 'max' }), (rounds) => {
      const steps = rounds.flatMap(({ jumpMs, passMs, appends }): Step[] => [
        { do: 'jump', ms: jumpMs },
        ...Array.from({ length: appends }, () => ({ do: 'append', ms: 0 }) as const),
        { do: 'pass', ms: passMs },
        { do: 'append', ms: 1 },
      ])
      runSteps(steps, TODAY, assertNeverEarly)
    }),
    { numRuns: 20 },
  )
})

test('records of before, stamped beyond what the clock says, are never old too soon', () => {
  const clock = new VirtualClock(TODAY)
  const time = new SteadyTime(clock)
  const partition = new Partition(TODAY + 2 * HOUR)
  for (let round = 0; round < 50; round++) {
    partition.append(time)
    clock.advance(HOUR / 8)
    if (round % 7 === 3) clock.jumpWall(round % 2 === 0 ? -HOUR : HOUR)
    for (const ageMs of [0, 1, HOUR, 2 * HOUR]) assertNeverEarly(time, partition, ageMs)
  }
  clock.advance(8 * HOUR)
  assertNeverLate(time, partition, HOUR, 2 * HOUR)
})

test('without a step it shows what the clock shows, and ages are exact to the millisecond', () => {
  const clock = new VirtualClock(TODAY)
  const time = new SteadyTime(clock)
  assert.equal(time.expiredBefore(HOUR), TODAY - HOUR)
  for (const ms of [0, 1, 10, 100_000]) {
    clock.advance(ms)
    assert.equal(time.now(), clock.now())
    assert.equal(time.expiredBefore(400), clock.now() - 400)
  }
})

test('a clock that is right at last, long after 1970, ages what was stamped before by the time that passed', () => {
  const clock = new VirtualClock(0)
  const time = new SteadyTime(clock)
  const partition = new Partition()
  for (let minute = 0; minute < 10; minute++) {
    partition.append(time)
    clock.advance(60_000)
  }
  clock.jumpWall(TODAY)
  for (let minute = 0; minute < 70; minute++) {
    partition.append(time)
    assertNeverEarly(time, partition, HOUR)
    assertNeverLate(time, partition, HOUR, 0)
    clock.advance(60_000)
  }
  assert.equal(time.now(), clock.now())
})

test('a clock that was in another century and comes back keeps nothing for a hundred years', () => {
  const clock = new VirtualClock(TODAY)
  const time = new SteadyTime(clock)
  const partition = new Partition()
  partition.append(time)
  clock.jumpWall(100 * 365 * 24 * HOUR)
  partition.append(time)
  clock.jumpWall(-100 * 365 * 24 * HOUR)
  for (let minute = 0; minute < 200; minute++) {
    partition.append(time)
    clock.advance(60_000)
    assertNeverEarly(time, partition, HOUR)
    assertNeverLate(time, partition, HOUR, ROUNDING_MS)
  }
})

test('after a step back it goes on at half the pace until the clock has caught up, and no two moments look alike', () => {
  const clock = new VirtualClock(TODAY)
  const time = new SteadyTime(clock)
  clock.jumpWall(-HOUR)
  const first = time.now()
  assert.equal(first, TODAY)
  clock.advance(HOUR)
  assert.equal(time.now(), TODAY + HOUR / 2)
  clock.advance(HOUR)
  assert.equal(time.now(), TODAY + HOUR)
  assert.equal(time.now(), clock.now())
  clock.advance(1)
  assert.equal(time.now(), clock.now())
})

test('small steps are waited out, and a clock that drifts is followed', () => {
  const clock = new VirtualClock(TODAY)
  const time = new SteadyTime(clock)
  clock.advance(100)
  assert.equal(time.now(), TODAY + 100)
  clock.jumpWall(-50)
  assert.equal(time.now(), TODAY + 100)
  clock.advance(49)
  assert.equal(time.now(), TODAY + 100)
  clock.advance(2)
  assert.equal(time.now(), clock.now())
  // One part in two thousand, the most that a time daemon does, for a month.
  for (let minute = 0; minute < 30 * 24 * 60; minute++) {
    clock.advance(60_000)
    clock.jumpWall(minute % 4_000 < 2_000 ? 30 : -30)
    const aheadMs = time.now() - clock.now()
    assert.ok(aheadMs >= 0 && aheadMs <= STEP_MS_MIN, `${aheadMs} ms ahead`)
  }
  // Of what was merged the error is small, because neighbours were merged that differ little.
  assert.ok(time.expiredBefore(7 * 24 * HOUR) > clock.now() - 7 * 24 * HOUR - 120_000)
})

test('a clock that is set for ever takes no more memory, and keeps nothing for ever', () => {
  const clock = new VirtualClock(TODAY)
  const time = new SteadyTime(clock)
  const partition = new Partition()
  for (let round = 0; round < 5_000; round++) {
    clock.jumpWall(round % 3 === 0 ? HOUR : -HOUR / 3)
    clock.advance(60_000)
    partition.append(time)
    if (round % 500 === 0) assertNeverEarly(time, partition, HOUR)
  }
  // The memory is shared out over the 83 hours that this took.
  assertNeverLate(time, partition, HOUR, 3 * HOUR)
})
