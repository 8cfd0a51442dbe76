/** How operators see and manage groups of every mode, on every engine that can `groups`, see src/storage/engine.ts. */
import assert from 'node:assert/strict'
import { toOffset } from '../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import type { Engine, PublishHow } from '../../src/storage/engine.js'
import { batchAt } from '../helpers/batches.js'
import { type Cases, runContract } from '../helpers/contract.js'
import { ENGINES, type EngineSubject } from '../helpers/engines.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { PartitionSeat } from '../helpers/partition-seat.js'

const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
const PLAIN: PublishHow = { durability: null, expectedOffset: null, producer: '', sequence: null }
const NOT_FOUND = { code: 'LVT_GROUP_NOT_FOUND' }

async function withRecords(engine: Engine, partitions: number, count: number): Promise<void> {
  await engine.ensureTopic('topic', { ...KEPT, partitions })
  for (let partition = 0; partition < partitions; partition++) {
    await engine.publish('topic', partition, batchAt(0, count), PLAIN)
  }
}

async function rest(engine: Engine): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await engine.partition('topic', 0).then(() => new Promise(setImmediate))
}

const CASES: Cases<EngineSubject> = {
  'tells of a shared group who has what, and for how long': async ({ engine, clock }) => {
    await withRecords(engine, 2, 5)
    const quick = (await GroupSeat.take(engine, 's', { member: 'quick' })).ask(1)
    await quick.offsets(1)
    const { partition = 0, offset = 0 } = quick.got[0] ?? {}
    const slow = (await GroupSeat.take(engine, 's', { member: 'slow' })).ask(3)
    await slow.offsets(3)
    clock.advance(400)
    await quick.settle(offset, offset + 1, { kind: 'ack' }, partition)
    clock.advance(100)
    const group = await engine.group('topic', 's')
    assert.deepEqual([group.name, group.mode, group.isPaused, group.lag, group.inFlight], ['s', 'shared', false, 9, 3])
    assert.equal(group.oldestMs, 500)
    assert.deepEqual(group.members, [
      { name: 'quick', partitions: [], held: 0, expired: 0, silentMs: null },
      { name: 'slow', partitions: [], held: 3, expired: 0, silentMs: 500 },
    ])
    assert.deepEqual([engine.groupCounts(500).silentMembers, engine.groupCounts(501).silentMembers], [1, 0])
    clock.advance(600)
    await rest(engine)
    const later = await engine.group('topic', 's')
    assert.deepEqual([later.expired, later.members[1]?.expired, later.members[1]?.held], [3, 3, 0])
    const counts = engine.groupCounts(0)
    assert.deepEqual([counts.groups, counts.lag, counts.expired], [1, 9, 3])
  },

  'tells of a group that assigns partitions who reads what, how far, and who says nothing': async ({
    engine,
    clock,
  }) => {
    await withRecords(engine, 2, 5)
    const member = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
    await Promise.all([member.commit(5, 0), member.commit(2, 1)])
    await assert.rejects(member.commit(3, 1, member.newest.generation + 1), { code: 'LVT_FENCED' })
    clock.advance(700)
    const group = await engine.group('topic', 'c')
    assert.deepEqual(group.partitions, [
      { partition: 0, position: 5, end: 5, lag: 0, inFlight: 0, member: 'a' },
      { partition: 1, position: 2, end: 5, lag: 3, inFlight: 0, member: 'a' },
    ])
    assert.deepEqual([group.mode, group.lag, group.oldestMs, group.fenced], ['cursor', 3, 700, 1])
    assert.equal(group.generation, member.newest.generation)
    assert.deepEqual(group.members, [{ name: 'a', partitions: [0, 1], held: 0, expired: 0, silentMs: 700 }])
    await member.commit(5, 1)
    clock.advance(700)
    assert.equal((await engine.group('topic', 'c')).members[0]?.silentMs, null, 'there is nothing to speak of')
    await engine.publish('topic', 1, batchAt(5, 1), PLAIN)
    clock.advance(50)
    assert.equal((await engine.group('topic', 'c')).members[0]?.silentMs, 50)
    assert.equal(engine.groupCounts(10).silentMembers, 0, 'seen for the first time')
    clock.advance(10)
    assert.deepEqual([engine.groupCounts(10).silentMembers, engine.groupCounts(11).silentMembers], [1, 0])
  },

  'lists groups of all modes in order, in pages': async ({ engine }) => {
    await withRecords(engine, 1, 1)
    assert.deepEqual(await engine.groups('topic', '', 10), { groups: [], more: false })
    for (const name of ['e', 'a', 'c']) await GroupSeat.take(engine, name)
    for (const name of ['d', 'b']) await PartitionSeat.take(engine, name, 'm')
    const names = async (after: string, limit: number) => {
      const { groups, more } = await engine.groups('topic', after, limit)
      return [groups.map(({ name }) => name).join(''), more]
    }
    assert.deepEqual(await names('', 2), ['ab', true])
    assert.deepEqual(await names('b', 2), ['cd', true])
    assert.deepEqual(await names('d', 2), ['e', false])
    assert.deepEqual(await names('bb', 9), ['cde', false])
    await engine.dropGroup('topic', 'c')
    assert.deepEqual(await names('', 9), ['abde', false])
    await assert.rejects(engine.groups('other', '', 1), { code: 'LVT_TOPIC_NOT_FOUND' })
  },

  'moves a shared group, and knows nothing of what was in flight': async ({ engine }) => {
    await withRecords(engine, 2, 4)
    const seat = (await GroupSeat.take(engine, 's')).ask(3)
    await seat.offsets(3)
    await seat.settle(0, 1)
    await engine.seekGroup('topic', 's', { kind: 'earliest' }, null)
    assert.deepEqual(await seat.settle(1, 2), [{ from: 1, to: 2 }])
    await engine.seekGroup('topic', 's', { kind: 'last-n', records: 1 }, 1)
    seat.ask(99)
    await seat.until(() => seat.got.length === 8)
    assert.deepEqual(
      seat.got
        .slice(3)
        .map(({ partition, offset }) => `${partition}:${offset}`)
        .sort(),
      ['0:0', '0:1', '0:2', '0:3', '1:3'],
    )
    await assert.rejects(engine.seekGroup('topic', 's', { kind: 'earliest' }, 2), { code: 'LVT_PARTITION_NOT_FOUND' })
    await assert.rejects(engine.seekGroup('topic', 't', { kind: 'earliest' }, null), NOT_FOUND)
  },

  'moves a cursor, tells its reader, and refuses commits that were on their way': async ({ engine }) => {
    await withRecords(engine, 2, 9)
    const seat = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
    const { generation } = seat.newest
    await seat.commit(8, 0, generation)
    await seat.commit(7, 1, generation)
    await engine.seekGroup('topic', 'c', { kind: 'offset', offset: toOffset(2) }, 0)
    await assert.rejects(seat.commit(9, 0, generation), { code: 'LVT_FENCED' })
    await seat.commit(8, 1, generation)
    await seat.assignments(2)
    assert.deepEqual(seat.has, [
      [0, 2],
      [1, null],
    ])
    await seat.commit(3, 0)
    seat.leave()
    await engine.seekGroup('topic', 'c', { kind: 'latest' }, null)
    assert.deepEqual((await engine.group('topic', 'c')).lag, 0)
  },

  'gives nothing of a paused group out, and takes verdicts': async ({ engine }) => {
    await withRecords(engine, 1, 4)
    const seat = (await GroupSeat.take(engine, 's')).ask(2)
    await seat.offsets(2)
    await engine.pauseGroup('topic', 's', true)
    assert.equal((await engine.group('topic', 's')).isPaused, true)
    assert.deepEqual(await seat.settle(0, 2), [])
    seat.ask(9)
    await engine.changeTopic('topic', { ...KEPT, partitions: 2 })
    await engine.publish('topic', 1, batchAt(0, 2), PLAIN)
    await rest(engine)
    assert.equal(seat.got.length, 2)
    await engine.pauseGroup('topic', 's', false)
    await seat.offsets(6)
    await PartitionSeat.take(engine, 'c', 'a')
    await assert.rejects(engine.pauseGroup('topic', 'c', true), { code: 'LVT_UNSUPPORTED' })
    await assert.rejects(engine.pauseGroup('topic', 'x', true), NOT_FOUND)
  },

  'forgets a group for good, and tells its members': async ({ engine }) => {
    await withRecords(engine, 2, 4)
    const sharing = (await GroupSeat.take(engine, 's')).ask(8)
    await sharing.offsets(8)
    const reading = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
    await reading.commit(3, 1)
    for (const name of ['s', 'c']) {
      const settling = name === 's' ? sharing.settle(0, 2) : reading.commit(3)
      await Promise.all([engine.dropGroup('topic', name), settling])
      for (const asked of [engine.group('topic', name), engine.dropGroup('topic', name)]) {
        await assert.rejects(asked, NOT_FOUND)
      }
    }
    assert.equal((sharing.reason as { code?: string } | null)?.code, 'LVT_GROUP_NOT_FOUND')
    assert.equal(reading.reason?.code, 'LVT_GROUP_NOT_FOUND')
    assert.deepEqual(await engine.groups('topic', '', 9), { groups: [], more: false })
    const other = (await GroupSeat.take(engine, 'c', { start: { kind: 'last' } })).ask(9)
    await other.offsets(2)
  },

  'remembers over a restart what was moved, paused and forgotten': async ({ engine, reopen }) => {
    await withRecords(engine, 2, 5)
    for (const name of ['moved', 'paused', 'gone', 'made again']) {
      const seat = (await GroupSeat.take(engine, name)).ask(10)
      await seat.offsets(10)
      await seat.settle(0, 5)
    }
    await (await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)).commit(4)
    await engine.seekGroup('topic', 'moved', { kind: 'offset', offset: toOffset(3) }, null)
    await engine.seekGroup('topic', 'c', { kind: 'offset', offset: toOffset(1) }, null)
    await engine.pauseGroup('topic', 'paused', true)
    await engine.seekGroup('topic', 'paused', { kind: 'earliest' }, null)
    await Promise.all([engine.dropGroup('topic', 'gone'), engine.dropGroup('topic', 'made again')])
    await PartitionSeat.take(engine, 'made again', 'a', { start: { kind: 'latest' } })
    await engine.close({ deadlineMs: 0 })
    const again = await reopen()
    const { groups } = await again.groups('topic', '', 9)
    assert.deepEqual(
      groups.map(({ name, mode, isPaused, lag }) => [name, mode, isPaused, lag]),
      [
        ['c', 'cursor', false, 8],
        ['made again', 'cursor', false, 0],
        ['moved', 'shared', false, 4],
        ['paused', 'shared', true, 10],
      ],
    )
    await assert.rejects(again.group('topic', 'gone'), NOT_FOUND)
  },
}

const FORGETS = 'memory forgets with its process'
const skips = { 'remembers over a restart what was moved, paused and forgotten': FORGETS }
runContract(
  ENGINES.map((engine) => (engine.name === 'local over memory' ? { ...engine, skips } : engine)),
  CASES,
)
