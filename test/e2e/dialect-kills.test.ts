/**
 * `kill -9` every second or so under publishers, followers, pushers and consumers of both dialects: a few kills of what
 * `npm run soak -- --only dialect-kills` does for ten minutes. `LEVERET_SEED` repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killDialects } from '../helpers/kill-dialects.js'
import { spread } from '../helpers/kill-server.js'
import { SEED as seed } from '../helpers/seed.js'

test('both dialects keep what they answered, however often the server is killed', { timeout: 150_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { restartsMs, ...counts } = await killDialects({ seed, forMs: 10_000, lifeMs: 800 })
  t.diagnostic(`${JSON.stringify(counts)}, restarts ${spread(restartsMs)}`)
  assert.ok(counts.kills >= 3 && counts.published > 0 && counts.followed > 0 && counts.acked > 0)
})
