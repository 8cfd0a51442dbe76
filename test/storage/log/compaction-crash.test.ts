import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogStore } from '../../../src/storage/log/log-store.js'
import { Crash } from '../../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { appendKeyed, assertCompacted, KEEPS_LATEST, type Known, readKeyed } from '../../helpers/keyed-log.js'
import { LogPlace } from '../../helpers/log-place.js'
import { forgetHolder } from './simulation.js'

const SEGMENT_BYTES = 400
/** What a power loss takes is up to chance: so many tries for each call. */
const SEEDS = 3

/** A store whose sealed segments are due, and what is in it. */
async function prepared(seed: number): Promise<{ fs: FaultyFileSystem; store: LogStore; appended: Known[] }> {
  const fs = new FaultyFileSystem({ seed })
  const store = await LogPlace.over(fs.process(), { segmentBytes: SEGMENT_BYTES }).open()
  await store.saveTopic('topic', KEEPS_LATEST)
  const log = await store.partition('topic', 0)
  const appended: Known[] = []
  for (let index = 0; index < 24; index++) {
    const key = index % 6 === 0 ? `once ${index}` : `key ${index % 2}`
    appended.push(...(await appendKeyed(log, [[key, index === 13 ? '' : `${index}`]], 1_700_000_000_000)))
  }
  return { fs, store, appended }
}

async function assertWhole(fs: FaultyFileSystem, appended: readonly Known[], about: string): Promise<number> {
  forgetHolder(fs)
  const store = await LogPlace.over(fs.process(), { segmentBytes: SEGMENT_BYTES }).open()
  const log = await store.partition('topic', 0)
  try {
    assert.equal(log.end, appended.length)
    const found = await readKeyed(log)
    assertCompacted(found, appended)
    assert.deepEqual(
      store.problems().filter(({ kind }) => kind === 'corrupt'),
      [],
    )
    await store.compact()
    assertCompacted(await readKeyed(log), appended)
    const strange = fs.files().filter((path) => /compact/.test(path))
    assert.deepEqual(strange, [])
    return found.length
  } catch (error) {
    throw new Error(`${about}: ${error}`, { cause: error })
  } finally {
    await store.close()
  }
}

for (const end of ['powerLoss', 'kill'] as const) {
  test(`a crash at any call of a compaction leaves the old segments or the new: ${end}`, async () => {
    const sizes = new Set<number>()
    let calls = 1
    for (let round = 0; round < calls * SEEDS; round++) {
      const crashAt = Math.floor(round / SEEDS)
      const { fs, store, appended } = await prepared(round)
      const start = fs.opCount
      if (round === 0) {
        await store.compact()
        calls = fs.opCount - start
        assert.ok(calls > 50, `only ${calls} calls`)
      } else {
        fs.beforeOp(({ index }) => {
          if (index === start + crashAt) throw new Crash()
        })
        await store.compact()
        fs.beforeOp(null)
      }
      fs[end]()
      sizes.add(await assertWhole(fs, appended, `call ${crashAt} of ${calls}, seed ${round}`))
    }
    assert.ok(sizes.size > 1, 'no crash came in time')
  })
}

test('without room a compaction gives up at any point, and is done when there is room again', async () => {
  let room = 0
  let hasWorked = false
  for (; !hasWorked && room < 4_000; room += 40) {
    const { fs, store, appended } = await prepared(room)
    const log = await store.partition('topic', 0)
    const before = await readKeyed(log)
    fs.capacityBytes = fs.usedBytes + room
    await store.compact()
    const found = await readKeyed(log)
    assertCompacted(found, appended)
    hasWorked = found.length < before.length
    assert.deepEqual(
      fs.files().filter((path) => /compact/.test(path)),
      [],
      `room for ${room} bytes`,
    )
    fs.capacityBytes = Number.POSITIVE_INFINITY
    appended.push(...(await appendKeyed(log, [['key 0', 'last']], 1_700_000_000_000)))
    await store.compact()
    assertCompacted(await readKeyed(log), appended)
    assert.ok((await readKeyed(log)).length < before.length)
    await store.close()
  }
  assert.ok(hasWorked && room > 40)
})

test('a call that fails once does no harm, whichever it is', async () => {
  for (let failAt = 0; failAt < 120; failAt++) {
    const { fs, store, appended } = await prepared(failAt)
    const start = fs.opCount
    fs.beforeOp(({ index }) => {
      if (index === start + failAt) throw Object.assign(new Error('EIO'), { code: 'EIO' })
    })
    await store.compact()
    fs.beforeOp(null)
    const log = await store.partition('topic', 0)
    assertCompacted(await readKeyed(log), appended)
    await store.compact()
    assertCompacted(await readKeyed(log), appended)
    await store.close()
    await assertWhole(fs, appended, `call ${failAt}, seed ${failAt}`)
  }
})
