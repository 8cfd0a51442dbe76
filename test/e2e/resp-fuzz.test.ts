/**
 * Structure-aware fuzz of both dialects against real servers: a bounded share of what `npm run soak -- --only resp-fuzz` does. A
 * failure prints its seed; `LEVERET_SEED` repeats it, `LEVERET_ROUNDS` makes it longer.
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { after, before, test } from 'node:test'
import { DialectServer, MemoryPeak } from '../helpers/dialect-server.js'
import { fuzzDialect } from '../helpers/resp-fuzz.js'
import { SEED as seed } from '../helpers/seed.js'

const MIB = 1024 * 1024
const runs = Number(process.env['LEVERET_ROUNDS'] ?? 400)

let servers: readonly [DialectServer, DialectServer]

before(async () => {
  servers = [await DialectServer.start(), await DialectServer.start()]
})

after(() => {
  for (const server of servers) server.kill()
})

for (const dialect of ['meilies', 'floki'] as const) {
  test(`whatever is said to ${dialect} is answered in whole values, the same however it is cut`, {
    timeout: 150_000,
  }, async (t) => {
    t.diagnostic(`seed ${seed}`)
    using peak = new MemoryPeak(servers[0].pid)
    const result = await fuzzDialect(servers, dialect, { seed, runs })
    t.diagnostic(JSON.stringify({ ...result, grownBytes: peak.grownBytes }))
    assert.ok(result.replies > runs && result.errors > runs / 4, 'the test has lost its sense')
    if (dialect === 'meilies') assert.ok(result.events > runs / 10, 'events came up')
    assert.ok(peak.grownBytes < 160 * MIB, `${peak.grownBytes} bytes`)
  })
}

test('and nobody had anything to complain of', async () => {
  for (const server of servers) assert.equal(await server.stop(), '')
})
