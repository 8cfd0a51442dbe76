/** Long polls, leases and what becomes of them: who waits for messages of the Floki dialect, and for how long. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FlokiPeer, messagesOf, startFloki, untilTimedOut } from '../../helpers/floki-server.js'
import { RespPeer } from '../../helpers/resp-peer.js'
import { requestOf } from '../../helpers/resp-values.js'

const NIL = '$-1'
const NO_QUEUE = '-QNF Queue Not Found'

async function startQueue(t: TestContext, connections: number): Promise<{ port: number; peers: FlokiPeer[] }> {
  const server = await startFloki(t)
  const peers: FlokiPeer[] = []
  for (let number = 0; number < connections; number++) peers.push(await server.connect())
  await peers[0]?.expect('SET q c', '+OK')
  return { port: server.port, peers }
}

/** So many connections wait for messages. */
async function waitsFor(peer: FlokiPeer, count: number): Promise<void> {
  while ((await peer.json('INFO server')).blocked_client_count !== count) await sleep(5)
}

test('waits to its deadline, and answers nil', async (t) => {
  const { peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  const begun = performance.now()
  await peer.expect('HMGET q c 1 1', NIL)
  const tookMs = performance.now() - begun
  assert.ok(tookMs >= 1000 && tookMs < 2000, `it took ${tookMs} ms`)
  await peer.ask('HELLO 3')
  await peer.expect('HMGET q c 1 1', '_')
})

test('is answered with what is pushed while it waits', async (t) => {
  const { peers } = await startQueue(t, 2)
  const [pusher, reader] = peers as [FlokiPeer, FlokiPeer]
  reader.send('HMGET q c 10 20')
  await waitsFor(pusher, 1)
  await pusher.expect('RPUSH q a b', ':2')
  assert.deepEqual(
    (await reader.nextMessages()).map(({ body }) => body),
    ['a', 'b'],
  )
})

test('serves those who wait in their order, and lets the others wait on', async (t) => {
  const { peers } = await startQueue(t, 4)
  const [pusher, ...readers] = peers as [FlokiPeer, FlokiPeer, FlokiPeer, FlokiPeer]
  for (const [index, reader] of readers.entries()) {
    reader.send('HMGET q c 1 1')
    await waitsFor(pusher, index + 1)
  }
  await pusher.expect('RPUSH q a b', ':2')
  assert.deepEqual(
    (await readers[0]?.nextMessages())?.map(({ body }) => body),
    ['a'],
  )
  assert.deepEqual(
    (await readers[1]?.nextMessages())?.map(({ body }) => body),
    ['b'],
  )
  await pusher.expect('HMGET q c 1', '*0')
  await readers[2]?.raw.expect(`${NIL}\r\n`)
})

test('serves one who waits in each channel', async (t) => {
  const { peers } = await startQueue(t, 3)
  const [pusher, ...readers] = peers as [FlokiPeer, FlokiPeer, FlokiPeer]
  await pusher.expect('SETNX q d', '+OK')
  readers[0]?.send('HMGET q c 1 20')
  readers[1]?.send('HMGET q d 1 20')
  await waitsFor(pusher, 2)
  await pusher.expect('RPUSH q a', ':1')
  for (const reader of readers)
    assert.deepEqual(
      (await reader.nextMessages()).map(({ body }) => body),
      ['a'],
    )
})

test('brings a message again under a new ticket when its time is over', async (t) => {
  const { peers } = await startQueue(t, 2)
  const [peer, waiter] = peers as [FlokiPeer, FlokiPeer]
  const inFlight = async (): Promise<number> => {
    const { q } = (await peer.json('INFO queues')) as { q: { channels: { c: { in_flight_count: number } } } }
    return q.channels.c.in_flight_count
  }
  await peer.expect('CONFIG SET queues.q.message_timeout 1s', '+OK')
  await peer.expect('RPUSH q a', ':1')
  const [first] = await peer.fetch('HMGET q c 1')
  const taken = performance.now()
  assert.equal(await inFlight(), 1)
  await peer.expect('HMGET q c 1', '*0')
  waiter.send('HMGET q c 1 20')
  const [second] = await waiter.nextMessages()
  assert.ok(performance.now() - taken >= 995)
  assert.equal(second?.id, first?.id)
  assert.notEqual(second?.ticket, first?.ticket)
  await peer.expect(`HDEL q c ${first?.ticket}`, ':0')
  await untilTimedOut(peer)
  await peer.expect(`HDEL q c ${second?.ticket}`, ':0')
  const [third] = await peer.fetch('HMGET q c 1')
  await peer.expect(`HDEL q c ${third?.ticket}`, ':1')
  await peer.expect(`HDEL q c ${third?.ticket}`, ':0')
  assert.equal(await inFlight(), 0)
})

test('does not bring a message again at once, however short its time was said to be', async (t) => {
  const { peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  await peer.expect('CONFIG SET queues.q.message_timeout 500ms', '+OK')
  await peer.expect('RPUSH q a', ':1')
  await peer.fetch('HMGET q c 1')
  await sleep(600)
  await peer.expect('HMGET q c 1', '*0')
})

test('keeps a message in flight when the one who got it leaves, and acks it from anywhere', async (t) => {
  const { port, peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  await peer.expect('RPUSH q a', ':1')
  const other = await RespPeer.connect(port)
  other.send('HMGET', 'q', 'c', '1')
  await other.expect('*1\r\n*3\r\n:1\r\n')
  const ticket = await other.next()
  other[Symbol.dispose]()
  await peer.expect('HMGET q c 1', '*0')
  await peer.expect(`HDEL q c ${ticket?.[1]}`, ':1')
})

test('forgets one who waited and left, and gives it nothing', async (t) => {
  const { port, peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  for (const leave of ['dispose', 'finish'] as const) {
    const other = await RespPeer.connect(port)
    other.send('HMGET', 'q', 'c', '1', '20')
    await waitsFor(peer, 1)
    if (leave === 'finish') other.finish()
    else other[Symbol.dispose]()
    await waitsFor(peer, 0)
    await peer.expect('RPUSH q a', ':1')
    assert.equal((await peer.fetch('HMGET q c 1')).length, 1)
    other[Symbol.dispose]()
  }
})

test('tells those who wait that their channel or queue is deleted', async (t) => {
  const { peers } = await startQueue(t, 2)
  const [peer, waiter] = peers as [FlokiPeer, FlokiPeer]
  waiter.send('HMGET q c 1 20')
  await waitsFor(peer, 1)
  await peer.expect('DEL q c', ':1')
  await waiter.raw.expect('-CNF Channel Not Found\r\n')
  await peer.expect('SETNX q c', '+OK')
  waiter.send('HMGET q c 1 20')
  await waitsFor(peer, 1)
  await peer.expect('DEL q', ':1')
  await waiter.raw.expect(`${NO_QUEUE}\r\n`)
})

test('wakes those who wait when a seek brings messages back', async (t) => {
  const { peers } = await startQueue(t, 2)
  const [peer, waiter] = peers as [FlokiPeer, FlokiPeer]
  await peer.expect('RPUSH q a', ':1')
  await peer.fetch('HMGET q c 1')
  waiter.send('HMGET q c 1 20')
  await waitsFor(peer, 1)
  await peer.expect('HMSET q c ID 1', ':2')
  assert.deepEqual(
    (await waiter.nextMessages()).map(({ id }) => id),
    [1],
  )
})

test('looks at nothing behind a long poll before that is answered', async (t) => {
  const { peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  peer.send('HMGET q c 1 1')
  peer.send('RPUSH q a')
  peer.send('HMGET q c 1')
  await peer.raw.expect(`${NIL}\r\n:1\r\n`)
  assert.equal((await peer.nextMessages()).length, 1)
})

test('sees the pushes before a fetch on the same connection', async (t) => {
  const { peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  for (let round = 0; round < 100; round++) {
    peer.send(`RPUSH q a${round}`)
    peer.send('HMGET q c 10')
  }
  for (let round = 0; round < 100; round++) {
    await peer.raw.expect(':1\r\n')
    assert.deepEqual(
      (await peer.nextMessages()).map(({ body }) => body),
      [`a${round}`],
    )
  }
})

test('deletes a queue under load, and tells everybody', async (t) => {
  const { peers } = await startQueue(t, 9)
  const [peer, ...busy] = peers as [FlokiPeer, ...FlokiPeer[]]
  const answers = busy.map(async (one, index) => {
    for (let number = 0; ; number++) {
      const reply = await one.ask(index % 2 === 0 ? `RPUSH q a${number}` : 'HMGET q c 5 5')
      if (reply?.[0] === '-') return reply[1]
    }
  })
  await sleep(100)
  await peer.expect('DEL q', ':1')
  for (const text of await Promise.all(answers)) assert.equal(text, 'QNF Queue Not Found')
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q a', ':1')
  assert.deepEqual(
    (await peer.fetch('HMGET q c 1')).map(({ id }) => id),
    [1],
  )
})

test('gives each message once to the consumers of each channel', async (t) => {
  const { peers } = await startQueue(t, 5)
  const [first, second, ...consumers] = peers as [FlokiPeer, FlokiPeer, FlokiPeer, FlokiPeer, FlokiPeer]
  await first.expect('SETNX q d', '+OK')
  const consume = async (peer: FlokiPeer, channel: string): Promise<number[]> => {
    const ids: number[] = []
    for (;;) {
      peer.send(`HMGET q ${channel} 3 1`)
      const reply = await peer.raw.next()
      if (reply?.[0] === 'nil') return ids
      for (const { id, ticket } of messagesOf(reply)) {
        ids.push(id)
        await peer.expect(`HDEL q ${channel} ${ticket}`, ':1')
      }
    }
  }
  const reading = consumers.map((peer, index) => consume(peer, index < 2 ? 'c' : 'd'))
  for (let batch = 0; batch < 10; batch++) {
    await Promise.all([first, second].map((peer) => peer.expect(`RPUSH q a${batch} b${batch}`, ':2')))
  }
  const [one = [], other = [], alone = []] = await Promise.all(reading)
  const all = Array.from({ length: 40 }, (_, index) => index + 1)
  assert.deepEqual(
    [...one, ...other].sort((a, b) => a - b),
    all,
  )
  assert.deepEqual(alone, all)
})

test('acks and fetches in one go, in the order of the requests', async (t) => {
  const { peers } = await startQueue(t, 1)
  const [peer] = peers as [FlokiPeer]
  await peer.expect(`RPUSH q ${Array.from({ length: 50 }, (_, number) => number).join(' ')}`, ':50')
  let [message] = await peer.fetch('HMGET q c 1')
  for (let id = 2; id <= 50; id++) {
    peer.send(`HDEL q c ${message?.ticket}`)
    peer.send('HMGET q c 1')
    peer.send('SETNX q c')
    await peer.raw.expect(':1\r\n')
    ;[message] = await peer.nextMessages()
    assert.equal(message?.id, id)
    await peer.raw.expect('+OK\r\n')
  }
})

test('has a thousand who wait, and a thousand channels', { timeout: 60_000 }, async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const waiters: FlokiPeer[] = []
  for (let index = 0; index < 1000; index++) {
    const waiter = await server.connect()
    waiter.send('HMGET q c 1 50')
    waiters.push(waiter)
  }
  await waitsFor(peer, 1000)
  await peer.expect(`RPUSH q ${Array.from({ length: 1000 }, (_, number) => number).join(' ')}`, ':1000')
  const got = await Promise.all(waiters.map((waiter) => waiter.nextMessages()))
  assert.deepEqual(
    got.map(([message]) => message?.id).sort((a = 0, b = 0) => a - b),
    Array.from({ length: 1000 }, (_, index) => index + 1),
  )
  for (let index = 0; index < 1000; index++) peer.send(`SETNX q c${index}`)
  await peer.raw.expect('+OK\r\n'.repeat(1000))
  for (const [index, waiter] of waiters.entries()) waiter.send(`HMGET q c${index} 1 50`)
  await waitsFor(peer, 1000)
  await peer.expect('RPUSH q last', ':1')
  for (const waiter of waiters)
    assert.deepEqual(
      (await waiter.nextMessages()).map(({ body }) => body),
      ['last'],
    )
})

test('reads no more behind a long poll than it has room for, and sees who left with the end of the poll', async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const gone = await RespPeer.connect(server.port)
  t.after(() => gone[Symbol.dispose]())
  gone.send('HMGET', 'q', 'c', '1', '1')
  await waitsFor(peer, 1)
  // A socket that is not read does not tell that its peer is gone, or how much it has said.
  const connections = async (): Promise<unknown> => (await peer.json('INFO server')).client_count
  for (let count = 0; count < 400; count++) gone.write(requestOf('PING', 'x'.repeat(60_000)))
  await sleep(300)
  assert.ok(gone.socket.writableLength > 1024 * 1024, `${gone.socket.writableLength} bytes are not read`)
  assert.equal(await connections(), 2)
  gone[Symbol.dispose]()
  await waitsFor(peer, 0)
  while ((await connections()) !== 1) await sleep(5)
  await peer.expect('RPUSH q a', ':1')
  assert.equal((await peer.fetch('HMGET q c 1')).length, 1)
})

test('answers all that came behind a long poll, however much it is', async (t) => {
  const server = await startFloki(t)
  const [pusher, reader] = [await server.connect(), await server.connect()]
  await pusher.expect('SET q c', '+OK')
  reader.send('HMGET q c 1 20')
  await waitsFor(pusher, 1)
  const body = 'x'.repeat(60_000)
  for (let count = 0; count < 100; count++) reader.send(`ECHO ${count}${body}`)
  await sleep(100)
  await pusher.expect('RPUSH q a', ':1')
  assert.equal((await reader.nextMessages()).length, 1)
  for (let count = 0; count < 100; count++) assert.deepEqual(await reader.raw.next(), ['$', `${count}${body}`])
})
