/**
 * Many publishers and subscribers of one MeiliES stream: everybody gets everything once and in order, whoever joins late, and
 * whoever stops reading for a while. Sizes are the caller's.
 */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/common/clock.js'
import { type DialectServer, MemoryPeak } from './dialect-server.js'
import { pause } from './kill-server.js'
import { p99 } from './resp-crowds.js'
import { RespPeer } from './resp-peer.js'
import { requestOf } from './resp-values.js'

export interface CrowdOptions {
  readonly stream: string
  readonly publishers: number
  readonly eventsEach: number
  readonly subscribers: number
  /** Of the subscribers, so many do not read before everything is published and this time is over. */
  readonly paused: number
  readonly pausedMs: number
}

export interface CrowdResult {
  /** Of a wave of publishes, from sending it to its last answer. */
  readonly waveP99Ms: number
  readonly eventsPerSecond: number
  /** Until those who paused read on. */
  readonly grownBytes: number
}

/** Publishes that one publisher sends at once. */
const WAVE = 100

export async function meetInCrowd(server: DialectServer, options: CrowdOptions): Promise<CrowdResult> {
  const { stream, publishers, eventsEach, subscribers, paused, pausedMs } = options
  const expected = expectedBytes(stream, publishers * eventsEach)
  using peak = new MemoryPeak(server.pid)
  const joined: { peer: RespPeer; all: Promise<void> }[] = []
  const sleepers: RespPeer[] = []
  const join = async (): Promise<void> => {
    const peer = await RespPeer.connect(server.ports.meilies)
    peer.send('subscribe', `${stream}:0`)
    if (joined.length % Math.ceil(subscribers / Math.max(paused, 1)) === 0 && sleepers.length < paused) {
      peer.socket.pause()
      sleepers.push(peer)
    }
    joined.push({ peer, all: peer.expectSoon(expected) })
  }
  const wave = Buffer.concat(Array.from({ length: WAVE }, () => requestOf('publish', stream, 'e', 'data')))
  const waves: number[] = []
  const publish = async (): Promise<void> => {
    using peer = await RespPeer.connect(server.ports.meilies)
    for (let sent = 0; sent < eventsEach; sent += WAVE) {
      const sentMs = systemClock.monotonic()
      peer.write(wave)
      await peer.expect('+OK\r\n'.repeat(WAVE))
      waves.push(systemClock.monotonic() - sentMs)
      // Joining is spread over the time in which there is something to miss.
      if (joined.length < (subscribers * sent) / eventsEach) await join()
    }
  }
  const startedMs = systemClock.monotonic()
  await Promise.all(Array.from({ length: publishers }, publish))
  const tookMs = systemClock.monotonic() - startedMs
  while (joined.length < subscribers) await join()
  if (tookMs < pausedMs) await pause(pausedMs - tookMs)
  const { grownBytes } = peak
  for (const peer of sleepers) peer.socket.resume()
  for (const { peer, all } of joined) {
    await all
    await peer.expectSilence()
    peer[Symbol.dispose]()
  }
  assert.equal(sleepers.length, paused)
  return { waveP99Ms: p99(waves), eventsPerSecond: (publishers * eventsEach * 1000) / tookMs, grownBytes }
}

/** All that a subscriber is sent who begins at 0. */
function expectedBytes(stream: string, events: number): Buffer {
  const frames = Array.from(
    { length: events },
    (_, number) => `*5\r\n+event\r\n+${stream}\r\n:${number}\r\n+e\r\n$4\r\ndata\r\n`,
  )
  return Buffer.from(`*2\r\n+subscribed\r\n+${stream}\r\n${frames.join('')}`)
}
