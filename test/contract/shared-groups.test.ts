/** What every engine that can `share` keeps to, see src/storage/engine.ts. */
import assert from 'node:assert/strict'
import type { Range } from '../../src/groups/shared/settings.js'
import { toOffset } from '../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import type { Engine, PublishHow } from '../../src/storage/engine.js'
import { batchAt, offsetsSaid } from '../helpers/batches.js'
import { type Cases, runContract } from '../helpers/contract.js'
import { ENGINES, type EngineSubject } from '../helpers/engines.js'
import { GroupSeat } from '../helpers/group-seat.js'

const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
const PLAIN: PublishHow = { durability: null, expectedOffset: null, producer: '', sequence: null }

async function withRecords(engine: Engine, count: number, settings: Partial<TopicSettings> = {}): Promise<void> {
  await engine.ensureTopic('topic', { ...KEPT, ...settings })
  await publish(engine, 0, count)
}

/** In batches of at most three. */
async function publish(engine: Engine, base: number, count: number): Promise<void> {
  for (let offset = base; offset < base + count; offset += 3) {
    await engine.publish('topic', 0, batchAt(offset, Math.min(3, base + count - offset)), PLAIN)
  }
}

/** Lets what is under way come to rest: reads of a disk are not on the virtual clock. */
async function rest(engine: Engine): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await engine.partition('topic', 0).then(() => new Promise(setImmediate))
}

function spans(ranges: readonly Range[]): [number, number][] {
  return ranges.map(({ from, to }) => [from, to])
}

const CASES: Cases<EngineSubject> = {
  'gives each record to one member, in turn, and no more than it asks for': async ({ engine }) => {
    await withRecords(engine, 12)
    const seats = [await GroupSeat.take(engine, 'g'), await GroupSeat.take(engine, 'g')] as const
    seats[0].ask(2)
    assert.deepEqual(await seats[0].offsets(2), [0, 1])
    seats[1].ask(3)
    assert.deepEqual(await seats[1].offsets(3), [2, 3, 4])
    await rest(engine)
    assert.deepEqual([seats[0].got.length, seats[1].got.length], [2, 3])
    for (const seat of seats) seat.ask(100)
    await seats[0].until(() => seats[0].got.length + seats[1].got.length === 12)
    assert.equal(new Set(seats.flatMap(({ got }) => got.map(({ offset }) => offset))).size, 12)
    assert.ok([...seats[0].got, ...seats[1].got].every(({ deliveryCount }) => deliveryCount === 0))
  },

  'brings what is published later, and each group gets everything': async ({ engine }) => {
    await withRecords(engine, 0)
    const seats = [await GroupSeat.take(engine, 'one'), await GroupSeat.take(engine, 'other')]
    for (const seat of seats) seat.ask(10)
    await publish(engine, 0, 4)
    for (const seat of seats) assert.deepEqual(await seat.offsets(4), [0, 1, 2, 3])
  },

  'tells who asks for more than there is, when it has all of it': async ({ engine }) => {
    await withRecords(engine, 7)
    const seat = await GroupSeat.take(engine, 'g')
    seat.ask(7)
    assert.deepEqual(await seat.offsets(7), [0, 1, 2, 3, 4, 5, 6])
    await rest(engine)
    assert.deepEqual(seat.dry, [], 'it asked for no more than there was')
    seat.ask(5)
    await seat.until(() => seat.dry.length > 0)
    await publish(engine, 7, 2)
    await seat.until(() => seat.dry.includes(9))
    assert.ok(seat.dry.every((had) => had === 7 || had === 9))
    const told = seat.dry.length
    seat.ask(0)
    await publish(engine, 9, 3)
    await rest(engine)
    assert.deepEqual([seat.got.length, seat.dry.length], [9, told])
    seat.ask(100)
    await seat.until(() => seat.dry.length > told)
    assert.equal(seat.dry[told], 12)
  },

  'delivers again what a member leaves behind, at once and counted': async ({ engine }) => {
    await withRecords(engine, 3)
    const first = (await GroupSeat.take(engine, 'g')).ask(3)
    await first.offsets(3)
    assert.deepEqual(await first.settle(1, 2), [])
    first.leave()
    const second = (await GroupSeat.take(engine, 'g')).ask(9)
    assert.deepEqual(await second.offsets(2), [0, 2])
    assert.ok(second.got.every(({ deliveryCount }) => deliveryCount === 1))
    assert.deepEqual(await first.settle(0, 1), [{ from: 0, to: 1 }], 'who left has nothing to say')
  },

  'delivers again what a member says nothing of for its ack wait': async ({ engine, clock }) => {
    await withRecords(engine, 2)
    const slow = (await GroupSeat.take(engine, 'g')).ask(2)
    await slow.offsets(2)
    clock.advance(600)
    await slow.settle(0, 1, { kind: 'extend' })
    const quick = (await GroupSeat.take(engine, 'g')).ask(9)
    clock.advance(399)
    await rest(engine)
    assert.deepEqual(quick.got, [])
    clock.advance(1)
    assert.deepEqual(await quick.offsets(1), [1])
    clock.advance(600)
    assert.deepEqual(await quick.offsets(2), [1, 0])
    assert.deepEqual(await slow.settle(0, 2), [{ from: 0, to: 2 }], 'another member has them')
  },

  'tells a member what is its own no more, before anybody gets it': async ({ engine, clock }) => {
    await withRecords(engine, 6)
    const silent = (await GroupSeat.take(engine, 'g')).ask(3)
    await silent.offsets(3)
    await silent.settle(1, 2)
    const quick = await GroupSeat.take(engine, 'g')
    clock.advance(1_000)
    await silent.until(() => silent.expiries.length === 2)
    assert.deepEqual(spans(silent.expiries), [
      [0, 1],
      [2, 3],
    ])
    assert.deepEqual(await silent.settle(0, 1), [], 'nobody got it since')
    // What a seek, or the limits of the topic, take from it is told as well.
    quick.ask(3)
    await quick.offsets(3)
    await engine.seekGroup('topic', 'g', { kind: 'offset', offset: toOffset(3) }, null)
    assert.deepEqual(spans(quick.expiries), [[2, 5]])
    await quick.ask(2).offsets(5)
    await engine.purge('topic', 0, toOffset(4))
    silent.ask(1)
    await quick.until(() => quick.expiries.length > 1)
    assert.deepEqual(spans(quick.expiries), [
      [2, 5],
      [3, 4],
    ])
    await quick.settle(4, 5)
    clock.advance(10_000)
    assert.equal(quick.expiries.length, 2, 'it is done with the other one')
  },

  'gives what a member was silent about rather to another one': async ({ engine, clock }) => {
    await withRecords(engine, 2)
    const silent = (await GroupSeat.take(engine, 'g')).ask(9)
    await silent.offsets(2)
    const quick = (await GroupSeat.take(engine, 'g')).ask(9)
    clock.advance(1_000)
    assert.equal((await quick.offsets(1))[0], 0)
  },

  'gives what a member releases to others, as if it had not been given': async ({ engine }) => {
    await withRecords(engine, 3, { maxDeliveries: 2 })
    for (let round = 0; round < 5; round++) {
      const goes = (await GroupSeat.take(engine, 'g')).ask(3)
      await goes.offsets(3)
      assert.deepEqual(await goes.settle(0, 3, { kind: 'release' }), [])
      assert.deepEqual(await goes.settle(0, 3), [{ from: 0, to: 3 }], 'they are not its own any more')
      goes.leave()
    }
    const stays = (await GroupSeat.take(engine, 'g')).ask(3)
    await stays.offsets(3)
    assert.ok(stays.got.every(({ deliveryCount }) => deliveryCount === 0))
    await stays.settle(0, 3, { kind: 'retry', delayMs: 0 })
    await stays.ask(3).offsets(6)
    assert.deepEqual(await stays.settle(0, 3, { kind: 'release' }), [])
    await stays.ask(3).offsets(9)
    assert.ok(stays.got.slice(6).every(({ deliveryCount }) => deliveryCount === 1))
    assert.deepEqual([stays.buried, stays.expiries], [[], []])
  },

  'counts as in flight what a member has, and what waits for its turn as lag': async ({ engine }) => {
    await withRecords(engine, 3)
    const seat = (await GroupSeat.take(engine, 'g')).ask(3)
    await seat.offsets(3)
    await seat.settle(0, 1, { kind: 'retry', delayMs: 60_000 })
    await seat.settle(1, 2, { kind: 'release' })
    const { inFlight, lag, partitions } = await engine.group('topic', 'g')
    assert.deepEqual([inFlight, lag, partitions[0]?.inFlight], [1, 3, 1])
  },

  'rests a record that is given back for as long as it is told': async ({ engine, clock }) => {
    await withRecords(engine, 1)
    const seat = (await GroupSeat.take(engine, 'g')).ask(9)
    await seat.offsets(1)
    await seat.settle(0, 1, { kind: 'retry', delayMs: 500 })
    clock.advance(499)
    await rest(engine)
    assert.equal(seat.got.length, 1)
    clock.advance(1)
    await seat.offsets(2)
    assert.equal(seat.got[1]?.deliveryCount, 1)
  },

  'buries what is rejected, and what was delivered too often, and delivers it no more': async ({ engine, clock }) => {
    await withRecords(engine, 4, { maxDeliveries: 2 })
    const seat = await GroupSeat.take(engine, 'g')
    seat.failBurials = 1
    seat.ask(9)
    await seat.offsets(4)
    await seat.settle(2, 3, { kind: 'reject', reason: 'not for me' })
    await seat.until(() => seat.failBurials <= 0)
    await rest(engine)
    assert.equal(seat.buried.length, 0)
    await seat.settle(0, 1)
    await seat.settle(3, 4)
    clock.advance(1_000)
    await seat.until(() => seat.buried.length === 1)
    const [rejected] = seat.buried
    assert.deepEqual([rejected?.offset, rejected?.reason, rejected?.deliveries], [2, 'not for me', 1])
    assert.deepEqual(offsetsSaid(rejected?.body ?? Buffer.alloc(0)), [2])
    await seat.offsets(5)
    clock.advance(1_000)
    await seat.until(() => seat.buried.length === 2)
    assert.deepEqual(
      [seat.buried[1]?.offset, seat.buried[1]?.reason, seat.buried[1]?.deliveries],
      [1, 'max-deliveries', 2],
    )
    clock.advance(10_000)
    await rest(engine)
    assert.deepEqual(
      seat.got.map(({ offset }) => offset),
      [0, 1, 2, 3, 1],
    )
  },

  'begins a new group where it is told to, and goes on with one that is there': async ({ engine }) => {
    await withRecords(engine, 5)
    const late = (await GroupSeat.take(engine, 'g', { start: { kind: 'last-n', records: 2 } })).ask(1)
    assert.deepEqual(await late.offsets(1), [3])
    await late.settle(3, 4)
    late.leave()
    const next = (await GroupSeat.take(engine, 'g')).ask(9)
    assert.deepEqual(await next.offsets(1), [4])
  },

  'lets a member keep what it has when the group goes elsewhere': async ({ engine }) => {
    await withRecords(engine, 6)
    const seat = (await GroupSeat.take(engine, 'g')).ask(2)
    assert.deepEqual(await seat.offsets(2), [0, 1])
    await engine.seekGroup('topic', 'g', { kind: 'offset', offset: 4 }, 0, true)
    seat.ask(1)
    assert.deepEqual(await seat.offsets(3), [0, 1, 4])
    assert.deepEqual(await seat.settle(0, 2), [])
    seat.ask(9)
    assert.deepEqual(await seat.offsets(4), [0, 1, 4, 5])
    const { partitions } = await engine.group('topic', 'g')
    assert.equal(partitions[0]?.position, 4)
  },

  'tells of records that retention took away, and goes on behind them': async ({ engine }) => {
    await withRecords(engine, 6)
    const seat = await GroupSeat.take(engine, 'g')
    await engine.purge('topic', 0, toOffset(4))
    seat.ask(9)
    assert.deepEqual(await seat.offsets(2), [4, 5])
    assert.deepEqual(
      seat.losses.map(({ from, to }) => [from, to]),
      [[0, 4]],
    )
  },

  'takes in partitions that a topic gets later': async ({ engine }) => {
    await withRecords(engine, 1)
    const seat = (await GroupSeat.take(engine, 'g')).ask(9)
    await seat.offsets(1)
    await engine.changeTopic('topic', { ...KEPT, partitions: 2 })
    await engine.publish('topic', 1, batchAt(0, 2), PLAIN)
    await seat.offsets(3)
    assert.deepEqual(
      seat.got.slice(1),
      [0, 1].map((offset) => ({ partition: 1, offset, deliveryCount: 0 })),
    )
    assert.deepEqual(await seat.settle(0, 2, { kind: 'ack' }, 1), [])
    await assert.rejects(seat.settle(0, 1, { kind: 'ack' }, 7), { code: 'LVT_PARTITION_NOT_FOUND' })
  },

  'says what it cannot do, and ends with its topic': async ({ engine }) => {
    await engine.ensureTopic('fleeting', DEFAULT_TOPIC_SETTINGS)
    await assert.rejects(GroupSeat.take(engine, 'g', {}, 'fleeting'), { code: 'LVT_UNSUPPORTED' })
    await assert.rejects(GroupSeat.take(engine, 'g', {}, 'nowhere'), { code: 'LVT_TOPIC_NOT_FOUND' })
    await withRecords(engine, 1)
    await assert.rejects(GroupSeat.take(engine, ''), { code: 'LVT_INVALID_ARGUMENT' })
    const seat = (await GroupSeat.take(engine, 'g')).ask(1)
    await seat.offsets(1)
    await engine.dropTopic('topic')
    assert.match(seat.reason?.message ?? '', /does not exist/)
    await assert.rejects(seat.settle(0, 1), { code: 'LVT_CLOSED' })
  },

  'remembers over a restart what was acked, and delivers the rest again': async ({ engine, reopen }) => {
    await withRecords(engine, 8)
    const seat = (await GroupSeat.take(engine, 'g')).ask(9)
    await seat.offsets(8)
    await Promise.all([seat.settle(0, 2), seat.settle(5, 6)])
    await seat.settle(3, 4, { kind: 'retry', delayMs: 60_000 })
    await engine.close({ deadlineMs: 0 })
    assert.equal((seat.reason as { code?: string } | null)?.code, 'LVT_CLOSED')
    const again = await reopen()
    const next = (await GroupSeat.take(again, 'g')).ask(9)
    await next.offsets(5)
    const got = next.got
      .toSorted((a, b) => a.offset - b.offset)
      .map(({ offset, deliveryCount }) => [offset, deliveryCount])
    assert.deepEqual(got, [
      [2, 0],
      [3, 1],
      [4, 0],
      [6, 0],
      [7, 0],
    ])
  },
}

const FORGETS = 'memory forgets with its process'
const skips = { 'remembers over a restart what was acked, and delivers the rest again': FORGETS }
runContract(
  ENGINES.map((engine) => (engine.name === 'local over memory' ? { ...engine, skips } : engine)),
  CASES,
)
