/**
 * Real records through a server that is killed while they are published: all there, in order, once.
 * `npm run soak -- --only real-input` publishes them a thousand times over.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileChanges } from '../helpers/file-changes.js'
import { publishRealInput } from '../helpers/kill-real-input.js'
import { spread } from '../helpers/kill-server.js'
import { SEED as seed } from '../helpers/seed.js'

const TIMES = 10
const KILLS_MIN = 5

const skip = fileChanges().isReal ? false : 'the file of real records is not beside the checkout: NOT TESTED'

test('file changes, ten times over, survive a server that is killed while they come', { skip }, async (context) => {
  context.diagnostic(`seed ${seed}`)
  const { restartsMs, ...result } = await publishRealInput({ seed, times: TIMES, killsMin: KILLS_MIN })
  context.diagnostic(`${JSON.stringify(result)}, restarts ${spread(restartsMs)}`)
  assert.ok(result.kills >= KILLS_MIN)
})
