/**
 * One subscriber of a MeiliES stream that takes next to nothing, beside twenty that take all they are sent: how quick the twenty are
 * with it and without, what it costs, and that it misses nothing. Sizes are the caller's.
 */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/common/clock.js'
import { type DialectServer, MemoryPeak } from './dialect-server.js'
import type { RespPeer } from './resp-peer.js'
import { requestOf } from './resp-values.js'

const FAST = 20
const DATA = Buffer.alloc(16 * 1024, 'x')
/** Publishes that are sent before their answers are read. */
const WAVE = 64
const SLOW_EVERY_MS = 1000

const wave = Buffer.concat(Array.from({ length: WAVE }, () => requestOf('publish', 's', 'e', DATA)))

export interface SlowReaderResult {
  /** Events a second that each of the twenty gets: the best of all rounds without the slow one, and with it. Other work on
   *  the machine only takes from them. */
  readonly alone: number
  readonly beside: number
  readonly backlogBytes: number
  /** While the slow one was there, at the most. */
  readonly grownBytes: number
}

/** Rounds without the slow one and with it, in turn; each has so many events. */
export async function besideSlowReader(
  server: DialectServer,
  { rounds, events }: { readonly rounds: number; readonly events: number },
): Promise<SlowReaderResult> {
  using publisher = await server.connect('meilies')
  const fast = await Promise.all(Array.from({ length: FAST }, () => follow(server)))
  const alone: number[] = []
  const beside: number[] = []
  let [first, backlogBytes, grownBytes] = [0, 0, 0]
  const next = async (): Promise<number> => {
    const tookMs = await round(publisher, fast, first, events)
    first += events
    return (events / tookMs) * 1000
  }
  // Whoever has just begun is not what it will be.
  await next()
  for (let count = 0; count < rounds; count++) {
    alone.push(await next())
    using slow = await follow(server)
    const pace = slowDown(slow)
    {
      using peak = new MemoryPeak(server.pid)
      beside.push(await next())
      grownBytes = Math.max(grownBytes, peak.grownBytes)
    }
    backlogBytes = events * DATA.length - pace.taken
    pace.hurry()
    await slow.expectSoon(eventsFrom(first - events, events))
    await slow.expectSilence()
  }
  for (const peer of fast) {
    await peer.expectSilence()
    peer[Symbol.dispose]()
  }
  return { alone: Math.max(...alone), beside: Math.max(...beside), backlogBytes, grownBytes }
}

/** What a subscriber is sent of the events from `first` on. */
function eventsFrom(first: number, count: number): Buffer {
  const end = Buffer.from('\r\n')
  const heads = Array.from(
    { length: count },
    (_, index) => `*5\r\n+event\r\n+s\r\n:${first + index}\r\n+e\r\n$16384\r\n`,
  )
  return Buffer.concat(heads.flatMap((head) => [Buffer.from(head), DATA, end]))
}

async function follow(server: DialectServer): Promise<RespPeer> {
  const peer = await server.connect('meilies')
  peer.send('subscribe', 's')
  await peer.expect('*2\r\n+subscribed\r\n+s\r\n')
  return peer
}

/** Publish to all, and wait until each of them has everything; how long that took. */
async function round(publisher: RespPeer, fast: readonly RespPeer[], first: number, count: number): Promise<number> {
  const expected = eventsFrom(first, count)
  const startMs = systemClock.monotonic()
  const taken = fast.map((peer) => peer.expectSoon(expected))
  for (let sent = 0; sent < count; sent += WAVE) {
    publisher.write(wave)
    await publisher.expect('+OK\r\n'.repeat(WAVE))
  }
  await Promise.all(taken)
  return systemClock.monotonic() - startMs
}

/** Let one chunk through at a time, and then nothing for a while. */
function slowDown(peer: RespPeer): { readonly taken: number; hurry(): void } {
  let taken = 0
  let isSlow = true
  peer.socket.on('data', (chunk: Buffer) => {
    taken += chunk.length
    if (isSlow) peer.socket.pause()
  })
  const timer = setInterval(() => peer.socket.resume(), SLOW_EVERY_MS)
  return {
    get taken() {
      return taken
    },
    hurry() {
      isSlow = false
      clearInterval(timer)
      peer.socket.resume()
    },
  }
}

export function assertUnharmed({ alone, beside }: SlowReaderResult, share: number): void {
  assert.ok(beside >= alone * share, `${beside} events/s beside a slow reader, ${alone} without`)
}
