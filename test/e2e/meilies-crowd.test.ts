/**
 * Many publishers and subscribers of one stream, in a process of its own: everybody gets everything once and in order, whoever
 * joins late, and whoever stops reading for a while.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '../helpers/leveret-process.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { requestOf } from '../helpers/resp-values.js'

const MIB = 1024 * 1024
const PUBLISHERS = 8
const EVENTS_EACH = 10_000
const SUBSCRIBERS = 20
/** Of those, they do not read before everything is published. */
const PAUSED = 5
/** Publishes that one publisher sends at once. */
const WAVE = 100
const EVENTS = PUBLISHERS * EVENTS_EACH

/** All that a subscriber of `s:0` is sent. */
function expectedBytes(): Buffer {
  const frames = Array.from(
    { length: EVENTS },
    (_, number) => `*5\r\n+event\r\n+s\r\n:${number}\r\n+e\r\n$4\r\ndata\r\n`,
  )
  return Buffer.from(`*2\r\n+subscribed\r\n+s\r\n${frames.join('')}`)
}

test('a crowd of subscribers gets all events of a crowd of publishers', { timeout: 120_000 }, async () => {
  const server = await startServer(['--meilies', '0'])
  const [, found] = await server.process.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
  const port = Number(found)
  const expected = expectedBytes()
  const resident = residentBytes(server.process.child.pid)
  const subscribers: { peer: RespPeer; all: Promise<void> }[] = []
  const paused: RespPeer[] = []
  const join = async (): Promise<void> => {
    const peer = await RespPeer.connect(port)
    const isPaused = subscribers.length % (SUBSCRIBERS / PAUSED) === 0
    peer.send('subscribe', 's:0')
    if (isPaused) {
      peer.socket.pause()
      paused.push(peer)
    }
    subscribers.push({ peer, all: peer.expectSoon(expected) })
  }
  const wave = Buffer.concat(Array.from({ length: WAVE }, () => requestOf('publish', 's', 'e', 'data')))
  const publish = async (): Promise<void> => {
    using peer = await RespPeer.connect(port)
    for (let sent = 0; sent < EVENTS_EACH; sent += WAVE) {
      peer.write(wave)
      await peer.expect('+OK\r\n'.repeat(WAVE))
      // Joining is spread over the time in which there is something to miss.
      if (subscribers.length < (SUBSCRIBERS * sent) / EVENTS_EACH) await join()
    }
  }
  await Promise.all(Array.from({ length: PUBLISHERS }, publish))
  while (subscribers.length < SUBSCRIBERS) await join()
  const grown = grownBytes(server.process.child.pid, resident)
  assert.ok(grown < 160 * MIB, `${grown} bytes while ${PAUSED} do not read`)
  for (const peer of paused) peer.socket.resume()
  for (const { peer, all } of subscribers) {
    await all
    await peer.expectSilence()
    peer[Symbol.dispose]()
  }
  await server.stop()
})

test('thousands of idle subscriptions cost their connections, and little more', { timeout: 60_000 }, async () => {
  const server = await startServer(['--meilies', '0'])
  const { pid } = server.process.child
  const [, found] = await server.process.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
  const peers = await Promise.all(Array.from({ length: 50 }, () => RespPeer.connect(Number(found))))
  const subscribe = async (first: number, count: number): Promise<void> => {
    for (const peer of peers) {
      for (let number = first; number < first + count; number++) peer.send('subscribe', `s${number % 5}:${number}`)
      await peer.take(count)
    }
  }
  await subscribe(0, 10)
  const resident = residentBytes(pid)
  await subscribe(10, 100)
  const grown = grownBytes(pid, resident)
  // A few of those megabytes are what the process has not collected yet.
  assert.ok(grown < 5000 * 1024 + 24 * MIB, `${grown} bytes for 5000 subscriptions`)
  for (const peer of peers) peer[Symbol.dispose]()
  await server.stop()
})
