/**
 * Many publishers and subscribers of one stream, in a process of its own: everybody gets everything once and in order, whoever
 * joins late, and whoever stops reading for a while. `npm run soak -- --only resp-crowds` has the full sizes.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DialectServer, MemoryPeak } from '../helpers/dialect-server.js'
import { meetInCrowd } from '../helpers/meilies-crowd.js'

const MIB = 1024 * 1024

async function start(t: TestContext): Promise<DialectServer> {
  const server = await DialectServer.start()
  t.after(() => server.kill())
  return server
}

test('a crowd of subscribers gets all events of a crowd of publishers', { timeout: 120_000 }, async (t) => {
  const server = await start(t)
  const sizes = { publishers: 8, eventsEach: 10_000, subscribers: 20 }
  const awake = await meetInCrowd(server, { ...sizes, stream: 'a', paused: 0, pausedMs: 0 })
  const beside = await meetInCrowd(server, { ...sizes, stream: 'b', paused: 5, pausedMs: 0 })
  t.diagnostic(`all awake ${JSON.stringify(awake)}, beside five who are not ${JSON.stringify(beside)}`)
  assert.ok(beside.grownBytes < 160 * MIB, `${beside.grownBytes} bytes while five do not read`)
  assert.ok(beside.waveP99Ms < awake.waveP99Ms * 3 + 100, `a wave took ${beside.waveP99Ms} ms`)
  assert.equal(await server.stop(), '')
})

test('thousands of idle subscriptions cost their connections, and little more', { timeout: 60_000 }, async (t) => {
  const server = await start(t)
  const peers = await server.crowd('meilies', 50)
  const subscribe = async (first: number, count: number): Promise<void> => {
    for (const peer of peers) {
      for (let number = first; number < first + count; number++) peer.send('subscribe', `s${number % 5}:${number}`)
      await peer.take(count)
    }
  }
  await subscribe(0, 10)
  using peak = new MemoryPeak(server.pid)
  await subscribe(10, 100)
  // A few of those megabytes are what the process has not collected yet.
  assert.ok(peak.grownBytes < 5000 * 1024 + 24 * MIB, `${peak.grownBytes} bytes for 5000 subscriptions`)
  for (const peer of peers) peer[Symbol.dispose]()
  assert.equal(await server.stop(), '')
})
