/**
 * Workers share real records, and they and the server are killed while they do.
 * `npm run soak -- --only work-queue` does it with a hundred times the records.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workThrough } from '../helpers/kill-work-queue.js'
import { SEED as seed } from '../helpers/seed.js'

test('every record is processed while workers and the server are killed, and the dead letters are those made to fail', async (context) => {
  context.diagnostic(`seed ${seed}`)
  const result = await workThrough({ seed, times: 2, workers: 4, killsMin: 12 })
  context.diagnostic(JSON.stringify(result))
  assert.ok(result.workerKills + result.serverKills >= 12)
})
