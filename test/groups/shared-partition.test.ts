/** The rules of a shared group, one by one. Random histories against a naive oracle are in shared-model.test.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACK, EXTEND, type SharedSettings, type Verdict } from '../../src/groups/shared/settings.js'
import { SharedPartition } from '../../src/groups/shared/shared-partition.js'
import { toOffset } from '../../src/model/offset.js'

const ANN = 1
const BOB = 2
const SETTINGS: SharedSettings = { ackWaitMs: 100, inFlightMax: 100, spanMax: 1_000, maxDeliveries: null }
const AGAIN: Verdict = { kind: 'retry', delayMs: 0 }
const END = toOffset(1_000_000)

function group(settings: Partial<SharedSettings> = {}, start = 0): SharedPartition {
  return new SharedPartition(toOffset(start), { ...SETTINGS, ...settings })
}

/** What a take gave, as [from, to, deliveryCount]. */
function take(shared: SharedPartition, member: number, max: number, nowMs = 0, end: number = END): number[][] {
  return shared.take(member, max, toOffset(end), nowMs).map(({ from, to, deliveryCount }) => [from, to, deliveryCount])
}

/** Settle [from, to) and tell what was stale, as [from, to]. */
function settle(shared: SharedPartition, member: number, range: [number, number], verdict: Verdict, nowMs = 0) {
  const [from, to] = range
  return shared.settle(member, toOffset(from), toOffset(to), verdict, nowMs).map((stale) => [stale.from, stale.to])
}

function restored(shared: SharedPartition, settings: Partial<SharedSettings> = {}): SharedPartition {
  return SharedPartition.restore(shared.snapshot(), { ...SETTINGS, ...settings })
}

test('each record goes to one member, new ones in order, and no further than the end', () => {
  const shared = group()
  assert.deepEqual(take(shared, ANN, 3), [[0, 3, 0]])
  assert.deepEqual(take(shared, BOB, 3), [[3, 6, 0]])
  assert.deepEqual(take(shared, ANN, 5, 0, 8), [[6, 8, 0]])
  assert.deepEqual(take(shared, ANN, 5, 0, 8), [])
  assert.deepEqual([shared.heldBy(ANN), shared.heldBy(BOB)], [5, 3])
})

test('the floor is the lowest record that is not acked, whatever is acked above it', () => {
  const shared = group()
  take(shared, ANN, 10)
  assert.deepEqual(settle(shared, ANN, [3, 5], ACK), [])
  assert.equal(shared.floor, 0)
  assert.deepEqual(settle(shared, ANN, [0, 3], ACK), [])
  assert.equal(shared.floor, 5)
  assert.equal(shared.facts(END).inFlight, 5)
})

test('an ack counts for what the member holds; all else is told to be stale', () => {
  const shared = group({}, 10)
  take(shared, ANN, 4)
  take(shared, BOB, 4)
  settle(shared, ANN, [11, 12], ACK)
  assert.deepEqual(settle(shared, ANN, [5, 30], ACK), [
    [5, 10],
    [11, 12],
    [14, 30],
  ])
  assert.deepEqual(settle(shared, BOB, [14, 18], ACK), [])
  assert.equal(shared.floor, 18)
  assert.equal(shared.facts(END).stale, 5 + 1 + 16)
})

test('a member that nobody knows settles nothing', () => {
  const shared = group()
  take(shared, ANN, 4)
  assert.deepEqual(settle(shared, BOB, [0, 4], ACK), [[0, 4]])
  assert.equal(shared.floor, 0)
})

test('a record that is not acked within the ack wait is due again, with a count, before new ones', () => {
  const shared = group()
  take(shared, ANN, 2, 5)
  assert.equal(shared.nextDeadlineMs, 105)
  assert.equal(shared.expire(104), 0)
  assert.equal(shared.expire(105), 2)
  assert.equal(shared.heldBy(ANN), 0)
  assert.deepEqual(take(shared, BOB, 3, 105), [
    [0, 2, 1],
    [2, 3, 0],
  ])
  assert.equal(shared.facts(END).expired, 2)
  assert.equal(shared.facts(END).redeliveries, 2)
})

test('a take finds what has run out, though nobody called expire', () => {
  const shared = group()
  take(shared, ANN, 1)
  assert.equal(shared.hasWork(toOffset(1), 99), false)
  assert.equal(shared.hasWork(toOffset(1), 100), true)
  assert.deepEqual(take(shared, BOB, 1, 100), [[0, 1, 1]])
})

test('an ack after the lease counts while the record waits, and not once another member has it', () => {
  const shared = group()
  take(shared, ANN, 2)
  shared.expire(100)
  assert.deepEqual(settle(shared, ANN, [0, 1], ACK, 101), [])
  assert.equal(shared.floor, 1)
  assert.deepEqual(take(shared, BOB, 1, 101), [[1, 2, 1]])
  assert.deepEqual(settle(shared, ANN, [1, 2], ACK, 102), [[1, 2]])
  assert.deepEqual(settle(shared, BOB, [1, 2], ACK, 103), [])
})

test('an ack after the lease is stale from a member that never had the record, gave it back, or left', () => {
  const shared = group()
  take(shared, ANN, 3)
  take(shared, BOB, 1)
  settle(shared, ANN, [0, 1], AGAIN)
  shared.expire(100)
  assert.deepEqual(settle(shared, ANN, [0, 1], ACK, 100), [[0, 1]])
  assert.deepEqual(settle(shared, BOB, [1, 2], ACK, 100), [[1, 2]])
  shared.leave(ANN, 100)
  assert.deepEqual(settle(shared, ANN, [1, 2], ACK, 100), [[1, 2]])
})

test('only an ack counts after the lease', () => {
  const shared = group()
  take(shared, ANN, 1)
  shared.expire(100)
  for (const verdict of [AGAIN, EXTEND, { kind: 'reject', reason: 'bad' } as const]) {
    assert.deepEqual(settle(shared, ANN, [0, 1], verdict, 100), [[0, 1]])
  }
  assert.deepEqual(take(shared, BOB, 1, 100), [[0, 1, 1]])
})

test('a retry gives the record to whoever is next, after its delay', () => {
  const shared = group()
  take(shared, ANN, 3, 0, 3)
  settle(shared, ANN, [0, 1], AGAIN)
  settle(shared, ANN, [1, 2], { kind: 'retry', delayMs: 40 }, 0)
  assert.deepEqual(take(shared, BOB, 9, 39, 3), [[0, 1, 1]])
  assert.equal(shared.nextDeadlineMs, 40)
  assert.deepEqual(take(shared, BOB, 9, 40, 3), [[1, 2, 1]])
})

test('what became due first is given out first, in runs of one delivery count', () => {
  const shared = group()
  take(shared, ANN, 6, 0, 6)
  settle(shared, ANN, [4, 6], AGAIN)
  settle(shared, ANN, [0, 2], AGAIN)
  take(shared, ANN, 1)
  settle(shared, ANN, [4, 5], AGAIN)
  assert.deepEqual(take(shared, BOB, 9, 0, 6), [
    [5, 6, 1],
    [0, 2, 1],
    [4, 5, 2],
  ])
})

test('of leases that ran out unseen, the oldest hand-out comes first, and new records after all of them', () => {
  const shared = group()
  take(shared, ANN, 2, 0, 5)
  take(shared, ANN, 2, 50, 5)
  take(shared, BOB, 2, 100, 5)
  assert.deepEqual(take(shared, ANN, 9, 200, 5), [
    [2, 4, 1],
    [0, 2, 2],
    [4, 5, 0],
  ])
})

test('what was merely released is new again, and comes behind what was due', () => {
  const shared = group()
  take(shared, ANN, 4, 0, 5)
  settle(shared, ANN, [0, 1], { kind: 'release' })
  settle(shared, ANN, [2, 3], AGAIN)
  assert.deepEqual(take(shared, BOB, 9, 0, 5), [
    [2, 3, 1],
    [0, 1, 0],
    [4, 5, 0],
  ])
})

test('what a seek back brings anew lies before a batch with what was kept, and is not taken with it', () => {
  const shared = group()
  take(shared, ANN, 10)
  settle(shared, ANN, [0, 9], ACK)
  shared.seekKeeping(toOffset(7))
  const within = { from: toOffset(9), to: toOffset(10) }
  const taken = shared.take(BOB, 10, END, 100, within)
  assert.deepEqual(
    taken.map(({ from, to }) => [from, to]),
    [[9, 10]],
  )
  assert.deepEqual(take(shared, BOB, 2, 100), [[7, 9, 0]])
})

test('a seek that keeps leases gives nothing out before the time of what is in flight is over', () => {
  const shared = group()
  take(shared, ANN, 3, 0, 9)
  settle(shared, ANN, [1, 2], ACK)
  shared.seekKeeping(toOffset(6))
  assert.equal(shared.low, 0)
  assert.equal(shared.floor, 6)
  assert.deepEqual(take(shared, BOB, 1, 10, 9), [[6, 7, 0]])
  assert.deepEqual(settle(shared, ANN, [2, 3], ACK, 20), [])
  assert.deepEqual(take(shared, BOB, 9, 100, 9), [
    [0, 1, 1],
    [7, 9, 0],
  ])
  assert.deepEqual(settle(shared, BOB, [0, 1], ACK, 100), [])
  assert.equal(shared.low, 6)
})

test('a record that is given out anew behind a seek has two leases, each settled for itself', () => {
  const shared = group()
  take(shared, ANN, 1, 0, 2)
  shared.seekKeeping(toOffset(0))
  assert.deepEqual(take(shared, ANN, 1, 10, 2), [[0, 1, 0]])
  assert.equal(shared.heldBy(ANN), 2)
  assert.deepEqual(shared.settle(ANN, toOffset(0), toOffset(1), ACK, 20, 0), [])
  assert.deepEqual(shared.settle(ANN, toOffset(0), toOffset(1), ACK, 20, 0), [{ from: 0, to: 1 }])
  assert.deepEqual(shared.settle(ANN, toOffset(0), toOffset(1), ACK, 20, 1), [])
  assert.equal(shared.facts(toOffset(2)).inFlight, 0)
})

test('after a crash what was in flight before a seek is due, wherever the group is', () => {
  const shared = group()
  const log = shared.snapshot()
  take(shared, ANN, 4, 0, 9)
  settle(shared, ANN, [1, 2], ACK)
  shared.seekKeeping(toOffset(7))
  log.push(...shared.changes())
  settle(shared, ANN, [0, 1], ACK)
  log.push(...shared.changes())
  const restored = SharedPartition.restore(log, SETTINGS)
  assert.equal(restored.low, 2)
  assert.deepEqual(take(restored, BOB, 9, 0, 9), [
    [2, 4, 0],
    [7, 9, 0],
  ])
})

test('an extend begins the ack wait anew, and never shortens it', () => {
  const shared = group()
  take(shared, ANN, 2)
  assert.deepEqual(settle(shared, ANN, [0, 1], EXTEND, 60), [])
  assert.equal(shared.expire(100), 1)
  assert.equal(shared.expire(159), 0)
  assert.equal(shared.heldBy(ANN), 1)
  shared.configure({ ...SETTINGS, ackWaitMs: 10 })
  settle(shared, ANN, [0, 1], EXTEND, 60)
  assert.equal(shared.expire(159), 0)
  assert.equal(shared.expire(160), 1)
})

test('back-off holds for expired records and for retries without a delay, its last step for all that follow', () => {
  const shared = group({ backoffMs: [10, 20] })
  const dueAfter = (nowMs: number): number => {
    assert.deepEqual(take(shared, BOB, 1, nowMs, 1), [])
    return (shared.nextDeadlineMs ?? Number.NaN) - nowMs
  }
  take(shared, ANN, 1, 0, 1)
  shared.expire(100)
  assert.equal(dueAfter(100), 10)
  take(shared, ANN, 1, 110, 1)
  settle(shared, ANN, [0, 1], { kind: 'retry', delayMs: null }, 110)
  assert.equal(dueAfter(110), 20)
  take(shared, ANN, 1, 130, 1)
  settle(shared, ANN, [0, 1], { kind: 'retry', delayMs: null }, 130)
  assert.equal(dueAfter(130), 20)
  take(shared, ANN, 1, 150, 1)
  settle(shared, ANN, [0, 1], { kind: 'retry', delayMs: 3 }, 150)
  assert.equal(dueAfter(150), 3)
})

test('what a member holds when it leaves is due at once, with a count', () => {
  const shared = group({ backoffMs: [1_000] })
  take(shared, ANN, 3)
  take(shared, BOB, 2)
  settle(shared, ANN, [1, 2], ACK)
  assert.equal(shared.leave(ANN, 1), 2)
  assert.equal(shared.leave(ANN, 1), 0)
  assert.deepEqual(take(shared, BOB, 9, 1, 5), [
    [0, 1, 1],
    [2, 3, 1],
  ])
  assert.deepEqual(
    shared.facts(END).members.map(({ member, held }) => [member, held]),
    [[BOB, 4]],
  )
})

test('a record delivered maxDeliveries times is handed over as dead, and in flight until that is done', () => {
  const shared = group({ maxDeliveries: 2 })
  take(shared, ANN, 1, 0, 1)
  shared.expire(100)
  assert.deepEqual(take(shared, ANN, 1, 100, 1), [[0, 1, 1]])
  shared.expire(200)
  assert.deepEqual(take(shared, ANN, 1, 200, 1), [])
  assert.deepEqual(shared.takeDead(10), [{ offset: 0, reason: 'max-deliveries', deliveries: 2 }])
  assert.deepEqual(shared.takeDead(10), [])
  assert.deepEqual([shared.floor, shared.facts(END).inFlight, shared.facts(END).dead], [0, 1, 1])
  assert.equal(shared.deadDone(toOffset(0)), true)
  assert.equal(shared.deadDone(toOffset(0)), false)
  assert.deepEqual([shared.floor, shared.facts(END).inFlight, shared.facts(END).deadLetters], [1, 0, 1])
})

test('a rejected record is dead with the reason of the member, and its delivery counts', () => {
  const shared = group()
  take(shared, ANN, 3)
  settle(shared, ANN, [1, 2], { kind: 'reject', reason: 'no such account' })
  assert.deepEqual(settle(shared, ANN, [1, 2], ACK), [[1, 2]])
  assert.deepEqual(shared.takeDead(10), [{ offset: 1, reason: 'no such account', deliveries: 1 }])
  assert.equal(shared.deadFailed(toOffset(1)), true)
  assert.deepEqual(shared.takeDead(10), [{ offset: 1, reason: 'no such account', deliveries: 1 }])
  shared.deadDone(toOffset(1))
  settle(shared, ANN, [0, 1], ACK)
  assert.equal(shared.floor, 2)
})

test('an ack comes in time for a dead record until it is handed over', () => {
  const shared = group({ maxDeliveries: 1 })
  take(shared, ANN, 2)
  shared.expire(100)
  assert.deepEqual(settle(shared, ANN, [0, 1], ACK, 100), [])
  assert.deepEqual(shared.takeDead(10), [{ offset: 1, reason: 'max-deliveries', deliveries: 1 }])
  assert.deepEqual(settle(shared, ANN, [1, 2], ACK, 100), [[1, 2]])
})

test('a lower maxDeliveries buries what waits and was delivered so often', () => {
  const shared = group()
  take(shared, ANN, 3, 0, 3)
  settle(shared, ANN, [0, 1], AGAIN)
  settle(shared, ANN, [1, 2], { kind: 'retry', delayMs: 50 })
  shared.configure({ ...SETTINGS, maxDeliveries: 1 })
  assert.deepEqual(
    shared.takeDead(10).map(({ offset }) => offset),
    [0, 1],
  )
  assert.equal(shared.heldBy(ANN), 1)
})

test('no more is in flight than the limit; what is due again does not count twice', () => {
  const shared = group({ inFlightMax: 5 })
  assert.deepEqual(take(shared, ANN, 9), [[0, 5, 0]])
  assert.deepEqual(take(shared, BOB, 9), [])
  settle(shared, ANN, [1, 2], ACK)
  settle(shared, ANN, [2, 3], AGAIN)
  assert.deepEqual(take(shared, BOB, 9), [
    [2, 3, 1],
    [5, 6, 0],
  ])
  assert.equal(shared.facts(END).inFlight, 5)
})

test('a lower limit gives nothing out until members hold less', () => {
  const shared = group()
  take(shared, ANN, 4)
  settle(shared, ANN, [3, 4], AGAIN)
  shared.configure({ ...SETTINGS, inFlightMax: 3 })
  assert.deepEqual(take(shared, BOB, 9), [])
  settle(shared, ANN, [0, 1], ACK)
  assert.deepEqual(take(shared, BOB, 9), [[3, 4, 1]])
})

test('a record that nobody acks stops new records when the span is used up, and that is counted', () => {
  const shared = group({ inFlightMax: 10, spanMax: 10 })
  take(shared, ANN, 1)
  for (let offset = 1; offset < 10; offset++) {
    assert.deepEqual(take(shared, BOB, 1), [[offset, offset + 1, 0]])
    settle(shared, BOB, [offset, offset + 1], ACK)
  }
  assert.equal(shared.facts(END).spanStalls, 0)
  assert.deepEqual(take(shared, BOB, 1), [])
  assert.equal(shared.facts(END).spanStalls, 1)
  settle(shared, ANN, [0, 1], ACK)
  assert.deepEqual(take(shared, BOB, 1), [[10, 11, 0]])
})

test('a paused group gives nothing out, while verdicts count and leases run out', () => {
  const shared = group()
  take(shared, ANN, 3)
  shared.pause()
  assert.equal(shared.hasWork(END, 0), false)
  assert.deepEqual(take(shared, BOB, 9), [])
  settle(shared, ANN, [0, 1], ACK)
  assert.equal(shared.expire(100), 2)
  shared.resume()
  assert.deepEqual(take(shared, BOB, 2, 100), [[1, 3, 1]])
})

test('a seek begins anew: what was in flight is forgotten, its acks are stale', () => {
  const shared = group({}, 10)
  take(shared, ANN, 5)
  settle(shared, ANN, [12, 13], ACK)
  shared.seek(toOffset(11))
  assert.equal(shared.heldBy(ANN), 0)
  assert.deepEqual(settle(shared, ANN, [10, 15], ACK), [[10, 15]])
  assert.deepEqual(take(shared, BOB, 3), [[11, 14, 0]])
  shared.seek(toOffset(500))
  assert.deepEqual(take(shared, BOB, 3), [[500, 503, 0]])
})

test('a seek forgets the dead, and why they died', () => {
  const shared = group({ maxDeliveries: 1 })
  take(shared, ANN, 2)
  settle(shared, ANN, [0, 2], { kind: 'reject', reason: 'bad' })
  shared.takeDead(1)
  shared.seek(toOffset(0))
  assert.deepEqual(shared.takeDead(10), [])
  assert.equal(shared.deadDone(toOffset(0)), false)
  assert.deepEqual(take(shared, ANN, 1), [[0, 1, 0]])
  shared.expire(100)
  assert.deepEqual(shared.takeDead(10), [{ offset: 0, reason: 'max-deliveries', deliveries: 1 }])
})

test('a purge moves the floor up, over what is held and beyond what was given out', () => {
  const shared = group()
  take(shared, ANN, 6)
  settle(shared, ANN, [1, 2], ACK)
  settle(shared, ANN, [4, 5], ACK)
  assert.equal(shared.purge(toOffset(4)), 3)
  assert.equal(shared.floor, 5)
  assert.equal(shared.heldBy(ANN), 1)
  assert.deepEqual(settle(shared, ANN, [0, 5], ACK), [[0, 5]])
  assert.equal(shared.purge(toOffset(3)), 0)
  assert.equal(shared.purge(toOffset(20)), 15)
  assert.deepEqual([shared.floor, shared.heldBy(ANN)], [20, 0])
  assert.deepEqual(take(shared, ANN, 1), [[20, 21, 0]])
})

test('a purge takes dead records with it', () => {
  const shared = group()
  take(shared, ANN, 3)
  settle(shared, ANN, [0, 2], { kind: 'reject', reason: 'bad' })
  assert.equal(shared.takeDead(1).length, 1)
  shared.purge(toOffset(2))
  assert.equal(shared.deadDone(toOffset(0)), false)
  assert.deepEqual(shared.takeDead(10), [])
})

test('after a restore nothing is held: what was in flight is due, with the counts that were known', () => {
  const shared = group()
  take(shared, ANN, 8)
  settle(shared, ANN, [3, 4], AGAIN)
  settle(shared, ANN, [5, 6], ACK)
  const back = restored(shared)
  assert.deepEqual(take(back, BOB, 9, 0, 9), [
    [0, 3, 0],
    [3, 4, 1],
    [4, 5, 0],
    [6, 9, 0],
  ])
})

test('after a restore what was dead by its count, or rejected, is dead', () => {
  const shared = group({ maxDeliveries: 1 })
  take(shared, ANN, 2)
  settle(shared, ANN, [0, 1], { kind: 'reject', reason: 'bad' })
  settle(shared, ANN, [1, 2], AGAIN)
  const back = restored(shared, { maxDeliveries: 1 })
  assert.deepEqual(back.takeDead(10), [
    { offset: 1, reason: 'max-deliveries', deliveries: 1 },
    { offset: 0, reason: 'bad', deliveries: 1 },
  ])
  assert.deepEqual(take(back, ANN, 1), [[2, 3, 0]])
})

test('changes are told once, as few facts as say them', () => {
  const shared = group()
  assert.equal(shared.hasChanges, false)
  take(shared, ANN, 10)
  assert.deepEqual(shared.changes(), [])
  for (const offset of [1, 0, 7, 5, 6]) settle(shared, ANN, [offset, offset + 1], ACK)
  settle(shared, ANN, [3, 5], AGAIN)
  shared.pause()
  assert.equal(shared.hasChanges, true)
  assert.deepEqual(shared.changes(), [
    { kind: 'acked', from: 0, to: 2 },
    { kind: 'redelivered', from: 3, to: 5, count: 1 },
    { kind: 'acked', from: 5, to: 8 },
    { kind: 'paused', paused: true },
  ])
  assert.equal(shared.hasChanges, false)
  assert.deepEqual(shared.changes(), [])
})

test('a seek and a purge are told before what follows them, and make what came before superfluous', () => {
  const shared = group()
  take(shared, ANN, 4)
  settle(shared, ANN, [1, 2], ACK)
  shared.seek(toOffset(100))
  take(shared, ANN, 4)
  settle(shared, ANN, [102, 104], ACK)
  shared.purge(toOffset(101))
  assert.deepEqual(shared.changes(), [
    { kind: 'seek', offset: 100 },
    { kind: 'purged', logStart: 101 },
    { kind: 'acked', from: 102, to: 104 },
  ])
})

test('facts tell the floor, what is in flight and since when, the lag, and who holds how much', () => {
  const shared = group()
  take(shared, ANN, 2, 7)
  take(shared, BOB, 3, 9)
  settle(shared, ANN, [0, 2], ACK, 11)
  settle(shared, BOB, [3, 4], { kind: 'retry', delayMs: 5 }, 12)
  const facts = shared.facts(toOffset(20))
  assert.deepEqual([facts.floor, facts.next, facts.inFlight, facts.held, facts.waiting], [2, 5, 3, 2, 1])
  assert.equal(facts.lag, 18)
  assert.deepEqual(facts.oldest, { offset: 2, sinceMs: 9 })
  assert.deepEqual(facts.members, [
    { member: ANN, held: 0, expired: 0, lastVerdictMs: 11 },
    { member: BOB, held: 2, expired: 0, lastVerdictMs: 12 },
  ])
  assert.deepEqual(group().facts(END).oldest, null)
  const back = restored(shared)
  assert.deepEqual(back.facts(END).oldest, { offset: 2, sinceMs: null })
  take(back, ANN, 1, 50)
  assert.deepEqual(back.facts(END).oldest, { offset: 2, sinceMs: 50 })
})

test('offsets beyond 32 bits are offsets like others', () => {
  const start = 2 ** 52
  const shared = group({ inFlightMax: 1_000 }, start)
  assert.deepEqual(take(shared, ANN, 500, 0, start + 500), [[start, start + 500, 0]])
  settle(shared, ANN, [start + 100, start + 500], ACK)
  settle(shared, ANN, [start + 7, start + 8], AGAIN)
  assert.deepEqual(take(shared, BOB, 1, 0, start + 500), [[start + 7, start + 8, 1]])
  settle(shared, BOB, [start + 7, start + 8], ACK)
  settle(shared, ANN, [start, start + 100], ACK)
  assert.equal(shared.floor, start + 500)
})

test('a window grows around what is in it, wherever its ring begins', () => {
  const shared = group({ inFlightMax: 10_000, spanMax: 10_000 }, 27)
  take(shared, ANN, 30)
  settle(shared, ANN, [27, 50], ACK)
  settle(shared, ANN, [51, 53], AGAIN)
  settle(shared, ANN, [55, 56], ACK)
  take(shared, BOB, 5_000, 0, 5_055)
  assert.deepEqual(settle(shared, ANN, [50, 57], ACK), [
    [51, 53],
    [55, 56],
  ])
  assert.deepEqual(settle(shared, BOB, [51, 5_055], ACK), [[53, 57]])
  assert.equal(shared.floor, 5_055)
  assert.equal(shared.expire(100), 0)
  assert.equal(shared.nextDeadlineMs, null)
})
