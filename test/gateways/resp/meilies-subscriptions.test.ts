/** What subscribers of the MeiliES dialect are sent: which events, in what order, and in whose frames. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fc } from '../../helpers/fast-check.js'
import { ARGUMENT_ERROR, classicEvent, startMeilies, subscribedFrame } from '../../helpers/meilies-server.js'
import type { RespPeer } from '../../helpers/resp-peer.js'
import type { RespValue } from '../../helpers/resp-values.js'

async function expectEvents(peer: RespPeer, stream: string, ...numbers: readonly number[]): Promise<void> {
  assert.deepEqual(
    await peer.take(numbers.length),
    numbers.map((number) => classicEvent(stream, number)),
  )
}

async function subscribe(peer: RespPeer, ...specs: readonly string[]): Promise<void> {
  peer.send('subscribe', ...specs)
  assert.deepEqual(
    await peer.take(specs.length),
    specs.map((spec) => subscribedFrame(spec.split(':')[0] ?? '')),
  )
}

test('without a number only what comes next is delivered', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 3)
  const peer = await server.connect()
  await subscribe(peer, 's')
  await server.fill('s', 2, 3)
  await expectEvents(peer, 's', 3, 4)
  await peer.expectSilence()
})

test('history comes first, from the number that was asked for, and then what is live', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 4)
  const all = await server.connect()
  const some = await server.connect()
  await subscribe(all, 's:0')
  await expectEvents(all, 's', 0, 1, 2, 3)
  await subscribe(some, 's:2')
  await expectEvents(some, 's', 2, 3)
  await server.fill('s', 1, 4)
  await expectEvents(all, 's', 4)
  await expectEvents(some, 's', 4)
})

test('a number that does not exist yet is waited for', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 3)
  const peer = await server.connect()
  await subscribe(peer, 's:5')
  await server.fill('s', 5, 3)
  await expectEvents(peer, 's', 5, 6, 7)
  await subscribe(peer, 's:18446744073709551615')
  await peer.expectSilence()
})

test('a range ends in silence, and the connection goes on', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 10)
  const peer = await server.connect()
  await subscribe(peer, 's:3:5')
  await expectEvents(peer, 's', 3, 4)
  await peer.expectSilence()
  assert.deepEqual(await peer.ask('publish', 's', 'e10', '10'), ['+', 'OK'])
  await peer.expectSilence()
})

test('a range whose end does not exist yet is waited for, and no further', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 4)
  const peer = await server.connect()
  await subscribe(peer, 's:3:5')
  await expectEvents(peer, 's', 3)
  await server.fill('s', 3, 4)
  await expectEvents(peer, 's', 4)
  await peer.expectSilence()
  await subscribe(peer, 's:5:5', 'never:0:0', 's:9:9')
  await peer.expectSilence()
})

const BAD_SPECS = [
  's:',
  's::0',
  's:0:',
  's:-1',
  's:0:-1',
  's:x',
  ':0',
  '',
  's:1:2:3',
  's:1:0',
  '$all:x',
  '$all:2:1',
  '$all:',
]
const MORE_BAD_SPECS = ['s:0x1', 's: 1', 's:1.5', 's:18446744073709551616', 's:1e3', 'a\nb:0', '__leveret:0']

for (const spec of [...BAD_SPECS, ...MORE_BAD_SPECS]) {
  test(`subscribes to nothing with ${JSON.stringify(spec)} among others`, async (t) => {
    const server = await startMeilies(t)
    await server.fill('a', 1)
    const peer = await server.connect()
    for (const specs of [[spec], ['a:0', 'b:0', spec]]) {
      const [type, text] = (await peer.ask('subscribe', ...specs)) ?? []
      assert.equal(type, '-')
      assert.ok(String(text).startsWith(ARGUMENT_ERROR), String(text))
    }
    await server.fill('a', 1, 1)
    await peer.expectSilence()
  })
}

test('numbers may have leading zeros and a plus', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 4)
  const peer = await server.connect()
  await subscribe(peer, 's:+002:0000000000000000000000000003')
  await expectEvents(peer, 's', 2)
  await peer.expectSilence()
})

test('no specs are answered with nothing at all', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.send('subscribe')
  await peer.expectSilence()
})

/** The frames of each stream, in the order in which they came. */
function byStream(frames: readonly (RespValue | null)[]): Record<string, RespValue[]> {
  const streams: Record<string, RespValue[]> = {}
  for (const frame of frames) {
    assert.ok(frame !== null && frame[0] === '*')
    const stream = String(frame[1][1]?.[1])
    streams[stream] ??= []
    streams[stream].push(frame)
  }
  return streams
}

test('all streams are those that there are, and those that come', async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 2)
  await server.fill('b', 1)
  const peer = await server.connect()
  peer.send('subscribe', '$all:0')
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), subscribedFrame('b')])
  assert.deepEqual(byStream(await peer.take(3)), {
    a: [classicEvent('a', 0), classicEvent('a', 1)],
    b: [classicEvent('b', 0)],
  })
  await server.fill('c', 2)
  assert.deepEqual(await peer.take(3), [subscribedFrame('c'), classicEvent('c', 0), classicEvent('c', 1)])
  await server.fill('a', 1, 2)
  await expectEvents(peer, 'a', 2)
})

test('all streams of an empty server are silent until one appears', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  const other = await server.connect()
  peer.send('subscribe', '$all')
  await subscribe(other, 'only-subscribed')
  await peer.expectSilence()
  await server.fill('a', 1)
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), classicEvent('a', 0)])
})

test('the range of all streams holds in each of them, also in those that come', async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 4)
  const peer = await server.connect()
  peer.send('subscribe', '$all:1:3')
  assert.deepEqual(await peer.take(3), [subscribedFrame('a'), classicEvent('a', 1), classicEvent('a', 2)])
  await server.fill('b', 5)
  assert.deepEqual(await peer.take(3), [subscribedFrame('b'), classicEvent('b', 1), classicEvent('b', 2)])
  await peer.expectSilence()
})

test('a stream that is named beside all streams begins where it says', async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 3)
  await server.fill('b', 2)
  const peer = await server.connect()
  peer.send('subscribe', 'c:1', '$all:0:3', 'a:2')
  assert.deepEqual(await peer.take(3), [subscribedFrame('c'), subscribedFrame('b'), subscribedFrame('a')])
  assert.deepEqual(byStream(await peer.take(3)), {
    a: [classicEvent('a', 2)],
    b: [classicEvent('b', 0), classicEvent('b', 1)],
  })
  await server.fill('c', 5)
  await expectEvents(peer, 'c', 1, 2)
  await peer.expectSilence()
})

test('the same spec twice is confirmed twice and delivered once', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 2)
  const peer = await server.connect()
  await subscribe(peer, 's:0', 's:0')
  await expectEvents(peer, 's', 0, 1)
  await subscribe(peer, 's:00')
  await server.fill('s', 1, 2)
  await expectEvents(peer, 's', 2)
  await peer.expectSilence()
})

test('different ranges of one stream are delivered independently', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  await subscribe(peer, 's:0:3', 's:1')
  await server.fill('s', 4)
  const numbers = (await peer.take(6)).map((frame) => (frame?.[1] as readonly RespValue[] | undefined)?.[2]?.[1])
  assert.deepEqual(numbers.map(Number).sort(), [0, 1, 1, 2, 2, 3])
  await peer.expectSilence()
})

test('whoever publishes to its own stream hears OK before the event', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  await subscribe(peer, 'a', 'b')
  for (let round = 0; round < 50; round++) {
    peer.send('publish', 'a', `e${2 * round}`, `${2 * round}`)
    peer.send('publish', 'b', `e${round}`, `${round}`)
    peer.send('publish', 'a', `e${2 * round + 1}`, `${2 * round + 1}`)
  }
  let replies = 0
  let events = 0
  while (events < 150) {
    const value = await peer.next()
    if (value?.[0] === '+') replies++
    else events++
    assert.ok(events <= replies, `${events} events after ${replies} replies`)
  }
})

test('every subscriber gets every event once and in order, however many publish and whenever it joins', async (t) => {
  const server = await startMeilies(t)
  const published = 8 * 500
  const publish = async (): Promise<void> => {
    const peer = await server.connect()
    for (let number = 0; number < 500; number++) peer.send('publish', 's', 'e', 'd')
    await peer.expect('+OK\r\n'.repeat(500))
  }
  const follow = async (): Promise<void> => {
    const peer = await server.connect()
    await subscribe(peer, 's:0')
    for (let number = 0; number < published; number++) {
      await peer.expect(`*5\r\n+event\r\n+s\r\n:${number}\r\n+e\r\n$1\r\nd\r\n`)
    }
  }
  const work: Promise<void>[] = []
  for (let number = 0; number < 8; number++) {
    work.push(publish(), follow())
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(work)
})

test('a subscriber that does not read holds nobody up, and misses nothing', async (t) => {
  const server = await startMeilies(t, { outboxBytesMax: 64 * 1024 })
  const slow = await server.connect()
  await subscribe(slow, 's:0')
  slow.socket.pause()
  const payload = Buffer.alloc(10_000, 'x')
  const peer = await server.connect()
  const count = 1000
  for (let number = 0; number < count; number++) peer.send('publish', 's', `e${number}`, payload)
  await peer.expect('+OK\r\n'.repeat(count))
  slow.socket.resume()
  for (let number = 0; number < count; number++) {
    await slow.expect(`*5\r\n+event\r\n+s\r\n:${number}\r\n+e${number}\r\n$10000\r\n`)
    await slow.expect(Buffer.concat([payload, Buffer.from('\r\n')]))
  }
})

test('gone subscribers leave no readers behind, without any activity of their streams', async (t) => {
  const server = await startMeilies(t)
  const gauge = (name: string): number => server.broker.metrics().find((sample) => sample.name === name)?.value ?? -1
  const peers: RespPeer[] = []
  while (peers.length < 1000) {
    peers.push(...(await Promise.all(Array.from({ length: 100 }, () => server.connect()))))
  }
  for (const [index, peer] of peers.entries()) {
    await subscribe(peer, ...Array.from({ length: 10 }, (_, number) => `s${index % 7}-${number}:${number}`))
    if (index < 50) peer.send('subscribe', '$all')
  }
  for (const peer of peers) await peer.expectSilence()
  assert.equal(gauge('leveret_broker_readers'), 1000 * 10 + 50 * 70)
  for (const peer of peers) peer[Symbol.dispose]()
  while (gauge('leveret_meilies_connections') > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(gauge('leveret_broker_readers'), 0)
})

test('subscriptions are limited, for a connection and for all', async (t) => {
  const server = await startMeilies(t, { subscriptionsMax: 2, meiliesSubscriptionsMax: 3 })
  const first = await server.connect()
  const second = await server.connect()
  const refusal: RespValue = ['-', 'internal error; too many subscriptions']
  await subscribe(first, 'a', 'b')
  assert.deepEqual(await first.ask('subscribe', 'c'), refusal)
  assert.deepEqual(await second.ask('subscribe', 'a', 'b'), refusal)
  await subscribe(second, 'a')
  first.send('unsubscribe', 'a')
  assert.deepEqual(await first.next(), counted('*', 'unsubscribe', 'a', 1))
  await subscribe(second, 'b')
  first[Symbol.dispose]()
  await server.fill('b', 1)
  await expectEvents(second, 'b', 0)
})

test('version 3 has events as pushes, and replies as replies', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 1)
  const peer = await server.connect()
  await peer.ask('HELLO', '3')
  peer.send('subscribe', 's:0', '$all')
  assert.deepEqual(await peer.take(2), [counted('>', 'subscribe', 's:0', 1), counted('>', 'subscribe', '$all', 2)])
  await peer.expect('>5\r\n+event\r\n+s\r\n:0\r\n+e0\r\n$1\r\n0\r\n')
  assert.deepEqual(await peer.ask('last-event-number', 's'), [
    '*',
    [
      ['+', 'last-event-number'],
      ['+', 's'],
      [':', 0],
    ],
  ])
  await server.fill('t', 1)
  await peer.expect('>5\r\n+event\r\n+t\r\n:0\r\n+e0\r\n$1\r\n0\r\n')
  assert.deepEqual(await peer.ask('subscribe'), ['-', 'invalid request message; Missing argument'])
  assert.deepEqual(await peer.ask('unsubscribe', '$all'), counted('>', 'unsubscribe', '$all', 1))
  await server.fill('t', 1, 1)
  await peer.expectSilence()
})

/** What a subscriber is told of a spec, with the number of those that it has then. */
function counted(lead: '*' | '>', kind: string, spec: string, count: number): RespValue {
  const values: readonly RespValue[] = [
    ['$', kind],
    ['$', spec],
    [':', count],
  ]
  return [lead, values]
}

/** The payload of a message in the frames of Redis. */
function messageOf(value: RespValue | null, lead: '*' | '>', spec: string): unknown {
  assert.ok(value !== null && value[0] === lead)
  const [kind, channel, payload] = value[1] as readonly RespValue[]
  assert.deepEqual(
    [kind, channel],
    [
      ['$', 'message'],
      ['$', spec],
    ],
  )
  return JSON.parse(Buffer.from(String(payload?.[1]), 'latin1').toString())
}

for (const [name, greeting, verb] of [
  ['a library that sets its name', ['CLIENT', 'SETINFO', 'LIB-NAME', 'x'], 'subscribe'],
  ['a library that names its connection', ['client', 'setname', 'x'], 'subscribe'],
  ['a library that asks for info first', ['INFO'], 'subscribe'],
  ['whoever writes the verb as Redis does', ['PING'], 'SUBSCRIBE'],
] as const) {
  for (const version of [2, 3] as const) {
    test(`${name} gets messages of Redis in version ${version}`, async (t) => {
      const server = await startMeilies(t)
      const publisher = await server.connect()
      const binary = Buffer.from([0, 0xff])
      for (const data of ['größe', binary]) await publisher.ask('publish', 's', 'é', data)
      const peer = await server.connect()
      if (version === 3) await peer.ask('HELLO', '3')
      await peer.ask(...greeting)
      const lead = version === 3 ? '>' : '*'
      const second = { stream: 's', number: 1, name: 'é', data_base64: binary.toString('base64') }
      assert.deepEqual(await peer.ask(verb, 's:0'), counted(lead, 'subscribe', 's:0', 1))
      assert.deepEqual(messageOf(await peer.next(), lead, 's:0'), { stream: 's', number: 0, name: 'é', data: 'größe' })
      assert.deepEqual(messageOf(await peer.next(), lead, 's:0'), second)
      assert.deepEqual(await peer.ask(verb, '$all:1'), counted(lead, 'subscribe', '$all:1', 2))
      assert.deepEqual(messageOf(await peer.next(), lead, '$all:1'), second)
      peer.send('PING', 'x')
      await peer.expect(version === 3 ? '$1\r\nx\r\n' : '*2\r\n$4\r\npong\r\n$1\r\nx\r\n')
      peer.send('UNSUBSCRIBE')
      const farewells = [counted(lead, 'unsubscribe', 's:0', 1), counted(lead, 'unsubscribe', '$all:1', 0)]
      assert.deepEqual(await peer.take(2), farewells)
      const nil: RespValue = ['nil', version === 3 ? '_' : '$-1']
      assert.deepEqual(await peer.ask('UNSUBSCRIBE'), [lead, [['$', 'unsubscribe'], nil, [':', 0]]])
      assert.deepEqual(await peer.ask('PING'), ['+', 'PONG'])
    })
  }
}

test('a connection that has spoken as MeiliES clients do is not taken for a library', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  await peer.ask('stream-names')
  await peer.ask('INFO')
  await subscribe(peer, 's')
})

test('the frames can be chosen, and a server can do without those of MeiliES', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  assert.equal((await peer.ask('subscription-frames', 'push'))?.[0], '-')
  assert.equal((await peer.ask('subscription-frames', 'other'))?.[0], '-')
  assert.deepEqual(await peer.ask('subscription-frames', 'message'), ['+', 'OK'])
  assert.equal((await peer.ask('subscribe', 's'))?.[0], '*')
  assert.deepEqual(await peer.ask('subscription-frames', 'classic'), ['+', 'OK'])
  await subscribe(peer, 't')
  const plain = await (await startMeilies(t, { meiliesMessages: true })).connect()
  assert.deepEqual(await plain.ask('subscribe', 's'), [
    '*',
    [
      ['$', 'subscribe'],
      ['$', 's'],
      [':', 1],
    ],
  ])
})

test('a reset ends subscriptions and choices', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  await peer.ask('CLIENT', 'SETINFO', 'LIB-NAME', 'x')
  await peer.ask('SUBSCRIBE', 's')
  assert.deepEqual(await peer.ask('RESET'), ['+', 'RESET'])
  await server.fill('s', 1)
  await peer.expectSilence()
  await subscribe(peer, 's:0')
  await expectEvents(peer, 's', 0)
})

test('who follows a stream that is deleted is sent no frame, and gets the events of the one that has its name then', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 3)
  const [peer, all, ahead, library] = await Promise.all([1, 2, 3, 4].map(() => server.connect()))
  assert.ok(peer !== undefined && all !== undefined && ahead !== undefined && library !== undefined)
  await subscribe(peer, 's')
  await subscribe(ahead, 's:2')
  await expectEvents(ahead, 's', 2)
  all.send('subscribe', '$all')
  assert.deepEqual(await all.next(), subscribedFrame('s'))
  await library.ask('HELLO', '3')
  await library.ask('CLIENT', 'SETINFO', 'LIB-NAME', 'x')
  for (const spec of ['s:2', 's:1:2', '$all:2']) await library.ask('SUBSCRIBE', spec)
  await library.take(3)
  for (let round = 0; round < 2; round++) {
    await server.broker.deleteTopic('s')
    for (const one of [peer, all, ahead, library]) await one.expectSilence()
    await server.fill('s', 4)
    await expectEvents(peer, 's', 0, 1, 2, 3)
    await expectEvents(ahead, 's', 2, 3)
    assert.deepEqual(await all.take(2), [subscribedFrame('s'), classicEvent('s', 0)])
    await all.take(3)
    // The range that had ended is over.
    const told: string[] = (await library.take(4)).map((frame) => JSON.stringify(frame))
    for (const spec of ['s:2', '$all:2'])
      assert.equal(told.filter((frame) => frame.includes(`"${spec}"`)).length, 2, spec)
  }
  for (const one of [peer, all, ahead, library]) await one.expectSilence()
})

test('a stream that was deleted and is waited for can be unsubscribed', async (t) => {
  const server = await startMeilies(t)
  await server.fill('s', 1)
  const peer = await server.connect()
  await peer.ask('SUBSCRIBE', 's')
  await server.broker.deleteTopic('s')
  assert.deepEqual(await peer.ask('UNSUBSCRIBE'), counted('*', 'unsubscribe', 's', 0))
  await server.fill('s', 1)
  await peer.expectSilence()
})

test('events are the same whatever their bytes, in history and live, for all who share them', async (t) => {
  const server = await startMeilies(t)
  const before = await server.connect()
  await subscribe(before, 's:0')
  const events = fc.sample(
    fc.tuple(
      fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !/[\r\n]/.test(name)),
      fc.uint8Array({ maxLength: 3000 }),
    ),
    200,
  )
  const publisher = await server.connect()
  for (const [name, data] of events) publisher.send('publish', 's', name, data)
  await publisher.expect('+OK\r\n'.repeat(events.length))
  const after = await server.connect()
  await subscribe(after, 's:0')
  for (const peer of [before, after]) {
    for (const [number, [name, data]] of events.entries()) {
      const frame = [
        ['+', 'event'],
        ['+', 's'],
        [':', number],
        ['+', Buffer.from(name).toString('latin1')],
        ['$', Buffer.from(data).toString('latin1')],
      ]
      assert.deepEqual(await peer.next(), ['*', frame])
    }
  }
})
