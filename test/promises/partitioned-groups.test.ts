/** Partitioned groups: each partition with one member at a time, in order, with no gap, whoever comes and goes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { AssignedFrame, DeliveryFrame, SubscribeFrame } from '../../src/protocol/frames.js'
import { commitFrame, type FrameOf, KEPT, payloadsIn, subscribeFrame, WireClient } from '../helpers/wire-client.js'

const PARTITIONS = 8
const MEMBER: Partial<SubscribeFrame> = { mode: 'partitioned', group: 'readers', window: 4 }

/** A member that does as it is told: commits what it gets, and lets go of what is taken. */
class Member {
  readonly client: WireClient
  readonly name: string
  /** By partition, in the order of their arrival. */
  readonly got = new Map<number, string[]>()
  assigned: AssignedFrame | null = null
  /** Deliveries of partitions that it does not have. */
  strays = 0

  constructor(client: WireClient, name: string) {
    this.client = client
    this.name = name
  }

  static async join(broker: EmbeddedBroker, name: string, topic: string): Promise<Member> {
    const client = await WireClient.connect(broker)
    const member = new Member(client, name)
    client.send(subscribeFrame(topic, { ...MEMBER, id: 1, member: name }))
    await client.expect('done')
    return member
  }

  /** What has arrived by now. Fails on a refusal, except for commits that came too late. */
  handle(): void {
    for (const frame of this.client.frames.splice(0)) {
      if (frame.kind === 'assigned') {
        this.assigned = frame
        this.client.send(commitFrame({ generation: frame.generation }))
      } else if (frame.kind === 'delivery') this.#take(frame)
      else if (frame.kind !== 'pong') assert.fail(`${this.name}: ${frame.kind} ${JSON.stringify(frame)}`)
    }
  }

  get partitions(): readonly number[] {
    return this.assigned?.partitions ?? []
  }

  #take(delivery: DeliveryFrame): void {
    const { partition, baseOffset, run } = delivery
    if (!this.partitions.includes(partition)) this.strays++
    const got = this.got.get(partition) ?? []
    this.got.set(partition, got)
    got.push(...payloadsIn(delivery))
    const generation = this.assigned?.generation ?? 0
    this.client.send(commitFrame({ partition, offset: baseOffset + run.count - 1, generation }))
  }
}

async function settle(members: readonly Member[], isSo: () => boolean): Promise<void> {
  for (let round = 0; !isSo(); round++) {
    assert.ok(round < 5_000, members.map(({ name, partitions }) => `${name}: ${partitions.join()}`).join('; '))
    for (const { client } of members) await client.ping()
    for (const member of members) member.handle()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Every partition has one of them, and nobody has many more than another. */
function isShared(members: readonly Member[]): boolean {
  const all = members.flatMap(({ partitions }) => partitions).sort((a, b) => a - b)
  const counts = members.map(({ partitions }) => partitions.length)
  return all.join() === [...Array(PARTITIONS).keys()].join() && Math.max(...counts) - Math.min(...counts) <= 1
}

test('three members share eight partitions as they come and go, each record once and in order', async () => {
  await using broker = await createBroker()
  await using publisher = await WireClient.connect(broker)
  await publisher.create('log', { ...KEPT, partitions: PARTITIONS })
  let published = 0
  const publish = async (): Promise<void> => {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await publisher.publish('log', [`${published}`, `${published + 1}`], { partition })
    }
    published += 2
  }
  const all: Member[] = []
  const join = async (name: string): Promise<Member> => {
    const member = await Member.join(broker, name, 'log')
    all.push(member)
    return member
  }
  const total = () => all.reduce((sum, { got }) => sum + [...got.values()].reduce((n, list) => n + list.length, 0), 0)
  let present: Member[] = []
  for (const name of ['a', 'b', 'c']) {
    present.push(await join(name))
    await publish()
    await settle(present, () => isShared(present) && total() === published * PARTITIONS)
  }
  const [a, b, c] = present as [Member, Member, Member]
  assert.deepEqual(present.map(({ partitions }) => partitions.length).sort(), [2, 3, 3])
  await b.client[Symbol.asyncDispose]()
  present = [a, c]
  await publish()
  await settle(present, () => isShared(present) && total() === published * PARTITIONS)
  const d = await join('d')
  present = [a, c, d]
  await publish()
  await settle(present, () => isShared(present) && total() === published * PARTITIONS)
  // In the order of the members a partition went through, which their records tell.
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const parts = all.map(({ got }) => (got.get(partition) ?? []).map(Number))
    for (const part of parts)
      assert.deepEqual(
        part,
        part.toSorted((x, y) => x - y),
      )
    const whole = parts.flat().sort((x, y) => x - y)
    assert.deepEqual(whole, [...Array(published).keys()], `partition ${partition}`)
  }
  assert.equal(
    all.reduce((sum, { strays }) => sum + strays, 0),
    0,
  )
  const rebalances = broker.metrics().find(({ name }) => name === 'leveret_broker_group_rebalances_total')?.value ?? 0
  assert.ok(rebalances >= 4, `${rebalances} rebalances`)
  for (const { client } of present) await client[Symbol.asyncDispose]()
})

test('what is taken away stops at once, may be finished, and goes to the other when it is let go of', async () => {
  await using broker = await createBroker()
  await using first = await WireClient.connect(broker)
  await using second = await WireClient.connect(broker)
  await first.create('log', { ...KEPT, partitions: 2 })
  for (const partition of [0, 1]) await first.publish('log', ['a', 'b', 'c'], { partition })
  await first.subscribe('log', { ...MEMBER, window: 6, member: 'first' })
  const whole = await first.expect('assigned')
  assert.deepEqual(
    [whole.partitions, whole.started],
    [
      [0, 1],
      [0, 1],
    ],
  )
  let sent = 0
  while (sent < 6) sent += (await first.expect('delivery')).run.count
  await second.subscribe('log', { ...MEMBER, member: 'second' })
  const half = await first.expect('assigned')
  assert.deepEqual([half.partitions.length, half.started], [1, []])
  const lost = whole.partitions.find((partition) => !half.partitions.includes(partition)) as number
  // What is published of it now is the other's, and nothing is handed over before the first has let go.
  await first.publish('log', ['d'], { partition: lost })
  await second.ping()
  assert.deepEqual(
    second.frames.filter(({ kind }) => kind === 'delivery'),
    [],
  )
  await first.commit({ partition: lost, offset: 1, generation: half.generation })
  await first.commit({ generation: half.generation })
  const given: FrameOf<'assigned'>[] = []
  while (given.at(-1)?.started.includes(lost) !== true) given.push(await second.expect('assigned'))
  const delivery = await second.expect('delivery')
  assert.deepEqual([delivery.partition, delivery.baseOffset], [lost, 2])
  const late = await first.askFor('failure', commitFrame({ partition: lost, offset: 2, generation: whole.generation }))
  assert.equal(late.code, 'LVT_FENCED')
  const kept = half.partitions[0] as number
  await first.commit({ partition: kept, offset: 2, generation: whole.generation })
  assert.deepEqual(first.frames, [])
})

test('a member with nothing in flight of what it loses need not say that it lets go', async () => {
  await using broker = await createBroker()
  await using first = await WireClient.connect(broker)
  await using second = await WireClient.connect(broker)
  await first.create('log', { ...KEPT, partitions: 2 })
  await first.subscribe('log', { ...MEMBER, member: 'first' })
  assert.equal((await first.expect('assigned')).partitions.length, 2)
  await second.subscribe('log', { ...MEMBER, member: 'second' })
  while ((await second.expect('assigned')).partitions.length === 0);
  assert.equal((await first.expect('assigned')).partitions.length, 1)
})

test('a member that finishes everything it had of what it loses need not say more', async () => {
  await using broker = await createBroker()
  await using first = await WireClient.connect(broker)
  await using second = await WireClient.connect(broker)
  await first.create('log', { ...KEPT, partitions: 2 })
  for (const partition of [0, 1]) await first.publish('log', ['a'], { partition })
  await first.subscribe('log', { ...MEMBER, member: 'first' })
  await first.expect('assigned')
  for (let sent = 0; sent < 2; sent++) await first.expect('delivery')
  await second.subscribe('log', { ...MEMBER, member: 'second' })
  await first.expect('assigned')
  for (const partition of [0, 1]) await first.commit({ partition, offset: 0 })
  while ((await second.expect('assigned')).partitions.length === 0);
})

test('a member that comes again under its name goes on with what was its own', async () => {
  await using broker = await createBroker()
  await using lost = await WireClient.connect(broker)
  await using again = await WireClient.connect(broker)
  await lost.create('log', { ...KEPT, partitions: 2 })
  for (const partition of [0, 1]) await lost.publish('log', ['a', 'b'], { partition })
  await lost.subscribe('log', { ...MEMBER, member: 'me' })
  await lost.expect('assigned')
  await lost.expect('delivery')
  await lost.expect('delivery')
  await lost.commit({ partition: 1, offset: 0 })
  await again.subscribe('log', { ...MEMBER, member: 'me' })
  assert.equal((await lost.expect('ended')).reason, 'taken-over')
  assert.equal(await lost.fails(commitFrame({ partition: 0, offset: 1 })), 'LVT_FENCED')
  assert.deepEqual((await again.expect('assigned')).started, [0, 1])
  const deliveries = [await again.expect('delivery'), await again.expect('delivery')]
  assert.deepEqual(deliveries.map(({ partition, baseOffset }) => [partition, baseOffset]).sort(), [
    [0, 0],
    [1, 1],
  ])
})

test('groups of all modes are listed in the order of their names, page by page', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log', { ...KEPT, partitions: 1024 })
  await client.publish('log', ['a', 'b', 'c'], { partition: 7 })
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const [index, group] of names.entries()) {
    const mode = (['cursor', 'shared', 'partitioned'] as const)[index % 3] as SubscribeFrame['mode']
    await client.subscribe('log', { subscription: index, mode, group })
  }
  const listed: string[] = []
  for (let more = true, pages = 0; more; pages++) {
    assert.ok(pages < 5)
    const after = listed.at(-1) ?? ''
    const page = await client.askFor('description', {
      kind: 'describe',
      id: 0,
      topic: 'log',
      group: '',
      after,
      groups: true,
    })
    listed.push(...page.groups.map(({ name }) => name))
    for (const { lag, partitions } of page.groups) assert.deepEqual([lag, partitions.length], [3, 1024])
    more = page.more
    assert.ok(more || pages > 0, 'all fitted into one frame')
  }
  assert.deepEqual(listed, names)
})

test('what a group of partitions cannot do is refused', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('log')
  assert.equal(await client.fails(subscribeFrame('log', { ...MEMBER, untilOffset: 5 })), 'LVT_UNSUPPORTED')
  assert.equal(await client.fails(subscribeFrame('log', { ...MEMBER, group: '' })), 'LVT_INVALID_ARGUMENT')
  await client.subscribe('log', MEMBER)
  await client.expect('assigned')
  assert.equal(await client.fails(commitFrame({ offset: 0, outcome: 'retry' })), 'LVT_UNSUPPORTED')
  assert.equal(await client.fails(commitFrame({ offset: 0, partition: 9 })), 'LVT_FENCED')
  assert.equal(await client.fails({ kind: 'unsubscribe', id: 0, subscription: 1, forget: true }), 'LVT_UNSUPPORTED')
  await client.commit({ offset: 0 })
})
