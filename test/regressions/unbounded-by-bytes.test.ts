import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compactRun } from '../../src/broker/compact-run.js'
import { CompactionWindow } from '../../src/broker/compaction.js'
import { Slab } from '../../src/broker/slab.js'
import { createBroker } from '../../src/index.js'
import { encodeRun } from '../../src/protocol/records.js'
import { recordSaying } from '../helpers/batches.js'
import { FLEETING, publishFrame, WireClient } from '../helpers/wire-client.js'

test('the window remembers long keys by their digest, and still tells them apart', () => {
  const window = new CompactionWindow(60_000, 100)
  const accepted = ['x'.repeat(64), 'x'.repeat(65), `${'x'.repeat(100_000)}a`, `${'x'.repeat(100_000)}b`]
  const records = [...accepted, ...accepted].map((key) => recordSaying('', key))
  const buffer = encodeRun(records)
  const run = { buffer, start: 0, end: buffer.length, count: records.length }
  const compacted = compactRun(run, window, new Slab(), 0)
  assert.deepEqual(compacted.duplicates, [4, 5, 6, 7])
  for (const { key } of compacted.accepted) assert.ok(key.key.length <= 64, `${key.key.length}`)
})

test('publishes of empty records are bounded too while a slow reader holds them back', async () => {
  await using broker = await createBroker({ publishPendingBytesMax: 16 * 1024 })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...FLEETING, ringRecords: 1, slowConsumer: 'block' })
  await client.subscribe('topic')
  await client.publish('topic', [''])
  const frames = Array.from({ length: 1_000 }, (_, index) => publishFrame('topic', [''], { id: index + 1 }))
  client.send(...frames)
  await client.ping()
  const refused = client.frames.filter((frame) => frame.kind === 'failure' && frame.code === 'LVT_OVERLOADED')
  assert.ok(refused.length > 800, `${refused.length} were refused`)
})

test('a producer whose name would not fit into memory a thousand times is refused', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  const code = await client.fails(publishFrame('topic', ['a'], { producer: 'p'.repeat(256), sequence: 1 }))
  assert.equal(code, 'LVT_INVALID_ARGUMENT')
})
