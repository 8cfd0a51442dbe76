/** Limits hold for topics that nobody uses: data is not kept beyond its time because a server was started again. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SteadyTime } from '../../src/common/steady-time.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../src/model/topic.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { batchAt } from '../helpers/batches.js'
import { EngineDisk, howOf } from '../helpers/engine-disk.js'
import { LogPlace } from '../helpers/log-place.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const AGE_MS = 60_000
const AGING: TopicSettings = {
  ...DEFAULT_TOPIC_SETTINGS,
  partitions: 3,
  retention: { ...KEEP_FOREVER, ageMs: AGE_MS },
}

/** An engine over files that were left by another, and the bytes that it keeps of them. */
async function restarted(t: TestContext, settings: TopicSettings) {
  const clock = new VirtualClock(1_000)
  const place = await LogPlace.temporary({ segmentBytes: 300 }, { clock })
  const make = () => new LocalEngine(place.store(), { clock: new SteadyTime(clock), producersMax: 4 })
  const first = make()
  await first.open()
  await first.ensureTopic('topic', settings)
  const how = { durability: null, expectedOffset: null, producer: '', sequence: null }
  for (const partition of [0, 2]) {
    for (let base = 0; base < 20; base += 4) await first.publish('topic', partition, batchAt(base, 4), how)
  }
  await first.close()
  clock.advance(2 * AGE_MS)
  const engine = make()
  await engine.open()
  t.after(async () => {
    await engine.close()
    place.remove()
  })
  const keptBytes = () => {
    const names = readdirSync(place.data, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.log'))
    return names.reduce((sum, name) => sum + statSync(join(place.data, name)).size, 0)
  }
  return { engine, keptBytes }
}

test('records pass with time in partitions that nobody has used since the start', async (t) => {
  const { engine, keptBytes } = await restarted(t, AGING)
  assert.ok(keptBytes() > 0)
  await engine.tidy()
  assert.equal(keptBytes(), 0)
  assert.equal((await engine.partition('topic', 0)).logStart, 20)
})

test('limits that are changed are applied to partitions that nobody has used since the start', async (t) => {
  const { engine, keptBytes } = await restarted(t, { ...AGING, retention: KEEP_FOREVER })
  await engine.tidy()
  const before = keptBytes()
  await engine.changeTopic('topic', { ...AGING, retention: { ...KEEP_FOREVER, records: 4 } })
  assert.ok(keptBytes() <= before / 2)
  assert.equal((await engine.partition('topic', 2)).logStart, 16)
})

for (const { op, code } of [
  { op: 'open', code: 'EMFILE' },
  { op: 'list', code: 'EIO' },
] as const) {
  test(`a topic that could not be looked at (${op}: ${code}) is looked at the next time`, async () => {
    const disk = new EngineDisk({ segmentBytes: 300 })
    const first = await disk.open()
    await first.ensureTopic('topic', AGING)
    for (const partition of [0, 2]) {
      for (let base = 0; base < 20; base += 4) await first.publish('topic', partition, batchAt(base, 4), howOf())
    }
    await first.close()
    disk.clock.advance(2 * AGE_MS)

    const engine = await disk.open()
    const segments = () => disk.fs.files().filter((path) => path.endsWith('.log')).length
    const before = segments()
    disk.fs.plan({ op, code, path: /topics\/topic/ })
    await engine.tidy()
    assert.ok(segments() > before / 4, 'one of the partitions, or both, could not be looked at')
    await engine.tidy()
    assert.equal(segments(), 2)
    assert.equal((await engine.partition('topic', 0)).logStart, 20)
    await engine.close()
  })
}
