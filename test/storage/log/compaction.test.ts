import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FIRST_OFFSET, toOffset } from '../../../src/model/offset.js'
import { TOMBSTONE_MS } from '../../../src/storage/log/compact-partition.js'
import { Keyring } from '../../../src/storage/log/keyring.js'
import type { LogStore, LogStoreConfig } from '../../../src/storage/log/log-store.js'
import type { PartitionLog } from '../../../src/storage/store.js'
import { fc } from '../../helpers/fast-check.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { appendKeyed, assertCompacted, KEEPS_LATEST, type Known, latestOf, readKeyed } from '../../helpers/keyed-log.js'
import { LogPlace } from '../../helpers/log-place.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

class Subject implements AsyncDisposable {
  readonly clock: VirtualClock
  /** No disk is as quick, and nothing fails unless it is told to. */
  readonly fs: FaultyFileSystem
  readonly place: LogPlace
  store: LogStore
  log: PartitionLog
  readonly appended: Known[] = []

  private constructor(fs: FaultyFileSystem, place: LogPlace, store: LogStore, log: PartitionLog, clock: VirtualClock) {
    this.fs = fs
    this.place = place
    this.store = store
    this.log = log
    this.clock = clock
  }

  static async open(config: Partial<LogStoreConfig> = {}): Promise<Subject> {
    const clock = new VirtualClock()
    const fs = new FaultyFileSystem()
    const place = LogPlace.over(fs.process(), { segmentBytes: 1_000, ...config }, { clock })
    const store = await place.open()
    await store.saveTopic('topic', KEEPS_LATEST)
    return new Subject(fs, place, store, await store.partition('topic', 0), clock)
  }

  async append(...records: (readonly [string | null, string])[]): Promise<void> {
    this.appended.push(...(await appendKeyed(this.log, records, this.clock.now())))
  }

  /** So many records, whose keys come again every `keys`. */
  async fill(records: number, keys: number): Promise<void> {
    for (let index = 0; index < records; index++) {
      await this.append([`key ${index % keys}`, `value ${this.appended.length}`])
    }
  }

  async reopen(): Promise<void> {
    await this.store.close()
    this.store = await this.place.open()
    this.log = await this.store.partition('topic', 0)
  }

  get files(): readonly string[] {
    return this.fs.files().filter((path) => path.includes('/0/'))
  }

  get segments(): number {
    return this.files.filter((path) => path.endsWith('.log')).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
  }
}

const VARIANTS: Readonly<Record<string, Partial<LogStoreConfig>>> = {
  'in the clear': {},
  encrypted: { keyring: Keyring.parse('cd'.repeat(32)) },
  'with memory for few keys': { compactedKeysMax: 3 },
}

for (const [name, config] of Object.entries(VARIANTS)) {
  test(`keeps only the newest record of each key in what is sealed, ${name}`, async () => {
    await using subject = await Subject.open(config)
    await subject.fill(200, 7)
    const [segments, bytes] = [subject.segments, subject.log.bytes]
    await subject.store.compact()
    const found = await readKeyed(subject.log)
    assertCompacted(found, subject.appended)
    assert.ok(found.length < 40, `${found.length} of 200 records are left`)
    assert.ok(subject.segments < segments / 3, `${subject.segments} of ${segments} segments are left`)
    assert.ok(subject.log.bytes < bytes / 3)
    assert.equal(subject.log.end, 200)
    await subject.reopen()
    assert.deepEqual(await readKeyed(subject.log), found)
    assert.deepEqual(subject.store.problems(), [])
  })
}

test('leaves records without a key, and topics that did not ask for it', async () => {
  await using subject = await Subject.open()
  for (let index = 0; index < 60; index++) await subject.append([null, `a ${index}`], ['key', `b ${index}`])
  await subject.store.saveTopic('topic', { ...KEEPS_LATEST, keepLatestPerKey: false })
  await subject.store.compact()
  assert.equal((await readKeyed(subject.log)).length, 120)
  await subject.store.saveTopic('topic', KEEPS_LATEST)
  await subject.store.compact()
  const found = await readKeyed(subject.log)
  assertCompacted(found, subject.appended)
  assert.equal(found.filter(({ key }) => key === null).length, 60)
  assert.ok(found.length < 75)
})

test('tells long keys apart by all of their bytes', async () => {
  await using subject = await Subject.open()
  const long = 'k'.repeat(300)
  for (let index = 0; index < 30; index++) await subject.append([`${long}a`, `a ${index}`], [`${long}b`, `b ${index}`])
  await subject.store.compact()
  const found = await readKeyed(subject.log)
  assertCompacted(found, subject.appended)
  assert.ok(found.length < 20)
})

test('keeps a tombstone for a day and drops it then, and never what it deleted', async () => {
  await using subject = await Subject.open()
  await subject.fill(40, 2)
  await subject.append(['key 0', ''])
  await subject.fill(40, 1)
  await subject.append(['key 1', ''])
  await subject.fill(60, 1)
  await subject.store.compact()
  const isTombstone = ({ payload }: Known) => payload === ''
  assert.deepEqual(
    (await readKeyed(subject.log)).filter(isTombstone).map(({ key }) => key),
    ['key 1'],
  )
  subject.clock.advance(TOMBSTONE_MS)
  await subject.fill(200, 1)
  await subject.store.compact()
  const found = await readKeyed(subject.log)
  assert.deepEqual(found.filter(isTombstone), [])
  assert.deepEqual(latestOf(found), latestOf(subject.appended))
})

test('begins when half of what is sealed is new, by itself and after a restart', async () => {
  await using subject = await Subject.open()
  await subject.fill(100, 100)
  subject.clock.advance(10_000)
  await subject.store.compact()
  const before = subject.segments
  await subject.fill(30, 1)
  await subject.reopen()
  await subject.store.compact()
  assert.equal((await readKeyed(subject.log)).length, 130, 'compacted though little was new')
  await subject.fill(200, 1)
  assert.ok(subject.segments > before)
  subject.clock.advance(10_000)
  await subject.store.compact()
  const found = await readKeyed(subject.log)
  assertCompacted(found, subject.appended)
  assert.ok(found.length < 120)
})

test('finds records by time as before', async () => {
  await using subject = await Subject.open()
  for (let index = 0; index < 100; index++) {
    await subject.append([index % 10 === 0 ? `stays ${index}` : 'key', `${index}`])
    subject.clock.advance(1_000)
  }
  await subject.store.compact()
  const found = await readKeyed(subject.log)
  for (const { timestampMs } of subject.appended) {
    const wanted = found.find((record) => record.timestampMs >= timestampMs)
    const from = await subject.log.offsetAt(timestampMs)
    const [first] = await readKeyed(subject.log, from)
    assert.equal(first?.offset, wanted?.offset)
  }
})

test('goes on dropping what retention lets go of', async () => {
  await using subject = await Subject.open()
  await subject.fill(200, 50)
  await subject.store.compact()
  await subject.log.retain({ ageMs: null, bytes: null, records: 60 }, subject.clock.now())
  assert.equal(subject.log.logStart, 140)
  const found = await readKeyed(subject.log)
  assert.ok(found.length > 0 && found.every(({ offset }) => offset >= 140))
  await subject.log.retain({ ageMs: null, bytes: 1_500, records: null }, subject.clock.now())
  assert.ok(subject.log.bytes <= 1_500 + 100)
})

test('a damaged segment is left alone with its gap, and the others are compacted', async () => {
  await using subject = await Subject.open()
  await subject.fill(30, 30)
  await subject.fill(170, 3)
  await subject.store.close()
  const [, second] = subject.files.filter((path) => path.endsWith('.log')) as [string, string]
  subject.fs.flipBit(second, 500 * 8)
  subject.store = await subject.place.open()
  subject.log = await subject.store.partition('topic', 0)
  await subject.store.compact()
  assert.ok(subject.segments < 8, `${subject.segments} segments`)
  const lost: number[] = []
  let next = FIRST_OFFSET
  while (next < subject.log.stableEnd) {
    const result = await subject.log.read(next, 1_000)
    if (result.loss !== null) lost.push(result.loss.to - result.loss.from)
    next = result.next
  }
  assert.deepEqual(lost, [1])
})

test('whoever reads while it is compacted finds the newest of every key, and nothing that is lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 40 }), fc.array(fc.nat(3), { maxLength: 60 }), async (keys, pauses) => {
      await using subject = await Subject.open({ compactedKeysMax: 16 })
      await subject.fill(150, keys)
      const upTo = [...subject.appended]
      const reading = (async () => {
        const found: Known[] = []
        let next = toOffset(0)
        for (let round = 0; next < 150; round++) {
          for (let turn = pauses[round] ?? 0; turn > 0; turn--) await new Promise(setImmediate)
          const { batches, loss, next: after } = await subject.log.read(next, 100)
          assert.equal(loss, null)
          const newest = await readBatches(batches, next)
          found.push(...newest)
          next = after
        }
        return found
      })()
      const writing = subject.fill(30, keys)
      await Promise.all([subject.store.compact(), reading, writing])
      const seen = (await reading).filter(({ offset }) => offset < 150)
      assert.deepEqual(latestOf(seen), latestOf(upTo))
      assertCompacted(await readKeyed(subject.log), subject.appended)
      assert.deepEqual(subject.store.problems(), [])
    }),
    { numRuns: 25 },
  )
})

async function readBatches(batches: Awaited<ReturnType<PartitionLog['read']>>['batches'], from: number) {
  const end = batches.at(-1)
  const source: Pick<PartitionLog, 'logStart' | 'stableEnd' | 'read'> = {
    logStart: toOffset(from),
    stableEnd: toOffset(end === undefined ? from : end.baseOffset + end.count),
    read: () => Promise.resolve({ batches, loss: null, next: toOffset((end?.baseOffset ?? 0) + (end?.count ?? 0)) }),
  }
  return await readKeyed(source as PartitionLog, from)
}

test('leaves nothing behind in the directory', async () => {
  await using subject = await Subject.open()
  await subject.fill(200, 5)
  await subject.store.compact()
  const strange = subject.files.filter((path) => !/\/(?:[0-9]{20}\.(?:log|index)|checkpoint)$/.test(path))
  assert.deepEqual(strange, [])
})
