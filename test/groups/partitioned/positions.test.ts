import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvariantError } from '../../../src/common/errors.js'
import { PartitionedGroup } from '../../../src/groups/partitioned/partitioned-group.js'
import { toOffset } from '../../../src/model/offset.js'
import { OPTIONS, SmallGroup } from './small-group.js'

test('a commit moves a position forward, never back', () => {
  const small = SmallGroup.settled(1, ['a'])
  assert.equal(small.group.position(0), null)
  assert.equal(small.commit('a', 0, 0), 'committed')
  assert.equal(small.commit('a', 0, 7), 'committed')
  assert.equal(small.commit('a', 0, 7), 'not-forward')
  assert.equal(small.commit('a', 0, 3), 'not-forward')
  assert.equal(small.group.position(0), 7)
})

test('administration sets the position of a partition that nobody owns, in either direction', () => {
  const group = new PartitionedGroup(2, OPTIONS)
  assert.equal(group.setPosition(1, toOffset(9), 'refuse'), 'set')
  assert.equal(group.setPosition(1, toOffset(2), 'refuse'), 'set')
  assert.equal(group.position(1), 2)
  assert.equal(group.setPosition(1, null, 'refuse'), 'set')
  assert.equal(group.position(1), null)
  assert.throws(() => group.setPosition(2, toOffset(0), 'refuse'), InvariantError)
})

test('administration is refused a partition that somebody owns, also one that is being revoked', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  assert.equal(small.group.setPosition(0, toOffset(9), 'refuse'), 'owned')
  assert.equal(small.group.setPosition(1, toOffset(9), 'refuse'), 'owned')
  assert.equal(small.group.position(0), null)
})

test('an owner that is to restart is told to, and what it sent before cannot undo the move', () => {
  const small = SmallGroup.settled(2, ['a', 'b'])
  small.commit('a', 0, 50)
  assert.equal(small.group.setPosition(0, toOffset(10), 'restart'), 'set')
  small.take()
  assert.deepEqual(small.told.get('a'), { member: 'a', generation: 2, partitions: [0], started: [0] })
  assert.equal(small.commit('a', 0, 51, 1), 'fenced')
  assert.equal(small.group.position(0), 10)
  assert.equal(small.commit('a', 0, 11), 'committed')
  assert.equal(small.commit('b', 1, 1), 'committed')
})

test('a partition that is moved by hand while it is being revoked goes to its new owner at once', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  small.group.setPosition(1, toOffset(10), 'restart')
  small.take()
  assert.deepEqual(small.partitionsOf('b'), [1])
  assert.equal(small.commit('a', 1, 20), 'fenced')
  assert.equal(small.group.state, 'stable')
})

test('an overwritten position disturbs no owner, and whoever writes last is right', () => {
  const small = SmallGroup.settled(1, ['a'])
  small.commit('a', 0, 50)
  assert.equal(small.group.setPosition(0, toOffset(10), 'overwrite'), 'set')
  small.take()
  assert.equal(small.generationOf('a'), 1)
  assert.equal(small.group.position(0), 10)
  assert.equal(small.commit('a', 0, 30), 'committed')
})

test('what must be kept is handed out once: the newest of each', () => {
  const small = SmallGroup.settled(2, ['a'])
  for (const position of [1, 2, 3]) small.commit('a', 1, position)
  assert.deepEqual(small.group.takeChanges(), [
    { kind: 'generation', generation: 1 },
    { kind: 'position', partition: 1, position: 3 },
  ])
  assert.deepEqual(small.group.takeChanges(), [])
  small.commit('a', 1, 3)
  small.commit('a', 1, 9, 7)
  assert.deepEqual(small.group.takeChanges(), [])
  small.group.setPosition(1, null, 'overwrite')
  assert.deepEqual(small.group.takeChanges(), [{ kind: 'position', partition: 1, position: null }])
})

test('what was kept brings back positions and generation, and no members', () => {
  const small = SmallGroup.settled(3, ['a'])
  small.commit('a', 2, 7)
  const snapshot = small.group.snapshot()
  small.group.takeChanges()
  small.group.setPosition(2, toOffset(4), 'restart')
  small.commit('a', 0, 1)

  const restored = new SmallGroup(3)
  restored.group.restore(JSON.parse(JSON.stringify(snapshot)))
  for (const change of small.group.takeChanges()) restored.group.apply(change)
  assert.deepEqual(restored.group.snapshot(), small.group.snapshot())
  assert.deepEqual(
    [0, 1, 2].map((partition) => restored.group.position(partition)),
    [1, null, 4],
  )
  assert.equal(restored.group.state, 'empty')
  assert.deepEqual(restored.group.takeChanges(), [])

  assert.equal(restored.commit('a', 2, 9, 2), 'fenced')
  restored.join('a')
  restored.pass(100)
  assert.equal(restored.generationOf('a'), 3)
  assert.equal(restored.commit('a', 2, 9, 2), 'fenced')
})

test('nothing is replayed into a group that has members', () => {
  const small = SmallGroup.settled(1, ['a'])
  assert.throws(() => small.group.apply({ kind: 'generation', generation: 9 }), InvariantError)
})

test('the lag counts what is there and not committed', () => {
  const group = new PartitionedGroup(4, OPTIONS)
  const log = { start: toOffset(10), end: toOffset(30) }
  group.setPosition(0, toOffset(25), 'refuse')
  group.setPosition(1, toOffset(5), 'refuse')
  group.setPosition(2, toOffset(40), 'refuse')
  assert.deepEqual(group.lags([log, log, log, log]), [5, 20, 0, 20])
})
