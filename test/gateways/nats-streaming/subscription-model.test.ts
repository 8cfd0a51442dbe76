/**
 * Random lives of a channel's subscriptions, held against a model that is slow and plain. The seed of a failure is
 * printed, and is all that it takes to see it again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChannelSubscriptions } from '../../../src/gateways/nats-streaming/streaming/channel-subscriptions.js'
import {
  type DeliveryGroup,
  groupKey,
  type PendingMessage,
  type SubscribeRequest,
  type Subscription,
} from '../../../src/gateways/nats-streaming/streaming/subscription.js'
import { below, chance, SeededRandom } from '../../helpers/faulty-random.js'
import { SEED as first } from '../../helpers/seed.js'
import { isHere, type ModelGroup, SubscriptionModel } from '../../helpers/subscription-model.js'

const SUBSCRIPTIONS_MAX = 12

class World {
  readonly random: SeededRandom
  readonly replaces: boolean
  readonly machine: ChannelSubscriptions
  readonly model = new SubscriptionModel()
  readonly active: Subscription[] = []
  /** What the machine wants looked up, in no order. */
  readonly lookups: PendingMessage[] = []
  /** Inboxes that nobody listens to. */
  readonly away = new Set<string>()
  readonly tally = { sent: 0, acked: 0, redelivered: 0, resumed: 0, transferred: 0, waited: 0 }
  last = 0
  nowMs = 10_000
  #inboxes = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.replaces = seed % 2 === 0
    const rules = { subscriptionsMax: SUBSCRIPTIONS_MAX, isDurableReplaced: this.replaces }
    const host = {
      isHeard: (inbox: string) => !this.away.has(inbox),
      isPressed: () => false,
      skipped: () => undefined,
    }
    this.machine = new ChannelSubscriptions('foo', rules, host)
  }

  step(): void {
    const dice = below(this.random, 100)
    if (dice < 12) this.#subscribe()
    else if (dice < 20) this.#ready()
    else if (dice < 45) this.#publish()
    else if (dice < 65) this.#ack()
    else if (dice < 72) this.#leave()
    else if (dice < 76) this.#fail()
    else if (dice < 78) this.#closeClient()
    else if (dice < 84) this.#comeOrGo()
    else this.#time()
    this.#compare()
  }

  #subscribe(): void {
    const { random } = this
    const kind = below(random, 4)
    const request: SubscribeRequest = {
      clientId: `c${below(random, 3)}`,
      inbox: `in${++this.#inboxes}`,
      ackInbox: `ack${this.#inboxes}`,
      queue: kind >= 2 ? `q${below(random, 2)}` : '',
      durableName: kind % 2 === 1 ? ['d0', 'd1', 'd:'][below(random, kind === 1 ? 2 : 3)]! : '',
      maxInFlight: 1 + below(random, 4),
      ackWaitMs: 1_000 * (1 + below(random, 3)),
    }
    const start = below(random, this.last + 1)
    const outcome = this.machine.subscribe(request, start, this.nowMs)
    const key = groupKey(request)
    const wanted = this.model.subscribe(request, key, start, SUBSCRIPTIONS_MAX, this.replaces, this.nowMs)
    if (outcome.kind === 'refused') {
      assert.equal(typeof wanted, 'string', `${outcome.error}, not ${wanted}`)
      return
    }
    assert.equal(outcome.subscription.id, wanted)
    if (outcome.replaced !== null) this.#forget(outcome.replaced)
    this.active.push(outcome.subscription)
    if (outcome.kind === 'resumed') this.tally.resumed++
    if (chance(random, 0.7)) this.#ready(outcome.subscription)
  }

  #ready(subscription = this.#anyone()): void {
    if (subscription === null) return
    this.machine.ready(subscription)
    this.model.member(subscription.id).isReady = true
  }

  #publish(): void {
    this.last++
    this.#deliver()
  }

  /** As a reader of the log would: from where each group is, as long as there is room. Some messages are not there. */
  #deliver(): void {
    for (const group of this.machine.groups()) {
      const wanted = this.#modelOf(group)
      assert.equal(this.machine.isAttended(group), wanted.members.some(isHere))
      while (group.lastSent < this.last) {
        const gap = chance(this.random, 0.05) ? below(this.random, this.last - group.lastSent) : 0
        const sequence = group.lastSent + 1 + gap
        const given = this.machine.give(group, sequence, this.nowMs)
        assert.equal(given?.id ?? null, this.model.give(wanted, sequence, this.nowMs), `who gets ${sequence}`)
        if (given === null) break
        this.tally.sent++
      }
    }
  }

  #ack(): void {
    const subscription = this.#anyone()
    if (subscription === null) return
    const group = this.model.groupOf(subscription.id)
    const known = group.pending[below(this.random, group.pending.length)]?.sequence ?? 0
    const sequence = chance(this.random, 0.9) ? known : below(this.random, this.last + 2)
    const isAcked = this.machine.ack(subscription, sequence)
    assert.equal(isAcked, this.model.ack(group, sequence))
    if (isAcked) this.tally.acked++
    this.#deliver()
  }

  #leave(): void {
    const subscription = this.#anyone()
    if (subscription === null) return
    const isClose = chance(this.random, 0.6)
    if (isClose) this.machine.close(subscription, this.nowMs)
    else this.machine.unsubscribe(subscription, this.nowMs)
    this.#left(subscription, isClose)
    assert.equal(this.machine.ack(subscription, this.last), false)
  }

  #left(subscription: Subscription, isClose: boolean, leaving: readonly number[] = []): void {
    const group = this.model.groupOf(subscription.id)
    if (group.members.length > 1) this.tally.transferred += this.model.heldBy(group, this.model.member(subscription.id))
    this.model.leave(subscription.id, isClose, this.nowMs, leaving)
    this.#forget(subscription)
  }

  #closeClient(): void {
    const gone = this.machine.closeClient(`c${below(this.random, 3)}`, this.nowMs)
    const leaving = gone.map(({ id }) => id)
    for (const subscription of gone) this.#left(subscription, true, leaving)
  }

  #fail(): void {
    const clientId = `c${below(this.random, 3)}`
    const isFailing = chance(this.random, 0.5)
    this.machine.setFailing(clientId, isFailing)
    for (const subscription of this.active) {
      const member = this.model.member(subscription.id)
      if (subscription.clientId !== clientId || member.isFailing === isFailing) continue
      member.isFailing = isFailing
      member.pausedUntilMs = 0
    }
    this.#deliver()
  }

  /** A connection is gone, or there again; the subscriptions stay. */
  #comeOrGo(): void {
    const subscription = this.#anyone()
    if (subscription === null) return
    const { inbox, id } = subscription
    const isAway = !this.away.delete(inbox)
    if (isAway) this.away.add(inbox)
    this.model.member(id).isAway = isAway
    this.machine.returned()
    this.#deliver()
  }

  #time(): void {
    this.nowMs += below(this.random, 3) === 0 ? below(this.random, 2_000) : below(this.random, 60)
    const due = this.machine.due(this.nowMs, Number.POSITIVE_INFINITY)
    const wanted = this.model.due(this.nowMs).map(({ sequence, holder }) => `${holder?.id}:${sequence}`)
    const got = due.map((message) => {
      const model = this.#modelOf(message.group)
      const entry = model.pending.find(({ sequence }) => sequence === message.sequence)
      return `${entry?.holder?.id}:${message.sequence}`
    })
    assert.deepEqual(got.toSorted(), wanted.toSorted())
    this.lookups.push(...due)
    for (let left = below(this.random, this.lookups.length + 1); left > 0; left--) this.#answer()
    this.#deliver()
  }

  /** A lookup comes back, perhaps for somebody who has gone. */
  #answer(): void {
    const [message] = this.lookups.splice(below(this.random, this.lookups.length), 1)
    if (message === undefined) return
    // A group that ended may have a namesake by now, which waits for a message of the same sequence.
    const isThere = [...this.machine.groups()].includes(message.group)
    const group = isThere ? this.#modelOf(message.group) : undefined
    const isKnown = group?.pending.some(({ sequence, isOut }) => sequence === message.sequence && isOut) ?? false
    const dice = below(this.random, 10)
    if (dice === 0) {
      this.machine.missing(message)
      if (isKnown && group !== undefined) this.model.ack(group, message.sequence)
      return
    }
    if (dice === 1) {
      this.machine.failed(message, this.nowMs)
      if (group !== undefined) this.model.failed(group, message.sequence, this.nowMs)
      return
    }
    if (dice === 2) {
      this.machine.defer(message)
      if (group !== undefined) this.model.defer(group, message.sequence)
      return
    }
    const to = this.machine.redeliver(message, this.nowMs)
    const wanted = group === undefined ? null : this.model.redeliver(group, message.sequence, this.nowMs)
    assert.deepEqual(
      to === null ? null : { id: to.id, count: message.redeliveries },
      wanted,
      `who gets ${message.sequence} again`,
    )
    if (to !== null) this.tally.redelivered++
    else if (isKnown) this.tally.waited++
  }

  #compare(): void {
    assert.equal(this.machine.count, this.model.count(), 'count')
    assert.equal(this.machine.active, this.active.length, 'active')
    const groups = [...this.machine.groups()]
    assert.equal(groups.length, this.model.groups.length, 'groups')
    let wakeMs = Number.POSITIVE_INFINITY
    for (const group of groups) {
      const wanted = this.#modelOf(group)
      assert.equal(group.lastSent, wanted.lastSent, 'lastSent')
      assert.equal(group.pending, wanted.pending.length, 'pending')
      assert.equal(group.isOffline, wanted.members.length === 0, 'isOffline')
      assert.deepEqual(held(group), new Set(wanted.members.map((m) => `${m.id}:${this.model.heldBy(wanted, m)}`)))
      // Without anybody to send it to nothing is due.
      if (!wanted.members.some(isHere)) continue
      for (const { holder, isOut, isPinned, dueMs } of wanted.pending) {
        if (holder?.isReady && !isOut)
          wakeMs = Math.min(wakeMs, isPinned ? dueMs : Math.max(dueMs, holder.pausedUntilMs))
      }
    }
    assert.ok((this.machine.nextWakeMs ?? Number.POSITIVE_INFINITY) <= wakeMs, 'wakes in time')
  }

  #modelOf(group: DeliveryGroup): ModelGroup {
    const found = this.model.groups.find(({ key }) => key === keyOf(group))
    assert.ok(found !== undefined)
    return found
  }

  #anyone(): Subscription | null {
    return this.active[below(this.random, this.active.length)] ?? null
  }

  #forget(subscription: Subscription): void {
    this.active.splice(this.active.indexOf(subscription), 1)
  }
}

function keyOf({ subscriptions: [anyone] }: DeliveryGroup): string {
  return anyone === undefined ? '' : groupKey(anyone)
}

function held({ subscriptions, isOffline }: DeliveryGroup): Set<string> {
  return new Set(isOffline ? [] : subscriptions.map(({ id, pending }) => `${id}:${pending}`))
}

test('does in long random lives what the specification says', (t) => {
  const sum = { sent: 0, acked: 0, redelivered: 0, resumed: 0, transferred: 0, waited: 0 }
  for (let seed = first; seed < first + 60; seed++) {
    const world = new World(seed)
    let step = 0
    try {
      for (; step < 1_500; step++) world.step()
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}: ${error}`, { cause: error })
    }
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += world.tally[key]
  }
  t.diagnostic(`60 lives from seed ${first}: ${JSON.stringify(sum)}`)
  for (const [what, times] of Object.entries(sum)) assert.ok(times > 100, `${what} only ${times} times`)
})
