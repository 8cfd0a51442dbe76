/**
 * Crowds against a server of both dialects: thousands that never finish a request, readers that stop, subscribers that leave
 * together. Whoever behaves is served as if they were not there. `npm run soak -- --only resp-crowds` has the full sizes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GARBAGE_ROOM_BYTES } from '../../src/cli/heap-room.js'
import { DialectServer } from '../helpers/dialect-server.js'
import { frozenSubscriber, leavers, neverReading, SLACK_BYTES, slowloris } from '../helpers/resp-crowds.js'

const MIB = 1024 * 1024
const WITHIN = { timeout: 90_000 }
/** Other work on the machine is no fault of the server: 100 ms is the promise, and a busy machine gets some more. */
const QUICK_MS = 250
/** What a connection that is stuck may hold: its outbox, what was read ahead for it, and what the system has not taken. */
const CONNECTION_BYTES_MAX = 4 * MIB

async function start(t: { after(end: () => void): void }, ...flags: readonly string[]): Promise<DialectServer> {
  const server = await DialectServer.start(['--outbox-bytes-max', '256KiB', ...flags])
  t.after(() => server.kill())
  return server
}

for (const dialect of ['meilies', 'floki'] as const) {
  test(
    `a thousand sockets that send ${dialect} a byte now and then are freed, and others connect quickly`,
    WITHIN,
    async (t) => {
      const server = await start(t, '--handshake-timeout', '2s')
      const options = { sockets: 1000, everyMs: 500, handshakeMs: 2000 }
      const { visits, visitP99Ms, freedMs, grownBytes } = await slowloris(server, dialect, options)
      t.diagnostic(`${visits} visits, p99 ${visitP99Ms | 0} ms; all freed after ${freedMs | 0} ms, ${grownBytes} bytes`)
      assert.ok(visits > 20 && visitP99Ms < QUICK_MS, `${visits} visits, p99 ${visitP99Ms} ms`)
      assert.ok(grownBytes < SLACK_BYTES, `${grownBytes} bytes`)
      assert.equal(await server.stop(), '')
    },
  )

  test(`peers that ask ${dialect} for much and read nothing take a bounded memory`, WITHIN, async (t) => {
    const server = await start(t)
    const grown = await neverReading(server, dialect, 20)
    assert.ok(
      grown < 20 * CONNECTION_BYTES_MAX + GARBAGE_ROOM_BYTES + SLACK_BYTES,
      `twenty of them took ${grown} bytes`,
    )
    assert.equal(await server.stop(), '')
  })
}

test('a connection that has said something whole may take longer over the next request', WITHIN, async (t) => {
  const server = await start(t, '--handshake-timeout', '1s', '--frame-timeout', '3s')
  using known = await server.connect('meilies')
  using stranger = await server.connect('meilies')
  await known.expectSilence()
  for (const peer of [known, stranger]) peer.write('*1\r\n$12\r\nstream')
  await stranger.expect('-invalid request message; a request was begun and not finished in time\r\n')
  known.write('-names\r\n')
  await known.expect('*1\r\n+stream-names\r\n')
  assert.equal(await server.stop(), '')
})

test('a subscriber that stops reading is kept, holds no publisher up, and misses nothing', WITHIN, async (t) => {
  const server = await start(t)
  const { aloneP99Ms, besideP99Ms, grownBytes, backlogBytes } = await frozenSubscriber(server, 3000)
  t.diagnostic(`publish p99 alone ${aloneP99Ms | 0} ms, beside it ${besideP99Ms | 0} ms; ${backlogBytes} bytes behind`)
  assert.ok(besideP99Ms < aloneP99Ms * 3 + 50, `p99 ${besideP99Ms} ms, alone ${aloneP99Ms} ms`)
  assert.ok(backlogBytes > 4 * MIB, `only ${backlogBytes} bytes behind`)
  assert.ok(grownBytes < SLACK_BYTES, `${grownBytes} bytes`)
  assert.equal(await server.stop(), '')
})

test('a thousand subscribers of ten streams leave together, and nothing of them stays', WITHIN, async (t) => {
  const server = await start(t)
  const grown = await leavers(server, 1000, 10)
  assert.ok(grown < 1000 * 64 * 1024 + SLACK_BYTES, `${grown} bytes`)
  assert.equal(await server.stop(), '')
})
