/**
 * What is sent is known to be sent wherever the process dies, though nobody waits for that in each turn: it is said ahead.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelSubscriptions } from '../../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import { readStored, restoreChannel } from '../../../src/gateways/nats-streaming/streaming/restore-subscriptions.js'
import type { StateWrite, Subscription } from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import { EVERYBODY_LISTENS } from '../../helpers/everybody-listens.js'
import { below, chance, SeededRandom } from '../../helpers/faulty-random.js'
import { SEED as first } from '../../helpers/seed.js'

const RULES = { subscriptionsMax: 10, isDurableReplaced: false }
const MAX_IN_FLIGHT = 24

function subscribed(machine: ChannelSubscriptions, client: string, queue = ''): Subscription {
  const names = { clientId: client, inbox: `in-${client}`, ackInbox: `ack-${client}`, queue, durableName: 'd' }
  const outcome = machine.subscribe({ ...names, maxInFlight: MAX_IN_FLIGHT, ackWaitMs: 30_000 }, 0, 0)
  assert.ok(outcome.kind !== 'refused')
  machine.ready(outcome.subscription)
  return outcome.subscription
}

function restored(writes: readonly StateWrite[], last: number): ChannelSubscriptions {
  const values = new Map<string, Buffer>()
  for (const { key, value } of writes) {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const stored = readStored(values, []).get('foo')
  assert.ok(stored !== undefined)
  machine.restore(restoreChannel(stored, { first: 1, last }, () => true))
  return machine
}

/** What is sent, what is written, and what of that is known to be kept. */
class Life {
  readonly random: SeededRandom
  readonly machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  readonly members: readonly Subscription[]
  readonly log: StateWrite[] = []
  readonly underWay: { readonly writes: readonly StateWrite[]; readonly end: number }[] = []
  readonly acked = new Set<number>()
  /** Everything before it is kept. */
  keptTo = 0
  last = 0
  sent = 0
  waits = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const names = chance(this.random, 0.5) ? ['a'] : ['a', 'b', 'c']
    this.members = names.map((name) => subscribed(this.machine, name, names.length > 1 ? 'q' : ''))
    this.#take(true)
    this.keep(Number.POSITIVE_INFINITY)
  }

  turn(): void {
    const { random, machine } = this
    const [member] = this.members
    assert.ok(member !== undefined)
    this.last += below(random, 6)
    for (let count = below(random, 8); count > 0; count--) {
      const sequence = Math.max(1, this.sent - below(random, 30))
      if (sequence <= this.sent && machine.ack(member, sequence)) this.acked.add(sequence)
    }
    const { group } = member
    while (group.lastSent < this.last && group.room > 0) machine.give(group, group.lastSent + 1, 0)
    this.#take(chance(random, 0.1))
    if (machine.isUnsure) {
      this.waits++
      this.keep(Number.POSITIVE_INFINITY)
    }
    this.sent = group.lastSent
    this.keep(below(random, 3))
  }

  keep(count: number): void {
    for (const { writes, end } of this.underWay.splice(0, count)) {
      this.keptTo = end
      this.machine.kept(writes)
    }
  }

  #take(isWhole: boolean): void {
    const writes = this.machine.takeWrites(isWhole, 16)
    this.log.push(...writes)
    this.underWay.push({ writes, end: this.log.length })
  }
}

test('whatever was sent and not acked comes again flagged, wherever in what is under way the process dies', (t) => {
  t.diagnostic(`60 lives from seed ${first}`)
  let waits = 0
  for (let seed = first; seed < first + 60; seed++) {
    const life = new Life(seed)
    for (let turn = 0; turn < 120; turn++) {
      life.turn()
      const cut = life.keptTo + below(life.random, life.log.length - life.keptTo + 1)
      const machine = restored(life.log.slice(0, cut), life.last)
      const [group] = machine.groups()
      assert.ok(group !== undefined)
      const waiting = new Set(
        machine.due(Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY).map((each) => each.sequence),
      )
      for (let sequence = 1; sequence <= life.sent; sequence++) {
        assert.ok(life.acked.has(sequence) || waiting.has(sequence), `seed ${seed}: ${sequence} is forgotten, or new`)
      }
      assert.ok(group.lastSent >= life.sent, `seed ${seed}: ${life.sent} was sent, and ${group.lastSent} is known`)
      assert.ok(group.lastSent <= life.sent + 16 || group.lastSent <= life.last)
    }
    waits += life.waits
  }
  assert.ok(waits < 60 * 120 * 0.6, `${waits} turns waited`)
})

test('a busy subscription waits once, and one that rests knows exactly what it was sent', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a')
  machine.kept(machine.takeWrites(true, 256))
  let waits = 0
  for (let sequence = 1; sequence <= 1_000; sequence++) {
    machine.give(member.group, sequence, 0)
    const writes = machine.takeWrites(false, 256)
    if (machine.isUnsure) waits++
    machine.kept(writes)
    assert.ok(machine.ack(member, sequence))
  }
  assert.ok(waits <= 1, `${waits} turns waited`)
  machine.kept(machine.takeWrites(true, 256))
  assert.ok(machine.isLate, 'more is said than was sent')
  const exact = machine.takeWrites(true, 256)
  assert.equal(exact.length, 1)
  assert.ok(!machine.isLate)
  machine.kept(exact)
  machine.give(member.group, 1_001, 0)
  machine.takeWrites(false, 256)
  assert.ok(machine.isUnsure, 'what was taken back is not relied on')
})

test('who has no room is not said to be sent anything', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a')
  const log = [...machine.takeWrites(true, 256)]
  for (let sequence = 1; sequence <= MAX_IN_FLIGHT; sequence++) machine.give(member.group, sequence, 0)
  log.push(...machine.takeWrites(false, 256))
  const [group] = restored(log, 1_000).groups()
  assert.deepEqual([group?.lastSent, group?.pending], [MAX_IN_FLIGHT, MAX_IN_FLIGHT])
})

test('after writes that were lost everything is written again', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a')
  const other = subscribed(machine, 'b', 'q')
  const gone = subscribed(machine, 'gone')
  const log = [...machine.takeWrites(true, 0)]
  for (let sequence = 1; sequence <= 9; sequence++) machine.give(member.group, sequence, 0)
  machine.ack(member, 4)
  machine.unsubscribe(gone, 0)
  machine.close(other, 0)
  machine.lost(machine.takeWrites(true, 0))
  log.push(...machine.takeWrites(true, 0))
  const shown = (subscriptions: ChannelSubscriptions) =>
    [...subscriptions.groups()].map(({ id, lastSent, pending, isOffline }) => ({ id, lastSent, pending, isOffline }))
  assert.deepEqual(shown(restored(log, 9)), shown(machine))
})
