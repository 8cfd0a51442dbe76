/**
 * A checkpoint is written while appends go on. After a crash it may be some segments behind; the producer sequences of
 * all batches since then must be known, or a publish that is sent again is stored twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../src/model/topic.js'
import { LogStore } from '../../src/storage/log/log-store.js'
import { batchAt } from '../helpers/batches.js'
import { FaultyFileSystem } from '../helpers/faulty-file-system.js'
import { LOG_DEFAULTS, LogPlace, logSeams } from '../helpers/log-place.js'

const SEQUENCES = 20

test('every sequence since the checkpoint is known after a crash, however many segments it took', async () => {
  const fs = new FaultyFileSystem({ seed: 1 })
  const store = await LogPlace.over(fs.process(), { segmentBytes: 256 }).open()
  await store.saveTopic('t', { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER })
  const log = await store.partition('t', 0)
  const append = (sequence: number) => {
    const how = { timestampMs: 1, durability: 'disk', keep: true, producer: { name: 'p', sequence } } as const
    return log.append(batchAt(log.end, 1), how)
  }
  await append(0)
  const isCheckpoint = (path: string) => path.endsWith('/checkpoint')
  while (!fs.files().some(isCheckpoint)) await new Promise(setImmediate)
  const path = fs.files().find(isCheckpoint) as string
  const early = fs.contents(path)
  for (let sequence = 1; sequence < SEQUENCES; sequence++) await append(sequence)
  assert.ok(fs.files().filter((name) => name.endsWith('.log')).length > 3, 'the batches took several segments')

  fs.kill()
  fs.put(path, early)
  // In another directory, since the dead store is of this very process and holds its own.
  for (const file of fs.files()) fs.copyFile(file, file.replace('/data/', '/again/'))
  const seams = logSeams({ fs: fs.process() })
  const again = new LogStore({ ...LOG_DEFAULTS, data: '/again' }, seams)
  await again.open()
  const produced = await (await again.partition('t', 0)).produced()
  assert.deepEqual(
    produced.map(({ sequence }) => sequence),
    Array.from({ length: SEQUENCES }, (_, sequence) => sequence),
  )
  await again.close()
})
