/** Groups on a disk that is full, or that loses records which a group has gone beyond: members hear of it, and nothing is skipped. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../helpers/engine-disk.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { PartitionSeat } from '../helpers/partition-seat.js'

const NOT_FOUND = { code: 'LVT_GROUP_NOT_FOUND' }

test('a generation that cannot be stored is given to nobody: members end, and come again when there is room', async () => {
  const disk = new EngineDisk()
  const engine = await disk.open()
  await engine.ensureTopic('topic', KEPT)
  await engine.publish('topic', 0, batchAt(0, 9), howOf())
  const first = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
  await first.commit(4)
  disk.fill()
  await assert.rejects(first.commit(5))
  await assert.rejects(PartitionSeat.take(engine, 'c', 'b', { takeOver: true }))
  await assert.rejects(PartitionSeat.take(engine, 'new', 'b'))
  await assert.rejects(engine.seekGroup('topic', 'c', { kind: 'earliest' }, null))
  await first.until(() => first.reason !== null)
  assert.equal(first.told.length, 1)
  disk.free()
  const second = await (await PartitionSeat.take(engine, 'c', 'b')).assignments(1)
  assert.ok(second.newest.generation > first.newest.generation)
  assert.deepEqual(second.has, [[0, 0]], 'what was asked for counts until the engine is closed')
  const made = await (await PartitionSeat.take(engine, 'new', 'b', { start: { kind: 'latest' } })).assignments(1)
  assert.deepEqual(made.has, [[0, 9]])
  await engine.close()
  const again = await disk.open()
  assert.deepEqual((await again.group('topic', 'new')).partitions[0]?.position, 9)
  await again.close()
})

test('a group that could not be forgotten is, before its name is used again', async () => {
  const disk = new EngineDisk()
  const engine = await disk.open()
  await engine.ensureTopic('topic', KEPT)
  await engine.publish('topic', 0, batchAt(0, 9), howOf())
  const seat = await (await PartitionSeat.take(engine, 'g', 'a')).assignments(1)
  await seat.commit(4)
  disk.fill()
  await assert.rejects(engine.dropGroup('topic', 'g'))
  assert.equal(seat.reason?.code, 'LVT_GROUP_NOT_FOUND')
  await assert.rejects(GroupSeat.take(engine, 'g'))
  disk.free()
  await assert.rejects(engine.group('topic', 'g'), NOT_FOUND)
  const sharing = (await GroupSeat.take(engine, 'g', { start: { kind: 'last' } })).ask(1)
  assert.deepEqual(await sharing.offsets(1), [8])
  await engine.close()
  const again = await disk.open()
  assert.equal((await again.group('topic', 'g')).mode, 'shared')
  await again.close()
})

test('what cursors remember outlives a log that is begun anew, and what was forgotten stays so', async () => {
  const disk = new EngineDisk()
  const store = disk.store()
  const engine = await disk.open(store)
  await engine.ensureTopic('topic', KEPT)
  await engine.publish('topic', 0, batchAt(0, 100), howOf())
  const seats: PartitionSeat[] = []
  for (let group = 0; group < 400; group++) {
    seats.push(await (await PartitionSeat.take(engine, `group ${group}`, 'a')).assignments(1))
  }
  for (let position = 1; position <= 60; position++) {
    await Promise.all(seats.map((seat) => seat.commit(position)))
    if (position !== 10) continue
    await engine.dropGroup('topic', 'group 399')
    seats.pop()
  }
  assert.ok((await store.groupLog('topic')).logStart > 400, 'it was begun anew')
  disk.powerLoss()
  await engine.close().catch(() => undefined)
  const again = await disk.open()
  const { groups } = await again.groups('topic', '', 1_000)
  assert.equal(groups.length, 399)
  assert.ok(groups.every(({ mode, lag, generation }) => mode === 'cursor' && lag === 40 && generation === 1))
  await again.close()
})

test('a position in records that a crash has lost is not believed of others in their places', async () => {
  const disk = new EngineDisk()
  const store = await disk.openStore()
  await store.saveTopic('topic', { ...KEPT, durability: 'os' })
  const how = { timestampMs: 1, durability: 'disk', keep: true, producer: null } as const
  await (await store.partition('topic', 0)).append(batchAt(0, 3), how)
  const body = Buffer.from('["c",0,["seek",9],["mode","cursor"],["generation",7]]')
  await (await store.groupLog('topic')).append({ body, count: 1 }, how)
  await store.close()
  // In the first life nobody reads the cursor: others stand in those places nevertheless.
  const first = await disk.open()
  await first.publish('topic', 0, batchAt(3, 20), howOf())
  await first.close()
  const engine = await disk.open()
  const seat = await (await PartitionSeat.take(engine, 'c', 'a')).assignments(1)
  assert.deepEqual(seat.has, [[0, 3]])
  assert.equal(seat.newest.generation, 8)
  await engine.close()
})

test('asking for groups where there never were any leaves nothing behind', async () => {
  const disk = new EngineDisk()
  const engine = await disk.open()
  await engine.ensureTopic('topic', { ...KEPT, partitions: 3 })
  const before = disk.fs.usedBytes
  const files = disk.fs.files()
  assert.deepEqual(await engine.groups('topic', '', 100), { groups: [], more: false })
  for (const asked of [
    engine.group('topic', 'g'),
    engine.seekGroup('topic', 'g', { kind: 'earliest' }, null),
    engine.pauseGroup('topic', 'g', true),
    engine.dropGroup('topic', 'g'),
  ]) {
    await assert.rejects(asked, NOT_FOUND)
  }
  assert.equal(disk.fs.usedBytes, before)
  assert.deepEqual(disk.fs.files(), files)
  await engine.close()
})
