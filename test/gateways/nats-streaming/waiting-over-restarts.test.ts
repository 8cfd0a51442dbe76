/**
 * How long what was sent waits for its ack when the process dies in between: as long as it would have waited anyhow, as far as it is
 * known to have been sent. What may never have been sent does not wait.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelSubscriptions } from '../../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import type { Moment } from '../../../src/gateways/nats-streaming/streaming/moment.js'
import { Pending } from '../../../src/gateways/nats-streaming/streaming/pending-message.js'
import { readStored, restoreChannel } from '../../../src/gateways/nats-streaming/streaming/restore-subscriptions.js'
import type { StateWrite, Subscription } from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import { EVERYBODY_LISTENS } from '../../helpers/everybody-listens.js'
import { below, chance, SeededRandom } from '../../helpers/faulty-random.js'
import { SEED as first } from '../../helpers/seed.js'

const RULES = { subscriptionsMax: 10, isDurableReplaced: false }
const ACK_WAIT_MS = 30_000
/** What is due this close together counts as due at one time. */
const GRAIN_MS = 2 * (ACK_WAIT_MS / 128)
/** What is due this soon is sent with what is due now. */
const SLACK_MS = 16
/** What may wait to be kept is kept after so long. */
const SETTLE_MS = 100
const AHEAD = 16
const WALL_MS = 1_800_000_000_000

function subscribed(machine: ChannelSubscriptions, client: string, queue = '', maxInFlight = 64): Subscription {
  const names = { clientId: client, inbox: `in-${client}`, ackInbox: `ack-${client}`, queue, durableName: 'd' }
  const outcome = machine.subscribe({ ...names, maxInFlight, ackWaitMs: ACK_WAIT_MS }, 0, 0)
  assert.ok(outcome.kind !== 'refused')
  machine.ready(outcome.subscription)
  return outcome.subscription
}

function at(ms: number): Moment {
  return { ms, wallMs: WALL_MS + ms }
}

/** Started at `nowMs`, and its clock counts from 5. */
function restarted(log: readonly StateWrite[], last: number, nowMs: number): ChannelSubscriptions {
  const values = new Map<string, Buffer>()
  for (const { key, value } of log) {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const stored = readStored(values, []).get('foo')
  assert.ok(stored !== undefined)
  machine.restore(
    restoreChannel(stored, { first: 1, last }, () => true),
    { ms: 5, wallMs: WALL_MS + nowMs },
  )
  return machine
}

/** Until when each one waits, in milliseconds from the restart; 0 for at once. */
function waits(machine: ChannelSubscriptions): Map<number, number> {
  const dueMs = new Map<number, number>()
  for (let nowMs = 5; machine.nextWakeMs !== null; nowMs = Math.max(nowMs, machine.nextWakeMs)) {
    for (const message of machine.due(nowMs, 1)) {
      dueMs.set(message.sequence, nowMs - 5)
      machine.missing(message)
    }
  }
  return dueMs
}

class Life {
  readonly random: SeededRandom
  readonly machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  readonly log: StateWrite[] = []
  /** When each that is not acked was sent, and is due. */
  readonly sent = new Map<number, { readonly sentMs: number; readonly dueMs: number }>()
  readonly members: readonly Subscription[]
  nowMs = 1_000
  last = 0
  #lateMs = Number.POSITIVE_INFINITY

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    const names = chance(this.random, 0.5) ? ['a'] : ['a', 'b', 'c']
    this.members = names.map((name) => subscribed(this.machine, name, names.length > 1 ? 'q' : ''))
    this.keep(true)
  }

  /** Time passes, and what was to be kept meanwhile is. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms
    if (this.#lateMs <= endMs) {
      this.nowMs = this.#lateMs
      this.#lateMs = Number.POSITIVE_INFINITY
      this.keep(true)
    }
    this.nowMs = endMs
  }

  turn(): void {
    const { random, machine, members } = this
    this.pass(below(random, chance(random, 0.05) ? 20_000 : 60))
    const [member] = members as [Subscription]
    for (let count = below(random, 8); count > 0; count--) {
      const sequence = Math.max(1, this.last - below(random, 40))
      if (machine.ack(member, sequence)) this.sent.delete(sequence)
    }
    this.last += below(random, 6)
    const { group } = member
    while (group.lastSent < this.last && group.room > 0) {
      machine.give(group, group.lastSent + 1, this.nowMs)
      this.sent.set(group.lastSent, { sentMs: this.nowMs, dueMs: this.nowMs + ACK_WAIT_MS })
    }
    for (const message of machine.due(this.nowMs, Number.POSITIVE_INFINITY)) {
      machine.redeliver(message, this.nowMs)
      // From the last time that it was due, unless it moves to another member.
      const dueMs = message instanceof Pending ? message.dueMs : Number.NaN
      assert.ok(dueMs > this.nowMs && dueMs <= this.nowMs + ACK_WAIT_MS + SLACK_MS)
      this.sent.set(message.sequence, { sentMs: this.nowMs, dueMs })
    }
    this.keep(chance(random, 0.05))
  }

  keep(isWhole: boolean, ahead = AHEAD): void {
    this.log.push(...this.machine.takeWrites(isWhole, ahead, at(this.nowMs)))
    if (this.machine.isLate) this.#lateMs = Math.min(this.#lateMs, this.nowMs + SETTLE_MS)
  }
}

test('waits for its acks as long as without a restart, whenever the process dies', (t) => {
  t.diagnostic(`60 lives from seed ${first}`)
  let known = 0
  let unknown = 0
  for (let seed = first; seed < first + 60; seed++) {
    const life = new Life(seed)
    for (let turn = 0; turn < 100; turn++) {
      life.turn()
      if (turn % 10 > 0) continue
      const awayMs = below(life.random, 10_000)
      const found = waits(restarted(life.log, life.last + AHEAD, life.nowMs + awayMs))
      for (const [sequence, waitMs] of found) {
        const sent = life.sent.get(sequence)
        const what = `seed ${seed}, turn ${turn}: ${sequence} of ${life.last}`
        if (sent === undefined) assert.equal(waitMs, 0, `${what} was not sent, and waits for ${waitMs} ms`)
        else {
          const { sentMs, dueMs } = sent
          const leftMs = Math.max(0, dueMs - life.nowMs - awayMs)
          assert.ok(waitMs <= leftMs + SETTLE_MS + GRAIN_MS, `${what} waits for ${waitMs} ms, not ${leftMs}`)
          // When it was sent this lately that may not be known yet.
          if (life.nowMs - sentMs <= SETTLE_MS) unknown += waitMs === 0 ? 1 : 0
          else assert.ok(waitMs >= leftMs - SLACK_MS, `${what} waits for ${waitMs} ms, not ${leftMs}`)
          known++
        }
      }
      for (const sequence of life.sent.keys()) assert.ok(found.has(sequence), `seed ${seed}: ${sequence} is forgotten`)
    }
  }
  t.diagnostic(`${known} messages looked at, ${unknown} of them not known to be sent`)
  assert.ok(known > 1_000 && unknown > 0 && unknown < known / 4)
})

test('knows after an orderly end of each message how long it has to wait', () => {
  for (let seed = first; seed < first + 20; seed++) {
    const life = new Life(seed)
    for (let turn = 0; turn < 50; turn++) life.turn()
    life.keep(true, 0)
    const found = waits(restarted(life.log, life.last + AHEAD, life.nowMs))
    assert.deepEqual(new Set(found.keys()), new Set(life.sent.keys()))
    for (const [sequence, waitMs] of found) {
      const leftMs = Math.max(0, (life.sent.get(sequence)?.dueMs ?? 0) - life.nowMs)
      assert.ok(waitMs >= leftMs - SLACK_MS && waitMs <= leftMs + GRAIN_MS, `seed ${seed}: ${waitMs} ms, not ${leftMs}`)
    }
  }
})

test('knows of one that takes one job at a time what it was sent, at once', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a', '', 1)
  const log = machine.takeWrites(true, AHEAD, at(0))
  machine.give(member.group, 1, 500)
  log.push(...machine.takeWrites(false, AHEAD, at(500)))
  assert.deepEqual([...waits(restarted(log, 10, 1_000))], [[1, ACK_WAIT_MS - 500]])
})

test('does not know the same less well after a second restart', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a')
  const log = [...machine.takeWrites(true, AHEAD, at(0))]
  machine.give(member.group, 1, 500)
  log.push(...machine.takeWrites(false, AHEAD, at(500)))
  const second = restarted(log, 10, 1_000)
  log.push(...second.takeWrites(true, AHEAD, { ms: 5, wallMs: WALL_MS + 1_000 }))
  const found = waits(restarted(log, 10, 2_000))
  assert.equal(found.get(1), ACK_WAIT_MS - 1_500)
  for (let sequence = 2; sequence <= 10; sequence++)
    assert.equal(found.get(sequence), 0, 'it was only about to be sent')
})

test('nobody waits for longer than the ack wait because the clock was set back', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a')
  const log = [...machine.takeWrites(true, 0, at(0))]
  machine.give(member.group, 1, 500)
  log.push(...machine.takeWrites(true, 0, at(500)))
  assert.deepEqual([...waits(restarted(log, 1, -3_600_000))], [[1, ACK_WAIT_MS]])
})

test('a durable that is resumed gets all of it at once, and so does who comes after another restart', () => {
  const machine = new ChannelSubscriptions('foo', RULES, EVERYBODY_LISTENS)
  const member = subscribed(machine, 'a')
  const log = [...machine.takeWrites(true, 0, at(0))]
  machine.give(member.group, 1, 500)
  log.push(...machine.takeWrites(true, 0, at(500)))
  machine.close(member, 600)
  subscribed(machine, 'a')
  log.push(...machine.takeWrites(true, 0, at(700)))
  assert.equal(machine.nextWakeMs, 0)
  assert.deepEqual([...waits(restarted(log, 1, 800))], [[1, 0]])
})
