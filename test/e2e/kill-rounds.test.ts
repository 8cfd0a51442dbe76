/**
 * `kill -9` at random moments, again and again, under eight publishers: nothing acknowledged is lost, nothing is out of
 * order, no offset is given twice, and only retries without a sequence are stored twice.
 * `LEVERET_ROUNDS` and `LEVERET_SEED` make it longer or repeat it; `npm run soak` runs it for as long as wanted.
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { killRounds } from '../helpers/kill-rounds.js'
import { spread } from '../helpers/kill-server.js'
import { SEED as seed } from '../helpers/seed.js'

const ROUNDS_MIN = 15
const BUDGET_MS = 20_000
/** One second is the promise, and is printed; the rest is for a machine that runs other tests at the same time. */
const RESTART_MAX_MS = 10_000
const RESTART_MEDIAN_MAX_MS = 2_500

const roundsMin = Number(process.env['LEVERET_ROUNDS'] ?? ROUNDS_MIN)

test('keeps every acknowledged record, in order and once, however often it is killed', async (context) => {
  context.diagnostic(`seed ${seed}`)
  const result = await killRounds({ seed, roundsMin, budgetMs: BUDGET_MS, checkEvery: 5 })
  const { restartsMs, ...counts } = result
  context.diagnostic(`${JSON.stringify(counts)}, restarts ${spread(restartsMs)}`)
  const sorted = [...restartsMs].sort((a, b) => a - b)
  assert.ok(result.acked > 0 && result.kills >= roundsMin)
  assert.ok((sorted.at(-1) ?? 0) < RESTART_MAX_MS, `a restart took ${sorted.at(-1)} ms`)
  assert.ok((sorted[sorted.length >> 1] ?? 0) < RESTART_MEDIAN_MAX_MS, `restarts took ${spread(restartsMs)}`)
})
