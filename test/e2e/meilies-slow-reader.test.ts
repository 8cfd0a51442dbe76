/**
 * One subscriber that takes next to nothing, beside twenty that take all they are sent: the twenty have everything while the one
 * is still far behind, what it costs is bounded, and it misses nothing. `npm run soak -- --only resp-crowds` measures it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DialectServer } from '../helpers/dialect-server.js'
import { assertUnharmed, besideSlowReader } from '../helpers/slow-reader.js'

const MIB = 1024 * 1024

test('a slow reader costs the others nothing, and the server little', { timeout: 120_000 }, async (t) => {
  const server = await DialectServer.start(['--outbox-bytes-max', '256KiB'])
  t.after(() => server.kill())
  const result = await besideSlowReader(server, { rounds: 1, events: 3072 })
  t.diagnostic(JSON.stringify(result))
  assert.ok(result.backlogBytes > 32 * MIB, `only ${result.backlogBytes} bytes behind`)
  // Machines have their moods; to be held up by the slow one would be another order of magnitude.
  assertUnharmed(result, 0.5)
  assert.ok(result.grownBytes < 48 * MIB, `${result.grownBytes} bytes for a reader that is that far behind`)
  assert.equal(await server.stop(), '')
})
