/**
 * Members of a partitioned group come and go all the time. `npm run soak -- --only storm` does it for ten minutes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { weatherStorm } from '../helpers/rebalance-storm.js'
import { SEED as seed } from '../helpers/seed.js'

test('while members come and go no partition has two that ack it, no record is skipped, and all are processed', async (context) => {
  context.diagnostic(`seed ${seed}`)
  const result = await weatherStorm({ seed, forMs: 8_000, everyMs: 50 })
  context.diagnostic(JSON.stringify(result))
  assert.ok(result.joins > 5 && result.cuts > 5 && result.goodbyes > 5, JSON.stringify(result))
})
