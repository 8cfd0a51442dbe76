/** A dead letter is stored once, however often the engine asks for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Broker } from '../../src/broker/broker.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { configWith } from '../../src/config/load.js'
import { MetricsRegistry } from '../../src/metrics/registry.js'
import { toOffset } from '../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../src/model/topic.js'
import { decodeRun } from '../../src/protocol/records.js'
import type { DeadLetter, Share, ShareHow } from '../../src/storage/engine.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import { batchAt } from '../helpers/batches.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

/** Gives a test the way to bury that the broker hands to its engine. */
class ListeningEngine extends LocalEngine {
  bury: ShareHow['bury'] | null = null

  override share(...[topic, group, how, member]: Parameters<LocalEngine['share']>): Promise<Share> {
    this.bury = how.bury
    return super.share(topic, group, how, member)
  }
}

test('a dead letter is stored once, and others at its place of a topic made anew are stored too', async () => {
  const clock = new SteadyTime(new VirtualClock())
  const engine = new ListeningEngine(new MemoryStore(), { clock, producersMax: 1_000 })
  const limits = { ...configWith({}), topicDefaults: DEFAULT_TOPIC_SETTINGS }
  const broker = new Broker(engine, clock, limits, new MetricsRegistry())
  await broker.start()
  await broker.createTopic('jobs', { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, deadLetterTopic: 'failed' })
  const listener = { delivered: () => {}, expired: () => {}, lost: () => {}, ended: () => {} }
  await broker.join(
    'jobs',
    'g',
    { member: '', start: { kind: 'earliest' }, ackWaitMs: 1, backoffMs: [], deliveryBytesMax: 1 },
    listener,
  )
  const bury = async (offset: number, timestampMs: number) => {
    const { body } = batchAt(offset, 1)
    const dead: DeadLetter = { partition: 0, offset: toOffset(offset), reason: 'r', deliveries: 1, timestampMs, body }
    await engine.bury?.(dead)
  }
  // The old ones are asked for again when many newer ones are there.
  const places = [5, 200, 0, 1, 64, 63, 7_000, 5, 200, 0, 1]
  for (const offset of places) await bury(offset, 77)
  await bury(5, 78)
  const cursor = await engine.read('failed', 0, toOffset(0))
  const chunk = await cursor.next(1e6, new AbortController().signal)
  assert.ok(chunk.kind === 'batches')
  const stored = chunk.batches.flatMap(({ body }) =>
    [...decodeRun(body)].map(({ payload }) => `${Buffer.from(payload)}`),
  )
  assert.deepEqual(stored, ['5', '200', '0', '1', '64', '63', '7000', '5'])
  await broker.stop({ deadlineMs: 100 })
})
