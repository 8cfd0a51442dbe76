/**
 * Records kept by retention first, then live ones, in order, with no gap and no duplicate, while publishers go on.
 * The rings are tiny, so that readers fall out of them and catch up all the time. The seed of a failure is printed.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { TopicSettings } from '../../src/model/topic.js'
import type { DeliveryFrame } from '../../src/protocol/frames.js'
import { fc } from '../helpers/fast-check.js'
import {
  commitFrame,
  FLEETING,
  KEPT,
  payloadsIn,
  publishFrame,
  subscribeFrame,
  WireClient,
} from '../helpers/wire-client.js'

const STORES = ['memory', 'log'] as const

const data = mkdtempSync(join(tmpdir(), 'leveret-retained-'))
const brokers = new Map<string, EmbeddedBroker>()
/** The one that the test of the moment is about. */
let broker: EmbeddedBroker
let topics = 0

before(async () => {
  // A small outbox, so that deliveries stop and go with the sockets too; small segments, so that readers cross them.
  const options = { outboxBytesMax: 4096, deliveryBytesMax: 2048 }
  brokers.set('memory', await createBroker(options))
  brokers.set('log', await createBroker({ ...options, data, segmentBytes: 64 * 1024 }))
})
after(async () => {
  for (const each of brokers.values()) await each.stop()
  rmSync(data, { recursive: true })
})

function use(store: string): void {
  broker = brokers.get(store) as EmbeddedBroker
}

interface Reader {
  readonly window: number
  /** Publishes of the first publisher before the reader comes. */
  readonly comesAfter: number
  readonly from: number | null
  /** How the reader commits: each delivery at its end, records one by one backwards, or every other delivery. */
  readonly commits: 'cumulative' | 'backwards' | 'late'
}

interface Plan {
  readonly ringRecords: number
  readonly padding: number
  readonly publishers: readonly (readonly number[])[]
  readonly readers: readonly Reader[]
}

const arbReader: fc.Arbitrary<Reader> = fc.record({
  window: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 40 }), fc.constant(1_000)),
  comesAfter: fc.nat({ max: 12 }),
  from: fc.option(fc.nat({ max: 20 })),
  commits: fc.constantFrom('cumulative', 'backwards', 'late'),
})

const arbPlan: fc.Arbitrary<Plan> = fc.record({
  ringRecords: fc.integer({ min: 1, max: 30 }),
  padding: fc.constantFrom(0, 0, 30, 300),
  publishers: fc.array(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 25 }), {
    minLength: 1,
    maxLength: 3,
  }),
  readers: fc.array(arbReader, { minLength: 1, maxLength: 4 }),
})

/** Publish batch after batch, pipelined now and then; tells what each offset holds and resumes who waits for it. */
async function publishAll(topic: string, name: string, sizes: readonly number[], log: string[], padding: number) {
  await using client = await WireClient.connect(broker)
  const sent: string[][] = []
  const answered = async (index: number) => {
    const answer = await client.answer(index + 1)
    assert.equal(answer.kind, 'published')
    if (answer.kind !== 'published') return
    for (const [place, payload] of (sent[index] ?? []).entries()) log[answer.baseOffset + place] = payload
  }
  for (const [index, size] of sizes.entries()) {
    const payloads = Array.from({ length: size }, (_, place) => `${name}-${index}-${place}`.padEnd(padding, '.'))
    sent.push(payloads)
    client.send(publishFrame(topic, payloads, { id: index + 1 }))
    if (index % 3 === 2) for (let done = index - 2; done <= index; done++) await answered(done)
  }
  for (let done = sizes.length - (sizes.length % 3); done < sizes.length; done++) await answered(done)
}

/** Read to `total`; every delivery must begin where the last one ended and fit the credit that was left. */
async function readAll(
  topic: string,
  { window, from, commits }: Reader,
  total: number,
  isThere: () => void,
): Promise<Map<number, string>> {
  await using client = await WireClient.connect(broker)
  const seen = new Map<number, string>()
  let next = from ?? 0
  if (next >= total) return seen
  const start = from === null ? ({ kind: 'earliest' } as const) : ({ kind: 'offset', offset: from } as const)
  await client.subscribe(topic, { window, start })
  isThere()
  let inFlight = 0
  let held: DeliveryFrame | null = null
  const commit = ({ baseOffset, run }: DeliveryFrame) => {
    const offsets = Array.from({ length: run.count }, (_, index) => baseOffset + run.count - 1 - index)
    client.send(
      commits === 'backwards' ? commitFrame({ offsets }) : commitFrame({ offset: baseOffset + run.count - 1 }),
    )
    inFlight -= run.count
  }
  while (next < total) {
    const delivery = await client.expect('delivery')
    assert.equal(delivery.baseOffset, next, 'a gap or a duplicate')
    for (const payload of payloadsIn(delivery)) seen.set(next++, payload)
    inFlight += delivery.run.count
    assert.ok(inFlight <= window, `${inFlight} records are in flight, the window is ${window}`)
    if (commits === 'late' && held === null && inFlight < window) held = delivery
    else {
      if (held !== null) commit(held)
      held = null
      commit(delivery)
    }
  }
  return seen
}

async function settle(plan: Plan, settings: TopicSettings): Promise<void> {
  const topic = `topic-${topics++}`
  await using admin = await WireClient.connect(broker)
  await admin.create(topic, { ...settings, ringBytes: 1024, ringRecords: plan.ringRecords })
  const log: string[] = []
  const total = plan.publishers.flat().reduce((sum, size) => sum + size, 0)
  const first = plan.publishers[0] ?? []
  let missing = plan.readers.length
  let arrived = () => {}
  const everybodyIsThere = new Promise<void>((resolve) => {
    arrived = () => {
      if (--missing === 0) resolve()
    }
  })
  const reading = plan.readers.map(async (reader) => {
    // A moment that depends on how far the first publisher is, and on nothing else.
    const moment = first.slice(0, reader.comesAfter).reduce((sum, size) => sum + size, 0)
    while (log.length < moment) await new Promise((resolve) => setImmediate(resolve))
    return await readAll(topic, reader, total, arrived)
  })
  if (settings.retention === 'none') await everybodyIsThere
  const publishing = plan.publishers.map((sizes, index) => publishAll(topic, `p${index}`, sizes, log, plan.padding))
  const seen = await Promise.all(reading)
  await Promise.all(publishing)
  for (const records of seen)
    for (const [offset, payload] of records) assert.equal(payload, log[offset], `at ${offset}`)
  for (const [index] of plan.publishers.entries()) {
    const own = log.filter((payload) => payload.startsWith(`p${index}-`)).map((payload) => payload.split('-').slice(1))
    const order = own.map(([batch, place]) => Number(batch) * 1_000 + Number.parseInt(place ?? '', 10))
    assert.deepEqual(
      order,
      [...order].sort((a, b) => a - b),
      'a publisher was reordered',
    )
  }
}

for (const store of STORES) {
  test(`${store}: retained records come first and live ones after them, with no gap and no duplicate`, async () => {
    use(store)
    await fc.assert(
      fc.asyncProperty(arbPlan, (plan) => settle(plan, KEPT)),
      { numRuns: 150 },
    )
  })
}

test('who is there from the beginning misses nothing of a topic that keeps nothing and blocks its publishers', async () => {
  use('memory')
  await fc.assert(
    fc.asyncProperty(arbPlan, (plan) => {
      const readers = plan.readers.map((reader) => ({ ...reader, comesAfter: 0, from: null }))
      return settle({ ...plan, readers }, { ...FLEETING, slowConsumer: 'block' })
    }),
    { numRuns: 100 },
  )
})

test('a reader in the same chunk as the publishes around it misses nothing', async () => {
  use('log')
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 8 }), fc.nat({ max: 8 }), async (before, behind) => {
      const topic = `topic-${topics++}`
      await using client = await WireClient.connect(broker)
      await client.create(topic, { ...KEPT, ringBytes: 1024, ringRecords: 2 })
      const total = before + behind
      const publishes = Array.from({ length: total }, (_, index) => publishFrame(topic, [`${index}`]))
      client.send(
        ...publishes.slice(0, before),
        subscribeFrame(topic, { id: 1, window: 100 }),
        ...publishes.slice(before),
      )
      assert.equal((await client.expect('done')).id, 1)
      const seen: string[] = []
      while (seen.length < total) seen.push(...payloadsIn(await client.expect('delivery')))
      assert.deepEqual(
        seen,
        publishes.map((_, index) => `${index}`),
      )
    }),
    { numRuns: 60 },
  )
})
