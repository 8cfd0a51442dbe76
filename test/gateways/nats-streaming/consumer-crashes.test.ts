/**
 * R26: a consumer dies at each step of a message: when it has come, when it was worked on, when its ack is on its way, and when the
 * server has the ack. Whoever goes on in its place gets each message that was not acked, flagged and counted, and no other.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createBroker } from '../../../src/index.js'
import { stanFields } from '../../helpers/stan-messages.js'
import { FIRST, type StanPeer, type StanSubscription } from '../../helpers/stan-peer.js'
import { type StanServer, stanServer, startStan } from '../../helpers/stan-server.js'

const MESSAGES = 4

interface Step {
  readonly name: string
  readonly do: (peer: StanPeer, subscription: StanSubscription) => Promise<void>
  /** What its successor has to get. */
  readonly left: readonly number[]
}

const STEPS: readonly Step[] = [
  { name: 'when messages have come', do: async () => undefined, left: [1, 2, 3, 4] },
  {
    name: 'between the acks of its messages',
    do: async (peer, subscription) => {
      peer.ack(subscription, 1, 3)
      await peer.wire.flush()
    },
    left: [2, 4],
  },
  {
    name: 'with an ack on its way, in the bytes before its end',
    do: async (peer, subscription) => peer.ack(subscription, 1),
    left: [2, 3, 4],
  },
  {
    name: 'when the server has all acks',
    do: async (peer, subscription) => {
      peer.ack(subscription, 1, 2, 3, 4)
      await peer.wire.flush()
    },
    left: [],
  },
]

const KINDS = {
  'a durable': { durableName: 'dur' },
  'a durable queue group': { qGroup: 'q', durableName: 'dur' },
} as const

async function until(hasCome: () => boolean): Promise<void> {
  while (!hasCome()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** The successor of a client of this name gets what is left, and then what is new. */
async function goesOn(server: StanServer, fields: object, left: readonly number[], end: number): Promise<void> {
  const peer = await server.connect('me')
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, ...fields })
  assert.equal(await peer.publish('foo', 'new'), '')
  const messages = await subscription.until(left.length + 1)
  assert.deepEqual(
    messages.map(({ sequence, isRedelivered, redeliveryCount }) => [sequence, isRedelivered, redeliveryCount]),
    [...left.map((sequence) => [sequence, true, 1]), [end, false, 0]],
  )
}

async function begun(server: StanServer, fields: object): Promise<readonly [StanPeer, StanSubscription]> {
  const peer = await server.connect('me')
  await peer.fill('foo', MESSAGES)
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST, ...fields })
  await subscription.until(MESSAGES)
  return [peer, subscription]
}

for (const [kind, fields] of Object.entries(KINDS)) {
  for (const step of STEPS) {
    test(`${kind} goes on when its client dies ${step.name}`, async (t) => {
      const server = await startStan(t)
      const [peer, subscription] = await begun(server, fields)
      const before = server.metric('acks_total')
      await step.do(peer, subscription)
      // Its own bytes still arrive, as those of a process that was killed do.
      await until(() => server.metric('acks_total') === before + MESSAGES - step.left.length)
      peer.wire.close()
      await goesOn(server, fields, step.left, MESSAGES + 1)
    })

    test(`${kind} goes on when its client and the server die ${step.name}`, async (t) => {
      const data = await mkdtemp(join(tmpdir(), 'leveret-'))
      let broker = await createBroker({ natsStreaming: 0, data })
      t.after(async () => {
        await broker.stop({ deadlineMs: 0 })
        await rm(data, { recursive: true, force: true })
      })
      const server = stanServer(t, broker)
      const [peer, subscription] = await begun(server, fields)
      const before = server.metric('acks_total')
      await step.do(peer, subscription)
      await until(() => server.metric('acks_total') === before + MESSAGES - step.left.length)
      peer.wire.close()
      await broker.stop({ deadlineMs: 0 })
      broker = await createBroker({ natsStreaming: 0, data })
      await goesOn(stanServer(t, broker), fields, step.left, MESSAGES + 1)
    })
  }
}

test('a group gets what a dead member had, and counts on', async (t) => {
  const server = await startStan(t)
  const fields = { subject: 'foo', qGroup: 'q', startPosition: FIRST, ackWaitInSecs: 1 }
  const dead = await server.connect('dead')
  await dead.fill('foo', MESSAGES)
  const first = await dead.subscribe(fields)
  await first.until(MESSAGES)
  dead.wire.close()
  const alive = await server.connect('alive')
  const second = await alive.subscribe(fields)
  const countsOf = (sequence: number): readonly number[] =>
    second.messages.filter((each) => each.sequence === sequence).map(({ redeliveryCount }) => redeliveryCount)
  for (let sequence = 1; sequence <= MESSAGES; sequence++) {
    await until(() => countsOf(sequence).length >= 2)
    assert.deepEqual(countsOf(sequence).slice(0, 2), [1, 2], 'none was sent to nobody in between')
  }
})

test('a member that is away gets nothing while another one of its group listens, though nobody knows yet that it is dead', async (t) => {
  const server = await startStan(t)
  const fields = { subject: 'foo', qGroup: 'q', startPosition: FIRST, ackWaitInSecs: 1 }
  const dead = await server.connect('dead')
  const alive = await server.connect('alive')
  const first = await dead.subscribe({ ...fields, maxInFlight: 100 })
  const second = await alive.subscribe({ ...fields, maxInFlight: 5 })
  const got = (): number => first.messages.length + second.messages.length
  await alive.fill('foo', 20)
  await until(() => got() === 20)
  // Everything but what the dead one has.
  const lost = new Set(first.sequences)
  assert.ok(lost.size >= 10)
  dead.wire.close()
  await until(() => server.broker.metrics().find(({ name }) => name === 'leveret_nats_connections')?.value === 1)
  const sent = server.metric('messages_sent_total')
  for (let number = 21; number <= 60; number++) alive.send('foo', String(number))
  for (let acked = 0; new Set(second.sequences).size < 60; ) {
    await second.until(acked + 1)
    for (; acked < second.messages.length; acked++) alive.ack(second, second.sequences[acked] ?? 0)
  }
  const again = second.messages.filter(({ isRedelivered }) => isRedelivered)
  assert.deepEqual(new Set(again.map(({ sequence }) => sequence)), lost)
  assert.deepEqual(new Set(again.map(({ redeliveryCount }) => redeliveryCount)), new Set([1]))
  assert.equal(server.metric('messages_sent_total') - sent, 40 + lost.size, 'nothing was sent to nobody')
})

test('a client that does not read keeps its connection, however often the ack wait is over, and reads all of it later', async (t) => {
  const server = await startStan(t)
  const publisher = await server.connect('publisher')
  const reader = await server.connect('reader')
  const subscription = await reader.subscribe({ subject: 'foo', startPosition: FIRST, ackWaitInSecs: 1 })
  reader.wire.pause()
  const big = Buffer.alloc(100_000, 'x')
  for (let count = 0; count < 200; count++) assert.equal(await publisher.publish('foo', big), '')
  // Every second it would get all of it again: more than the 64 MiB that may wait for a connection.
  await new Promise((resolve) => setTimeout(resolve, 5_000))
  assert.equal(server.broker.metrics().find(({ name }) => name === 'leveret_nats_connections')?.value, 2)
  reader.wire.resume()
  for (let acked = 0; new Set(subscription.sequences).size < 200; ) {
    await subscription.until(acked + 1)
    for (; acked < subscription.messages.length; acked++) reader.ack(subscription, subscription.sequences[acked] ?? 0)
  }
})

for (const [kind, fields] of Object.entries({ ...KINDS, 'a plain subscription': {} })) {
  test(`what ${kind} has not acked waits for its client, and its count does not grow meanwhile`, async (t) => {
    const server = await startStan(t)
    const gone = await server.connect('me')
    await gone.fill('foo', 2)
    const before = await gone.subscribe({ subject: 'foo', startPosition: FIRST, ackWaitInSecs: 1, ...fields })
    await before.until(2)
    gone.wire.close()
    const sent = server.metric('messages_sent_total')
    const other = await server.connect('other')
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    assert.equal(server.metric('subscriptions_absent'), 1)
    assert.equal(await other.publish('foo', '3'), '')
    assert.equal(server.metric('messages_sent_total'), sent, 'nothing was sent to nobody')
    // As a library does that connects again: the inbox is the same, and nothing is asked for anew.
    const got: (readonly [number, number])[] = []
    const returnedMs = performance.now()
    other.wire.subscribe(before.inbox, ({ payload }) => {
      const message = stanFields('MsgProto', payload)
      got.push([Number(message.sequence), Number(message.redeliveryCount ?? 0)])
    })
    await until(() => got.length === 3)
    assert.ok(performance.now() - returnedMs < 900, 'without another ack wait')
    assert.deepEqual(
      got.toSorted(([a], [b]) => a - b),
      [
        [1, 1],
        [2, 1],
        [3, 0],
      ],
    )
    assert.equal(server.metric('subscriptions_absent'), 0)
  })
}
