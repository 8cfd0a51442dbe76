/**
 * SIGTERM under full load, with the durable store. `LEVERET_ROUNDS` makes it longer; `npm run soak` runs it at length.
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { connect, KEEP_FOREVER } from '../../client/index.js'
import { MortalServer, spread } from '../helpers/kill-server.js'
import { RECOVERY, RECOVERY_LOG, shutdownRounds } from '../helpers/kill-shutdown.js'
import { SEED as seed } from '../helpers/seed.js'

const ROUNDS = 4
const STOP_MAX_MS = 10_000

test('SIGTERM under load answers everybody, ends with 0 in time, and leaves nothing to recover', async (context) => {
  context.diagnostic(`seed ${seed}`)
  const { verdict, stopsMs, told } = await shutdownRounds(seed, Number(process.env['LEVERET_ROUNDS'] ?? ROUNDS))
  context.diagnostic(`${JSON.stringify(verdict)}, told of failure ${told}, stops ${spread(stopsMs)}`)
  assert.ok(verdict.acked > 0)
  assert.equal(verdict.duplicates, 0)
  assert.equal(verdict.unacked, 0, 'what was stored was answered')
  for (const tookMs of stopsMs) assert.ok(tookMs < STOP_MAX_MS, `a stop took ${tookMs} ms`)
})

test('a start after kill -9 does recover, and says so', async () => {
  const server = await MortalServer.make([], RECOVERY_LOG)
  try {
    await server.start()
    const client = await connect({ port: server.port })
    await client.createTopic('kept', { retention: KEEP_FOREVER })
    await client.topic('kept').publish(Buffer.from('a'))
    await client.close()
    await server.kill()
    await server.start()
    assert.match(server.stderr, RECOVERY)
  } finally {
    await server.remove()
  }
})
