/**
 * Clocks that are set under a running broker: offsets rise, timestamps never go back, no record is gone before its age
 * of real time, and none stays long after it. Over the engine and over the ring, which tell ages apart from each other.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createBroker } from '../../src/index.js'
import type { TopicSettings } from '../../src/model/topic.js'
import type { DeliveryFrame } from '../../src/protocol/frames.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { KEPT, payloadsIn, WireClient } from '../helpers/wire-client.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const TODAY = 1_700_000_000_000
const AGE = 30 * MINUTE
/** What steps too small to be noticed may add, and looking once a second. */
const LATE = 3_000

/** A ring that holds everything, and one that holds next to nothing: then the engine answers. */
const PLACES = [
  { store: 'memory', ringRecords: 10_000 },
  { store: 'memory', ringRecords: 1 },
  { store: 'log', ringRecords: 1 },
] as const

/** The clock is set to the first, then by each in turn. */
const COURSES: Readonly<Record<string, readonly number[]>> = {
  'an hour forwards': [TODAY, HOUR],
  'an hour back': [TODAY, -HOUR],
  'forwards and back': [TODAY, HOUR, -HOUR, HOUR, -HOUR],
  'a millisecond back, again and again': [TODAY, -1, -1, -1, -1, -1],
  'a leap second': [TODAY, -1_000],
  '1970 at first, and right at last': [0, TODAY],
  'to 1970 and never back': [TODAY, -TODAY],
  'to 1970 and back': [TODAY, -TODAY, TODAY],
  'to the next century and back': [TODAY, 100 * 365 * 24 * HOUR, -100 * 365 * 24 * HOUR],
}

function aged(ringRecords: number): TopicSettings {
  return { ...KEPT, retention: { ageMs: AGE, bytes: null, records: null }, ringRecords }
}

/** A directory that is gone after the test. */
function temporary(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'leveret-clock-'))
  context.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

interface Delivered {
  readonly offset: number
  readonly timestampMs: number
  readonly payload: string
}

/** What a new subscriber gets of `topic`, from its beginning up to `end`. */
async function readAll(client: WireClient, subscription: number, end: number): Promise<Delivered[]> {
  await client.subscribe('topic', { subscription, window: 10_000, untilOffset: end })
  const delivered: Delivered[] = []
  for (let frame = await client.next(); frame.kind !== 'ended'; frame = await client.next()) {
    if (frame.kind === 'lost-range') continue
    assert.equal(frame.kind, 'delivery')
    const { baseOffset, timestampMs } = frame as DeliveryFrame
    for (const [index, payload] of payloadsIn(frame as DeliveryFrame).entries()) {
      delivered.push({ offset: baseOffset + index, timestampMs, payload })
    }
  }
  return delivered
}

for (const [name, [bootMs = TODAY, ...jumps]] of Object.entries(COURSES)) {
  for (const { store, ringRecords } of PLACES) {
    test(`${name}: nothing expires early or stays, in ${store} behind a ring of ${ringRecords}`, async (context) => {
      const clock = new VirtualClock(bootMs)
      await using broker = await createBroker({ clock, store, data: temporary(context) })
      await using client = await WireClient.connect(broker)
      await client.create('topic', aged(ringRecords))
      const publishedMs: number[] = []
      const stamps: number[] = []
      const publish = async () => {
        const { baseOffset } = await client.publish('topic', [`${publishedMs.length}`])
        assert.equal(baseOffset, publishedMs.length, 'offsets strictly increase')
        publishedMs.push(clock.monotonic())
      }
      let subscription = 0
      const look = async () => {
        const nowMs = clock.monotonic()
        const delivered = await readAll(client, ++subscription, publishedMs.length)
        const got = new Set(delivered.map(({ offset }) => offset))
        for (const [offset, atMs] of publishedMs.entries()) {
          const ageMs = nowMs - atMs
          if (ageMs < AGE) assert.ok(got.has(offset), `record ${offset} is gone after ${ageMs} ms`)
          if (ageMs >= AGE + LATE) assert.ok(!got.has(offset), `record ${offset} is there after ${ageMs} ms`)
        }
        for (const { offset, timestampMs, payload } of delivered) {
          assert.equal(payload, `${offset}`)
          stamps[offset] ??= timestampMs
          assert.equal(stamps[offset], timestampMs, 'a timestamp stays')
        }
        const known = stamps.filter((stamp) => stamp !== undefined)
        for (const [index, stamp] of known.entries()) assert.ok(index === 0 || stamp >= (known[index - 1] as number))
      }
      const pass = async (ms: number) => {
        clock.advance(ms)
        // The broker cleans up behind a tick of its clock: let it.
        await client.ping()
        await look()
      }
      await publish()
      await pass(5 * MINUTE)
      for (const jump of jumps) {
        await publish()
        clock.jumpWall(jump)
        await look()
        await publish()
        await pass(MINUTE)
        await publish()
        await pass(4 * MINUTE)
      }
      await publish()
      for (let left = 8; left > 0; left--) await pass(5 * MINUTE)
      assert.deepEqual(await readAll(client, ++subscription, publishedMs.length), [])
      const { topics } = await client.askFor('description', {
        kind: 'describe',
        id: 0,
        topic: 'topic',
        group: '',
        after: '',
        groups: false,
      })
      assert.equal(topics[0]?.partitions[0]?.bytes, 0, 'what nobody can read takes no room')
    })
  }
}

test('a record that waits for credit is as old as time has passed, however the clock was set meanwhile', async () => {
  const clock = new VirtualClock(TODAY)
  await using broker = await createBroker({ clock, store: 'memory' })
  await using client = await WireClient.connect(broker)
  await client.create('topic', aged(10_000))
  for (const payload of ['a', 'b', 'c']) await client.publish('topic', [payload])
  await client.subscribe('topic')
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['a'])
  clock.jumpWall(HOUR)
  clock.advance(AGE - 1)
  await client.publish('topic', ['d'])
  await client.commit({ offset: 0 })
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['b'])
  clock.jumpWall(-2 * HOUR)
  clock.advance(1)
  await client.commit({ offset: 1 })
  const lost = await client.expect('lost-range')
  assert.deepEqual([lost.from, lost.to, lost.cause], [2, 3, 'expired'])
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['d'])
})

test('a start by age counts the time that passed', async () => {
  const clock = new VirtualClock(TODAY)
  await using broker = await createBroker({ clock, store: 'memory' })
  await using client = await WireClient.connect(broker)
  await client.create('topic')
  await client.publish('topic', ['a'])
  clock.advance(10 * MINUTE)
  await client.publish('topic', ['b'])
  clock.jumpWall(HOUR)
  clock.advance(MINUTE)
  await client.publish('topic', ['c'])
  await client.subscribe('topic', { start: { kind: 'age', ageMs: 5 * MINUTE }, window: 10 })
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['b'])
  assert.deepEqual(payloadsIn(await client.expect('delivery')), ['c'])
})

test('a clock that was set back between two runs takes no offset and no timestamp back, and nothing expires early', async (context) => {
  const data = temporary(context)
  const stamps: number[] = []
  for (const [run, wallMs] of [TODAY, TODAY - HOUR, TODAY + HOUR].entries()) {
    const clock = new VirtualClock(wallMs)
    await using broker = await createBroker({ clock, store: 'log', data })
    await using client = await WireClient.connect(broker)
    await client.create('topic', aged(1))
    assert.equal((await client.publish('topic', [`${run}`])).baseOffset, run)
    clock.advance(AGE - 1)
    const kept = await readAll(client, 1, run + 1)
    assert.equal(kept.at(-1)?.payload, `${run}`, 'what this run published is there until its age')
    stamps.push(kept.at(-1)?.timestampMs ?? 0)
    clock.advance(1 + LATE)
    await client.ping()
    const left = await readAll(client, 2, run + 1)
    // What stands beyond the clock waits until that is there.
    assert.equal(left.length, run === 1 ? 1 : 0)
  }
  assert.deepEqual(stamps, [TODAY, TODAY, TODAY + HOUR])
})
