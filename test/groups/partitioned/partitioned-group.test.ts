import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OPTIONS, SmallGroup } from './small-group.js'

test('members that join together are assigned together, after the delay and in the first generation', () => {
  const small = new SmallGroup(4)
  small.join('a', 'b')
  assert.equal(small.group.state, 'gathering')
  assert.equal(small.group.nextDeadlineMs(), small.nowMs + OPTIONS.rebalanceDelayMs)
  small.pass(OPTIONS.rebalanceDelayMs - 1)
  assert.equal(small.told.size, 0)
  small.pass(1)
  assert.deepEqual(small.told.get('a'), { member: 'a', generation: 1, partitions: [0, 1], started: [0, 1] })
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 1, partitions: [2, 3], started: [2, 3] })
  assert.equal(small.group.state, 'stable')
  assert.equal(small.group.facts().rebalances, 1)
})

test('changes that never pause cannot put an assignment off beyond its bound', () => {
  const small = new SmallGroup(4)
  const startMs = small.nowMs
  for (let index = 0; small.group.facts().rebalances === 0; index++) {
    small.join(`m${index % 5}`)
    small.pass(OPTIONS.rebalanceDelayMs / 2)
    small.leave(`m${(index + 3) % 5}`)
    assert.ok(small.nowMs - startMs <= OPTIONS.rebalanceDelayMaxMs + OPTIONS.rebalanceDelayMs)
  }
})

test('a member for whom there is no partition is told so', () => {
  const small = SmallGroup.settled(1, ['a', 'b'])
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 1, partitions: [], started: [] })
})

test('a member too many is refused, and counted', () => {
  const small = new SmallGroup(4, { membersMax: 2 })
  small.join('a', 'b')
  assert.equal(small.group.join('c', small.nowMs), 'group-full')
  assert.equal(small.group.join('a', small.nowMs), 'rejoined')
  assert.equal(small.group.facts().joinsRefused, 1)
  assert.equal(small.group.memberCount, 2)
})

test('a partition that moves is revoked first, and given only when its owner has confirmed', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  assert.equal(small.group.state, 'revoking')
  assert.deepEqual(small.told.get('a'), { member: 'a', generation: 2, partitions: [0], started: [] })
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 2, partitions: [], started: [] })
  assert.equal(small.group.ownerOf(1), 'a')
  assert.deepEqual(small.group.facts().members[0]?.revoking, [1])
  small.confirm('a')
  assert.equal(small.group.state, 'stable')
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 3, partitions: [1], started: [1] })
  assert.equal(small.generationOf('a'), 2)
})

test('an owner that was told to let go commits what it finished until it confirms, and nothing after', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  assert.equal(small.commit('a', 1, 5, 1), 'committed')
  assert.equal(small.commit('b', 1, 9), 'fenced')
  assert.equal(small.commit('a', 1, 6, 2), 'committed')
  small.confirm('a')
  assert.equal(small.commit('a', 1, 7, 1), 'fenced')
  assert.equal(small.commit('a', 1, 7, 2), 'fenced')
  assert.equal(small.group.position(1), 6)
  assert.equal(small.commit('b', 1, 7), 'committed')
})

test('confirming an assignment again, or one from before the revocation, gives nothing away', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  assert.equal(small.group.confirm('a', 1, small.nowMs), 'confirmed')
  assert.equal(small.group.ownerOf(1), 'a')
  small.confirm('a', 'a')
  assert.equal(small.group.ownerOf(0), 'a')
  assert.equal(small.group.ownerOf(1), 'b')
  assert.equal(small.group.confirm('nobody', 2, small.nowMs), 'unknown')
})

test('an owner that does not confirm loses the partition when its wait is over', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  assert.equal(small.group.nextDeadlineMs(), small.nowMs + OPTIONS.revokeWaitMs)
  small.pass(OPTIONS.revokeWaitMs - 1)
  assert.equal(small.group.ownerOf(1), 'a')
  small.pass(1)
  assert.equal(small.group.ownerOf(1), 'b')
  assert.equal(small.commit('a', 1, 5), 'fenced')
  assert.equal(small.group.facts().revokesOverdue, 1)
  assert.equal(small.group.facts().commitsFenced, 1)
  assert.equal(small.group.state, 'stable')
})

test('an owner that leaves while it is waited for hands over at once', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  small.leave('a')
  assert.equal(small.group.ownerOf(1), 'b')
  assert.equal(small.group.ownerOf(0), null)
  assert.equal(small.group.state, 'gathering')
  small.pass(100)
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 4, partitions: [0, 1], started: [0] })
})

test('a partition whose new owner leaves before it got it is given back, and commits on their way still count', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  small.leave('b')
  small.pass(100)
  assert.deepEqual(small.told.get('a'), { member: 'a', generation: 3, partitions: [0, 1], started: [1] })
  assert.equal(small.commit('a', 1, 5, 1), 'committed')
  assert.equal(small.group.confirm('a', 2, small.nowMs), 'confirmed')
  assert.equal(small.group.ownerOf(1), 'a')
})

test('an owner is not given more time because the partition is meant for another by now', () => {
  const small = SmallGroup.settled(2, ['a'], { assignor: 'range' })
  small.join('c')
  small.pass(100)
  const revokedMs = small.nowMs
  small.join('b')
  small.pass(100)
  assert.equal(small.group.ownerOf(1), 'a')
  small.pass(revokedMs + OPTIONS.revokeWaitMs - small.nowMs)
  assert.equal(small.group.ownerOf(1), 'b')
})

test('a member that is silent for the session timeout is gone, and its partitions go to others', () => {
  const small = SmallGroup.settled(2, ['a', 'b'])
  small.pass(OPTIONS.sessionTimeoutMs - 200)
  assert.equal(small.group.heartbeat('a', small.nowMs), 'alive')
  small.pass(99)
  assert.equal(small.group.memberCount, 2)
  small.pass(1)
  assert.equal(small.group.heartbeat('b', small.nowMs), 'unknown')
  assert.equal(small.group.ownerOf(1), null)
  assert.equal(small.commit('b', 1, 5), 'fenced')
  small.pass(100)
  assert.deepEqual(small.partitionsOf('a'), [0, 1])
  assert.equal(small.group.facts().sessionsExpired, 1)
})

test('commits, also fenced ones, and confirmations are signs of life', () => {
  const small = SmallGroup.settled(2, ['a', 'b'])
  for (let index = 0; index < 5; index++) {
    small.pass(OPTIONS.sessionTimeoutMs / 2)
    assert.equal(small.commit('a', 1, 1), 'fenced')
    small.confirm('b')
  }
  assert.equal(small.group.memberCount, 2)
})

test('a process that stood still expires nobody, and takes nothing away', () => {
  const small = SmallGroup.settled(3, ['a', 'b'])
  small.join('c')
  small.pass(100)
  assert.equal(small.group.state, 'revoking')
  small.group.stoodStill(60_000)
  small.nowMs += 60_000
  small.group.tick(small.nowMs)
  assert.equal(small.group.memberCount, 3)
  assert.equal(small.group.state, 'revoking')
  small.pass(OPTIONS.revokeWaitMs)
  assert.equal(small.group.facts().revokesOverdue, 1)
})

test('a group without members waits for nothing, and its generation goes on', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.leave('a')
  assert.equal(small.group.state, 'empty')
  assert.equal(small.group.nextDeadlineMs(), null)
  assert.equal(small.group.leave('a', small.nowMs), 'unknown')
  small.join('a')
  small.pass(100)
  assert.equal(small.generationOf('a'), 2)
})

test('a member that joins under its own name again keeps its partitions, and its former self is fenced', () => {
  const small = SmallGroup.settled(4, ['a', 'b'])
  assert.equal(small.commit('a', 0, 5), 'committed')
  small.join('a')
  assert.deepEqual(small.told.get('a'), { member: 'a', generation: 2, partitions: [0, 1], started: [0, 1] })
  assert.equal(small.generationOf('b'), 1)
  assert.equal(small.commit('a', 0, 9, 1), 'fenced')
  assert.equal(small.commit('a', 0, 6, 2), 'committed')
  assert.equal(small.group.state, 'stable')
})

test('a member that joins again is told also that it has nothing, unless its first assignment is still to come', () => {
  const small = SmallGroup.settled(1, ['a', 'b'])
  small.join('b')
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 2, partitions: [], started: [] })
  small.join('c', 'c')
  assert.equal(small.told.has('c'), false)
})

test('a member that joins again has let go of what it was told to', () => {
  const small = SmallGroup.settled(2, ['a'])
  small.join('b')
  small.pass(100)
  small.join('a')
  assert.equal(small.group.ownerOf(1), 'b')
  assert.equal(small.group.state, 'stable')
})

test('a commit of a generation that does not exist yet is fenced', () => {
  const small = SmallGroup.settled(1, ['a'])
  assert.equal(small.commit('a', 0, 5, 2), 'fenced')
  assert.equal(small.commit('a', 1, 5), 'fenced')
  assert.equal(small.group.position(0), null)
})

test('a member that got a partition back is fenced with what it sent when it had it before', () => {
  const small = SmallGroup.settled(1, ['a', 'b'])
  small.leave('a')
  small.pass(100)
  assert.equal(small.group.ownerOf(0), 'b')
  small.join('a')
  small.leave('b')
  small.pass(100)
  assert.equal(small.group.ownerOf(0), 'a')
  assert.equal(small.commit('a', 0, 5, 1), 'fenced')
  assert.equal(small.commit('a', 0, 5), 'committed')
})

test('a member keeps what is not taken from it, and commits under the generation it had', () => {
  const small = SmallGroup.settled(4, ['a'])
  small.join('b')
  small.pass(100)
  small.confirm('a')
  assert.equal(small.commit('a', 0, 5, 1), 'committed')
  assert.equal(small.commit('a', 0, 6, 2), 'committed')
  assert.equal(small.commit('a', 0, 7, small.group.generation), 'committed')
})

test('partitions that are added are assigned, after the delay', () => {
  const small = SmallGroup.settled(2, ['a', 'b'])
  small.group.addPartitions(4, small.nowMs)
  assert.equal(small.group.state, 'gathering')
  assert.equal(small.commit('a', 3, 1), 'fenced')
  small.pass(100)
  assert.deepEqual(small.told.get('a'), { member: 'a', generation: 2, partitions: [0, 2], started: [2] })
  assert.deepEqual(small.told.get('b'), { member: 'b', generation: 2, partitions: [1, 3], started: [3] })
  small.group.addPartitions(4, small.nowMs)
  assert.equal(small.group.state, 'stable')
})

test('partitions that are added to a group without members are there when one comes', () => {
  const small = new SmallGroup(1)
  small.group.addPartitions(3, small.nowMs)
  small.join('a')
  small.pass(100)
  assert.deepEqual(small.partitionsOf('a'), [0, 1, 2])
})

test('without a delay the next tick assigns', () => {
  const small = new SmallGroup(1, { rebalanceDelayMs: 0 })
  small.join('a')
  assert.equal(small.group.nextDeadlineMs(), small.nowMs)
  small.pass(0)
  assert.deepEqual(small.partitionsOf('a'), [0])
})

test('operators see who has what, since when it was silent, and when it last committed', () => {
  const small = SmallGroup.settled(2, ['a', 'b'])
  const atMs = small.nowMs
  small.pass(10)
  small.commit('a', 0, 3)
  assert.deepEqual(small.group.facts().members, [
    { member: 'a', partitions: [0], revoking: [], heardMs: atMs + 10, committedMs: atMs + 10 },
    { member: 'b', partitions: [1], revoking: [], heardMs: atMs - 100, committedMs: null },
  ])
})
