/**
 * One subscriber that takes next to nothing, beside twenty that take all they are sent: the twenty have everything while the one
 * is still far behind, what it costs is bounded, and it misses nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '../helpers/leveret-process.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { requestOf } from '../helpers/resp-values.js'

const MIB = 1024 * 1024
const FAST = 20
const DATA = Buffer.alloc(16 * 1024, 'x')
const EVENTS = 3072
/** Of the rounds without the slow one; the first of them warms the server up. */
const EVENTS_ALONE = 1024
/** Publishes that are sent before their answers are read. */
const WAVE = 64
const SLOW_EVERY_MS = 1000

const request = requestOf('publish', 's', 'e', DATA)
const wave = Buffer.concat(Array.from({ length: WAVE }, () => request))

/** What a subscriber is sent of the events from `first` on. */
function eventsFrom(first: number, count: number): Buffer {
  const end = Buffer.from('\r\n')
  const heads = Array.from(
    { length: count },
    (_, index) => `*5\r\n+event\r\n+s\r\n:${first + index}\r\n+e\r\n$16384\r\n`,
  )
  return Buffer.concat(heads.flatMap((head) => [Buffer.from(head), DATA, end]))
}

async function follow(port: number): Promise<RespPeer> {
  const peer = await RespPeer.connect(port)
  peer.send('subscribe', 's')
  await peer.expect('*2\r\n+subscribed\r\n+s\r\n')
  return peer
}

/** Publish to all, and wait until each of them has everything; how long that took. */
async function round(publisher: RespPeer, fast: readonly RespPeer[], first: number, count: number): Promise<number> {
  const expected = eventsFrom(first, count)
  const startMs = performance.now()
  const taken = fast.map((peer) => peer.expectSoon(expected))
  for (let sent = 0; sent < count; sent += WAVE) {
    publisher.write(wave)
    await publisher.expect('+OK\r\n'.repeat(WAVE))
  }
  await Promise.all(taken)
  return performance.now() - startMs
}

/** Let one chunk through at a time, and then nothing for a while. */
function slowDown(peer: RespPeer): { readonly taken: number; hurry(): void } {
  let taken = 0
  peer.socket.on('data', (chunk: Buffer) => {
    taken += chunk.length
    if (timer.hasRef()) peer.socket.pause()
  })
  const timer = setInterval(() => peer.socket.resume(), SLOW_EVERY_MS)
  return {
    get taken() {
      return taken
    },
    hurry() {
      clearInterval(timer)
      timer.unref()
      peer.socket.resume()
    },
  }
}

test('a slow reader costs the others nothing, and the server little', { timeout: 120_000 }, async (t) => {
  const server = await startServer(['--meilies', '0', '--outbox-bytes-max', '256KiB'])
  t.after(() => server.process.signal('SIGKILL'))
  const { pid } = server.process.child
  const [, found] = await server.process.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
  const port = Number(found)
  using publisher = await RespPeer.connect(port)
  const fast = await Promise.all(Array.from({ length: FAST }, () => follow(port)))

  await round(publisher, fast, 0, EVENTS_ALONE)
  const aloneMs = await round(publisher, fast, EVENTS_ALONE, EVENTS_ALONE)
  using slow = await follow(port)
  const pace = slowDown(slow)
  const resident = residentBytes(pid)
  const besideMs = await round(publisher, fast, 2 * EVENTS_ALONE, EVENTS)

  const grown = grownBytes(pid, resident)
  const backlog = EVENTS * DATA.length - pace.taken
  const alone = (EVENTS_ALONE / aloneMs) * 1000
  const beside = (EVENTS / besideMs) * 1000
  t.diagnostic(`events/s alone ${alone | 0}, beside it ${beside | 0}; ${backlog} bytes behind, ${grown} bytes grown`)
  assert.ok(backlog > 32 * MIB, `only ${backlog} bytes behind`)
  // Machines have their moods; to be held up by the slow one would be another order of magnitude.
  assert.ok(beside > alone / 2, `${beside} events/s beside a slow reader, ${alone} without`)
  assert.ok(grown < 24 * MIB, `${grown} bytes for a reader that is ${backlog} bytes behind`)

  pace.hurry()
  await slow.expectSoon(eventsFrom(2 * EVENTS_ALONE, EVENTS))
  for (const peer of [...fast, slow]) {
    await peer.expectSilence()
    peer[Symbol.dispose]()
  }
  publisher[Symbol.dispose]()
  await server.stop()
})
