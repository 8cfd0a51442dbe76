/**
 * Peers that do not speak the protocol, or speak it badly, against a real server: each is answered or refused in the
 * words of the protocol, soon, for little memory, and nobody else notices.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { type Server, startServer } from '../helpers/leveret-process.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { framedMessage, RawPeer } from '../helpers/raw-peer.js'
import { RespPeer } from '../helpers/resp-peer.js'
import type { StockMessage } from '../helpers/stock-protobuf.js'
import type { RefusedVector } from '../helpers/vectors.js'

const MIB = 1024 * 1024
const HANDSHAKE_TIMEOUT = '1500ms'
const FRAME_TIMEOUT = '1500ms'
const WITHIN = { timeout: 30_000 }
const REFUSED = JSON.parse(readFileSync('test/vectors/refused.json', 'utf8')) as RefusedVector[]

let server: Server
/** A connection of somebody else, opened first and asked after every test. */
let witness: RawPeer

before(async () => {
  server = await startServer(['--handshake-timeout', HANDSHAKE_TIMEOUT, '--frame-timeout', FRAME_TIMEOUT])
  witness = await RawPeer.connect(server.port)
  await witness.ping()
})

after(async () => {
  witness.destroy()
  const { stderr } = await server.stop()
  assert.equal(stderr, '')
})

/** What each hostile test ends with: the others have not noticed. */
async function othersGoOn(): Promise<void> {
  await witness.ping()
  const receipt = await witness.request({ publish: { topic: 'witness', records: [{ payload: Buffer.from('x') }] } })
  assert.ok('published' in receipt, JSON.stringify(receipt))
}

function codeOf(frame: StockMessage | null | undefined, kind: 'failure' | 'closing'): unknown {
  const body = frame?.[kind] as { code?: string; message?: string } | undefined
  assert.ok(body !== undefined, `expected a ${kind}, got ${JSON.stringify(frame)}`)
  assert.ok((body.message ?? '').length > 0, 'a refusal says why')
  return body.code
}

/** The server says one Closing, and then ends. */
async function closingCode(peer: RawPeer): Promise<unknown> {
  const frames = await peer.rest()
  assert.equal(frames.length, 1, JSON.stringify(frames))
  return codeOf(frames[0], 'closing')
}

for (const { name, hex, code, closes } of REFUSED) {
  test(`after a good frame, ${name} is answered with ${code}`, WITHIN, async () => {
    using peer = await RawPeer.connect(server.port)
    await peer.ping()
    peer.write(Buffer.from(hex, 'hex'))
    if (closes) assert.equal(await closingCode(peer), code)
    else {
      const answer = await peer.next()
      assert.equal(answer?.id, 7)
      assert.equal(codeOf(answer, 'failure'), code)
      await peer.ping()
    }
    await othersGoOn()
  })

  test(`as the first bytes of a connection, ${name} ends it`, WITHIN, async () => {
    using peer = await RawPeer.connect(server.port)
    peer.write(Buffer.from(hex, 'hex'))
    if (code === 'LVT_UNSUPPORTED') assert.equal(codeOf(await peer.next(), 'failure'), code)
    else if (closes) assert.ok([code, 'LVT_NOT_LEVERET'].includes((await closingCode(peer)) as string))
    else assert.ok(['LVT_NOT_LEVERET', 'LVT_PROTOCOL'].includes((await closingCode(peer)) as string))
    await othersGoOn()
  })
}

test('an empty frame fails and the connection goes on', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  await peer.ping()
  for (let count = 0; count < 3; count++) {
    peer.write(Buffer.from([0]))
    assert.ok(['LVT_PROTOCOL', 'LVT_UNSUPPORTED'].includes(codeOf(await peer.next(), 'failure') as string))
  }
  await peer.ping()
})

const TLS_HELLO = Buffer.concat([Buffer.from('16030102000100', 'hex'), Buffer.alloc(509, 0x03)])
const FOREIGN: Readonly<Record<string, Buffer>> = {
  'an HTTP request': Buffer.from(
    'GET /index.html HTTP/1.1\r\nHost: 127.0.0.1:8889\r\nUser-Agent: probe/1.0\r\nAccept: */*\r\n\r\n',
  ),
  'the shortest HTTP request': Buffer.from('GET / HTTP/1.0\r\n\r\n'),
  'an HTTP POST with a body': Buffer.from(`POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n${'a'.repeat(70_000)}`),
  'the preface of HTTP/2': Buffer.from(
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0000\u0000',
  ),
  'the hello of TLS': TLS_HELLO,
  'a NATS client': Buffer.from('CONNECT {"verbose":false,"pedantic":false,"lang":"x","version":"1"}\r\nPING\r\n'),
  'an SSH client': Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'),
  'a page of text': Buffer.from('Lorem ipsum dolor sit amet, consectetur adipiscing elit. '.repeat(80)),
  '64 KiB of the same byte': Buffer.alloc(64 * 1024, 0xff),
  '64 KiB of noise': Buffer.from(Array.from({ length: 64 * 1024 }, (_, index) => ((index + 7) * 2_654_435_761) >>> 23)),
}

for (const [what, bytes] of Object.entries(FOREIGN)) {
  test(`${what} on the native port is refused with a Closing`, WITHIN, async () => {
    using peer = await RawPeer.connect(server.port)
    peer.write(bytes)
    const expected = [
      'LVT_NOT_LEVERET',
      'LVT_PROTOCOL',
      'LVT_FRAME_TOO_LARGE',
      'LVT_FRAME_LENGTH_INVALID',
      'LVT_HANDSHAKE_TIMEOUT',
    ]
    assert.ok(expected.includes((await closingCode(peer)) as string))
    assert.equal(peer.pendingBytes, 0, 'what the server says are whole frames')
    await othersGoOn()
  })
}

test('a client of Redis on the native port is told so in its own words', WITHIN, async () => {
  for (const bytes of ['*1\r\n$4\r\nPING\r\n', 'PING\r\n']) {
    using peer = await RespPeer.connect(server.port)
    peer.write(bytes)
    await peer.expect(
      '-ERR this port speaks the native protocol of leveret, not RESP; serve --meilies or --floki opens',
    )
    await peer.expect(' one that does\r\n')
    await peer.expectEnd()
  }
})

test('a peer that connects and says nothing is closed after the handshake timeout', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  assert.equal(await closingCode(peer), 'LVT_HANDSHAKE_TIMEOUT')
})

test('a peer that has spoken once may be silent for as long as it likes', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  await peer.ping()
  using silent = await RawPeer.connect(server.port)
  // The other peer's closing tells that the timeout has passed.
  assert.equal(await closingCode(silent), 'LVT_HANDSHAKE_TIMEOUT')
  await peer.ping()
})

test('half a first frame and silence is closed after the handshake timeout', WITHIN, async () => {
  for (const bytes of [framedMessage({ id: 1, ping: {} }).subarray(0, 3), Buffer.from([0x85])]) {
    using peer = await RawPeer.connect(server.port)
    peer.write(bytes)
    const code = await closingCode(peer)
    assert.ok(code === 'LVT_HANDSHAKE_TIMEOUT' || code === 'LVT_FRAME_TIMEOUT', String(code))
  }
})

test('half a later frame and silence is closed after the frame timeout', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  await peer.ping()
  peer.write(
    framedMessage({ id: 1, publish: { topic: 't', records: [{ payload: Buffer.alloc(100) }] } }).subarray(0, 50),
  )
  assert.equal(await closingCode(peer), 'LVT_FRAME_TIMEOUT')
  await othersGoOn()
})

test(
  'a frame that comes a byte at a time is closed after the frame timeout, although the peer is never silent',
  WITHIN,
  async () => {
    using peer = await RawPeer.connect(server.port)
    await peer.ping()
    const bytes = framedMessage({ id: 1, publish: { topic: 't', records: [{ payload: Buffer.alloc(1_000) }] } })
    let sent = 0
    const trickle = setInterval(() => peer.write(bytes.subarray(sent, ++sent)), 50)
    try {
      assert.equal(await closingCode(peer), 'LVT_FRAME_TIMEOUT')
    } finally {
      clearInterval(trickle)
    }
  },
)

test('a busy peer whose chunks all end inside a frame is not late', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  await peer.ping()
  const bytes = framedMessage({ id: 1, ping: {} })
  // Each piece ends one frame and begins the next, for longer than the frame timeout: another peer's closing tells.
  using late = await RawPeer.connect(server.port)
  await late.ping()
  late.write(bytes.subarray(0, 1))
  peer.write(bytes.subarray(0, 1))
  let asked = 0
  const stream = setInterval(() => {
    peer.write(Buffer.concat([bytes.subarray(1), bytes.subarray(0, 1)]))
    asked++
  }, 20)
  try {
    assert.equal(await closingCode(late), 'LVT_FRAME_TIMEOUT')
  } finally {
    clearInterval(stream)
  }
  peer.write(bytes.subarray(1))
  for (let answered = 0; answered <= asked; answered++) assert.ok('pong' in ((await peer.next()) ?? {}))
})

test('everything that a peer said before it closed its side is answered', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  const publishes = Array.from({ length: 20 }, (_, index) =>
    // New topics, which the server has to open one after the other while the end has already arrived.
    framedMessage({ id: index + 1, publish: { topic: `farewell ${index}`, records: [{ payload: Buffer.from('x') }] } }),
  )
  peer.socket.end(Buffer.concat(publishes))
  const frames = await peer.rest()
  assert.deepEqual(
    frames.filter(({ published }) => published !== undefined).map(({ id }) => id),
    publishes.map((_, index) => index + 1),
  )
})

test('a peer that promised to be heard of is closed after two of its intervals in silence', WITHIN, async () => {
  using silent = await RawPeer.connect(server.port)
  using heard = await RawPeer.connect(server.port)
  for (const peer of [silent, heard]) {
    assert.ok('welcome' in (await peer.request({ hello: { version: 1, heartbeatMs: 600 } })))
  }
  const beat = setInterval(() => heard.send({ ping: {} }), 300)
  try {
    assert.equal(await closingCode(silent), 'LVT_HEARTBEAT_TIMEOUT')
    await heard.ping()
  } finally {
    clearInterval(beat)
  }
})

test('a good frame that is cut anywhere is answered as if it had come whole', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  await peer.ping()
  const bytes = framedMessage({ id: 9, publish: { topic: 'cut', records: [{ payload: Buffer.from('hello') }] } })
  for (let cut = 1; cut < bytes.length; cut++) {
    peer.write(bytes.subarray(0, cut))
    await witness.ping()
    peer.write(bytes.subarray(cut))
    const answer = await peer.next()
    assert.equal((answer?.published as { baseOffset?: number } | undefined)?.baseOffset ?? 0, cut - 1)
  }
})

test('what was asked before the stream became unreadable is answered before the Closing', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  const asked = [1, 2, 3].map((id) => framedMessage({ id, ping: {} }))
  peer.write(Buffer.concat([...asked, Buffer.from('8000', 'hex'), framedMessage({ id: 4, ping: {} })]))
  const frames = await peer.rest()
  assert.deepEqual(
    frames.slice(0, 3).map(({ id }) => id),
    [1, 2, 3],
  )
  assert.equal(frames.length, 4)
  assert.equal(codeOf(frames[3], 'closing'), 'LVT_FRAME_LENGTH_INVALID')
})

test('a peer that ignores its Closing and goes on sending is cut off', WITHIN, async () => {
  using peer = await RawPeer.connect(server.port)
  peer.write(Buffer.from('8000', 'hex'))
  assert.equal(await closingCode(peer), 'LVT_FRAME_LENGTH_INVALID')
  const flood = setInterval(() => peer.write(Buffer.alloc(1024, 0xff)), 20)
  try {
    // A reset shows as an error first: either way the socket closes.
    await new Promise<void>((resolve) =>
      peer.socket.destroyed ? resolve() : peer.socket.once('close', () => resolve()),
    )
  } finally {
    clearInterval(flood)
  }
  await othersGoOn()
})

test('a thousand announcements of frames too large cost no memory', { timeout: 60_000 }, async () => {
  const announce = async (hex: string): Promise<void> => {
    using peer = await RawPeer.connect(server.port)
    await peer.ping()
    peer.write(Buffer.from(hex, 'hex'))
    await closingCode(peer)
  }
  const lengths = ['ffffffff07', 'ffffffff0f', 'ffffff7f', 'ffffffffffffffffff01', '8180800880']
  for (let count = 0; count < 200; count++) await announce(lengths[count % lengths.length] as string)
  const { pid } = server.process.child
  const atStart = residentBytes(pid)
  for (let count = 0; count < 1_000; count++) await announce(lengths[count % lengths.length] as string)
  const grown = grownBytes(pid, atStart)
  assert.ok(grown < 24 * MIB, `the server grew by ${grown} bytes`)
})

test('frames of the largest size that are announced and not sent cost no memory', { timeout: 60_000 }, async () => {
  const { pid } = server.process.child
  const peers = await Promise.all(Array.from({ length: 200 }, () => RawPeer.connect(server.port)))
  await Promise.all(peers.map((peer) => peer.ping()))
  const atStart = residentBytes(pid)
  for (const peer of peers) peer.write(Buffer.from('80808008320a', 'hex'))
  const codes = await Promise.all(peers.map(closingCode))
  assert.deepEqual(new Set(codes), new Set(['LVT_FRAME_TIMEOUT']))
  // Set aside at once, the frames would be 3,200 MiB.
  const grown = grownBytes(pid, atStart)
  assert.ok(grown < 24 * MIB, `the server grew by ${grown} bytes`)
  for (const peer of peers) peer.destroy()
  await othersGoOn()
})
