/**
 * Peers that speak the NATS protocol badly, slowly or not at all, against a real server: each is refused soon, for little
 * memory, and nobody else notices.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fc } from '../helpers/fast-check.js'
import { type Server, startServer } from '../helpers/leveret-process.js'
import { MODERN, NatsPeer, QUIET } from '../helpers/nats-peer.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'

const KIB = 1024
const MIB = 1024 * KIB
const WITHIN = { timeout: 60_000 }
const FLAGS = [
  '--nats-streaming',
  '0',
  '--handshake-timeout',
  '1s',
  '--frame-timeout',
  '2s',
  '--nats-write-deadline',
  '2s',
]

let server: Server
let port: number
/** Somebody else, connected first and asked after every test. */
let witness: NatsPeer

before(async () => {
  server = await startServer(FLAGS)
  const [, found] = await server.process.printed(/^listening nats-streaming 127\.0\.0\.1:(\d+)$/m)
  port = Number(found)
  witness = await NatsPeer.connect(port, `${QUIET}SUB witness 1\r\n`)
  await othersGoOn()
})

after(async () => {
  witness[Symbol.dispose]()
  const { stderr } = await server.stop()
  assert.equal(stderr, '')
})

async function othersGoOn(): Promise<void> {
  await witness.ask('PUB witness 2\r\nhi\r\n', 'MSG witness 1 2\r\nhi\r\n')
}

const LENGTHS = ['1048577', '999999999', '2147483647', '4294967295', '9223372036854775807', '-1', '-2147483648']

test('refuses lengths that are too large or negative before it sets memory aside for them', WITHIN, async () => {
  const { pid } = server.process.child
  const heads = LENGTHS.flatMap((length) => [
    `PUB a ${length}\r\n`,
    `HPUB a ${length} ${length}\r\n`,
    `HPUB a 1 ${length}\r\n`,
  ])
  const round = async (): Promise<void> => {
    for (const head of heads) {
      using peer = await NatsPeer.connect(port, MODERN)
      peer.write(head)
      assert.match(await peer.rest(), /^(-ERR 'Maximum Payload Violation'\r\n)?$/, head)
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
  const peers = await Promise.all(Array.from({ length: 200 }, () => NatsPeer.connect(port, QUIET)))
  for (const peer of peers) await peer.ask('', '')
  const resident = residentBytes(pid)
  for (const peer of peers) peer.write('PUB a 1048576\r\nabc')
  await othersGoOn()
  assert.ok(grownBytes(pid, resident) < 8 * MIB, `${grownBytes(pid, resident)} bytes`)
  for (const peer of peers) assert.equal(await peer.rest(), "-ERR 'Stale Connection'\r\n")
})

test(
  'a crowd that comes a byte at a time is let go of in time, and others connect at once meanwhile',
  WITHIN,
  async () => {
    const crowd = await Promise.all(Array.from({ length: 500 }, () => NatsPeer.connect(port)))
    const waitsMs: number[] = []
    let isOver = false
    const ended = Promise.all(crowd.map((peer) => peer.rest())).then((texts) => {
      isOver = true
      return texts
    })
    const bytes = 'CONNECT {"verbose":false}\r\n'
    for (let at = 0; !isOver; at = (at + 1) % bytes.length) {
      for (const peer of crowd) if (!peer.isOver && at < 20) peer.write(bytes.charAt(at))
      const startMs = performance.now()
      using good = await NatsPeer.connect(port, QUIET)
      await good.ask('', '')
      waitsMs.push(performance.now() - startMs)
      await Promise.race([ended, sleep(100)])
    }
    for (const text of await ended) assert.ok(text === '' || text.startsWith("-ERR 'Authentication Timeout'"), text)
    waitsMs.sort((a, b) => a - b)
    const p99 = waitsMs[Math.floor(waitsMs.length * 0.99)] as number
    assert.ok(p99 < 1_000, `p99 ${p99} ms`)
    await othersGoOn()
  },
)

test('a reader that stops reading is let go of in time, and holds nobody up', WITHIN, async () => {
  using frozen = await NatsPeer.connect(port, QUIET)
  await frozen.ask('SUB frozen 1\r\n', '')
  frozen.socket.pause()
  using publisher = await NatsPeer.connect(port, MODERN)
  await publisher.ask('SUB nobody 1\r\n', '')
  const { pid } = server.process.child
  const resident = residentBytes(pid)
  const head = Buffer.from(`PUB frozen nobody ${64 * KIB}\r\n`)
  const message = Buffer.concat([head, Buffer.alloc(64 * KIB, 'x'), Buffer.from('\r\n')])
  let answer = ''
  const startMs = performance.now()
  // 503 says that the server has let go of it.
  for (; answer === ''; answer = await publisher.untilPong()) {
    publisher.write(message)
    await othersGoOn()
  }
  assert.ok(performance.now() - startMs < 20_000)
  assert.match(answer, /^HMSG nobody 1 16 16/)
  assert.ok(grownBytes(pid, resident) < 160 * MIB, `${grownBytes(pid, resident)} bytes`)
})

test('a connection that asks and does not read is let go of', WITHIN, async () => {
  using frozen = await NatsPeer.connect(port, QUIET)
  frozen.socket.pause()
  const pings = 'PING\r\n'.repeat(100_000)
  for (let count = 0; count < 200 && !frozen.socket.destroyed; count++) {
    frozen.write(pings)
    await othersGoOn()
  }
  frozen.socket.resume()
  await frozen.rest()
})

test('whatever comes is answered in whole lines, and the server neither falls nor grows', {
  timeout: 120_000,
}, async () => {
  const word = fc.oneof(
    fc.constantFrom(
      'a',
      'a.b',
      '>',
      '*',
      'a.>',
      'q',
      '1',
      '2',
      '0',
      '00',
      '-1',
      '1048577',
      '',
      '..',
      '{}',
      '{"headers":true}',
    ),
    fc.stringMatching(/^[ -~]{0,12}$/),
  )
  const names = ['PUB', 'HPUB', 'SUB', 'UNSUB', 'CONNECT', 'PING', 'PONG', 'INFO', '+OK', '-ERR', 'MSG']
  const line = fc
    .tuple(fc.constantFrom(...names), fc.array(word, { maxLength: 4 }))
    .map(([name, words]) => Buffer.from(`${[name, ...words].join(' ')}\r\n`, 'latin1'))
  const whole = fc
    .tuple(fc.constantFrom('a', 'a.b', 'c'), fc.uint8Array({ maxLength: 60 }))
    .map(([subject, body]) =>
      Buffer.concat([Buffer.from(`PUB ${subject} r ${body.length}\r\n`), body, Buffer.from('\r\n')]),
    )
  const subscribe = fc
    .tuple(fc.constantFrom('a', 'a.*', '>', 'r q'), fc.nat(9))
    .map(([words, sid]) => Buffer.from(`SUB ${words} ${sid}\r\n`))
  const good = fc.oneof(
    whole,
    subscribe,
    fc.constantFrom(QUIET, MODERN, 'PING\r\n').map((text) => Buffer.from(text)),
  )
  const damaged = fc.tuple(good, fc.nat(), fc.nat(255)).map(([bytes, place, byte]) => {
    const copy = Buffer.from(bytes)
    copy[place % copy.length] = byte
    return copy
  })
  const session = fc.array(fc.oneof({ weight: 12, arbitrary: good }, line, damaged), { minLength: 1, maxLength: 30 })
  const { pid } = server.process.child
  let resident = residentBytes(pid)
  let runs = 0
  await fc.assert(
    fc.asyncProperty(session, async (parts) => {
      // What is compiled and set aside by the first ones is no growth.
      if (++runs === 100) resident = residentBytes(pid)
      using peer = await NatsPeer.connect(port)
      for (const part of parts) peer.write(part)
      peer.socket.end()
      const text = await peer.rest()
      assert.match(text, /^$|\n$/)
      await othersGoOn()
    }),
    { numRuns: 500, endOnFailure: true },
  )
  assert.ok(grownBytes(pid, resident) < 32 * MIB, `${grownBytes(pid, resident)} bytes`)
})
