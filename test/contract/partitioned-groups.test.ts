/** What every engine that can do `groups` keeps to where partitions are assigned, see src/storage/engine.ts. */
import assert from 'node:assert/strict'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import type { Engine, PublishHow } from '../../src/storage/engine.js'
import { batchAt } from '../helpers/batches.js'
import { type Cases, runContract } from '../helpers/contract.js'
import { ENGINES, type EngineSubject } from '../helpers/engines.js'
import { PartitionSeat } from '../helpers/partition-seat.js'

const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
const PLAIN: PublishHow = { durability: null, expectedOffset: null, producer: '', sequence: null }
const FENCED = { code: 'LVT_FENCED' }

async function withRecords(engine: Engine, partitions: number, count: number): Promise<void> {
  await engine.ensureTopic('topic', { ...KEPT, partitions })
  for (let partition = 0; partition < partitions; partition++) {
    await engine.publish('topic', partition, batchAt(0, count), PLAIN)
  }
}

/** Lets what is under way come to rest: writes to a disk are not on the virtual clock. */
async function rest(engine: Engine): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await engine.partition('topic', 0).then(() => new Promise(setImmediate))
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
      await rest(engine)
      clock.advance(1_000)
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
      await assert.rejects(first.commit(5), FENCED)
      await again.commit(6)
      assert.equal(again.told.length, 1)
      assert.equal(again.reason, null)
    }
  },
}

runContract(ENGINES, CASES)
