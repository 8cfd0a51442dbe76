/**
 * Peers that speak RESP badly, slowly or not at all, against a real server: each is answered or refused soon, for little
 * memory, and nobody else notices.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type DialectName, DialectServer } from '../helpers/dialect-server.js'
import { fc } from '../helpers/fast-check.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { requestOf } from '../helpers/resp-values.js'

const MIB = 1024 * 1024
const WITHIN = { timeout: 60_000 }
const FLAGS = [
  '--handshake-timeout',
  '1s',
  '--frame-timeout',
  '1s',
  '--resp-drain-timeout',
  '2s',
  '--outbox-bytes-max',
  '256KiB',
]

let server: DialectServer
let port: number
/** A connection of somebody else, opened first and asked after every test. */
let witness: RespPeer

before(async () => {
  server = await DialectServer.start(FLAGS)
  port = server.ports.meilies
  witness = await RespPeer.connect(port)
  await othersGoOn()
})

after(async () => {
  try {
    witness[Symbol.dispose]()
    assert.equal(await server.stop(), '')
  } finally {
    server.kill()
  }
})

async function othersGoOn(): Promise<void> {
  assert.deepEqual(await witness.ask('publish', 'witness', 'e', 'd'), ['+', 'OK'])
}

const FRAME_MAX = 16 * MIB
const REQUEST_MAX = 64 * MIB
const elements = 'a request has at most 4096 elements'
const negative = 'a length is negative'
const digits = 'too many digits'

/** Lengths, and what is wrong with a count and with a bulk string of which MeiliES and Floki say it. */
const LENGTHS: readonly (readonly [string, string, string | null])[] = [
  ['4097', elements, null],
  ['2147483647', elements, 'bytes'],
  ['2147483648', elements, 'bytes'],
  ['4294967295', elements, 'bytes'],
  ['4294967296', elements, 'bytes'],
  ['9223372036854775807', elements, 'bytes'],
  ['9223372036854775808', elements, 'bytes'],
  ['18446744073709551616', elements, 'bytes'],
  [`1${'0'.repeat(30)}`, digits, digits],
  ['-2', negative, negative],
  ['-2147483648', negative, negative],
  ['-9223372036854775808', negative, negative],
]

/** The error that a dialect ends a connection with. */
function faultOf(dialect: DialectName, detail: string): string {
  if (dialect === 'floki') {
    if (detail === elements) return 'ICOM Invalid Command'
    return detail.startsWith('a bulk') ? 'Unexpected error Backend(MessageTooBig)' : `ERR Protocol error: ${detail}`
  }
  return `invalid request message; ${detail === negative || detail === digits ? 'invalid integer: ' : ''}${detail}`
}

function refusalsOf(dialect: DialectName): [string, string][] {
  const bytes = `a bulk string has at most ${dialect === 'meilies' ? FRAME_MAX : REQUEST_MAX} bytes`
  return LENGTHS.flatMap(([length, ofCount, ofBulk]): [string, string][] => [
    [`*${length}\r\n`, faultOf(dialect, ofCount)],
    [`*2\r\n*${length}\r\n`, faultOf(dialect, ofCount)],
    ...(ofBulk === null
      ? []
      : ([`*2\r\n$${length}\r\n`, `*4096\r\n+x\r\n$${length}\r\n`, `$${length}\r\n`].map((head) => [
          head,
          faultOf(dialect, ofBulk === 'bytes' ? bytes : ofBulk),
        ]) as [string, string][])),
  ])
}

for (const dialect of ['meilies', 'floki'] as const) {
  test(
    `${dialect} refuses lengths that are too large or negative before it sets memory aside for them`,
    WITHIN,
    async () => {
      const { pid } = server
      const round = async (): Promise<void> => {
        for (const [head, error] of refusalsOf(dialect)) {
          using peer = await server.connect(dialect)
          peer.write(head)
          assert.deepEqual(await peer.next(), ['-', error], head)
          await peer.expectEnd()
        }
      }
      for (let warm = 0; warm < 20; warm++) await round()
      // What the process has not collected yet is no memory for lengths: one of some rounds is without a collection.
      let least = Number.POSITIVE_INFINITY
      for (let count = 0; count < 5; count++) {
        const resident = residentBytes(pid)
        await round()
        least = Math.min(least, grownBytes(pid, resident))
      }
      assert.ok(least < MIB, `${least} bytes`)
      await othersGoOn()
    },
  )

  test(`${dialect} refuses lines without an end, however they begin`, WITHIN, async () => {
    for (const head of ['stream-names ', '*1\r\n+', '*1\r\n-']) {
      using peer = await server.connect(dialect)
      peer.write(`${head}${'x'.repeat(70_000)}`)
      assert.deepEqual(await peer.next(), ['-', faultOf(dialect, 'a line has at most 65536 bytes')])
      await peer.expectEnd()
    }
    await othersGoOn()
  })
}

/** Nothing and nil are lengths: what they make is no request, and the connection goes on. */
const NOTHING: readonly (readonly [string, string, string])[] = [
  ['*0\r\n', 'Missing command name', 'ICOM Invalid Command'],
  ['*-1\r\n', 'Invalid command resp type', 'ICOM Invalid Command'],
  ['*1\r\n$0\r\n\r\n', 'Unknown command name', 'UCOM Unknown Command'],
  ['*1\r\n$-1\r\n', 'Invalid argument resp type', 'ICOM Invalid Type'],
  ['*2\r\n$4\r\nping\r\n*-1\r\n', 'Invalid argument resp type', 'ICOM Invalid Type'],
]

test('answers what has no length at all, and goes on', WITHIN, async () => {
  for (const dialect of ['meilies', 'floki'] as const) {
    using peer = await server.connect(dialect)
    for (const [bytes, ofMeilies, ofFloki] of NOTHING) {
      peer.write(bytes)
      const error = dialect === 'meilies' ? `invalid request message; ${ofMeilies}` : ofFloki
      assert.deepEqual(await peer.next(), ['-', error], bytes)
    }
    await peer.expectSilence()
  }
})

test('an announcement of much costs little until it comes', WITHIN, async () => {
  const { pid } = server
  const peers = await Promise.all(Array.from({ length: 200 }, () => RespPeer.connect(port)))
  for (const peer of peers) await peer.expectSilence()
  const resident = residentBytes(pid)
  for (const peer of peers) peer.write('*4096\r\n$16777216\r\nabc')
  await othersGoOn()
  assert.ok(grownBytes(pid, resident) < 8 * MIB, `${grownBytes(pid, resident)} bytes`)
  for (const peer of peers) {
    assert.deepEqual(await peer.next(), ['-', 'invalid request message; a request was begun and not finished in time'])
    await peer.expectEnd()
  }
})

test('a request that comes a byte at a time is ended in time, and a silent connection is not', WITHIN, async () => {
  using silent = await RespPeer.connect(port)
  using slow = await RespPeer.connect(port)
  const bytes = requestOf('publish', 's', 'e', Buffer.alloc(1000))
  let isOver = false
  const ended = slow.next().then((reply) => {
    isOver = true
    return reply
  })
  for (let at = 0; !isOver && at < bytes.length; at++) {
    slow.write(bytes.subarray(at, at + 1))
    await othersGoOn()
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 50))])
  }
  assert.equal((await ended)?.[0], '-')
  await silent.expectSilence()
})

test(
  'a subscriber that stops reading is let go of in time, where that is asked for, and holds nobody up',
  WITHIN,
  async () => {
    using frozen = await RespPeer.connect(port)
    frozen.send('subscribe', 'frozen:0')
    await frozen.next()
    frozen.socket.pause()
    const { pid } = server
    const payload = Buffer.alloc(64 * 1024, 'x')
    const gone = async (): Promise<boolean> =>
      !(await witness.ask('INFO'))?.[1]?.toString().includes('connected_clients:2')
    const resident = residentBytes(pid)
    for (let count = 0; count < 400; count++)
      assert.deepEqual(await witness.ask('publish', 'frozen', 'e', payload), ['+', 'OK'])
    assert.ok(grownBytes(pid, resident) < 64 * MIB, `${grownBytes(pid, resident)} bytes`)
    while (!(await gone())) await othersGoOn()
    frozen.socket.resume()
    assert.ok((await framesOf(frozen)) < 400)
  },
)

/** Whole frames until the connection ends, however it does. */
async function framesOf(peer: RespPeer): Promise<number> {
  let frames = 0
  while ((await peer.next()) !== null) frames++
  return frames
}

test('whatever comes is answered in whole values, and the server neither falls nor grows', {
  timeout: 120_000,
}, async () => {
  const verbs = [
    'publish',
    'subscribe',
    'SUBSCRIBE',
    'unsubscribe',
    'last-event-number',
    'stream-names',
    'HELLO',
    'RESET',
    'CLIENT',
    'PING',
  ]
  const word = fc.oneof(
    fc.constantFrom(...verbs, 's', 't', 's:0', '$all', '$all:0:3', 's:2:4', '3', '2', 'SETINFO', ''),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  )
  const good = fc
    .tuple(fc.constantFrom(...verbs), fc.array(word, { maxLength: 4 }))
    .map(([verb, words]) => requestOf(verb, ...words))
  const damaged = fc.tuple(good, fc.nat(), fc.nat(255)).map(([bytes, place, byte]) => {
    const copy = Buffer.from(bytes)
    copy[place % copy.length] = byte
    return copy
  })
  const session = fc.array(fc.oneof({ weight: 9, arbitrary: good }, damaged), { minLength: 1, maxLength: 30 })
  const { pid } = server
  const resident = residentBytes(pid)
  await fc.assert(
    fc.asyncProperty(session, fc.nat(200), async (requests, cut) => {
      using peer = await RespPeer.connect(port)
      const bytes = Buffer.concat(requests)
      peer.write(bytes.subarray(0, cut % bytes.length))
      peer.write(bytes.subarray(cut % bytes.length))
      peer.finish()
      // Throws on what is no RESP.
      await framesOf(peer)
      await othersGoOn()
    }),
    { numRuns: 400 },
  )
  assert.ok(grownBytes(pid, resident) < 64 * MIB, `${grownBytes(pid, resident)} bytes`)
})
