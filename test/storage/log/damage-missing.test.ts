/**
 * Segments that are gone, or stand in the wrong place: the gap is told, the rest is served, and no offset is given again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DamagedLog, type Lost, SEED } from '../../helpers/damaged-log.js'

const SHAPE = { batches: { 'orders/0': 40, 'orders/1': 6, 'other/0': 6 }, config: { segmentBytes: 900 } }

function baseOf(path: string): number {
  return Number(/(\d+)\.log$/.exec(path)?.[1])
}

for (const ending of ['a clean close', 'a kill'] as const) {
  test(`after ${ending}, a deleted segment is a gap`, async (t) => {
    t.diagnostic(`LEVERET_SEED=${SEED}`)
    const log = await DamagedLog.of(SEED, SHAPE)
    if (ending === 'a clean close') await log.closeCleanly()
    await log.leave()
    const segments = log.files(/orders@\d+\/0\/\d+\.log$/)
    const last = log.appended.get('orders/0')?.at(-1)
    const end = (last?.baseOffset ?? 0) + (last?.count ?? 0)
    assert.ok(segments.length >= 4)
    const snapshot = log.fs.snapshot()
    for (const [index, path] of segments.entries()) {
      await log.restore(snapshot)
      log.fs.remove(path)
      const store = await log.open()
      const answer = (await log.survey(store)).get('orders/0')
      assert.ok(answer !== undefined)
      const from = baseOf(path)
      const next = segments[index + 1]
      if (next !== undefined) assert.deepEqual(answer.lost, [{ from, to: baseOf(next) }])
      else {
        assert.equal(answer.lost[0]?.from, from)
        assert.ok(answer.end >= end, 'offsets would be given again')
        if (ending === 'a clean close') assert.deepEqual([answer.lost, answer.end], [[{ from, to: end }], end])
      }
      assert.ok(store.problems().some(({ kind, topic }) => kind === 'corrupt' && topic === 'orders'))
      const before = answer.end
      await log.fill(store, 'orders/0', 2, 5)
      assert.ok((log.appended.get('orders/0')?.at(-2)?.baseOffset ?? 0) >= before)
      await log.survey(store)
      log.appended.get('orders/0')?.splice(-2)
    }
  })
}

test('the only segment of a partition that was killed is missed', async () => {
  const log = await DamagedLog.of(SEED, SHAPE)
  await log.leave()
  const [path = ''] = log.files(/orders@\d+\/1\/\d+\.log$/)
  const newest = log.appended.get('orders/1')?.at(-1)?.baseOffset ?? 0
  log.fs.remove(path)
  const answer = (await log.survey(await log.open())).get('orders/1')
  assert.equal(answer?.lost[0]?.from, 0)
  assert.ok((answer?.end ?? 0) > newest)
})

for (const ending of ['a clean close', 'a kill'] as const) {
  for (const what of ['partition', 'topic'] as const) {
    test(`after ${ending}, all files of a ${what} are missed, and its offsets are not given again`, async () => {
      const log = await DamagedLog.of(SEED, SHAPE)
      if (ending === 'a clean close') await log.closeCleanly()
      await log.leave()
      const directory =
        log.files(/orders@\d+\/1\/\d+\.log$/)[0]?.replace(/\/1\/[^/]*$/, what === 'topic' ? '' : '/1') ?? ''
      log.fs.process().removeTree(directory)
      const newest = log.appended.get('orders/1')?.at(-1)?.baseOffset ?? 0
      const store = await log.open()
      const answers = await log.survey(store)
      const answer = answers.get('orders/1')
      assert.equal(answer?.lost[0]?.from, 0)
      assert.ok((answer?.end ?? 0) > newest)
      assert.equal(answers.get('orders/0')?.lost.length, what === 'topic' ? 1 : 0)
      assert.deepEqual(answers.get('other/0')?.lost, [])
      const told = store.problems().map(({ kind, topic, partition }) => `${kind} ${topic}/${partition}`)
      assert.deepEqual(told.sort(), what === 'topic' ? ['corrupt orders/0', 'corrupt orders/1'] : ['corrupt orders/1'])
    })
  }
}

test('a batch that was written to another place is no batch there', async (t) => {
  t.diagnostic(`LEVERET_SEED=${SEED}`)
  // All batches are of one size, so that one fits exactly where another was.
  const log = new DamagedLog(SEED, { segmentBytes: 900 })
  const store = await log.open()
  for (const name of ['orders/0', 'orders/1', 'other/0']) {
    await log.fill(store, name, 40, 1)
  }
  await log.closeCleanly()
  const elsewhere = await DamagedLog.of(SEED + 1, { batches: { 'orders/0': 4 }, paddingMax: 1 })
  await elsewhere.closeCleanly()
  const snapshot = log.fs.snapshot()
  const [target = '', next = ''] = log.files(/orders@\d+\/0\/\d+\.log$/)
  const batches = (log.appended.get('orders/0') ?? []).map(({ body, ...batch }, index, all) => ({
    ...batch,
    bytes: 48 + body.length,
    at: all.slice(0, index).reduce((sum, { body: before }) => sum + 48 + before.length, 0),
  }))
  const inTarget = batches.filter(({ at, bytes }) => at + bytes <= log.fs.contents(target).length)
  const hole = inTarget.find(({ bytes }, index) => inTarget.slice(index + 1).some((other) => other.bytes === bytes))
  const twin = inTarget.findLast(({ bytes }) => bytes === hole?.bytes)
  assert.ok(hole !== undefined && twin !== undefined && twin !== hole)
  const sources: Record<string, Buffer> = {
    'another position': log.fs.contents(target).subarray(twin.at, twin.at + twin.bytes),
    'another segment': log.fs.contents(next).subarray(0, hole.bytes),
    'the same position in another segment': log.fs.contents(next).subarray(hole.at, hole.at + hole.bytes),
    'another partition': log.fs.contents(log.files(/orders@\d+\/1\/\d+\.log$/)[0] ?? '').subarray(hole.at),
    'another topic': log.fs.contents(log.files(/other@\d+\/0\/\d+\.log$/)[0] ?? '').subarray(hole.at),
    'another data directory': elsewhere.fs.contents(elsewhere.files(/\.log$/)[0] ?? ''),
  }
  for (const [source, bytes] of Object.entries(sources)) {
    await log.restore(snapshot)
    log.fs.overwrite(target, hole.at, bytes.subarray(0, hole.bytes))
    const answers = await log.survey(await log.open())
    for (const [name, { lost }] of answers) {
      const wanted: readonly Lost[] =
        name === 'orders/0' ? [{ from: hole.baseOffset, to: hole.baseOffset + hole.count }] : []
      assert.deepEqual(lost, wanted, `${name}, from ${source}`)
    }
  }
})

test("another partition's checkpoint is not taken for its own", async () => {
  const log = await DamagedLog.of(SEED, SHAPE)
  await log.closeCleanly()
  const [one = '', two = ''] = log.files(/orders@\d+\/\d\/checkpoint$/)
  log.fs.copyFile(one, two)
  const store = await log.open()
  const answers = await log.survey(store)
  for (const { lost, logStart } of answers.values()) assert.deepEqual([lost, logStart], [[], 0])
  assert.deepEqual(new Set(store.problems().map(({ kind }) => kind)), new Set(['repaired']))
})
