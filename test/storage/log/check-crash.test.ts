/** No crash is taken for damage, and what a repair leaves opens with everything that was acknowledged. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgumentError } from '../../../src/common/errors.js'
import { toOffset } from '../../../src/model/offset.js'
import type { CheckReport } from '../../../src/storage/check-report.js'
import { checkData } from '../../../src/storage/log/check.js'
import { Crash } from '../../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { appendKeyed, assertCompacted, KEEPS_LATEST, type Known, readKeyed } from '../../helpers/keyed-log.js'
import { LogPlace } from '../../helpers/log-place.js'
import { SEED as seed } from '../../helpers/seed.js'
import { forgetHolder } from './simulation.js'

const SEGMENT_BYTES = 400
const TIME = 1_700_000_000_000
/** Crashes, spread over all calls of the work. */
const ROUNDS = 150

function check(fs: FaultyFileSystem, isRepair: boolean): Promise<CheckReport> {
  const { signal } = new AbortController()
  const request = { data: '/data', isRepair, onFinding: () => undefined, onProgress: () => undefined, signal }
  return checkData(request, { fs: fs.process(), keyring: null })
}

/** Everything that writes: topics, records, log compaction, dropped segments, a clean close and another start. */
async function work(fs: FaultyFileSystem, acked: Known[]): Promise<void> {
  for (let life = 0; life < 2; life++) {
    const store = await LogPlace.over(fs.process(), { segmentBytes: SEGMENT_BYTES }).open()
    await store.saveTopic('topic', KEEPS_LATEST)
    await store.saveTopic('other', KEEPS_LATEST)
    const log = await store.partition('topic', 0)
    const other = await store.partition('other', 0)
    for (let index = 0; index < 12; index++) {
      acked.push(...(await appendKeyed(log, [[`key ${index % 5}`, `${life} ${index}`]], TIME)))
      await appendKeyed(other, [[null, 'x'.repeat(index * 10)]], TIME)
    }
    await store.compact()
    await other.trimTo(toOffset(other.end - 3))
    await store.close()
  }
}

async function crashed(seed: number, at: number): Promise<{ fs: FaultyFileSystem; acked: Known[]; calls: number }> {
  const fs = new FaultyFileSystem({ seed })
  const acked: Known[] = []
  fs.beforeOp(({ index }) => {
    if (index >= at) throw new Crash()
  })
  await work(fs, acked).catch(() => undefined)
  fs.beforeOp(null)
  return { fs, acked, calls: fs.opCount }
}

for (const end of ['powerLoss', 'kill'] as const) {
  test(`no crash is taken for damage: ${end}`, async () => {
    const { calls } = await crashed(seed, Number.POSITIVE_INFINITY)
    assert.ok(calls > 300, `only ${calls} calls`)
    let repaired = 0
    for (let round = 0; round < ROUNDS; round++) {
      const at = Math.floor((round * calls) / ROUNDS) + (seed % Math.ceil(calls / ROUNDS))
      const about = `seed ${seed}, round ${round}, call ${at} of ${calls}`
      const { fs, acked } = await crashed(seed + round, at)
      fs[end]()
      forgetHolder(fs)
      try {
        const found = await check(fs, false)
        assert.deepEqual(
          found.findings.filter(({ severity }) => severity === 'damage'),
          [],
          about,
        )
        repaired += (await check(fs, true)).counts.repaired
        assert.ok((await check(fs, false)).isSound, about)
      } catch (error) {
        // Nothing is there yet.
        if (error instanceof InvalidArgumentError) continue
        throw new Error(`${about}: ${error}`, { cause: error })
      }
      if (acked.length === 0) continue
      const store = await LogPlace.over(fs.process(), { segmentBytes: SEGMENT_BYTES }).open()
      const log = await store.partition('topic', 0)
      const records = await readKeyed(log)
      assert.deepEqual(
        store.problems().filter(({ kind }) => kind === 'corrupt'),
        [],
        about,
      )
      assertCompacted(
        records.filter(({ offset }) => offset < acked.length),
        acked,
      )
      await store.close()
    }
    assert.ok(repaired > 0 || end === 'kill', 'nothing was there to repair')
  })
}
