/**
 * A publisher that never hears whether its records were taken, and so sends them again: over other connections, in another
 * order, after a restart of the server. Within what the server remembers of a producer each publish is stored once; what is older is
 * refused, never stored in silence. A compaction window that is over lets a key in again, and the publisher is told a new offset.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { SEQUENCES_KEPT } from '../../src/storage/store.js'
import { below, SeededRandom } from '../helpers/faulty-random.js'
import { SEED as seed } from '../helpers/seed.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { KEPT, payloadsIn, publishFrame, recordsOf, WireClient } from '../helpers/wire-client.js'

const PUBLISHES = 1_500 * Number(process.env['LEVERET_ROUNDS'] ?? 1)
const PRODUCERS = 5
const RESTART_EVERY = 500
const WINDOW_MS = 1_000

async function withData(run: (data: string) => Promise<void>): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'leveret-acks-'))
  try {
    await run(data)
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

function counter(broker: EmbeddedBroker, name: string): number | undefined {
  return broker.metrics().find((metric) => metric.name === name)?.value
}

/** What is sent again, and what was answered first. */
interface Sent {
  readonly producer: string
  readonly sequence: number
  readonly offset: number
}

function again({ producer, sequence }: Pick<Sent, 'producer' | 'sequence'>) {
  return publishFrame('topic', [`${producer} ${sequence}`], { producer, sequence })
}

test('a publish that is repeated is stored once, or refused, over connections and restarts', async (context) => {
  context.diagnostic(`seed ${seed}`)
  const random = new SeededRandom(seed)
  await withData(async (data) => {
    let broker = await createBroker({ data })
    let client = await WireClient.connect(broker)
    await client.create('topic', KEPT)
    const sent: Sent[] = []
    const next = new Map<string, number>()
    let refused = 0
    for (let publish = 0; publish < PUBLISHES; publish++) {
      const producer = `p${below(random, PRODUCERS)}`
      const sequence = next.get(producer) ?? 0
      next.set(producer, sequence + 1)
      const { baseOffset } = await client.askFor('published', again({ producer, sequence }))
      assert.equal(baseOffset, sent.length)
      sent.push({ producer, sequence, offset: baseOffset })
      // Its answer was lost, and that of some before it: they come again, here or on another connection.
      const repeated = sent[
        sent.length - 1 - below(random, Math.min(sent.length, 2 * PRODUCERS * SEQUENCES_KEPT))
      ] as Sent
      if (below(random, 4) === 0) {
        client.socket.destroy()
        client = await WireClient.connect(broker)
      }
      const answer = await client.ask(again(repeated))
      const age = (next.get(repeated.producer) ?? 0) - repeated.sequence
      if (answer.kind === 'published') assert.equal(answer.baseOffset, repeated.offset)
      else {
        assert.ok(answer.kind === 'failure' && answer.code === 'LVT_SEQUENCE_TOO_OLD', JSON.stringify(answer))
        assert.ok(age > SEQUENCES_KEPT, `one of ${age} sequences ago was refused`)
        refused++
      }
      if (publish % RESTART_EVERY === RESTART_EVERY - 1) {
        client.socket.destroy()
        await broker.stop()
        broker = await createBroker({ data })
        client = await WireClient.connect(broker)
      }
    }
    await client.subscribe('topic', { window: 10_000 })
    const stored: string[] = []
    while (stored.length < PUBLISHES) stored.push(...payloadsIn(await client.expect('delivery')))
    assert.deepEqual(
      stored,
      sent.map(({ producer, sequence }) => `${producer} ${sequence}`),
    )
    assert.ok(refused > 0, 'some were too old')
    await client.ping()
    assert.deepEqual(client.frames, [])
    client.socket.destroy()
    await broker.stop()
  })
})

test('a key comes in again when its window is over, as a record of its own, and only then', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock, store: 'memory' })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: WINDOW_MS })
  const publish = () => client.askFor('published', publishFrame('topic', recordsOf(['order'], 'key')))
  assert.equal((await publish()).baseOffset, 0)
  for (let retry = 0; retry < 50; retry++) {
    clock.advance((WINDOW_MS - 1) / 50)
    assert.deepEqual((await publish()).keptOffsets, [0])
  }
  assert.equal(counter(broker, 'leveret_broker_duplicates_total'), 50)
  clock.advance(2)
  const { baseOffset, duplicates } = await publish()
  assert.deepEqual([baseOffset, duplicates], [1, []])
  assert.equal(counter(broker, 'leveret_broker_records_appended_total'), 2)
})
