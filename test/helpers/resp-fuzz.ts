/**
 * Conversations in the words of the two dialects, drawn from a seed: good, odd and damaged. Two servers hear the same, one in whole
 * pieces and one in cuts, and must answer the same; both must stay as quick and as small as they were.
 */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/common/clock.js'
import type { DialectName, DialectServer } from './dialect-server.js'
import { fc } from './fast-check.js'
import { pause } from './kill-server.js'
import { cut } from './resp-parsing.js'
import type { RespPeer } from './resp-peer.js'
import { type RespValue, requestOf } from './resp-values.js'

/** A conversation is over in no time; so long is for machines that do much else. */
const HANG_MS = 10_000

/** More than one chunk of a socket brings. */
const MUCH = Buffer.alloc(100_000, '\r\n')

type Word = string | Uint8Array
/** Words of one request; `@` in them becomes a number that no other conversation has, and `#` much data. */
type Words = readonly Word[]

const odd: fc.Arbitrary<Word> = fc.oneof(
  fc.uint8Array({ maxLength: 50 }),
  fc.constantFrom('', '0', '-1', '+1', '18446744073709551615', '9223372036854775808', 's\r\n', '*', '$all:1:0', 'é'),
)
const data = fc.oneof({ weight: 4, arbitrary: fc.uint8Array({ maxLength: 60 }) }, fc.constant('#'))
const tuple = (...parts: readonly (string | readonly string[] | fc.Arbitrary<Word>)[]): fc.Arbitrary<Words> =>
  fc.tuple(
    ...parts.map((part) => {
      if (typeof part === 'string') return fc.constant(part)
      return part instanceof fc.Arbitrary ? part : fc.constantFrom(...(part as readonly string[]))
    }),
  )

const HANDSHAKE: readonly fc.Arbitrary<Words>[] = [
  tuple('HELLO', ['2', '3', '4']),
  tuple('CLIENT', ['SETINFO', 'SETNAME', 'GETNAME', 'LIST'], odd),
  tuple('COMMAND', ['COUNT', 'DOCS', 'INFO']),
  tuple(['PING', 'ECHO', 'SELECT', 'RESET', 'AUTH', 'nonsense'], odd),
]

const streams = ['s@', 't@']
const specs = ['s@', 's@:0', 't@:1', 's@:5', 's@:', ':0', 's@:2:1']
const REQUESTS: Readonly<Record<DialectName, readonly fc.Arbitrary<Words>[]>> = {
  meilies: [
    tuple(['publish', 'PUBLISH'], streams, ['e', 'f g'], data),
    tuple('publish', streams, ['e', 'f g'], data),
    tuple('publish', odd, odd, odd),
    tuple(['subscribe', 'SUBSCRIBE'], specs),
    tuple('subscribe', ['s@:0', 't@:0']),
    tuple('subscribe', specs, fc.oneof(odd, fc.constantFrom(...specs))),
    tuple('unsubscribe', specs),
    tuple('last-event-number', fc.oneof(odd, fc.constantFrom(...streams))),
    tuple('stream-names'),
    tuple('subscription-frames', ['classic', 'push', 'message', 'other']),
  ],
  floki: [
    tuple(['SET', 'SETNX'], ['q@', 'r@'], ['c', 'd']),
    tuple(['SET', 'DEL', 'SREM', 'INFO'], odd, odd),
    tuple('RPUSH', ['q@', 'r@'], data, data),
    tuple(['RPUSH', 'rpush'], ['q@', 'r@'], data),
    tuple('HMGET', ['q@', 'r@'], ['c', 'd', 'x'], ['0', '1', '5', '18446744073709551615']),
    tuple('HMGET', odd, odd, odd, odd),
    tuple('HDEL', 'q@', 'c', odd, ['7', '4503599627370497']),
    tuple('HMSET', 'q@', ['c', 'd'], ['ID', 'TS', 'no'], ['0', '1', '9', 'x']),
    tuple('DEL', 'q@', ['c', 'd', '*']),
    tuple('SREM', 'q@', ['c', '*']),
    tuple('CONFIG', 'SET', ['queues.q@.message_timeout', 'queues.q@.x', 'server.x'], ['5s', '1', 'x']),
    tuple('CONFIG', 'GET', ['queues.q@', 'memory']),
  ],
}

interface Damage {
  readonly place: number
  readonly byte: number
}

interface Talk {
  readonly requests: readonly Words[]
  readonly damage: Damage | null
  readonly cuts: readonly number[]
}

function arbTalk(dialect: DialectName): fc.Arbitrary<Talk> {
  return fc.record({
    requests: fc.array(fc.oneof({ weight: 3, arbitrary: fc.oneof(...REQUESTS[dialect]) }, fc.oneof(...HANDSHAKE)), {
      minLength: 5,
      maxLength: 30,
      size: 'large',
    }),
    damage: fc.option(fc.record({ place: fc.nat(), byte: fc.nat(255) }), { freq: 2 }),
    cuts: fc.array(fc.nat(), { maxLength: 12 }),
  })
}

function bytesOf({ requests, damage }: Talk, number: number): Buffer {
  const name = (word: Word): Word => {
    if (typeof word !== 'string') return word
    return word === '#' ? MUCH : word.replaceAll('@', String(number))
  }
  const bytes = Buffer.concat(requests.map((words) => requestOf(...words.map(name))))
  if (damage !== null) bytes[damage.place % bytes.length] = damage.byte
  return bytes
}

export interface FuzzResult {
  readonly conversations: number
  readonly replies: number
  readonly errors: number
  readonly events: number
  readonly longestMs: number
}

/** Throws with the seed when the two do not answer the same. */
export async function fuzzDialect(
  [whole, pieces]: readonly [DialectServer, DialectServer],
  dialect: DialectName,
  { seed, runs }: { readonly seed: number; readonly runs: number },
): Promise<FuzzResult> {
  const result = { conversations: 0, replies: 0, errors: 0, events: 0, longestMs: 0 }
  using witness = await whole.connect(dialect)
  await fc.assert(
    fc.asyncProperty(arbTalk(dialect), async (talk) => {
      const bytes = bytesOf(talk, result.conversations++)
      const startedMs = systemClock.monotonic()
      const expected = await converse(await whole.connect(dialect), [bytes])
      const got = await converse(await pieces.connect(dialect), cut(bytes, talk.cuts))
      assert.deepEqual(got.replies, expected.replies)
      assert.deepEqual(await witness.ask('ECHO', 'x'), ['$', 'x'])
      const tookMs = systemClock.monotonic() - startedMs
      assert.ok(tookMs < HANG_MS, `it took ${tookMs} ms`)
      result.longestMs = Math.max(result.longestMs, tookMs)
      result.replies += expected.replies.length
      result.events += expected.events
      result.errors += expected.replies.filter((reply) => reply.startsWith('["-"')).length
    }),
    // To shrink would be to say it all again to servers that have heard it.
    { seed, numRuns: runs, endOnFailure: true },
  )
  return result
}

/** Send the chunks, say that nothing more comes, and read until the server ends too. Throws on what is no RESP. */
async function converse(opened: RespPeer, chunks: readonly Buffer[]): Promise<{ replies: string[]; events: number }> {
  using peer = opened
  for (const chunk of chunks) {
    peer.write(chunk)
    // Let each chunk leave by itself, so that the server sees the cut.
    await new Promise((resolve) => setImmediate(resolve))
  }
  // Events come when they are ready, and not to those who leave.
  await pause(2)
  peer.finish()
  const replies: string[] = []
  let events = 0
  for (let value = await peer.next(); value !== null; value = await peer.next()) {
    if (isEvent(value)) events++
    else replies.push(assertKnown(shownOf(value)))
  }
  assert.equal(peer.pendingBytes, 0, 'what the server says are whole values')
  return { replies, events }
}

/** Events come between replies, when they are ready. */
function isEvent(value: RespValue): boolean {
  if (value[0] !== '*' && value[0] !== '>') return false
  const [word] = value[1]
  return (value[1].length === 5 && word?.[1] === 'event') || (value[1].length === 3 && word?.[1] === 'message')
}

/** Tickets, the numbers of connections and the folder of its data are each server's own. */
function shownOf(value: RespValue): string {
  return JSON.stringify(value)
    .replaceAll(/\[":",\d{10,}\]/g, '[":","drawn"]')
    .replace(/(\["\$","id"\],)\[":",\d+\]/, '$1[":","drawn"]')
    .replaceAll(/leveret-data-\w+/g, 'data')
}

/** A defect would be told as what the engine of JavaScript says of it. */
function assertKnown(reply: string): string {
  assert.ok(!/^\["-".*(?:is not a function|undefined|Cannot read|defect)/i.test(reply), reply)
  return reply
}
