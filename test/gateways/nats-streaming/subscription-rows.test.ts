/**
 * Subscriptions of one channel, row by row of the original's acceptance list: its names stand in brackets. Time stands
 * still unless a test moves it; what a restart does is seen by restoring from what was written.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REFUSAL } from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import { ChannelOnPaper } from '../../helpers/channel-on-paper.js'

const DURABLE = { durableName: 'dur' }
const QUEUE = { queue: 'q' }
const DURABLE_QUEUE = { queue: 'q', durableName: 'dur' }

test('sends again what was not acked, again and again, flagged and counted (TestRedelivery, TestMultipleRedeliveries)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a')
  channel.publish(2)
  assert.deepEqual(channel.sent(), ['a:1', 'a:2'])
  channel.ack('a', 2)
  channel.pass(999)
  assert.deepEqual(channel.sent(), [])
  for (let round = 1; round <= 3; round++) {
    channel.pass(round === 1 ? 1 : 1_000)
    assert.deepEqual(channel.sent(), [`a:1 again ${round}`])
  }
  channel.ack('a', 1)
  channel.pass(60_000)
  assert.deepEqual(channel.sent(), [])
  assert.equal(channel.machine.nextWakeMs, null)
})

test('does not send again what is acked while its record is looked up (TestRedeliveryRace, TestRedeliveryRaceWithAck)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a')
  channel.publish(2)
  channel.sent()
  channel.nowMs += 1_000
  const [first, second] = channel.machine.due(channel.nowMs, 10)
  channel.ack('a', 1)
  assert.equal(channel.machine.redeliver(first!, channel.nowMs), null)
  assert.equal(channel.machine.redeliver(second!, channel.nowMs)?.inbox, 'a')
  assert.equal(channel.machine.redeliver(second!, channel.nowMs), null)
})

test('survives a close while records are looked up (TestNoPanicOnSubCloseWhileOnRedelivery)', () => {
  for (const kind of [{}, DURABLE, QUEUE, DURABLE_QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', kind)
    channel.publish(3)
    channel.nowMs += 1_000
    const due = channel.machine.due(channel.nowMs, 10)
    assert.equal(due.length, 3)
    channel.close('a')
    channel.machine.missing(due[0]!)
    channel.machine.failed(due[1]!, channel.nowMs)
    assert.equal(channel.machine.redeliver(due[2]!, channel.nowMs), null)
  }
})

test('keeps the timers of subscriptions apart (TestPersistentStoreRedeliveryCbPerSub, TestPersistentStoreRedeliveredPerSub)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ackWaitMs: 1_000 })
  channel.subscribe('b', { ackWaitMs: 3_000 })
  channel.publish(1)
  channel.sent()
  channel.pass(1_000)
  assert.deepEqual(channel.sent(), ['a:1 again 1'])
  channel.ack('a', 1)
  channel.pass(2_000)
  assert.deepEqual(channel.sent(), ['b:1 again 1'])
})

test('holds new messages at MaxInFlight, and goes on with the first ack (TestStalledDelivery, TestStalledDurableDelivery, TestQueueMaxInFlight)', () => {
  for (const kind of [{}, DURABLE, QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', { ...kind, maxInFlight: 2 })
    channel.publish(4)
    assert.deepEqual(channel.sent(), ['a:1', 'a:2'])
    channel.ack('a', 1)
    assert.deepEqual(channel.sent(), ['a:3'])
  }
})

test('asks for no message while nobody has room (TestSubStalledSemantics, TestQueueGroupStalledSemantics)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...QUEUE, maxInFlight: 1 })
  channel.publish(3)
  assert.equal(channel.group('a').room, 0)
  channel.subscribe('b', { ...QUEUE, maxInFlight: 1 })
  assert.deepEqual(channel.sent(), ['a:1', 'b:2'])
  assert.equal(channel.group('a').room, 0)
})

test('sends a stalled subscription what it has not acked (TestAckTimerSetOnStalledSub)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { maxInFlight: 1 })
  channel.publish(2)
  channel.pass(1_000)
  assert.deepEqual(channel.sent(), ['a:1', 'a:1 again 1'])
})

test('stops with a close in the middle of a backlog (TestDeliveryStopsWhenSubClosed)', () => {
  const channel = new ChannelOnPaper()
  channel.publish(10)
  const a = channel.subscribe('a', { maxInFlight: 5 })
  channel.close('a')
  channel.publish(1)
  channel.pass(60_000)
  assert.equal(channel.sent().length, 5)
  assert.equal(channel.machine.ack(a, 3), false)
})

test('skips what is not there (TestDeliveryWithGapsInSequence, TestDroppedMessagesOnSendToSub, TestDroppedMessagesOnSendToQueueSub)', () => {
  for (const kind of [{}, QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.publish(9)
    for (const sequence of [1, 2, 3, 5, 8]) channel.remove(sequence)
    channel.subscribe('a', kind)
    assert.deepEqual(channel.sent(), ['a:4', 'a:6', 'a:7', 'a:9'])
  }
})

test('waits no more for what was dropped (TestDroppedMessagesOnRedelivery)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { maxInFlight: 2 })
  channel.publish(3)
  channel.sent()
  channel.remove(1)
  channel.pass(1_000)
  assert.deepEqual(channel.sent(), ['a:3', 'a:2 again 1'].toSorted())
  assert.equal(channel.group('a').pending, 2)
})

test('keeps waiting when a record cannot be read (TestMsgLookupFailures)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a')
  channel.publish(1)
  channel.sent()
  channel.nowMs += 1_000
  for (const message of channel.machine.due(channel.nowMs, 10)) channel.machine.failed(message, channel.nowMs)
  channel.pass(999)
  assert.deepEqual(channel.sent(), [])
  channel.pass(1)
  assert.deepEqual(channel.sent(), ['a:1 again 1'])
})

test('gives nothing before the client has its answer (TestMsgsNotSentToSubBeforeSubReqResponse)', () => {
  for (const kind of [{}, DURABLE, QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.publish(3)
    const a = channel.request('a', kind)
    channel.deliver()
    channel.pass(10_000)
    assert.deepEqual(channel.sent(), [])
    channel.machine.ready(a)
    channel.deliver()
    assert.equal(channel.sent().length, 3)
  }
})

test('finds a subscription by either inbox, and none by an empty one (TestSubCloseByInbox, TestSubAckInboxFromOlderStore)', () => {
  const channel = new ChannelOnPaper()
  const a = channel.subscribe('a')
  channel.subscribe('')
  assert.equal(channel.machine.find('a'), a)
  assert.equal(channel.machine.find('ack of a'), a)
  assert.equal(channel.machine.find(''), null)
  channel.restart()
  assert.equal(channel.machine.find('ack of a')?.id, a.id)
  channel.close('a')
  assert.equal(channel.machine.find('a'), null)
})

test('counts members and offline durables, and frees what leaves (TestTooManySubs, TestNumSubs, TestNumSubsOnSubFailure, TestSubscribeShrink)', () => {
  const channel = new ChannelOnPaper({ subscriptionsMax: 3 })
  channel.subscribe('a', DURABLE)
  channel.subscribe('b', QUEUE)
  channel.subscribe('c', QUEUE)
  for (let time = 0; time < 3; time++) assert.equal(channel.refused('d'), REFUSAL.tooMany)
  channel.close('a')
  assert.equal(channel.refused('d'), REFUSAL.tooMany)
  channel.restart()
  assert.equal(channel.machine.count, 3)
  assert.equal(channel.machine.active, 2)
  channel.subscribe('a2', DURABLE)
  channel.unsubscribe('a2')
  channel.subscribe('d')
  assert.equal(channel.refused('e'), REFUSAL.tooMany)
})

test('resumes a durable where it was, whatever start is asked for (TestDurableCanReconnect, TestSubStartPositionWithDurable, TestDurableAckedMsgNotRedelivered)', () => {
  const channel = new ChannelOnPaper()
  const first = channel.subscribe('a', DURABLE)
  channel.publish(3)
  channel.ack('a', 2)
  channel.close('a')
  channel.publish(1)
  channel.sent()
  const again = channel.subscribe('b', DURABLE, 99)
  assert.equal(again.id, first.id)
  assert.deepEqual(channel.sent(), ['b:1 again 1', 'b:3 again 1', 'b:4'])
})

test('begins a durable anew after an unsubscribe (TestDurableRemovedOnUnsubscribe, TestDurableClosedNotUnsubscribed)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', DURABLE)
  channel.publish(2)
  channel.unsubscribe('a')
  channel.sent()
  channel.subscribe('b', DURABLE, 1)
  assert.deepEqual(channel.sent(), ['b:2'])
  channel.machine.closeClient('client', channel.nowMs)
  assert.equal(channel.machine.active, 0)
  assert.equal(channel.machine.count, 1)
})

test('takes the same durable of two clients for two (3.6)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...DURABLE, clientId: 'one' })
  channel.subscribe('b', { ...DURABLE, clientId: 'two' })
  channel.publish(1)
  assert.deepEqual(channel.sent(), ['a:1', 'b:1'])
})

test('sends all that is pending when a durable comes back, MaxInFlight or not, and new ones after it (TestDurableRestartWithMaxInflight, TestNewOnHoldSetOnDurableRestart)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', DURABLE)
  channel.publish(3)
  channel.close('a')
  channel.publish(2)
  channel.sent()
  const b = channel.request('b', { ...DURABLE, maxInFlight: 1 })
  channel.machine.ready(b)
  channel.deliver()
  assert.deepEqual(channel.sent(), [], 'new ones wait for the pending ones')
  channel.pass(0)
  assert.deepEqual(channel.sent(), ['b:1 again 1', 'b:2 again 1', 'b:3 again 1'])
  channel.ack('b', 1)
  channel.ack('b', 2)
  assert.deepEqual(channel.sent(), [])
  channel.ack('b', 3)
  assert.deepEqual(channel.sent(), ['b:4'])
})

test('adds the ack wait of who resumes to the old deadline (3.5)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...DURABLE, ackWaitMs: 30_000 })
  channel.publish(1)
  channel.pass(1_000)
  channel.close('a')
  channel.subscribe('b', { ...DURABLE, ackWaitMs: 1_000 })
  assert.deepEqual(channel.sent(), ['a:1', 'b:1 again 1'])
  channel.pass(29_999)
  assert.deepEqual(channel.sent(), [])
  channel.pass(1)
  assert.deepEqual(channel.sent(), ['b:1 again 2'])
})

test('lets an active durable be replaced only if told to (TestDurableReplaced)', () => {
  const strict = new ChannelOnPaper()
  strict.subscribe('a', { ...DURABLE, clientId: 'c' })
  assert.equal(strict.refused('b', { ...DURABLE, clientId: 'c' }), REFUSAL.duplicateDurable)
  const channel = new ChannelOnPaper({ isDurableReplaced: true })
  const a = channel.subscribe('a', { ...DURABLE, clientId: 'c' })
  channel.publish(1)
  const outcome = channel.machine.subscribe(channel.asked('b', { ...DURABLE, clientId: 'c' }), 0, channel.nowMs)
  assert.ok(outcome.kind === 'resumed' && outcome.replaced === a && outcome.subscription.id === a.id)
  channel.machine.ready(outcome.subscription)
  channel.pass(0)
  channel.publish(1)
  assert.deepEqual(channel.sent(), ['a:1', 'b:1 again 1', 'b:2'])
  assert.equal(channel.machine.find('a'), null)
})

test('forgets with a resume that the client was not answering (TestSubHasFailedHBClearedAfterDurableResume)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { ...DURABLE, clientId: 'c' })
  channel.machine.setFailing('c', true)
  channel.publish(1)
  channel.pass(5_000)
  assert.deepEqual(channel.sent(), ['a:1'])
  channel.close('a')
  channel.subscribe('b', { ...DURABLE, clientId: 'c' })
  channel.pass(1_000)
  assert.deepEqual(channel.sent(), ['b:1 again 1', 'b:1 again 2'])
})

test('sends a dead client nothing again, and new messages until it is full (3.9)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', { maxInFlight: 2, clientId: 'c' })
  channel.machine.setFailing('c', true)
  channel.publish(3)
  channel.pass(10_000)
  assert.deepEqual(channel.sent(), ['a:1', 'a:2'])
  channel.machine.setFailing('c', false)
  channel.pass(0)
  assert.deepEqual(channel.sent(), ['a:1 again 1', 'a:2 again 1'])
})

test('lets a durable be offline over a restart, and active over it (TestPersistentStoreDontSendToOfflineDurablesAfterServerRestart, TestPersistentStoreDurableClosedStatusOnRestart, TestPersistentStoreDurableCanReceiveAfterRestart, TestPersistentStoreRecoveredDurableCanReconnect)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a', DURABLE)
  channel.subscribe('b', { durableName: 'other' })
  channel.publish(1)
  channel.close('a')
  channel.sent()
  channel.restart()
  channel.publish(1)
  channel.pass(60_000)
  assert.deepEqual(new Set(channel.sent().map((line) => line[0])), new Set(['b']))
  channel.subscribe('a2', DURABLE)
  channel.restart()
  channel.sent()
  channel.publish(1)
  assert.ok(channel.sent().includes('a2:3'))
})

test('delivers after a restart without a word from the client (TestPersistentStoreAutomaticDeliveryOnRestart, TestPersistentStoreNewOnHoldClearedAfterRestart)', () => {
  for (const kind of [{}, DURABLE, QUEUE, DURABLE_QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', kind)
    channel.publish(2)
    channel.sent()
    channel.restart()
    channel.publish(1)
    assert.deepEqual(channel.sent(), ['a:3'], 'it may be at work on the others')
    channel.pass(1_000)
    assert.deepEqual(channel.sent(), ['a:1 again 1', 'a:2 again 1', 'a:3 again 1'])
    channel.pass(999)
    channel.restart()
    channel.publish(1)
    channel.pass(1)
    assert.deepEqual(channel.sent(), ['a:4', 'a:1 again 1', 'a:2 again 1', 'a:3 again 1'])
  }
})

test('sends what was due while it was away before what is new (3.11)', () => {
  for (const kind of [{}, DURABLE, QUEUE, DURABLE_QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', kind)
    channel.publish(2)
    channel.sent()
    channel.restart(() => true, 5_000)
    channel.publish(1)
    assert.deepEqual(channel.sent(), ['a:1 again 1', 'a:2 again 1', 'a:3'])
  }
})

test('counts redeliveries from 1 again after a restart (TestPersistentStoreRedeliveryCount)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a')
  channel.publish(1)
  channel.pass(1_000)
  channel.pass(1_000)
  channel.restart()
  channel.pass(1_000)
  channel.pass(1_000)
  assert.deepEqual(channel.sent(), ['a:1', 'a:1 again 1', 'a:1 again 2', 'a:1 again 1', 'a:1 again 2'])
})

test('is stalled after a restart only by what it has (TestPersistentStoreNotStalledIfBelowMaxInflight, TestPersistentStoreStalledRedelivery, TestPersistentStoreStalledQueueRedelivery, TestPersistentStoreStalledDurableRedelivery)', () => {
  for (const kind of [{}, DURABLE, QUEUE]) {
    const channel = new ChannelOnPaper()
    channel.subscribe('a', { ...kind, maxInFlight: 2 })
    channel.publish(3)
    channel.ack('a', 1)
    channel.sent()
    channel.restart()
    channel.publish(1)
    assert.deepEqual(channel.sent(), [])
    channel.pass(1_000)
    assert.deepEqual(channel.sent(), ['a:2 again 1', 'a:3 again 1'])
    channel.ack('a', 2)
    channel.restart()
    assert.deepEqual(channel.sent(), ['a:4'])
    channel.pass(1_000)
    assert.deepEqual(channel.sent(), ['a:3 again 1', 'a:4 again 1'])
  }
})

test('drops what belonged to a client that is not known, but a durable (TestPersistentStoreIgnoreRecoveredSubForUnknownClientID, TestPersistentStoreNonDurableSubRemovedOnConnClose)', () => {
  const channel = new ChannelOnPaper()
  channel.subscribe('a')
  channel.subscribe('b', QUEUE)
  channel.subscribe('c', DURABLE)
  channel.subscribe('d', DURABLE_QUEUE)
  channel.publish(1)
  channel.sent()
  channel.restart(() => false)
  assert.equal(channel.machine.active, 0)
  assert.deepEqual(
    [...channel.machine.groups()].map(({ isOffline, queue }) => [isOffline, queue]),
    [
      [true, ''],
      [true, 'dur:q'],
    ],
  )
  channel.restart()
  assert.equal(channel.machine.count, 2)
  channel.subscribe('e', DURABLE_QUEUE)
  assert.deepEqual(channel.sent(), ['e:1 again 1'])
})
