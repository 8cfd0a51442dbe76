/** What the log store tells of itself: counters that move with what it does, and gauges of all that can grow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricsRegistry } from '../../../src/metrics/registry.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../../src/model/topic.js'
import { batchAt } from '../../helpers/batches.js'
import { LogPlace } from '../../helpers/log-place.js'

test('what is written, synced, read, dropped and held is told', async (t) => {
  const metrics = new MetricsRegistry()
  const place = await LogPlace.temporary({ segmentBytes: 300 }, { metrics })
  t.after(() => place.remove())
  const value = (name: string) => metrics.samples().find((sample) => sample.name === `leveret_storage_${name}`)?.value
  const store = await place.open()
  await store.saveTopic('topic', { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER })
  const log = await store.partition('topic', 0)
  for (let batch = 0; batch < 10; batch++) {
    await log.append(batchAt(log.end, 4), { durability: 'disk', keep: true, producer: null, timestampMs: 1 })
  }
  assert.equal(value('written_bytes_total'), log.bytes)
  assert.equal(value('kept_bytes'), log.bytes)
  assert.ok((value('syncs_total') ?? 0) >= 10)
  assert.equal(value('unwritten_bytes'), 0)
  assert.equal(value('unsynced_partitions'), 0)
  assert.equal(value('partitions'), 1)
  const begun = value('segments_begun_total') ?? 0
  assert.ok(begun > 2 && (value('open_files') ?? 0) > 0)
  assert.equal(value('read_bytes_total'), 0)
  await log.read(log.logStart, 100)
  assert.ok((value('read_bytes_total') ?? 0) > 0)
  await log.trimTo(log.end)
  assert.equal(value('segments_dropped_total'), begun)
  await store.dropTopic('topic')
  assert.equal(value('partitions'), 0)
  assert.equal(value('kept_bytes'), 0)
  await store.close()
  assert.equal(value('open_files'), 0)
})
