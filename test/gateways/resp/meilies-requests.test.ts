/** What single requests of the MeiliES dialect are answered with, byte by byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../../client/index.js'
import { KEEP_FOREVER } from '../../../src/model/topic.js'
import { fc } from '../../helpers/fast-check.js'
import { ARGUMENT_ERROR, startMeilies } from '../../helpers/meilies-server.js'
import { requestOf } from '../../helpers/resp-values.js'

const MISSING = '-invalid request message; Missing argument\r\n'
const TOO_MANY = '-invalid request message; Too many arguments\r\n'

test('answers a publish with OK, whether its elements are bulk strings, simple strings or a line', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.write('*4\r\n$7\r\npublish\r\n$1\r\ns\r\n$1\r\ne\r\n$5\r\nhello\r\n')
  await peer.expect('+OK\r\n')
  peer.write('*4\r\n+publish\r\n+s\r\n+e\r\n+hello\r\n')
  await peer.expect('+OK\r\n')
  peer.write('publish s e hello\r\n')
  await peer.expect('+OK\r\n')
  peer.send('subscribe', 's:0')
  const event = (number: number) => `*5\r\n+event\r\n+s\r\n:${number}\r\n+e\r\n$5\r\nhello\r\n`
  await peer.expect(`*2\r\n+subscribed\r\n+s\r\n${event(0)}${event(1)}${event(2)}`)
})

test('refuses a publish with too few or too many arguments, and goes on', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.send('publish', 's', 'e')
  await peer.expect(MISSING)
  peer.send('publish', 's', 'e', 'd', 'x')
  await peer.expect(TOO_MANY)
  peer.send('last-event-number')
  await peer.expect(MISSING)
  peer.send('last-event-number', 's', 't')
  await peer.expect(TOO_MANY)
  peer.send('publish', 's', 'e', 'd')
  await peer.expect('+OK\r\n')
})

test('refuses names that no stream or event can have, and stores nothing', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  const bad: readonly (readonly [string | Uint8Array, string | Uint8Array])[] = [
    ['a:b', 'e'],
    ['', 'e'],
    ['s', ''],
    ['a\rb', 'e'],
    ['a\nb', 'e'],
    ['s', 'a\r\nb'],
    ['$all', 'e'],
    ['__leveret', 'e'],
    ['__leveret-x', 'e'],
    ['x'.repeat(256), 'e'],
    [Buffer.from([0xff]), 'e'],
    ['s', Buffer.from([0xc3])],
  ]
  for (const [stream, name] of bad) {
    const [type, text] = (await peer.ask('publish', stream, name, 'd')) ?? []
    assert.equal(type, '-')
    assert.ok(text === ARGUMENT_ERROR || String(text).startsWith(`${ARGUMENT_ERROR}; `), String(text))
  }
  peer.send('stream-names')
  await peer.expect('*1\r\n+stream-names\r\n')
})

test('stores spaces, other alphabets and colons in event names as they are', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  assert.deepEqual(await peer.ask('publish', 'größe 日本', 'a:b c 😀', 'd'), ['+', 'OK'])
  peer.send('subscribe', 'größe 日本:0')
  const bytes = (text: string) => Buffer.from(text).toString('latin1')
  await peer.expect(`*2\r\n+subscribed\r\n+${bytes('größe 日本')}\r\n`)
  await peer.expect(`*5\r\n+event\r\n+${bytes('größe 日本')}\r\n:0\r\n+${bytes('a:b c 😀')}\r\n$1\r\nd\r\n`)
})

test('refuses names with spaces where they are published, if it is told to', async (t) => {
  const server = await startMeilies(t, { meiliesStrictNames: true })
  const peer = await server.connect()
  const refusal = ['-', `${ARGUMENT_ERROR}; a name cannot hold spaces`]
  assert.deepEqual(await peer.ask('publish', 'a b', 'e', 'd'), refusal)
  assert.deepEqual(await peer.ask('publish', 's', 'a b', 'd'), refusal)
  assert.deepEqual(await peer.ask('publish', 's', 'e', 'a b'), ['+', 'OK'])
  peer.send('stream-names')
  await peer.expect('*2\r\n+stream-names\r\n+s\r\n')
  peer.send('subscribe', 'a b')
  await peer.expect('*2\r\n+subscribed\r\n+a b\r\n')
})

test('delivers every payload as it was published', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  const subscriber = await server.connect()
  subscriber.send('subscribe', 's:0')
  await subscriber.expect('*2\r\n+subscribed\r\n+s\r\n')
  const [large] = fc.sample(fc.uint8Array({ minLength: 1024 * 1024, maxLength: 1024 * 1024, size: 'max' }), 1)
  const payloads = [
    Buffer.alloc(0),
    Buffer.from(large ?? []),
    Buffer.from('a\r\nb\0c*3\r\n$-1\r\n'),
    Buffer.alloc(20_000, '\r\n'),
  ]
  for (const [number, payload] of payloads.entries()) {
    assert.deepEqual(await peer.ask('publish', 's', 'e', payload), ['+', 'OK'])
    const head = `*5\r\n+event\r\n+s\r\n:${number}\r\n+e\r\n$${payload.length}\r\n`
    await subscriber.expect(Buffer.concat([Buffer.from(head), payload, Buffer.from('\r\n')]))
  }
})

test('tells the last event number, and nil of streams without events', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  const last = async (stream: string) => {
    peer.send('last-event-number', stream)
    return await peer.next()
  }
  const answer = (stream: string, number: number) => [
    '*',
    [
      ['+', 'last-event-number'],
      ['+', stream],
      [':', number],
    ],
  ]
  const none = (stream: string) => [
    '*',
    [
      ['+', 'last-event-number'],
      ['+', stream],
      ['nil', '$-1'],
    ],
  ]
  assert.deepEqual(await last('unknown'), none('unknown'))
  peer.send('subscribe', 'subscribed-only')
  await peer.expect('*2\r\n+subscribed\r\n+subscribed-only\r\n')
  assert.deepEqual(await last('subscribed-only'), none('subscribed-only'))
  await server.fill('one', 1)
  assert.deepEqual(await last('one'), answer('one', 0))
  await server.fill('three', 3)
  assert.deepEqual(await last('three'), answer('three', 2))
  const [type, text] = (await last('one:1')) ?? []
  assert.equal(type, '-')
  assert.ok(String(text).startsWith(ARGUMENT_ERROR))
})

test('lists the streams, whatever else is asked', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.send('stream-names')
  await peer.expect('*1\r\n+stream-names\r\n')
  for (const stream of ['b', 'a', 'c']) await server.fill(stream, 1)
  for (const words of [['stream-names'], ['STREAM-NAMES', 'x', 'y']]) {
    peer.send(...words)
    await peer.expect('*4\r\n+stream-names\r\n+a\r\n+b\r\n+c\r\n')
  }
})

test('lists streams in the order of their bytes, whatever their alphabet', async (t) => {
  const server = await startMeilies(t)
  const names = ['z', 'é', '日本', '\uffff', '😀']
  for (const name of [...names].reverse()) await server.fill(name, 1)
  const peer = await server.connect()
  peer.send('stream-names')
  await peer.expect(Buffer.from(`*6\r\n+stream-names\r\n${names.map((name) => `+${name}\r\n`).join('')}`))
})

const BAD_REQUESTS: readonly (readonly [string, string, string])[] = [
  ['a value that is no array', '+PING\r\n', 'Invalid command resp type'],
  ['a number', ':5\r\n', 'Invalid command resp type'],
  ['a nil array', '*-1\r\n', 'Invalid command resp type'],
  ['an empty array', '*0\r\n', 'Missing command name'],
  ['a verb that is a number', '*1\r\n:5\r\n', 'Invalid argument resp type'],
  ['a verb that is no UTF-8', '*1\r\n$1\r\n\xff\r\n', 'Invalid argument resp type'],
  ['a nil argument', '*2\r\n$17\r\nlast-event-number\r\n$-1\r\n', 'Invalid argument resp type'],
  ['a nested array', '*2\r\n$17\r\nlast-event-number\r\n*1\r\n$1\r\na\r\n', 'Invalid argument resp type'],
  ['an unknown verb', '*1\r\n$5\r\nxread\r\n', 'Unknown command name'],
  ['a verb of Redis that is none here', '*2\r\n$10\r\nPSUBSCRIBE\r\n$1\r\n*\r\n', 'Unknown command name'],
]

for (const [name, bytes, text] of BAD_REQUESTS) {
  test(`answers ${name} with its error, and then the next request`, async (t) => {
    const server = await startMeilies(t)
    const peer = await server.connect()
    peer.write(bytes)
    peer.send('stream-names')
    await peer.expect(`-invalid request message; ${text}\r\n*1\r\n+stream-names\r\n`)
  })
}

const BROKEN: readonly (readonly [string, string, string])[] = [
  ['a type of version 3', '#t\r\n', 'invalid prefix byte: 35'],
  ['a zero byte', '\0', 'invalid prefix byte: 0'],
  ['a length that is no number', '*1\r\n$x\r\n', 'invalid integer: not a decimal number'],
  ['a negative nested length', '*2\r\n$-5\r\n', 'invalid integer: a length is negative'],
  ['a bulk string without its end', '*1\r\n$1\r\nabc', 'missing bulk string final crlf'],
  [
    'a bulk string above the limit',
    '*2\r\n$7\r\npublish\r\n$4294967295\r\n',
    'a bulk string has at most 16777216 bytes',
  ],
  ['an array above the limit', '*2147483647\r\n', 'a request has at most 4096 elements'],
  ['arrays in arrays', '*1\r\n*1\r\n*1\r\n', 'arrays in arrays in an array'],
]

for (const [name, bytes, text] of BROKEN) {
  test(`answers ${name} with one error, behind what came before it, and ends`, async (t) => {
    const server = await startMeilies(t)
    const peer = await server.connect()
    peer.write(Buffer.concat([requestOf('publish', 's', 'e', 'd'), Buffer.from(bytes, 'latin1')]))
    await peer.expect(`+OK\r\n-invalid request message; ${text}\r\n`)
    await peer.expectEnd()
  })
}

test('answers a line that is no UTF-8 with its own error', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.write('*2\r\n+last-event-number\r\n+\xff\r\n')
  await peer.expect('-invalid request message; invalid utf8 string: element 1 is no UTF-8\r\n')
  await peer.expectSilence()
})

test('sends a browser away', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.write('POST / HTTP/1.1\r\nHost: localhost\r\n\r\npublish s e d\r\n')
  await peer.expect('-invalid request message; this port does not speak HTTP\r\n')
  await peer.expectEnd()
  const other = await server.connect()
  other.send('stream-names')
  await other.expect('*1\r\n+stream-names\r\n')
})

test('answers a thousand publishes that come at once, in order, and refusals in their places', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  const requests: Buffer[] = []
  const expected: string[] = []
  for (let number = 0; number < 1000; number++) {
    const isBad = number % 97 === 5
    requests.push(requestOf('publish', isBad ? 'a:b' : `s${number % 7}`, 'e', `${number}`))
    expected.push(isBad ? `-${ARGUMENT_ERROR}; a stream name cannot hold a colon\r\n` : '+OK\r\n')
  }
  peer.write(Buffer.concat(requests))
  await peer.expect(expected.join(''))
})

test('a request sees what those before it have done', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.write(
    Buffer.concat([
      requestOf('publish', 's', 'e0', '0'),
      requestOf('last-event-number', 's'),
      requestOf('subscribe', 's'),
      requestOf('publish', 's', 'e1', '1'),
      requestOf('stream-names'),
    ]),
  )
  await peer.expect('+OK\r\n*3\r\n+last-event-number\r\n+s\r\n:0\r\n*2\r\n+subscribed\r\n+s\r\n+OK\r\n')
  const frames = await peer.take(2)
  const names = [
    '*',
    [
      ['+', 'stream-names'],
      ['+', 's'],
    ],
  ]
  const event = [
    '*',
    [
      ['+', 'event'],
      ['+', 's'],
      [':', 1],
      ['+', 'e1'],
      ['$', '1'],
    ],
  ]
  assert.deepEqual(
    new Set(frames.map((frame) => JSON.stringify(frame))),
    new Set([event, names].map((frame) => JSON.stringify(frame))),
  )
})

test('answers the same however a session is cut', async (t) => {
  const server = await startMeilies(t)
  const session = (stream: string) =>
    Buffer.concat([
      requestOf('publish', stream, 'e', 'a\r\nb'),
      Buffer.from('\r\nstream-count\r\n'),
      requestOf('last-event-number', stream),
      requestOf('subscribe', `${stream}:0`),
      requestOf('ping'),
    ])
  const expected = (stream: string) =>
    `+OK\r\n-invalid request message; Unknown command name\r\n*3\r\n+last-event-number\r\n+${stream}\r\n:0\r\n` +
    `*2\r\n+subscribed\r\n+${stream}\r\n`
  const { length } = session('s00')
  for (let cut = 0; cut < length; cut++) {
    using peer = await server.connect()
    const stream = `s${String(cut).padStart(2, '0')}`
    const bytes = session(stream)
    peer.write(bytes.subarray(0, cut))
    // The first part arrives by itself, at another turn of the server.
    await new Promise((resolve) => setImmediate(resolve))
    peer.write(bytes.subarray(cut))
    await peer.expect(expected(stream))
    assert.equal((await peer.take(2)).length, 2)
  }
})

test('answers the libraries of Redis when they connect', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.send('HELLO', '3', 'AUTH', 'default', 'x', 'SETNAME', 'me')
  peer.send('SELECT', '0')
  peer.send('CLIENT', 'SETINFO', 'LIB-NAME', 'x')
  peer.send('client', 'getname')
  peer.send('CLIENT', 'MAINT_NOTIFICATIONS', 'ON')
  peer.send('COMMAND', 'DOCS')
  peer.send('COMMAND')
  peer.send('COMMAND', 'COUNT')
  peer.send('READONLY')
  peer.send('AUTH', 'default', 'x')
  peer.send('info')
  const [hello, ...others] = await peer.take(11)
  assert.equal(hello?.[0], '%')
  const facts = (hello?.[1] ?? []) as readonly (readonly [string, unknown])[]
  const keys = facts.filter((_, index) => index % 2 === 0).map(([, key]) => key)
  assert.deepEqual(keys, ['server', 'version', 'proto', 'id', 'mode', 'role', 'modules'])
  assert.deepEqual(facts[5], [':', 3])
  assert.deepEqual(others.slice(0, -1), [
    ['+', 'OK'],
    ['+', 'OK'],
    ['$', 'me'],
    ['-', "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP."],
    ['%', []],
    ['*', []],
    [':', 0],
    ['+', 'OK'],
    ['+', 'OK'],
  ])
  const [type, info] = others.at(-1) ?? []
  assert.equal(type, '$')
  assert.match(String(info), /^redis_version:7\.4\.0\r$/m)
  assert.match(String(info), /^loading:0\r$/m)
})

test('speaks version 2 unless asked for 3, and again after a reset', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  assert.deepEqual(await peer.ask('HELLO', '4'), ['-', 'NOPROTO unsupported protocol version'])
  const hello = await peer.ask('HELLO')
  assert.equal(hello?.[0], '*')
  assert.equal(((hello?.[1] ?? []) as unknown[]).length, 14)
  peer.send('HELLO', '3')
  await peer.next()
  peer.send('last-event-number', 'unknown')
  await peer.expect('*3\r\n+last-event-number\r\n+unknown\r\n_\r\n')
  peer.send('RESET')
  await peer.expect('+RESET\r\n')
  peer.send('last-event-number', 'unknown')
  await peer.expect('*3\r\n+last-event-number\r\n+unknown\r\n$-1\r\n')
  assert.deepEqual(await peer.ask('PING'), ['+', 'PONG'])
  assert.deepEqual(await peer.ask('ping', 'x'), ['$', 'x'])
  peer.send('QUIT')
  peer.send('PING')
  await peer.expect('+OK\r\n')
  await peer.expectEnd()
})

test('answers what it has read before a connection ends by its peer, or by a shutdown', async (t) => {
  const server = await startMeilies(t)
  const leaving = await server.connect()
  const other = await server.connect()
  for (let number = 0; number < 100; number++) leaving.send('publish', 's', 'e', 'd')
  leaving.finish()
  await leaving.expect('+OK\r\n'.repeat(100))
  await leaving.expectEnd()
  await other.expectSilence()
  const stopped = server.broker.stop()
  await other.expectEnd()
  other.finish()
  await stopped
})

test('refuses a connection above the limit', async (t) => {
  const server = await startMeilies(t, { connectionsMax: 1 })
  const first = await server.connect()
  await first.expectSilence()
  const second = await server.connect()
  await second.expect('-ERR max number of clients reached\r\n')
  await second.expectEnd()
  await first.expectSilence()
})

test('refuses an event that no frame of the native protocol could hold, and goes on', async (t) => {
  const server = await startMeilies(t, { maxFrameBytes: 4096 })
  const peer = await server.connect()
  const [type, text] = (await peer.ask('publish', 's', 'e', Buffer.alloc(4090))) ?? []
  assert.deepEqual([type, String(text).split(';')[0]], ['-', 'internal error'])
  assert.deepEqual(await peer.ask('publish', 's', 'e', Buffer.alloc(3900)), ['+', 'OK'])
})

test('what it publishes the native client reads, and the other way round', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  await peer.ask('publish', 'shared', 'created', 'from meilies')
  await using client = await connect({ port: server.broker.port })
  const topic = client.topic('shared')
  await topic.publish(Buffer.from('plain'))
  await topic.publish(Buffer.from('named'), { headers: [['meilies-name', 'renamed']] })
  await topic.publish(Buffer.from('misnamed'), { headers: [['meilies-name', 'a\r\nb']], key: 'k' })
  for await (const record of topic.subscribe({ from: 'earliest', until: 1 })) {
    assert.equal(Buffer.from(record.payload).toString(), 'from meilies')
    assert.equal(record.key, null)
    assert.deepEqual(
      record.headers.map(({ name, value }) => [name, Buffer.from(value).toString()]),
      [['meilies-name', 'created']],
    )
  }
  peer.send('subscribe', 'shared:0')
  await peer.expect('*2\r\n+subscribed\r\n+shared\r\n')
  const events = await peer.take(4)
  assert.deepEqual(
    events.map((event) =>
      ((event?.[1] ?? []) as readonly (readonly [string, unknown])[]).slice(2).map(([, value]) => value),
    ),
    [
      [0, 'created', 'from meilies'],
      [1, 'record', 'plain'],
      [2, 'renamed', 'named'],
      [3, 'record', 'misnamed'],
    ],
  )
})

test('a topic of several partitions is no stream', async (t) => {
  const server = await startMeilies(t)
  await using client = await connect({ port: server.broker.port })
  await client.createTopic('wide', { partitions: 2, retention: KEEP_FOREVER })
  const peer = await server.connect()
  peer.send('stream-names')
  await peer.expect('*1\r\n+stream-names\r\n')
  for (const words of [
    ['publish', 'wide', 'e', 'd'],
    ['subscribe', 'wide:0'],
    ['last-event-number', 'wide'],
  ]) {
    const [type, text] = (await peer.ask(...words)) ?? []
    assert.equal(type, '-')
    assert.match(String(text), /^internal error; topic "wide" has 2 partitions/)
  }
})

test('a topic that keeps nothing is followed, and takes no events that are to be kept', async (t) => {
  const server = await startMeilies(t)
  await using client = await connect({ port: server.broker.port })
  await client.createTopic('fleeting', { retention: 'none' })
  const peer = await server.connect()
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await peer.ask('publish', 'fleeting', 'e', 'd'), [
      '-',
      'internal error; topic "fleeting" keeps no records, and a stream keeps its events',
    ])
  }
  peer.send('stream-names')
  await peer.expect('*1\r\n+stream-names\r\n')
  peer.send('subscribe', 'fleeting')
  await peer.expect('*2\r\n+subscribed\r\n+fleeting\r\n')
  await client.topic('fleeting').publish(Buffer.from('now'))
  await peer.expect('*5\r\n+event\r\n+fleeting\r\n:0\r\n+record\r\n$3\r\nnow\r\n')
})
