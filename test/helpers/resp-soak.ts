/**
 * The crowds and the fuzz of both dialects at the sizes that were promised, for a soak: what the suites do in seconds.
 */
import assert from 'node:assert/strict'
import { DialectServer, MemoryPeak } from './dialect-server.js'
import { meetInCrowd } from './meilies-crowd.js'
import { frozenSubscriber, leavers, neverReading, slowloris } from './resp-crowds.js'
import { type FuzzResult, fuzzDialect } from './resp-fuzz.js'
import { fuzzParser } from './resp-parsing.js'
import { assertUnharmed, besideSlowReader } from './slow-reader.js'

const MIB = 1024 * 1024
const DIALECTS = ['meilies', 'floki'] as const
const CONNECTS_P99_MS = 100
/** Of the speed without a slow reader. */
const SHARE_BESIDE_SLOW = 0.95
/** Streams for the parser alone, for each conversation with a server. */
const PARSED_EACH = 100
/** A server hears so many conversations, so that listing its streams stays cheap. */
const CONVERSATIONS_EACH = 2_000

/** Each with a server of its own; a line for each, said as soon as it is known. */
export async function soakCrowds(say: (line: string) => void): Promise<void> {
  for (const dialect of DIALECTS) {
    await withServer([], async (server) => {
      const result = await slowloris(server, dialect, { sockets: 5000, everyMs: 10_000, handshakeMs: 10_000 })
      say(`slowloris of ${dialect}: ${shown(result)}`)
      assert.ok(result.visitP99Ms < CONNECTS_P99_MS, `p99 of connecting ${result.visitP99Ms} ms`)
    })
    await withServer([], async (server) => {
      const grown = await neverReading(server, dialect, 100)
      say(`a hundred who ask ${dialect} and never read: ${grown} bytes`)
      assert.ok(grown < 100 * 8 * MIB, `${grown} bytes`)
    })
  }
  await withServer([], async (server) => {
    const result = await besideSlowReader(server, { rounds: 15, events: 3072 })
    say(`slow reader: ${shown(result)}`)
    assertUnharmed(result, SHARE_BESIDE_SLOW)
  })
  await withServer([], async (server) => {
    const result = await frozenSubscriber(server, 60_000)
    say(`frozen subscriber: ${shown(result)}`)
    assert.ok(result.besideP99Ms < result.aloneP99Ms * 2 + 10, 'publishers wait for it')
  })
  await withServer([], async (server) => {
    const sizes = { publishers: 8, eventsEach: 50_000, subscribers: 20 }
    const awake = await meetInCrowd(server, { ...sizes, stream: 'a', paused: 0, pausedMs: 0 })
    const beside = await meetInCrowd(server, { ...sizes, stream: 'b', paused: 10, pausedMs: 10_000 })
    say(`crowd: ${shown(awake)}; ten of twenty pause: ${shown(beside)}`)
    assert.ok(beside.waveP99Ms < awake.waveP99Ms * 2 + 50, 'publishers wait for those who pause')
    say(`leavers: ${await leavers(server, 1000, 10)} bytes`)
  })
}

export async function fuzzAtLength(seed: number, conversations: number, say: (line: string) => void): Promise<void> {
  const streams = PARSED_EACH * conversations
  say(`parser, ${streams} streams: ${shown(fuzzParser(seed, streams))}`)
  for (const dialect of DIALECTS) {
    const all = { conversations: 0, replies: 0, errors: 0, events: 0, longestMs: 0 }
    for (let first = 0; first < conversations; first += CONVERSATIONS_EACH) {
      add(all, await fuzzOnce(dialect, seed + first))
    }
    say(`${dialect}: ${shown(all)}`)
  }
}

async function fuzzOnce(dialect: (typeof DIALECTS)[number], seed: number): Promise<FuzzResult> {
  return await withServer([], async (whole) =>
    withServer([], async (pieces) => {
      using peak = new MemoryPeak(whole.pid)
      const result = await fuzzDialect([whole, pieces], dialect, { seed, runs: CONVERSATIONS_EACH })
      assert.ok(peak.grownBytes < 256 * MIB, `seed ${seed}: ${peak.grownBytes} bytes`)
      return result
    }),
  )
}

function add(all: { -readonly [Key in keyof FuzzResult]: number }, one: FuzzResult): void {
  all.conversations += one.conversations
  all.replies += one.replies
  all.errors += one.errors
  all.events += one.events
  all.longestMs = Math.max(all.longestMs, one.longestMs)
}

async function withServer<T>(flags: readonly string[], use: (server: DialectServer) => Promise<T>): Promise<T> {
  const server = await DialectServer.start(flags)
  try {
    const result = await use(server)
    assert.equal(await server.stop(), '')
    return result
  } finally {
    server.kill()
  }
}

function shown(values: object): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${Math.round(Number(value))}`)
    .join(', ')
}
