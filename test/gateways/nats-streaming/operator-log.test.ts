/**
 * What the operator of a streaming server reads, in the words of the original.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { DEFAULT_CHANNEL_LIMITS, LimitsByChannel } from '../../../src/gateways/nats-streaming/streaming/store-limits.js'
import { stanBytes } from '../../helpers/stan-messages.js'
import { FIRST } from '../../helpers/stan-peer.js'
import { startLimitedStan } from '../../helpers/stan-server.js'

test('the operator reads who comes and goes, in the words of the original', async (t) => {
  const server = await startLimitedStan(t, {})
  const peer = await server.connect('me')
  const plain = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  const durable = { subject: 'foo', durableName: 'dur' }
  await peer.closeSubscription(await peer.subscribe(durable))
  const resumed = await peer.subscribe(durable)
  const group = { subject: 'foo', qGroup: 'q', durableName: 'dq', startPosition: 3, startSequence: 7 }
  const one = await peer.subscribe(group)
  const two = await peer.subscribe(group)
  await peer.unsubscribe(one)
  await peer.unsubscribe(plain)
  await peer.close()
  const inbox = (line: string): string => line.replace(/inbox=[^,]+/, 'inbox=I').replace(/\(Inbox=.+\)/, '(Inbox=I)')
  assert.deepEqual(server.lines.map(inbox), [
    'Recovering the state...',
    'No recovered state',
    'Discover subject:           _STAN.discover.test-cluster',
    'Publish subject:            _STAN.pub.test-cluster.>',
    'Subscribe subject:          _STAN.sub.test-cluster',
    'Subscription Close subject: _STAN.subclose.test-cluster',
    'Unsubscribe subject:        _STAN.unsub.test-cluster',
    'Close subject:              _STAN.close.test-cluster',
    '[Client:me] Connected (Inbox=I)',
    'Channel "foo" has been created',
    '[Client:me] Started new subscription, subject=foo, inbox=I, subid=1, sending from beginning, seq=1',
    '[Client:me] Started new durable subscription, subject=foo, inbox=I, durable=dur, subid=2, sending new-only, seq=1',
    '[Client:me] Suspended durable subscription, subject=foo, inbox=I, durable=dur, subid=2',
    '[Client:me] Resumed durable subscription, subject=foo, inbox=I, durable=dur, subid=2',
    '[Client:me] Started new durable queue subscription, subject=foo, inbox=I, queue=dq:q, subid=3, sending from sequence, asked_seq=7 actual_seq=1',
    '[Client:me] Added member to durable queue subscription, subject=foo, inbox=I, queue=dq:q, subid=4',
    '[Client:me] Removed member from durable queue subscription, subject=foo, inbox=I, queue=dq:q, subid=3',
    '[Client:me] Removed subscription, subject=foo, inbox=I, subid=1',
    '[Client:me] Suspended durable subscription, subject=foo, inbox=I, durable=dur, subid=2',
    '[Client:me] Suspended durable queue subscription, subject=foo, inbox=I, queue=dq:q, subid=4',
    '[Client:me] Closed (Inbox=I)',
  ])
  assert.notEqual(resumed.inbox, two.inbox)
})

test('the operator reads which channels could not be made, and why, but not without end', async (t) => {
  const server = await startLimitedStan(t, { limits: new LimitsByChannel(2, DEFAULT_CHANNEL_LIMITS, new Map()) })
  const peer = await server.connect('me')
  const failures = () => server.lines.filter((line) => line.startsWith('Creating'))
  for (const channel of ['l1', 'l2']) assert.equal(await peer.publish(channel, 'x'), '')
  assert.equal(await peer.publish('l3', 'x'), 'too many channels')
  assert.equal((await peer.trySubscribe({ subject: 'l4' })).error, 'too many channels')
  const rejected = 'rejecting channel "L1" because channel "l1" alreay exists (different cases not allowed)'
  assert.equal(await peer.publish('L1', 'x'), rejected)
  assert.deepEqual(failures(), [
    'Creating channel "l3" failed: too many channels',
    'Creating channel "l4" failed: too many channels',
    `Creating channel "L1" failed: ${rejected}`,
  ])
  const began = performance.now()
  for (let count = 0; count < 1_000; count++) peer.send(`many.${count}`, 'x')
  await peer.acked(1_004)
  const seconds = Math.ceil((performance.now() - began) / 1_000) + 1
  assert.ok(failures().length <= 101 * seconds, `${failures().length} lines in ${seconds} s`)
})

test('the operator reads that a client without heartbeats gets nothing again', async (t) => {
  const heartbeats = { intervalMs: 200, timeoutMs: 100, failuresMax: 100 }
  const server = await startLimitedStan(t, { heartbeats })
  const peer = await server.connect('me')
  const subscription = await peer.subscribe({ subject: 'foo', ackWaitInSecs: 1 })
  const line = '[Client:me] Skipping redelivery to subid=1 due to missed client heartbeat'
  peer.answersHeartbeats = false
  await pause(600)
  await peer.publish('foo', 'x')
  await subscription.until(1)
  while (!server.lines.includes(line)) await pause(10)
  assert.equal(subscription.messages.length, 1)
  peer.answersHeartbeats = true
  await subscription.until(2)
  assert.equal(subscription.messages[1]?.redeliveryCount, 1)
})

test('the operator reads of the first ack of a subscription that is none, and metrics count them all', async (t) => {
  const server = await startLimitedStan(t, {})
  const peer = await server.connect('me')
  const subscription = await peer.subscribe({ subject: 'foo' })
  for (let count = 0; count < 50; count++) peer.wire.publish(subscription.ackInbox, Buffer.from('garbage'))
  await peer.publish('foo', 'x')
  const line =
    '[Client:me] Unable to process ack for subid=1, subject=foo: it cannot be read, and further ones are counted only'
  assert.deepEqual(
    server.lines.filter((each) => each.includes('ack')),
    [line],
  )
  const name = 'leveret_nats_streaming_acks_unreadable_total'
  assert.equal(server.app.metrics.samples().find((sample) => sample.name === name)?.value, 50)
})

test('TestAckForUnknownChannel: an ack that names another channel acks nothing, is counted, and told once', async (t) => {
  const server = await startLimitedStan(t, {})
  const peer = await server.connect('me')
  const [foo, bar] = [
    await peer.subscribe({ subject: 'foo', maxInFlight: 1 }),
    await peer.subscribe({ subject: 'bar', maxInFlight: 1 }),
  ]
  for (const subscription of [foo, bar]) {
    await peer.fill(subscription.subject, 2)
    await subscription.until(1)
  }
  const ack = (ackInbox: string, subject: string) =>
    peer.wire.publish(ackInbox, stanBytes('Ack', { subject, sequence: 1 }))
  for (const named of ['none', '', 'bar', 'a\nb']) ack(foo.ackInbox, named)
  for (const named of ['foo', 'none']) ack(bar.ackInbox, named)
  // Whatever it set free would come before this.
  assert.equal(await peer.publish('foo', 'x'), '')
  await peer.wire.flush()
  assert.deepEqual([foo.sequences, bar.sequences], [[1], [1]], 'both are still stalled')
  assert.deepEqual(
    server.lines.filter((line) => line.includes('ack')),
    [
      'Unable to process ack seq=1, channel none not found',
      'Unable to process ack seq=1, channel foo is not that of subid=1, subject=bar',
    ],
  )
  const metric = (name: string) => server.app.metrics.samples().find((sample) => sample.name.endsWith(name))?.value
  assert.deepEqual([metric('streaming_acks_foreign_total'), metric('streaming_acks_total')], [6, 0])
  ack(foo.ackInbox, 'foo')
  ack(bar.ackInbox, 'bar')
  assert.deepEqual([(await foo.until(2)).length, (await bar.until(2)).length], [2, 2])
  const other = await peer.subscribe({ subject: 'foo' })
  ack(other.ackInbox, 'a\nb')
  assert.equal(await peer.publish('foo', 'x'), '')
  assert.equal(server.lines.at(-1), 'Unable to process ack seq=1, channel "a\\nb" not found')
})

test('nothing that a client names makes a line of its own, or a long one', async (t) => {
  const server = await startLimitedStan(t, {})
  const peer = await server.connect('me')
  const told = 'a\n[4242] [INF] STREAM: Shutting down'
  for (const subject of [told, 'b\u0007', 'c\u009b', 'd\u2028', 'x'.repeat(500_000)]) {
    const message = { clientID: 'me', guid: 'g', subject, data: Buffer.from('x'), connID: Buffer.from(peer.connId) }
    peer.wire.publish('_STAN.pub.test-cluster.x', stanBytes('PubMsg', message))
  }
  await peer.publish('foo', 'x')
  const failures = server.lines.filter((line) => line.startsWith('Creating'))
  assert.equal(failures.length, 4)
  for (const line of server.lines) assert.match(line, /^[^\p{Cc}\u2028]{1,1100}$/u)
})
