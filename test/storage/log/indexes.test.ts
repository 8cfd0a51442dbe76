/**
 * Indexes are only a help: deleted, emptied, cut, zeroed or swapped, one or all of them, the answers stay the same and
 * the files are made again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogStore } from '../../../src/storage/log/log-store.js'
import { DamagedLog, SEED } from '../../helpers/damaged-log.js'

const SHAPE = { batches: { 'orders/0': 280 }, paddingMax: 400, config: { segmentBytes: 24 * 1024 } }

/** Records, the offset of each time, and what a byte limit would leave. */
async function answersOf(log: DamagedLog, store: LogStore): Promise<unknown> {
  const partition = await store.partition('orders', 0)
  const times = (log.appended.get('orders/0') ?? []).map(({ timestampMs }) => timestampMs)
  const offsets: number[] = []
  for (const time of times.filter((_, index) => index % 7 === 0)) offsets.push(await partition.offsetAt(time))
  const survey = await log.survey(store)
  await partition.retain({ ageMs: null, bytes: 30_000, records: null }, 0)
  return { survey, offsets, start: partition.logStart }
}

test('whatever happens to indexes, the answers stay the same', async (t) => {
  t.diagnostic(`LEVERET_SEED=${SEED}`)
  for (const isClosed of [true, false]) {
    const log = await DamagedLog.of(SEED, SHAPE)
    if (isClosed) await log.closeCleanly()
    await log.leave()
    const snapshot = log.fs.snapshot()
    const wanted = await answersOf(log, await log.open())
    await log.restore(snapshot)
    const indexes = log.files(/\.index$/)
    assert.ok(indexes.length >= 3)
    const harms: Record<string, (path: string) => void> = {
      deleted: (path) => log.fs.remove(path),
      emptied: (path) => log.fs.cut(path, 0),
      zeroed: (path) => log.fs.put(path, Buffer.alloc(log.fs.contents(path).length)),
      cut: (path) => log.fs.cut(path, log.fs.contents(path).length - 5),
      'without its end': (path) => log.fs.cut(path, Math.max(0, log.fs.contents(path).length - 24)),
      swapped: (path) => log.fs.put(path, log.fs.contents(indexes[path === indexes[0] ? 1 : 0] ?? path)),
    }
    for (const [harm, harmed] of Object.entries(harms)) {
      for (const paths of [[indexes[1] ?? ''], [indexes.at(-1) ?? ''], indexes]) {
        await log.restore(snapshot)
        for (const path of paths) harmed(path)
        assert.deepEqual(await answersOf(log, await log.open()), wanted, `${harm}: ${paths.length}`)
      }
    }
  }
})
