/**
 * The catalog is a pair: either copy does, the newest valid one wins, and a catalog that is damaged in both copies, older
 * than the data, or another data directory's is refused before anything is changed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeveretError } from '../../../src/common/errors.js'
import { DamagedLog, kindsOf, SEED, SETTINGS } from '../../helpers/damaged-log.js'

const A = '/data/catalog.a'
const B = '/data/catalog.b'
const SHAPE = { batches: { 'orders/0': 3, 'other/1': 2 } }

async function closedLog(seed = SEED): Promise<DamagedLog> {
  const log = await DamagedLog.of(seed, SHAPE)
  await log.closeCleanly()
  return log
}

function damage(log: DamagedLog, path: string, share: number): void {
  log.fs.flipBit(path, Math.floor(log.fs.contents(path).length * share) * 8)
}

/** Opens, answers as before, and keeps what it replaced. */
async function assertRepaired(log: DamagedLog, asides: number): Promise<void> {
  const store = await log.open()
  for (const answer of (await log.survey(store)).values()) assert.deepEqual(answer.lost, [])
  assert.deepEqual(kindsOf(store.problems()), ['repaired'])
  assert.equal(log.files(/\.damaged-/).length, asides)
  await log.closeCleanly()
  assert.ok(log.fs.contents(A).equals(log.fs.contents(B)))
}

/** What a refusal may touch is the lock, which it takes and gives back. */
async function assertRefused(log: DamagedLog, message: RegExp): Promise<void> {
  const before = new Map(log.fs.files().map((path) => [path, log.fs.contents(path)]))
  const isRefusal = (error: unknown) => {
    assert.ok(error instanceof LeveretError && error.code === 'LVT_DATA_DAMAGED', String(error))
    assert.match(error.message, message)
    assert.match(error.message, /nothing was changed|restore|remove/)
    return true
  }
  for (let attempt = 0; attempt < 2; attempt++) await assert.rejects(log.open(), isRefusal)
  before.delete('/data/lock')
  const after = log.fs.files().filter((path) => path !== '/data/lock')
  assert.deepEqual(after, [...before.keys()])
  for (const [path, content] of before) assert.ok(log.fs.contents(path).equals(content), `${path} was changed`)
}

for (const path of [A, B]) {
  test(`${path} may be damaged anywhere, cut, emptied or missing`, async () => {
    const log = await closedLog()
    const snapshot = log.fs.snapshot()
    for (const share of [0, 0.3, 0.6, 0.99]) {
      await log.restore(snapshot)
      damage(log, path, share)
      await assertRepaired(log, 1)
    }
    await log.restore(snapshot)
    log.fs.put(path, Buffer.alloc(log.fs.contents(path).length))
    await assertRepaired(log, 1)
    await log.restore(snapshot)
    log.fs.remove(path)
    await assertRepaired(log, 0)
    for (const share of [0, 0.01, 0.99]) {
      await log.restore(snapshot)
      log.fs.cut(path, Math.floor(log.fs.contents(path).length * share))
      const store = await log.open()
      for (const answer of (await log.survey(store)).values()) assert.deepEqual(answer.lost, [])
      assert.ok(log.fs.contents(A).equals(log.fs.contents(B)))
    }
  })

  test(`an older ${path} gives way to the newer copy`, async () => {
    const log = await closedLog()
    const stale = log.fs.contents(path)
    const store = await log.open()
    await store.saveTopic('newer', SETTINGS)
    await log.closeCleanly()
    log.fs.put(path, stale)
    assert.ok((await (await log.open()).topics()).has('newer'))
  })
}

test('copies that are damaged in different places add up', async () => {
  const log = await closedLog()
  damage(log, A, 0.2)
  damage(log, B, 0.8)
  await assertRepaired(log, 2)
})

test('copies that are damaged in the same place refuse', async () => {
  const log = await closedLog()
  damage(log, A, 0.3)
  damage(log, B, 0.3)
  await assertRefused(log, /damaged in the same place/)
})

test('missing copies refuse, whatever the lock knows', async () => {
  const log = await closedLog()
  log.fs.remove(A)
  log.fs.remove(B)
  const snapshot = log.fs.snapshot()
  await assertRefused(log, /both copies of the catalog are missing/)
  await log.restore(snapshot)
  log.fs.remove('/data/lock')
  await assertRefused(log, /a topic that the catalog does not know/)
})

test('two older copies refuse, since they would rewind', async () => {
  const log = await closedLog()
  const stale = [log.fs.contents(A), log.fs.contents(B)] as const
  await (await log.open()).saveTopic('newer', SETTINGS)
  await log.closeCleanly()
  log.fs.put(A, stale[0])
  log.fs.put(B, stale[1])
  await assertRefused(log, /generation/)
})

test('a catalog of other data refuses, in one copy and in both', async () => {
  const log = await closedLog()
  const other = await closedLog(SEED + 1)
  const snapshot = log.fs.snapshot()
  log.fs.put(A, other.fs.contents(A))
  await assertRefused(log, /contradict each other/)
  await log.restore(snapshot)
  log.fs.put(A, other.fs.contents(A))
  log.fs.put(B, other.fs.contents(B))
  await assertRefused(log, /other data/)
})

test('a last line that was not finished never counted', async () => {
  const log = await closedLog()
  for (const path of [A, B])
    log.fs.put(path, Buffer.concat([log.fs.contents(path), Buffer.from('0badc0de {"kind":"to')]))
  const store = await log.open()
  assert.deepEqual([...(await store.topics()).keys()].sort(), ['orders', 'other'])
  for (const answer of (await log.survey(store)).values()) assert.deepEqual(answer.lost, [])
})

test('a topic directory that no line explains refuses, and so does a stranger among them', async () => {
  const log = await closedLog()
  const snapshot = log.fs.snapshot()
  log.fs.put('/data/topics/stranger@77/0/00000000000000000000.log', Buffer.from('anything'))
  log.fs.remove(B)
  await assertRefused(log, /a topic that the catalog does not know/)
  await log.restore(snapshot)
  log.fs.put('/data/topics/note.txt', Buffer.from('anything'))
  await assert.rejects(log.open(), /not of leveret's making/)
})
