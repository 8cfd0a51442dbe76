import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { PartitionedGroup } from '../../../src/groups/partitioned/partitioned-group.js'
import { toOffset } from '../../../src/model/offset.js'
import { OPTIONS } from './small-group.js'

const GROUPS = 10_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function bytesEach(make: (index: number) => PartitionedGroup): number {
  collect()
  const before = process.memoryUsage().heapUsed
  const groups = Array.from({ length: GROUPS }, (_, index) => make(index))
  collect()
  const bytes = (process.memoryUsage().heapUsed - before) / GROUPS
  assert.equal(groups.length, GROUPS)
  return bytes
}

function idle(partitions: number): PartitionedGroup {
  const group = new PartitionedGroup(partitions, OPTIONS)
  for (let partition = 0; partition < partitions; partition++) {
    group.setPosition(partition, toOffset(3e9 + partition), 'refuse')
  }
  group.takeChanges()
  return group
}

test('an idle group costs less than 1 KiB, also one with 32 positions, and also one that had members', (t) => {
  const idleBytes = bytesEach(() => idle(1))
  const wideBytes = bytesEach(() => idle(32))
  const leftBytes = bytesEach((index) => {
    const group = idle(1)
    group.join(`member ${index}`, 0)
    group.tick(OPTIONS.rebalanceDelayMs)
    assert.equal(group.takeAssignments().length, 1)
    group.leave(`member ${index}`, 1_000)
    return group
  })
  t.diagnostic(`1 partition ${idleBytes} B, 32 partitions ${wideBytes} B, after its member left ${leftBytes} B`)
  for (const bytes of [idleBytes, wideBytes, leftBytes]) assert.ok(bytes < 1_024, `${bytes} B`)
})

test('a group of one partition and one member that does nothing costs about 1 KiB', (t) => {
  const bytes = bytesEach((index) => {
    const group = idle(1)
    group.join(`member ${index}`, 0)
    group.tick(OPTIONS.rebalanceDelayMs)
    assert.equal(group.takeAssignments().length, 1)
    group.takeChanges()
    return group
  })
  t.diagnostic(`${bytes} B`)
  assert.ok(bytes < 1_280, `${bytes} B`)
})
