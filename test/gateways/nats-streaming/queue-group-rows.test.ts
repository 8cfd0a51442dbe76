/**
 * Queue groups of one channel, row by row of the original's acceptance list: its names stand in brackets.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REFUSAL } from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import { ChannelOnPaper } from '../../helpers/channel-on-paper.js'

const QUEUE = { queue: 'q' }
const DURABLE_QUEUE = { queue: 'q', durableName: 'dur' }

/** Members that wait too long for these tests to see it, but for those that are told otherwise. */
const PATIENT = { ...QUEUE, ackWaitMs: 60_000 }

test('gives each message to one member, the one with the fewest first (3.7)', () => {
  const channel = new ChannelOnPaper()
  for (const name of ['a', 'b', 'c']) channel.subscribe(name, QUEUE)
  channel.publish(4)
  assert.deepEqual(channel.sent(), ['a:1', 'b:2', 'c:3', 'a:4'])
  channel.ack('b', 2)
  channel.publish(2)
  assert.deepEqual(channel.sent(), ['b:5', 'c:6'].toSorted())
})

test('lets nobody who joins say where the group begins (TestSubStartPositionWithQueueSub, TestSubStartPositionWithDurableQueueSub)', () => {
  for (const kind of [QUEUE, DURABLE_QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.publish(3)
    channel.subscribe('a', { ...kind, maxInFlight: 1 }, 1)
    channel.subscribe('b', kind, 0)
    assert.deepEqual(channel.sent(), ['a:2', 'b:3'])
  }
})

test('takes each ack wait from the member, and another member for the next try (TestQueueSubsWithDifferentAckWait, TestQueueRedelivery)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...QUEUE, ackWaitMs: 2_000 })
  channel.subscribe('b', { ...QUEUE, ackWaitMs: 5_000 })
  channel.publish(2)
  channel.ack('b', 2)
  channel.pass(1_999)
  assert.deepEqual(channel.sent(), ['a:1', 'b:2'])
  channel.pass(1)
  assert.deepEqual(channel.sent(), ['b:1 again 1'])
  channel.pass(4_999)
  assert.deepEqual(channel.sent(), [])
  channel.pass(1)
  assert.deepEqual(channel.sent(), ['a:1 again 2'], 'counted for the group (TestQueueRedeliveryCount)')
})

test('forgets a group whose last member leaves (TestQueueGroupRemovedOnLastMemberLeaving)', () => {
  for (const isClose of [true, false]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', QUEUE)
    channel.publish(2)
    channel.sent()
    if (isClose) channel.close('a')
    else channel.unsubscribe('a')
    assert.equal(channel.machine.count, 0)
    channel.subscribe('b', QUEUE, 1)
    assert.deepEqual(channel.sent(), ['b:2'])
  }
})

test('hands what a leaving member had to the others, soon (TestQueueSubscriberTransferPendingMsgsOnClose, TestQueueRedeliveryAfterMembersCrash)', () => {
  const channel = new ChannelOnPaper()
  for (const name of ['a', 'b', 'c']) channel.subscribe(name, PATIENT)
  channel.publish(6)
  channel.sent()
  channel.machine.closeClient('a', channel.nowMs)
  channel.pass(50)
  assert.deepEqual(channel.sent(), [], 'not while others of the same client may leave as well')
  channel.pass(50)
  const lines = channel.sent()
  assert.deepEqual(lines.map((line) => line.slice(1)).toSorted(), [':1 again 1', ':4 again 1'])
  assert.deepEqual(new Set(lines.map((line) => line[0])), new Set(['b', 'c']))
})

test('sends nobody who leaves what others of its client had (TestQueueNoRedeliveryDuringSubClose)', () => {
  const channel = new ChannelOnPaper()
  for (const name of ['a', 'b', 'c']) channel.subscribe(name, { ...PATIENT, clientId: 'one' })
  channel.publish(9)
  channel.sent()
  assert.equal(channel.machine.closeClient('one', channel.nowMs).length, 3)
  channel.pass(60_000)
  assert.deepEqual(channel.sent(), [])
  assert.equal(channel.machine.nextWakeMs, null, 'TestQueueGroupAckTimerStoppedWhenMemberLeavesGroup')
})

test('sends what was taken over whatever the heir has already (TestQueueRedeliveryWithMsgsReassignedToMemberWithAcksPending)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...PATIENT, maxInFlight: 1 })
  channel.subscribe('b', { ...PATIENT, maxInFlight: 1 })
  channel.publish(2)
  channel.close('a')
  channel.pass(100)
  assert.deepEqual(channel.sent(), ['a:1', 'b:2', 'b:1 again 1'])
})

test('knows after a restart how far the group was, though who had come furthest left (TestPersistentStoreQueueSubLeavingUpdateQGroupLastSent, TestPersistentStoreQMemberRemovedFromStore)', () => {
  for (const kind of [QUEUE, DURABLE_QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', kind)
    channel.subscribe('b', kind)
    channel.publish(2)
    channel.ack('a', 1)
    channel.ack('b', 2)
    channel.close('b')
    channel.sent()
    channel.restart()
    channel.publish(1)
    assert.deepEqual(channel.sent(), ['a:3'])
    assert.equal(channel.machine.count, 1)
  }
})

test('keeps a durable group that everybody closed (TestBasicDurableQueueSub, TestDurableQueueSubRedeliveryOnRejoin, TestPersistentStoreDurableQueueSubRedeliveryOnRejoin)', () => {
  for (const isRestarted of [false, true]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', DURABLE_QUEUE)
    const b = channel.subscribe('b', DURABLE_QUEUE)
    channel.publish(2)
    channel.close('a')
    channel.close('b')
    channel.publish(1)
    channel.pass(60_000)
    assert.deepEqual(channel.sent(), ['a:1', 'b:2'])
    if (isRestarted) channel.restart()
    assert.equal(channel.machine.count, 1)
    const c = channel.subscribe('c', { ...DURABLE_QUEUE, maxInFlight: 1 }, 99)
    assert.equal(c.id, b.id)
    assert.deepEqual(channel.sent(), ['c:1 again 1', 'c:2 again 1'])
    channel.ack('c', 1)
    channel.ack('c', 2)
    assert.deepEqual(channel.sent(), ['c:3'])
  }
})

test('ends a durable group when the last member unsubscribes, and not before (3.8, TestPersistentStoreDurableQueueSub)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', DURABLE_QUEUE)
  channel.subscribe('b', DURABLE_QUEUE)
  channel.publish(2)
  channel.unsubscribe('a')
  channel.restart()
  assert.equal(channel.machine.count, 1)
  channel.pass(1_000)
  assert.ok(channel.sent().includes('b:1 again 1'))
  channel.unsubscribe('b')
  channel.restart()
  assert.equal(channel.machine.count, 0)
})

test('takes one name, durable, otherwise durable and not, for three groups (TestDurableAndNonDurableQueueSub)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', QUEUE)
  channel.subscribe('b', DURABLE_QUEUE)
  channel.subscribe('c', { queue: 'q', durableName: 'other' })
  channel.subscribe('d', { queue: 'dur:q' })
  channel.publish(1)
  assert.deepEqual(channel.sent(), ['a:1', 'b:1', 'c:1', 'd:1'])
  assert.equal(channel.group('b').queue, 'dur:q')
  assert.equal(channel.refused('e', { queue: 'q', durableName: 'd:r' }), REFUSAL.durableName)
})

test('keeps the most advanced of several groups of one name (TestPersistentStoreMultipleShadowQSubs)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', DURABLE_QUEUE, 0)
  channel.publish(3)
  channel.close('a')
  const twin = new ChannelOnPaper()
  twin.subscribe('x')
  twin.subscribe('b', DURABLE_QUEUE, 0)
  twin.publish(2)
  twin.close('b')
  // Both in one store: ids 1 and 2 are two groups that say they are the same.
  twin.unsubscribe('x')
  channel.mix(twin)
  channel.restart()
  channel.sent()
  assert.equal(channel.machine.count, 1)
  channel.subscribe('c', DURABLE_QUEUE)
  assert.deepEqual(channel.sent(), ['c:1 again 1', 'c:2 again 1', 'c:3 again 1'])
})

test('goes on past a stalled member (TestQueueWithOneStalledMemberDoesNotStallGroup)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...QUEUE, maxInFlight: 1 })
  channel.subscribe('b', QUEUE)
  channel.publish(5)
  assert.deepEqual(channel.sent(), ['a:1', 'b:2', 'b:3', 'b:4', 'b:5'])
})

test('goes on when all are stalled and one acks, or one joins (TestQueueGroupUnStalledOnAcks, TestStalledQueueDelivery)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...QUEUE, maxInFlight: 1 })
  channel.subscribe('b', { ...QUEUE, maxInFlight: 1 })
  channel.publish(4)
  channel.sent()
  channel.ack('b', 2)
  assert.deepEqual(channel.sent(), ['b:3'])
  channel.subscribe('c', { ...QUEUE, maxInFlight: 1 })
  assert.deepEqual(channel.sent(), ['c:4'])
})

test('is not held up by a stalled member that leaves (TestQueueGroupNotStalledOnMemberLeaving)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...QUEUE, maxInFlight: 1 })
  channel.subscribe('b', { ...QUEUE, maxInFlight: 3 })
  channel.publish(6)
  channel.close('a')
  channel.sent()
  channel.pass(100)
  assert.deepEqual(channel.sent(), ['b:1 again 1'])
  for (const sequence of [1, 2, 3]) channel.ack('b', sequence)
  assert.deepEqual(channel.sent(), ['b:5', 'b:6'])
})

test('takes an ack from any member (TestQueueAckRemovesFromOwningMember)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...QUEUE, maxInFlight: 1 })
  channel.subscribe('b', { ...QUEUE, maxInFlight: 1 })
  channel.publish(3)
  channel.sent()
  channel.ack('b', 1)
  assert.deepEqual(channel.sent(), ['a:3'])
  channel.pass(1_000)
  assert.deepEqual(
    channel.sent().map((line) => line.slice(1)),
    [':3 again 1', ':2 again 1'].toSorted().toReversed(),
  )
})

test('gives nothing again to a member whose client is dead while others live (TestIgnoreFailedHBInAckRedeliveryForQGroup)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', QUEUE)
  channel.subscribe('b', QUEUE)
  channel.publish(4)
  channel.sent()
  channel.machine.setFailing('a', true)
  channel.pass(1_000)
  const lines = channel.sent()
  assert.equal(lines.length, 4)
  assert.ok(
    lines.every((line) => line.startsWith('b:')),
    String(lines),
  )
  channel.publish(2)
  assert.deepEqual(channel.sent(), ['b:5', 'b:6'])
  channel.machine.setFailing('b', true)
  channel.publish(2)
  assert.equal(channel.sent().length, 2, 'when all are dead, new ones go out as before')
})

test('knows after a restart who had what, moved or not (TestPersistentStorePersistMsgRedeliveredToDifferentQSub, TestPersistentStoreAckMsgRedeliveredToDifferentQueueSub)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', QUEUE)
  channel.subscribe('b', PATIENT)
  channel.publish(4)
  channel.ack('b', 2)
  channel.ack('b', 4)
  channel.pass(1_000)
  const moved = channel.sent().slice(-2)
  assert.deepEqual(moved, ['b:1 again 1', 'a:3 again 1'])
  channel.ack('a', 3)
  channel.restart(() => true, 60_000)
  assert.deepEqual(channel.sent(), ['b:1 again 1'])
  channel.ack('b', 1)
  channel.restart()
  channel.pass(60_000)
  assert.deepEqual(channel.sent(), [])
})

test('is whole after any order of joining and leaving (TestPersistentStoreDurableQueueSubRaceBetweenCreateAndClose)', () => {
  const channel = new ChannelOnPaper()
  for (let round = 0; round < 20; round++) {
    const early = channel.request('early', DURABLE_QUEUE)
    // Closed before its client was ever told of it.
    channel.machine.close(early, channel.nowMs)
    channel.subscribe('late', DURABLE_QUEUE)
    channel.publish(1)
    channel.ack('late', round + 1)
    channel.close('late')
    if (round % 3 === 0) channel.restart()
    assert.equal(channel.machine.count, 1)
    assert.equal(channel.machine.active, 0)
  }
  assert.deepEqual(channel.sent().length, 20)
})
