/**
 * Peers that speak RESP badly, slowly or not at all, against a real server: each is answered or refused soon, for little
 * memory, and nobody else notices.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { type Server, startServer } from '../helpers/leveret-process.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { requestOf } from '../helpers/resp-values.js'

const MIB = 1024 * 1024
const WITHIN = { timeout: 60_000 }
const FLAGS = ['--meilies', '0', '--frame-timeout', '1s', '--resp-drain-timeout', '2s', '--outbox-bytes-max', '256KiB']

let server: Server
let port: number
/** A connection of somebody else, opened first and asked after every test. */
let witness: RespPeer

before(async () => {
  server = await startServer(FLAGS)
  const [, found] = await server.process.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
  port = Number(found)
  witness = await RespPeer.connect(port)
  await othersGoOn()
})

after(async () => {
  witness[Symbol.dispose]()
  const { stderr } = await server.stop()
  assert.equal(stderr, '')
})

async function othersGoOn(): Promise<void> {
  assert.deepEqual(await witness.ask('publish', 'witness', 'e', 'd'), ['+', 'OK'])
}

const LENGTHS = ['2147483647', '4294967295', '9223372036854775807', '-2', '-2147483648', '8388609']

test('refuses lengths that are too large or negative before it sets memory aside for them', WITHIN, async () => {
  const { pid } = server.process.child
  const heads = LENGTHS.flatMap((length) => [`*${length}\r\n`, `*2\r\n$${length}\r\n`, `*2\r\n*${length}\r\n`])
  const round = async (): Promise<void> => {
    for (const head of heads) {
      using peer = await RespPeer.connect(port)
      peer.write(head)
      const reply = await peer.next()
      assert.equal(reply?.[0], '-', head)
      await peer.expectEnd()
    }
  }
  for (let warm = 0; warm < 20; warm++) await round()
  const resident = residentBytes(pid)
  await round()
  assert.ok(grownBytes(pid, resident) < MIB, `${grownBytes(pid, resident)} bytes`)
  await othersGoOn()
})

test('an announcement of much costs little until it comes', WITHIN, async () => {
  const { pid } = server.process.child
  const peers = await Promise.all(Array.from({ length: 200 }, () => RespPeer.connect(port)))
  for (const peer of peers) await peer.expectSilence()
  const resident = residentBytes(pid)
  for (const peer of peers) peer.write('*4096\r\n$8388608\r\nabc')
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
    const { pid } = server.process.child
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
  const { pid } = server.process.child
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
