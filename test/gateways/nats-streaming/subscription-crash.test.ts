/**
 * What survives of a channel's subscriptions when the process dies: any beginning of what was written, and garbage.
 * Seeds of failures are printed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelSubscriptions } from '../../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import { readStored, restoreChannel } from '../../../src/gateways/nats-streaming/streaming/restore-subscriptions.js'
import type {
  DeliveryGroup,
  StateWrite,
  SubscribeRequest,
  Subscription,
} from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import {
  decodeNextId,
  decodePosition,
  decodeRanges,
  decodeSubscription,
  parseStateKey,
  StateDamagedError,
} from '../../../src/gateways/nats-streaming/streaming/subscription-state.js'
import { EVERYBODY_LISTENS } from '../../helpers/everybody-listens.js'
import { below, chance, SeededRandom } from '../../helpers/faulty-random.js'
import { SEED as first } from '../../helpers/seed.js'

const RULES = { subscriptionsMax: 100, isDurableReplaced: false }
const CLIENTS = ['c0', 'c1', 'c2']

/** What a user knows of a group: what it was sent and has not acked, and from where it has a right to messages. */
interface Seen {
  readonly start: number
  readonly acked: Set<number>
  readonly sent: Set<number>
}

/** What was true when a publish of writes was made. */
interface Moment {
  readonly writes: number
  readonly last: number
  readonly groups: ReadonlyMap<number, Seen>
}

class Life {
  readonly random: SeededRandom
  readonly machine = new ChannelSubscriptions('foo.bar', RULES, EVERYBODY_LISTENS)
  readonly log: StateWrite[] = []
  readonly moments: Moment[] = []
  readonly #seen = new Map<number, Seen>()
  readonly #active: Subscription[] = []
  last = 0
  highestId = 0
  #nowMs = 1_000
  #inboxes = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  /** One turn: things happen, then all that has to be kept is kept, then what was given out is sent. */
  turn(): void {
    const { random, machine } = this
    if (chance(random, 0.1)) this.#subscribe()
    if (chance(random, 0.04)) this.#leave()
    this.last += below(random, 4)
    for (let acks = below(random, 4); acks > 0; acks--) this.#ack()
    for (const group of machine.groups()) {
      while (group.lastSent < this.last && group.room > 0) machine.give(group, group.lastSent + 1, this.#nowMs)
    }
    this.#nowMs += below(random, 500)
    for (const message of machine.due(this.#nowMs, Number.POSITIVE_INFINITY)) machine.redeliver(message, this.#nowMs)
    this.log.push(...machine.takeWrites(chance(random, 0.1)))
    for (const group of machine.groups()) this.#send(group)
    const groups = new Map(
      [...this.#seen].map(([id, { start, acked, sent }]) => [
        id,
        { start, acked: new Set(acked), sent: new Set(sent) },
      ]),
    )
    this.moments.push({ writes: this.log.length, last: this.last, groups })
  }

  #send(group: DeliveryGroup): void {
    const seen = this.#seen.get(group.id)
    assert.ok(seen !== undefined)
    for (let sequence = seen.start + 1; sequence <= group.lastSent; sequence++) seen.sent.add(sequence)
  }

  #subscribe(): void {
    const { random } = this
    const kind = below(random, 4)
    const request: SubscribeRequest = {
      clientId: CLIENTS[below(random, 3)]!,
      inbox: `in${++this.#inboxes}`,
      ackInbox: `ack${this.#inboxes}`,
      queue: kind >= 2 ? 'q' : '',
      durableName: kind % 2 === 1 ? 'd' : '',
      maxInFlight: 1 + below(random, 8),
      ackWaitMs: 1_000,
    }
    const outcome = this.machine.subscribe(request, below(random, this.last + 1), this.#nowMs)
    if (outcome.kind === 'refused') return
    const { subscription } = outcome
    this.highestId = Math.max(this.highestId, subscription.id)
    this.machine.ready(subscription)
    this.#active.push(subscription)
    if (outcome.kind !== 'created') return
    this.#seen.set(subscription.group.id, { start: subscription.group.lastSent, acked: new Set(), sent: new Set() })
  }

  #leave(): void {
    const [subscription] = this.#active.splice(below(this.random, this.#active.length), 1)
    if (subscription === undefined) return
    if (chance(this.random, 0.8)) this.machine.close(subscription, this.#nowMs)
    else this.machine.unsubscribe(subscription, this.#nowMs)
    const isThere = [...this.machine.groups()].includes(subscription.group)
    if (!isThere) this.#seen.delete(subscription.group.id)
  }

  #ack(): void {
    const subscription = this.#active[below(this.random, this.#active.length)]
    if (subscription === undefined) return
    const { group } = subscription
    const sequence = Math.max(1, group.lastSent - below(this.random, 12))
    if (this.machine.ack(subscription, sequence)) this.#seen.get(group.id)?.acked.add(sequence)
  }
}

function after(writes: readonly StateWrite[]): Map<string, Buffer> {
  const values = new Map<string, Buffer>()
  for (const { key, value } of writes) {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  return values
}

function restored(values: ReadonlyMap<string, Buffer>, last: number, known = CLIENTS): ChannelSubscriptions {
  const machine = new ChannelSubscriptions('foo.bar', RULES, EVERYBODY_LISTENS)
  const damaged: string[] = []
  const stored = readStored(values, damaged).get('foo.bar')
  assert.deepEqual(damaged, [])
  if (stored !== undefined)
    machine.restore(restoreChannel(stored, { first: last === 0 ? 0 : 1, last }, (id) => known.includes(id)))
  return machine
}

/** All that is waited for, whether or not it was known to be sent. */
function waitingOf(machine: ChannelSubscriptions, group: DeliveryGroup): Set<number> {
  const waiting = new Set<number>()
  for (const message of machine.due(Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY)) {
    if (message.group === group) waiting.add(message.sequence)
    machine.failed(message, 0)
  }
  return waiting
}

function fromSeeds(lives: number, live: (seed: number) => void): number {
  for (let seed = first; seed < first + lives; seed++) {
    try {
      live(seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error })
    }
  }
  return first
}

test('forgets nothing that was not acked, wherever in its writes the process dies', (t) => {
  let checked = 0
  const first = fromSeeds(25, (seed) => {
    const life = new Life(seed)
    for (let turn = 0; turn < 150; turn++) life.turn()
    for (let round = 0; round < 40; round++) {
      const cut = below(life.random, life.log.length + 1)
      const at = life.moments.findLastIndex(({ writes }) => writes <= cut)
      const before = life.moments[at] ?? { writes: 0, last: 0, groups: new Map<number, Seen>() }
      // The writes of a turn may be cut in the middle; what that turn had acked, was acked.
      const next = life.moments[at + 1] ?? before
      const machine = restored(after(life.log.slice(0, cut)), life.last)
      for (const group of machine.groups()) {
        const seen = before.groups.get(group.id)
        const later = next.groups.get(group.id) ?? seen
        if (seen === undefined || later === undefined || group.isOffline) continue
        const waiting = waitingOf(machine, group)
        for (const sequence of seen.sent) {
          assert.ok(later.acked.has(sequence) || waiting.has(sequence), `${sequence} was sent, and nobody waits for it`)
          checked++
        }
        assert.ok(group.lastSent >= Math.max(seen.start, ...seen.sent), 'what was sent is not new')
        for (const sequence of waiting) assert.ok(sequence > seen.start && sequence <= group.lastSent)
      }
      for (const [id] of before.groups) {
        const isThere = [...machine.groups()].some((group) => group.id === id)
        assert.ok(isThere || !next.groups.has(id), `group ${id} is gone`)
      }
    }
  })
  t.diagnostic(`25 lives from seed ${first}: ${checked} messages looked at`)
  assert.ok(checked > 1_000)
})

test('knows after a good end exactly what it knew before', (t) => {
  const first = fromSeeds(40, (seed) => {
    const life = new Life(seed)
    for (let turn = 0; turn < 120; turn++) life.turn()
    life.log.push(...life.machine.takeWrites(true))
    const machine = restored(after(life.log), life.last)
    const shown = (subscriptions: ChannelSubscriptions) =>
      [...subscriptions.groups()]
        .map((group) => ({
          id: group.id,
          isOffline: group.isOffline,
          isDurable: group.isDurable,
          queue: group.queue,
          lastSent: group.lastSent,
          pending: group.pending,
          members: group.subscriptions
            .map(({ id, clientId, inbox, ackInbox, maxInFlight, ackWaitMs, pending }) => ({
              ...{ id, clientId, inbox, ackInbox, maxInFlight, ackWaitMs },
              pending: group.isOffline ? 0 : pending,
            }))
            .sort((a, b) => a.id - b.id),
        }))
        .sort((a, b) => a.id - b.id)
    assert.deepEqual(shown(machine), shown(life.machine))
    assert.equal(machine.count, life.machine.count)
    // Nothing is left of those that are gone, nothing has to be kept anew, and no id is used twice.
    assert.deepEqual(machine.takeWrites(true), [])
    const again = machine.subscribe({ ...PLAIN, ackInbox: 'fresh' }, 0, 0)
    assert.ok(again.kind === 'created' && again.subscription.id > life.highestId)
  })
  t.diagnostic(`40 lives from seed ${first}`)
})

test('has written nothing about a deleted channel', () => {
  fromSeeds(5, (seed) => {
    const life = new Life(seed)
    for (let turn = 0; turn < 80; turn++) life.turn()
    life.log.push(...life.machine.discard())
    assert.deepEqual([...after(life.log).keys()], [])
  })
})

test('refuses garbage, and only ever as damaged state', (t) => {
  const decoders = [decodeNextId, decodePosition, decodeRanges, (value: Buffer) => decodeSubscription(1, value)]
  const first = fromSeeds(2_000, (seed) => {
    const random = new SeededRandom(seed)
    const life = new Life(seed)
    if (seed % 50 === 0) for (let turn = 0; turn < 10; turn++) life.turn()
    const real = life.log.flatMap(({ value }) => (value === null ? [] : [value]))
    const value = Buffer.from(real[below(random, real.length)] ?? Buffer.from(random.id(1 + below(random, 30)), 'hex'))
    value[below(random, value.length)] = below(random, 256)
    for (const decode of decoders) {
      try {
        decode(value.subarray(0, below(random, value.length + 1)))
      } catch (error) {
        assert.ok(error instanceof StateDamagedError, String(error))
      }
    }
  })
  t.diagnostic(`2000 values from seed ${first}`)
  for (const decode of decoders) {
    assert.throws(() => decode(Buffer.from([2, 1, 1])), StateDamagedError, 'a version that is not known')
    assert.throws(() => decode(Buffer.alloc(0)), StateDamagedError)
  }
  for (const key of ['client/x', 'sub/0/foo', 'sub//foo', 'sub/1/', 'ids/', 'pos/99999999999999999999/foo', 'own/1']) {
    assert.equal(parseStateKey(key), null, key)
  }
  assert.deepEqual(parseStateKey('sub/7/foo/bar.x'), { kind: 'sub', id: 7, channel: 'foo/bar.x' })
})

test('goes on with what is whole when one value is damaged, and says which', () => {
  const life = new Life(7)
  for (let turn = 0; turn < 60; turn++) life.turn()
  const values = after(life.log)
  const key = [...values.keys()].find((name) => name.startsWith('pos/'))
  assert.ok(key !== undefined)
  values.set(key, Buffer.from('nonsense'))
  const damaged: string[] = []
  const stored = readStored(values, damaged).get('foo.bar')
  assert.deepEqual(damaged, [key])
  const group = restoreChannel(stored!, { first: 1, last: life.last }, () => true).groups.find(({ id }) =>
    key.includes(`/${id}/`),
  )
  // It begins where it once began: sent again, never lost.
  assert.equal(group?.lastSent, group?.start)
})

test('takes back what it knew of messages that the channel has lost', () => {
  const machine = new ChannelSubscriptions('foo.bar', RULES, EVERYBODY_LISTENS)
  const outcome = machine.subscribe({ ...PLAIN, durableName: 'd' }, 0, 0)
  assert.ok(outcome.kind === 'created')
  const { subscription } = outcome
  machine.ready(subscription)
  for (let sequence = 1; sequence <= 10; sequence++) machine.give(subscription.group, sequence, 0)
  for (const sequence of [1, 2, 5, 8, 9]) machine.ack(subscription, sequence)
  const log = machine.takeWrites(true)
  // Messages 7 to 10 did not survive a power cut; the sequences are given out anew.
  const cut = restored(after(log), 6)
  const [group] = cut.groups()
  assert.equal(group?.lastSent, 6)
  assert.deepEqual([...waitingOf(cut, group!)], [3, 4, 6])
  log.push(...cut.takeWrites(true))
  const later = restored(after(log), 12)
  assert.equal([...later.groups()][0]?.lastSent, 6, 'what came under their numbers is new')
})

test('does not remember one by one what retention has dropped', () => {
  const machine = new ChannelSubscriptions('foo.bar', RULES, EVERYBODY_LISTENS)
  const outcome = machine.subscribe({ ...PLAIN, durableName: 'd', maxInFlight: 100 }, 0, 0)
  assert.ok(outcome.kind === 'created')
  machine.ready(outcome.subscription)
  machine.give(outcome.subscription.group, 1, 0)
  machine.give(outcome.subscription.group, 5_000_000_000, 0)
  const stored = readStored(after(machine.takeWrites(false)), []).get('foo.bar')
  const whole = restoreChannel(stored!, { first: 1, last: 6_000_000_000 }, () => true).groups[0]
  assert.deepEqual(whole?.waiting, [1, 5_000_000_000])
  const kept = restoreChannel(stored!, { first: 4_999_999_999, last: 6_000_000_000 }, () => true).groups[0]
  assert.deepEqual(kept?.waiting, [5_000_000_000])
})

const PLAIN: SubscribeRequest = {
  clientId: 'c0',
  inbox: 'in',
  ackInbox: 'ack',
  queue: '',
  durableName: '',
  maxInFlight: 16,
  ackWaitMs: 1_000,
}
