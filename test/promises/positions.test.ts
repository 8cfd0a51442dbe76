/** Where a reader begins and ends: every start position, `until_offset`, and offsets that are gone or not yet there. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import type { Start, TopicSettings } from '../../src/model/topic.js'
import type { SubscribeFrame } from '../../src/protocol/frames.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { FLEETING, KEPT, payloadsIn, startAt, WireClient } from '../helpers/wire-client.js'

const clock = new VirtualClock(1_000_000)
let broker: EmbeddedBroker
let topics = 0

before(async () => {
  broker = await createBroker({ clock })
})
after(() => broker.stop())

/** Batches of two records, one batch a second: `0 1` at 1,000,000 + now, `2 3` a second later. */
async function filled(
  settings: TopicSettings,
  batches = 5,
): Promise<{ client: WireClient; topic: string; at: number }> {
  const client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  const at = clock.now()
  await client.create(topic, settings)
  for (let batch = 0; batch < batches; batch++) {
    await client.publish(topic, [`${2 * batch}`, `${2 * batch + 1}`])
    clock.advance(1_000)
  }
  return { client, topic, at }
}

/** Everything that a new subscription gets at once, as text. */
async function heard(client: WireClient, topic: string, more: Partial<SubscribeFrame>): Promise<string[]> {
  await client.subscribe(topic, { window: 100, ...more })
  await client.ping()
  const said = client.frames.splice(0).flatMap((frame) => {
    if (frame.kind === 'delivery') return payloadsIn(frame)
    if (frame.kind === 'lost-range') return [`lost ${frame.from}-${frame.to} ${frame.cause}`]
    return [frame.kind === 'ended' ? frame.reason : frame.kind]
  })
  await client.ask({ kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  return said
}

// A ring of one batch, so that nearly everything comes out of the store, and one of everything.
for (const ringRecords of [2, 10_000]) {
  test(`every start finds its record, with ${ringRecords} records in the ring`, async () => {
    const { client, topic, at } = await filled({ ...KEPT, ringRecords })
    await using _ = client
    const all = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
    const starts: readonly (readonly [Start, readonly string[]])[] = [
      [{ kind: 'earliest' }, all],
      [{ kind: 'latest' }, []],
      [{ kind: 'last' }, ['9']],
      [{ kind: 'last-n', records: 3 }, ['7', '8', '9']],
      [{ kind: 'last-n', records: 0 }, []],
      [{ kind: 'last-n', records: 1_000 }, all],
      [startAt(0), all],
      [startAt(5), ['5', '6', '7', '8', '9']],
      [startAt(10), []],
      [{ kind: 'time', timeMs: 0 }, all],
      [{ kind: 'time', timeMs: at + 2_000 }, ['4', '5', '6', '7', '8', '9']],
      [{ kind: 'time', timeMs: at + 2_001 }, ['6', '7', '8', '9']],
      [{ kind: 'time', timeMs: at + 60_000 }, []],
      [{ kind: 'age', ageMs: 2_000 }, ['6', '7', '8', '9']],
      [{ kind: 'age', ageMs: 0 }, []],
      [{ kind: 'age', ageMs: Number.MAX_SAFE_INTEGER }, all],
    ]
    for (const [start, expected] of starts) {
      assert.deepEqual(await heard(client, topic, { start }), expected, JSON.stringify(start))
    }
  })

  test(`until_offset ends the stream before its record, with ${ringRecords} records in the ring`, async () => {
    const { client, topic } = await filled({ ...KEPT, ringRecords })
    await using _ = client
    assert.deepEqual(await heard(client, topic, { untilOffset: 3 }), ['0', '1', '2', 'until-reached'])
    assert.deepEqual(await heard(client, topic, { untilOffset: 0 }), ['until-reached'])
    assert.deepEqual(await heard(client, topic, { start: startAt(7), untilOffset: 5 }), ['until-reached'])
    assert.deepEqual(await heard(client, topic, { start: startAt(8), untilOffset: 20 }), ['8', '9'])
  })

  test(`an offset that retention dropped gives the loss and then the first kept record, ring ${ringRecords}`, async () => {
    const retention = { ageMs: null, bytes: null, records: 3 }
    const { client, topic } = await filled({ ...KEPT, ringRecords, retention })
    await using _ = client
    assert.deepEqual(await heard(client, topic, { start: startAt(2) }), ['lost 2-7 trimmed', '7', '8', '9'])
    assert.deepEqual(await heard(client, topic, { start: startAt(7) }), ['7', '8', '9'])
    assert.deepEqual(await heard(client, topic, {}), ['7', '8', '9'])
    assert.deepEqual(await heard(client, topic, { untilOffset: 4, start: startAt(1) }), [
      'lost 1-4 trimmed',
      'until-reached',
    ])
  })
}

test('an offset beyond the end waits until it exists, and what comes before it is not delivered', async () => {
  const { client, topic } = await filled(KEPT)
  await using _ = client
  await client.subscribe(topic, { start: startAt(13), window: 10 })
  await client.publish(topic, ['10', '11', '12'])
  await client.ping()
  assert.deepEqual(client.frames, [])
  await client.publish(topic, ['13', '14'])
  const delivery = await client.expect('delivery')
  assert.deepEqual([delivery.baseOffset, payloadsIn(delivery)], [13, ['13', '14']])
})

test('an offset in the middle of a live batch gives the rest of the batch', async () => {
  await using client = await WireClient.connect(broker)
  const topic = `topic-${topics++}`
  await client.create(topic, FLEETING)
  await client.subscribe(topic, { start: startAt(2), window: 10 })
  await client.publish(topic, ['0', '1', '2', '3'])
  const delivery = await client.expect('delivery')
  assert.deepEqual([delivery.baseOffset, payloadsIn(delivery)], [2, ['2', '3']])
})

test('the end of a stream that is not there yet is waited for', async () => {
  const { client, topic } = await filled(KEPT, 1)
  await using _ = client
  await client.subscribe(topic, { start: { kind: 'latest' }, untilOffset: 4, window: 10 })
  await client.publish(topic, ['2', '3', '4'])
  const delivery = await client.expect('delivery')
  assert.deepEqual(payloadsIn(delivery), ['2', '3'])
  assert.equal((await client.expect('ended')).reason, 'until-reached')
})

test('a subscription that ended still understands the Commits of what it sent', async () => {
  const { client, topic } = await filled(KEPT)
  await using _ = client
  await client.subscribe(topic, { untilOffset: 2, window: 10 })
  await client.expect('delivery')
  await client.expect('ended')
  await client.commit({ offset: 0 })
  await client.commit({ offset: 1 })
  await client.subscribe(topic, { untilOffset: 1 })
})

test('a topic that keeps nothing has no earlier records, however a reader asks for them', async () => {
  const { client, topic } = await filled(FLEETING)
  await using _ = client
  for (const start of [{ kind: 'earliest' }, { kind: 'last' }, { kind: 'last-n', records: 4 }] as const) {
    assert.deepEqual(await heard(client, topic, { start }), [], JSON.stringify(start))
  }
})

test('latest is the moment of subscribing: what was acknowledged before does not come, what is published after does', async () => {
  await using client = await WireClient.connect(broker)
  await using other = await WireClient.connect(broker)
  for (let round = 0; round < 30; round++) {
    const topic = `topic-${topics++}`
    await other.publish(topic, ['before'])
    await client.subscribe(topic, { start: { kind: 'latest' }, subscription: 1 })
    await other.publish(topic, ['after'])
    assert.deepEqual(payloadsIn(await client.expect('delivery')), ['after'])
    await client.ask({ kind: 'unsubscribe', id: 0, subscription: 1, forget: false })
  }
})
