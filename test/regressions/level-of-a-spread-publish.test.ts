import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PublishSink, plainHow } from '../../src/broker/publish.js'
import { publishSpread } from '../../src/broker/spread.js'
import { Topic } from '../../src/broker/topic.js'
import type { TopicController } from '../../src/broker/topic-controller.js'
import type { RecordRun } from '../../src/model/record.js'
import type { Durability } from '../../src/model/topic.js'
import { DEFAULT_TOPIC_SETTINGS } from '../../src/model/topic.js'
import { encodeRun } from '../../src/protocol/records.js'
import { recordSaying } from '../helpers/batches.js'
import { RecordingSink } from '../helpers/sink.js'

test('a spread publish reached the weakest level of its parts, whichever is settled last', async () => {
  const levels: readonly Durability[] = ['disk', 'memory', 'os', 'disk']
  const topic = new Topic('topic', { ...DEFAULT_TOPIC_SETTINGS, partitions: levels.length }, 0)
  const controllers = levels.map((durability, partition) => ({
    publish(run: RecordRun, _how: unknown, sink: PublishSink, token: number) {
      const receipt = { partition, baseOffset: 0, count: run.count, durability }
      sink.published(token, topic, { ...receipt, duplicates: null, keptOffsets: null, parts: null })
    },
  }))
  topic.controllers = controllers as unknown as readonly TopicController[]
  const records = Array.from({ length: 40 }, (_, index) => recordSaying('', `key ${index}`))
  const buffer = encodeRun(records)
  const sink = new RecordingSink()
  publishSpread(topic, { buffer, start: 0, end: buffer.length, count: 40 }, plainHow(null), sink, 1)
  const receipt = await sink.receipt(1)
  assert.equal(receipt.parts?.length, levels.length)
  assert.equal(receipt.durability, 'memory')
})
