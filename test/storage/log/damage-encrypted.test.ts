/**
 * Encrypted data: without its key it is refused and left as it is; keys are added and the old ones still open; a flipped
 * bit is a loss and never garbage.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeveretError } from '../../../src/common/errors.js'
import { Keyring } from '../../../src/storage/log/keyring.js'
import { DamagedLog, ROUNDS, SEED } from '../../helpers/damaged-log.js'
import { below } from '../../helpers/faulty-random.js'

const ONE = 'ab'.repeat(32)
const TWO = `chacha20-poly1305:${'cd'.repeat(32)}`
const SHAPE = { batches: { 'orders/0': 4 } }
const FLIPS = ROUNDS > 1 ? Number.POSITIVE_INFINITY : 40

const sealed = (keys: string) => ({ keyring: Keyring.parse(keys) })

test('a wrong or missing key refuses and changes no segment, after a close and after a kill', async () => {
  for (const isClosed of [true, false]) {
    const log = await DamagedLog.of(SEED, { ...SHAPE, config: sealed(ONE) })
    if (isClosed) await log.closeCleanly()
    await log.leave()
    const before = new Map(log.fs.files().map((path) => [path, log.fs.contents(path)]))
    for (const keyring of [null, Keyring.parse(TWO)]) {
      await assert.rejects(
        log.open({ keyring }),
        (error) => error instanceof LeveretError && error.code === 'LVT_KEY_MISSING',
      )
    }
    before.delete('/data/lock')
    for (const [path, content] of before) assert.ok(log.fs.contents(path).equals(content), path)
    assert.deepEqual((await log.survey(await log.open())).get('orders/0')?.lost, [])
  }
})

test('plain data goes on under a key, and a new key beside the old one', async () => {
  const log = await DamagedLog.of(SEED, SHAPE)
  for (const keys of [ONE, `${TWO},${ONE}`, `${ONE},${TWO}`]) {
    await log.closeCleanly()
    await log.fill(await log.open(sealed(keys)), 'orders/0', 3, 30)
  }
  await log.closeCleanly()
  const answer = (await log.survey(await log.open(sealed(`${TWO},${ONE}`)))).get('orders/0')
  assert.deepEqual(answer?.lost, [])
  await assert.rejects(
    log.open(sealed(TWO)),
    (error) => error instanceof LeveretError && error.code === 'LVT_KEY_MISSING',
  )
})

test('a flipped bit of a sealed batch is the loss of that batch', async (t) => {
  t.diagnostic(`LEVERET_SEED=${SEED}`)
  const log = await DamagedLog.of(SEED, { ...SHAPE, config: sealed(`${TWO},${ONE}`) })
  await log.closeCleanly()
  const [path = ''] = log.files(/\.log$/)
  const bits = log.fs.contents(path).length * 8
  const snapshot = log.fs.snapshot()
  for (let flip = 0; flip < Math.min(FLIPS, bits); flip++) {
    await log.restore(snapshot)
    log.fs.flipBit(path, FLIPS < bits ? below(log.random, bits) : flip)
    const { lost = [] } = (await log.survey(await log.open())).get('orders/0') ?? {}
    assert.equal(lost.length, 1)
    const [loss] = lost
    const hit = log.appended.get('orders/0')?.find(({ baseOffset }) => baseOffset === loss?.from)
    assert.equal(loss?.to, (hit?.baseOffset ?? 0) + (hit?.count ?? 0))
  }
})
