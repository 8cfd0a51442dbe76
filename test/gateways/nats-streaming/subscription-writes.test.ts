/** What keeping the state of subscriptions costs: records and bytes of a turn. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelSubscriptions } from '../../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import type { StateWrite, Subscription } from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import { EVERYBODY_LISTENS } from '../../helpers/everybody-listens.js'
import { below, SeededRandom } from '../../helpers/faulty-random.js'
import { SEED as seed } from '../../helpers/seed.js'

const IN_FLIGHT = 16_384

function members(machine: ChannelSubscriptions, count: number, queue = ''): Subscription[] {
  return Array.from({ length: count }, (_, index) => {
    const names = { clientId: `c${index}`, inbox: `in${index}`, ackInbox: `ack${index}`, queue }
    const request = {
      ...names,
      durableName: queue === '' ? `d${index}` : '',
      maxInFlight: IN_FLIGHT,
      ackWaitMs: 30_000,
    }
    const outcome = machine.subscribe(request, 0, 0)
    assert.ok(outcome.kind !== 'refused')
    machine.ready(outcome.subscription)
    return outcome.subscription
  })
}

function bytesOf(writes: readonly StateWrite[]): number {
  return writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
}

test('writes one small record a turn of a busy durable, however much is acked', () => {
  const machine = new ChannelSubscriptions('foo', { subscriptionsMax: 10, isDurableReplaced: false }, EVERYBODY_LISTENS)
  const [durable] = members(machine, 1)
  assert.ok(durable !== undefined)
  assert.equal(machine.takeWrites(false).length, 2, 'the subscription and the next id')
  for (let turn = 0; turn < 100; turn++) {
    for (let step = 1; step <= 1_000; step++) machine.give(durable.group, turn * 1_000 + step, turn)
    for (let step = 1; step <= 1_000; step++) assert.ok(machine.ack(durable, turn * 1_000 + step))
    const writes = machine.takeWrites(false, 0, { ms: turn, wallMs: 1_800_000_000_000 + turn })
    assert.equal(writes.length, 1)
    assert.ok(bytesOf(writes) <= 30, `${bytesOf(writes)} bytes`)
    assert.ok(!machine.isDirty && !machine.isLate)
    assert.deepEqual(machine.takeWrites(true), [], 'nothing has happened since')
  }
})

test('lets what is acked out of order wait for a little when there is much of it', (t) => {
  t.diagnostic(`seed ${seed}`)
  const random = new SeededRandom(seed)
  const machine = new ChannelSubscriptions('foo', { subscriptionsMax: 10, isDurableReplaced: false }, EVERYBODY_LISTENS)
  const group = members(machine, 4, 'q')[0]?.group
  const [first] = group?.subscriptions ?? []
  assert.ok(group !== undefined && first !== undefined)
  const inFlight: number[] = []
  for (let sequence = 1; sequence <= IN_FLIGHT; sequence++) {
    machine.give(group, sequence, 0)
    inFlight.push(sequence)
  }
  machine.takeWrites(true)
  for (let turn = 0; turn < 50; turn++) {
    for (let acks = 0; acks < 100; acks++) {
      const [sequence = 0] = inFlight.splice(below(random, inFlight.length), 1)
      assert.ok(machine.ack(first, sequence))
    }
    const writes = machine.takeWrites(false)
    assert.ok(writes.length <= 1 && bytesOf(writes) <= 20, `${writes.length} records of ${bytesOf(writes)} bytes`)
    assert.ok(machine.isLate)
  }
  const late = machine.takeWrites(true)
  assert.equal(late.length, 5, 'what is acked, and what each of four has')
  assert.ok(bytesOf(late) < 4 * IN_FLIGHT)
  assert.ok(!machine.isLate)
})

test('writes only what changed, of ten thousand subscriptions', () => {
  const machine = new ChannelSubscriptions(
    'foo',
    { subscriptionsMax: 10_000, isDurableReplaced: false },
    EVERYBODY_LISTENS,
  )
  const all = members(machine, 10_000)
  machine.takeWrites(true)
  const one = all[7_777] as Subscription
  machine.give(one.group, 1, 0)
  assert.deepEqual(
    machine.takeWrites(false).map(({ key }) => key),
    [`pos/${one.id}/foo`],
  )
  assert.equal(machine.nextWakeMs, 30_000)
  assert.deepEqual(
    machine.due(30_000, 100).map(({ sequence, group }) => [sequence, group.id]),
    [[1, one.id]],
  )
})
