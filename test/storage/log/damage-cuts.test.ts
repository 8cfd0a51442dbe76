/**
 * The last segment is cut: the log opens, ends with its last whole batch, keeps the torn bytes aside, tells what it can
 * know of the loss, and gives no offset again that it knows of. Space set aside behind the batches is no damage.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DamagedLog, kindsOf, ROUNDS, SEED } from '../../helpers/damaged-log.js'
import { below } from '../../helpers/faulty-random.js'

const TAIL_BYTES = 64 * 1024
/** CI cuts at so many offsets, chosen by the seed, and at all those around three batches; more rounds cut at every one. */
const CUTS = 40
const HEADER_BYTES = 48

interface Stood {
  readonly from: number
  readonly start: number
  readonly end: number
}

function standing(log: DamagedLog): Stood[] {
  let end = 0
  return (log.appended.get('orders/0') ?? []).map(({ baseOffset, body }) => {
    const start = end
    end += HEADER_BYTES + body.length
    return { from: baseOffset, start, end }
  })
}

function cutsOf(log: DamagedLog, size: number): number[] {
  const first = Math.max(0, size - TAIL_BYTES)
  if (ROUNDS > 1) return Array.from({ length: size - first }, (_, index) => first + index)
  const cuts = Array.from({ length: CUTS }, () => first + below(log.random, size - first))
  for (const { start } of standing(log).slice(-3)) cuts.push(start - 1, start, start + 1, start + HEADER_BYTES)
  return cuts.filter((cut) => cut >= first && cut < size)
}

for (const ending of ['a clean close', 'a kill'] as const) {
  test(`after ${ending}, a cut takes what it cut and nothing else`, async (t) => {
    t.diagnostic(`LEVERET_SEED=${SEED}`)
    const log = await DamagedLog.of(SEED, { batches: { 'orders/0': 160, 'orders/1': 2 }, paddingMax: 900 })
    if (ending === 'a clean close') await log.closeCleanly()
    await log.leave()
    const [path = ''] = log.files(/orders@\d+\/0\/\d+\.log$/)
    const whole = log.fs.contents(path)
    assert.ok(whole.length > TAIL_BYTES)
    const stood = standing(log)
    const last = log.appended.get('orders/0')?.at(-1)
    const end = (last?.baseOffset ?? 0) + (last?.count ?? 0)
    const snapshot = log.fs.snapshot()
    for (const cut of cutsOf(log, whole.length)) {
      await log.restore(snapshot)
      log.fs.cut(path, cut)
      const store = await log.open()
      const answer = (await log.survey(store)).get('orders/0')
      const torn = stood.find((batch) => batch.end > cut) as Stood
      const context = `cut at ${cut}`
      assert.deepEqual(
        answer?.offsets,
        Array.from({ length: torn.from }, (_, offset) => offset),
        context,
      )
      if (ending === 'a clean close')
        assert.deepEqual([answer?.lost, answer?.end], [[{ from: torn.from, to: end }], end])
      else if (answer?.end === torn.from) assert.deepEqual(answer.lost, [], context)
      else assert.ok(answer !== undefined && answer.lost[0]?.from === torn.from && answer.end >= end, context)
      const kinds = kindsOf(store.problems())
      assert.equal(kinds.includes('torn'), cut > torn.start, context)
      const kept = Buffer.concat([
        log.fs.contents(path),
        ...log.files(/\.torn-\d+$/).map((file) => log.fs.contents(file)),
      ])
      assert.ok(cut - kept.length < HEADER_BYTES && kept.equals(whole.subarray(0, kept.length)), context)
      await log.fill(store, 'orders/0', 1, 5)
      const next = log.appended.get('orders/0')?.pop()
      assert.ok((next?.baseOffset ?? 0) >= (answer?.end ?? 0), context)
    }
  })
}

test('zeros behind the last batch are space that was set aside', async () => {
  const log = await DamagedLog.of(SEED, { batches: { 'orders/0': 5 } })
  await log.leave()
  const [path = ''] = log.files(/orders@\d+\/0\/\d+\.log$/)
  const whole = log.fs.contents(path)
  const snapshot = log.fs.snapshot()
  for (const zeros of [1, 47, 48, 49, 4096, 1024 * 1024 + 7]) {
    await log.restore(snapshot)
    log.fs.put(path, Buffer.concat([whole, Buffer.alloc(zeros)]))
    const store = await log.open()
    assert.deepEqual((await log.survey(store)).get('orders/0')?.lost, [], `${zeros} zeros`)
    assert.deepEqual(store.problems(), [])
    assert.deepEqual(log.files(/\.torn-/), [])
    await log.fill(store, 'orders/0', 1, 5)
    log.appended.get('orders/0')?.pop()
  }
})
