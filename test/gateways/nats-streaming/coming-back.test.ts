/**
 * What was not acked comes again to whoever is there again: in the order of the channel, and also when it was held up on the way,
 * because nobody listened or too much was under way.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type ChannelHost,
  ChannelSubscriptions,
} from '../../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import { readStored, restoreChannel } from '../../../src/gateways/nats-streaming/streaming/restore-subscriptions.js'
import { EVERYBODY_LISTENS } from '../../helpers/everybody-listens.js'
import { FIRST } from '../../helpers/stan-peer.js'
import { startLimitedStan, startStan } from '../../helpers/stan-server.js'

const RULES = { subscriptionsMax: 10, isDurableReplaced: false }
const ACK_WAIT_MS = 30_000

function given(host: ChannelHost, count: number, queue = '') {
  const machine = new ChannelSubscriptions('foo', RULES, host)
  const names = { clientId: 'a', inbox: 'in', ackInbox: 'ack', durableName: 'd' }
  const request = { ...names, queue, maxInFlight: 100, ackWaitMs: ACK_WAIT_MS }
  const outcome = machine.subscribe(request, 0, 0)
  assert.ok(outcome.kind !== 'refused')
  machine.ready(outcome.subscription)
  for (let sequence = 1; sequence <= count; sequence++) machine.give(outcome.subscription.group, sequence, 0)
  return { machine, request, subscription: outcome.subscription }
}

function resumed(host: ChannelHost, count: number): ChannelSubscriptions {
  const { machine, request, subscription } = given(host, count)
  machine.close(subscription, 1)
  const outcome = machine.subscribe({ ...request, ackInbox: 'another' }, 0, 2)
  assert.ok(outcome.kind !== 'refused')
  machine.ready(outcome.subscription)
  return machine
}

const sequencesDue = (machine: ChannelSubscriptions, nowMs: number): number[] =>
  machine.due(nowMs, 100).map(({ sequence }) => sequence)

test('what comes back keeps its order when a part of it was put back', () => {
  const machine = resumed(EVERYBODY_LISTENS, 6)
  for (const message of machine.due(10, 4)) machine.defer(message)
  assert.deepEqual(sequencesDue(machine, 10), [1, 2, 3, 4, 5, 6])
})

test('what comes back keeps its order when its client went away meanwhile', () => {
  let isHeard = true
  const machine = resumed({ ...EVERYBODY_LISTENS, isHeard: () => isHeard }, 6)
  const due = machine.due(10, 4)
  isHeard = false
  for (const message of due) assert.equal(machine.redeliver(message, 10), null)
  isHeard = true
  machine.returned()
  assert.deepEqual(sequencesDue(machine, 20), [1, 2, 3, 4, 5, 6])
})

test('nothing overtakes what was put back', () => {
  const machine = resumed(EVERYBODY_LISTENS, 3)
  const [first, second, third] = machine.due(10, 3)
  assert.equal(machine.redeliver(first!, 10)?.inbox, 'in')
  machine.defer(second!)
  assert.equal(machine.redeliver(third!, 10), null)
  assert.deepEqual(sequencesDue(machine, 10), [2, 3])
})

test('what is due at the same time and was put back is sent in order, too', () => {
  const { machine } = given(EVERYBODY_LISTENS, 6)
  for (const message of machine.due(ACK_WAIT_MS, 4)) machine.defer(message)
  assert.deepEqual(sequencesDue(machine, ACK_WAIT_MS), [1, 2, 3, 4, 5, 6])
})

test('who resumes more than is sent in one go gets it in order', async (t) => {
  const COUNT = 600
  const server = await startStan(t)
  const peer = await server.connect('me')
  const data = Buffer.alloc(60_000, 'x')
  for (let n = 0; n < COUNT; n++) peer.send('foo', data)
  await peer.acked(COUNT)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST, maxInFlight: COUNT }
  const first = await peer.subscribe(durable)
  await first.until(COUNT)
  assert.equal(await peer.closeSubscription(first), '')
  const second = await peer.subscribe(durable)
  await second.until(COUNT)
  assert.deepEqual(second.sequences, first.sequences)
})

test('what waited for its client to come back is waited for a whole ack wait', () => {
  for (const queue of ['', 'q']) {
    let isHeard = true
    const { machine } = given({ ...EVERYBODY_LISTENS, isHeard: () => isHeard }, 1, queue)
    isHeard = false
    assert.deepEqual(machine.due(ACK_WAIT_MS, 10), [])
    isHeard = true
    machine.returned()
    const nowMs = 2 * ACK_WAIT_MS - 1_000
    const [message] = machine.due(nowMs, 10)
    assert.equal(machine.redeliver(message!, nowMs)?.inbox, 'in')
    assert.deepEqual(sequencesDue(machine, nowMs + ACK_WAIT_MS - 100), [])
    assert.deepEqual(sequencesDue(machine, nowMs + ACK_WAIT_MS), [1])
  }
})

test('what is sent again in time is due an ack wait after it was due before', () => {
  const { machine } = given(EVERYBODY_LISTENS, 1)
  const [message] = machine.due(ACK_WAIT_MS + 80, 10)
  machine.redeliver(message!, ACK_WAIT_MS + 80)
  assert.deepEqual(sequencesDue(machine, 2 * ACK_WAIT_MS - 1), [])
  assert.deepEqual(sequencesDue(machine, 2 * ACK_WAIT_MS), [1])
})

test('what was due while the server was away is waited for a whole ack wait', () => {
  const wallMs = 1_000_000_000_000
  const old = given(EVERYBODY_LISTENS, 1).machine
  const writes = old.takeWrites(true, 0, { ms: 0, wallMs })
  const stored = readStored(new Map(writes.map(({ key, value }) => [key, value as Buffer])), []).get('foo')
  assert.ok(stored !== undefined)
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  // The clock of a process begins with it.
  const restored = restoreChannel(stored, { first: 1, last: 1 }, () => true)
  machine.restore(restored, { ms: 500, wallMs: wallMs + 2 * ACK_WAIT_MS })
  const nowMs = ACK_WAIT_MS - 1_000
  const [message] = machine.due(nowMs, 10)
  assert.equal(machine.redeliver(message!, nowMs)?.inbox, 'in')
  assert.deepEqual(sequencesDue(machine, nowMs + ACK_WAIT_MS - 100), [])
  assert.deepEqual(sequencesDue(machine, nowMs + ACK_WAIT_MS), [1])
})

test('what comes back waits while its client has much to take, also when it answers its heartbeats again', () => {
  let isPressed = true
  const machine = resumed({ ...EVERYBODY_LISTENS, isPressed: () => isPressed }, 3)
  assert.deepEqual(sequencesDue(machine, 10), [])
  assert.equal(machine.nextWakeMs, 110)
  machine.setFailing('a', true)
  machine.setFailing('a', false)
  assert.equal(machine.nextWakeMs, 110)
  isPressed = false
  const due = machine.due(110, 2)
  assert.equal(due.length, 2)
  isPressed = true
  for (const message of due) assert.equal(machine.redeliver(message, 110), null, 'it has got much meanwhile')
  isPressed = false
  assert.deepEqual(sequencesDue(machine, 120), [1, 2, 3])
})

test('who resumes much and reads slowly keeps its connection, and gets all of it in order', async (t) => {
  const COUNT = 400
  const server = await startLimitedStan(t, {}, undefined, undefined, { pendingBytesMax: 16 * 1_048_576 })
  const publisher = await server.connect('publisher')
  const reader = await server.connect('reader')
  for (let n = 0; n < COUNT; n++) publisher.send('foo', Buffer.alloc(100_000, 'x'))
  await publisher.acked(COUNT)
  const durable = { subject: 'foo', durableName: 'dur', startPosition: FIRST, maxInFlight: COUNT }
  const first = await reader.subscribe(durable)
  await first.until(COUNT)
  assert.equal(await reader.closeSubscription(first), '')
  const second = await reader.subscribe(durable)
  reader.wire.pause()
  await pause(700)
  reader.wire.resume()
  await second.until(COUNT)
  assert.equal(reader.wire.isClosed, false)
  assert.deepEqual(second.sequences, first.sequences)
})
