/**
 * NATS Streaming through `kill -9`, with real clients in processes of their own: no publish that was answered is lost, no ack that
 * the server had, and what comes again says so. `npm run soak -- --only stan` is the same at length.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { spread } from '../helpers/kill-server.js'
import { stanRounds } from '../helpers/kill-stan.js'
import { SEED as seed } from '../helpers/seed.js'

const KILLS = 6

test('keeps what was acknowledged, either way, however often it is killed', { timeout: 170_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { restartsMs, ...counts } = await stanRounds({ seed, publishers: 2, workers: 2, forMs: 0, killsMin: KILLS })
  t.diagnostic(`${JSON.stringify(counts)}, restarts ${spread(restartsMs)}`)
  assert.ok(counts.acked > 0 && counts.redelivered > 0 && counts.serverKills >= KILLS)
})
