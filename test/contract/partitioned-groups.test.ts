/** What every engine that can do `groups` keeps to where partitions are assigned, see src/storage/engine.ts. */
import assert from 'node:assert/strict'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import type { Engine, PublishHow } from '../../src/storage/engine.js'
import { batchAt } from '../helpers/batches.js'
import { type Cases, runContract } from '../helpers/contract.js'
import { ENGINES, type EngineSubject } from '../helpers/engines.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { PartitionSeat } from '../helpers/partition-seat.js'
import type { VirtualClock } from '../helpers/virtual-clock.js'

const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
const PLAIN: PublishHow = { durability: null, expectedOffset: null, producer: '', sequence: null }
const SHARED = { mode: 'partitioned' } as const
const FENCED = { code: 'LVT_FENCED' }

async function withRecords(engine: Engine, partitions: number, count: number): Promise<void> {
  await engine.ensureTopic('topic', { ...KEPT, partitions })
  for (let partition = 0; partition < partitions; partition++) {
    await engine.publish('topic', partition, batchAt(0, count), PLAIN)
  }
}

/** Comes, and waits until it was told what it has; the group gathers by the clock. */
async function take(engine: Engine, clock: VirtualClock, group: string, name: string): Promise<PartitionSeat> {
  const seat = await PartitionSeat.take(engine, group, name, SHARED)
  clock.advance(500)
  return await seat.assignments(1)
}

const CASES: Cases<EngineSubject> = {
  'gives a cursor all partitions at once, from where it is told to begin': async ({ engine }) => {
    await withRecords(engine, 2, 5)
    const late = await PartitionSeat.take(engine, 'late', 'a', { start: { kind: 'last-n', records: 2 } })
    assert.deepEqual(late.told, [], 'it has its seat first')
    await late.assignments(1)
    assert.deepEqual(late.has, [
      [0, 3],
      [1, 3],
    ])
    assert.ok(late.newest.generation > 0)
  },

  'goes on where it was committed, and commits only forwards': async ({ engine }) => {
    await withRecords(engine, 2, 9)
    const first = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
    await first.commit(4)
    await first.commit(3)
    await first.commit(2, 1, first.newest.generation)
    await assert.rejects(first.commit(10), { code: 'LVT_INVALID_ARGUMENT' })
    await assert.rejects(first.commit(1, 7), FENCED)
    first.leave()
    await assert.rejects(first.commit(9), FENCED)
    const next = await (await PartitionSeat.take(engine, 'c', 'b')).assignments(1)
    assert.deepEqual(next.has, [
      [0, 4],
      [1, 2],
    ])
    assert.ok(next.newest.generation > first.newest.generation)
  },

  'has one reader of a cursor, and another only when that is told to take over': async ({ engine }) => {
    await withRecords(engine, 1, 9)
    const first = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
    await assert.rejects(PartitionSeat.take(engine, 'c', 'b'), { code: 'LVT_GROUP_IN_USE' })
    const done = first.commit(3)
    const second = await PartitionSeat.take(engine, 'c', 'b', { takeOver: true })
    await done
    assert.equal(first.reason?.code, 'LVT_FENCED')
    await assert.rejects(first.commit(5), FENCED)
    await second.assignments(1)
    assert.deepEqual(second.has, [[0, 3]])
    await second.commit(4)
  },

  'lets a member come again under its name, and hears no more of the one before': async ({ engine, clock }) => {
    await withRecords(engine, 2, 9)
    for (const mode of ['cursor', 'partitioned'] as const) {
      const first = await PartitionSeat.take(engine, mode, 'a', { mode })
      clock.advance(500)
      await first.assignments(1)
      await first.commit(3)
      const again = await (await PartitionSeat.take(engine, mode, 'a', { mode })).assignments(1)
      assert.equal(first.reason?.code, 'LVT_FENCED')
      assert.deepEqual(again.has, [
        [0, 3],
        [1, 0],
      ])
      first.leave()
      first.confirm(again.newest.generation)
      for (const generation of [0, again.newest.generation]) {
        await assert.rejects(first.commit(5, 0, generation), FENCED)
      }
      await again.commit(6)
      assert.equal(again.told.length, 1)
      assert.equal(again.reason, null)
    }
  },

  'shares partitions out among members, each of which lets go first': async ({ engine, clock }) => {
    await withRecords(engine, 4, 9)
    const first = await take(engine, clock, 'g', 'a')
    assert.deepEqual(first.partitions, [0, 1, 2, 3])
    const second = await take(engine, clock, 'g', 'b')
    await first.assignments(2)
    assert.deepEqual(
      first.has,
      [
        [0, null],
        [1, null],
      ],
      'it goes on with what it keeps',
    )
    assert.deepEqual(second.partitions, [], 'not before the other has let go')
    await first.commit(7, 2)
    await first.commit(8, 3, 1)
    first.confirm()
    await second.until(() => second.partitions.length === 2)
    assert.deepEqual(second.has, [
      [2, 7],
      [3, 8],
    ])
    await assert.rejects(first.commit(9, 2), FENCED)
    await second.commit(9, 2)
    second.leave()
    clock.advance(500)
    await first.assignments(3)
    assert.deepEqual(first.has.slice(2), [
      [2, 9],
      [3, 8],
    ])
  },

  'waits no longer than it should for a member that does not let go': async ({ engine, clock }) => {
    await withRecords(engine, 2, 9)
    const slow = await take(engine, clock, 'g', 'a')
    const quick = await take(engine, clock, 'g', 'b')
    await slow.assignments(2)
    assert.deepEqual(slow.partitions, [0])
    await slow.commit(3, 1)
    clock.advance(60_000)
    await quick.until(() => quick.partitions.length > 0)
    assert.deepEqual(quick.has, [[1, 3]])
    await assert.rejects(slow.commit(4, 1), FENCED)
    await slow.commit(4, 0)
  },

  'gives members the partitions that a topic gets later, from their first record': async ({ engine, clock }) => {
    await withRecords(engine, 1, 3)
    const cursor = await (await PartitionSeat.take(engine, 'c', 'a', { start: { kind: 'latest' } })).assignments(1)
    await engine.changeTopic('topic', { ...KEPT, partitions: 2 })
    await engine.publish('topic', 1, batchAt(0, 2), PLAIN)
    assert.equal((await engine.group('topic', 'c')).partitions.length, 2)
    clock.advance(500)
    await cursor.assignments(2)
    assert.deepEqual(cursor.has, [
      [0, null],
      [1, 0],
    ])
    await cursor.commit(2, 1)
  },

  'has one mode for a name': async ({ engine }) => {
    await withRecords(engine, 1, 3)
    const conflict = { code: 'LVT_GROUP_CONFLICT' }
    await PartitionSeat.take(engine, 'c', 'a')
    await PartitionSeat.take(engine, 'g', 'a', SHARED)
    await GroupSeat.take(engine, 's')
    await assert.rejects(PartitionSeat.take(engine, 'c', 'a', SHARED), conflict)
    await assert.rejects(PartitionSeat.take(engine, 'g', 'a'), conflict)
    await assert.rejects(PartitionSeat.take(engine, 's', 'a'), conflict)
    await assert.rejects(GroupSeat.take(engine, 'c'), conflict)
    await assert.rejects(GroupSeat.take(engine, 'g'), conflict)
  },

  'says what it cannot do, and ends with its topic': async ({ engine }) => {
    await assert.rejects(PartitionSeat.take(engine, 'c', 'a'), { code: 'LVT_TOPIC_NOT_FOUND' })
    await engine.ensureTopic('topic', DEFAULT_TOPIC_SETTINGS)
    await assert.rejects(PartitionSeat.take(engine, 'c', 'a'), { code: 'LVT_UNSUPPORTED' })
    await engine.dropTopic('topic')
    await withRecords(engine, 1, 3)
    await assert.rejects(PartitionSeat.take(engine, '', 'a'), { code: 'LVT_INVALID_ARGUMENT' })
    await assert.rejects(PartitionSeat.take(engine, 'c', ''), { code: 'LVT_INVALID_ARGUMENT' })
    const seat = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
    await engine.dropTopic('topic')
    assert.equal(seat.reason?.code, 'LVT_TOPIC_NOT_FOUND')
    await assert.rejects(seat.commit(1), { code: 'LVT_CLOSED' })
  },

  'remembers over a restart what was committed, and gives no generation twice': async ({ engine, clock, reopen }) => {
    await withRecords(engine, 2, 9)
    const cursor = await (await PartitionSeat.take(engine, 'c', 'a', { start: { kind: 'latest' } })).assignments(1)
    const member = await take(engine, clock, 'g', 'a')
    await Promise.all([member.commit(4), member.commit(5), member.commit(2, 1)])
    await engine.close({ deadlineMs: 0 })
    assert.equal(cursor.reason?.code, 'LVT_CLOSED')
    const again = await reopen()
    await assert.rejects(GroupSeat.take(again, 'g'), { code: 'LVT_GROUP_CONFLICT' })
    await assert.rejects(PartitionSeat.take(again, 'g', 'a'), { code: 'LVT_GROUP_CONFLICT' })
    const late = await (await PartitionSeat.take(again, 'c', 'b')).assignments(1)
    const next = await take(again, clock, 'g', 'b')
    assert.deepEqual(late.has, [
      [0, 9],
      [1, 9],
    ])
    assert.deepEqual(next.has, [
      [0, 5],
      [1, 2],
    ])
    assert.ok(late.newest.generation > cursor.newest.generation)
    assert.ok(next.newest.generation > member.newest.generation)
  },
}

const FORGETS = 'memory forgets with its process'
const skips = { 'remembers over a restart what was committed, and gives no generation twice': FORGETS }
runContract(
  ENGINES.map((engine) => (engine.name === 'local over memory' ? { ...engine, skips } : engine)),
  CASES,
)
