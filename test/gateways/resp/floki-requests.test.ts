/** What requests of the Floki dialect are answered with, byte by byte. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from '../../../client/index.js'
import { KEEP_FOREVER } from '../../../src/model/topic.js'
import { startFloki } from '../../helpers/floki-server.js'
import { requestOf } from '../../helpers/resp-values.js'

const NO_QUEUE = '-QNF Queue Not Found'
const NO_CHANNEL = '-CNF Channel Not Found'
const BAD_NAME = '-IPA Invalid Identifier Name'
const BAD_KEY = '-IPA Invalid CONFIG SET parameter'

test('makes queues and channels, once or as far as they are missing', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('SET q c', '-QAE Queue Already Exists')
  await peer.expect('SET q c2', '-QAE Queue Already Exists')
  await peer.expect('SET q c2 NX', '+OK')
  await peer.expect('SETNX q c2', '+OK')
  await peer.expect('SETNX new c', '+OK')
  await peer.expect('SET other c EX 5 NX', '+OK')
  await peer.expect('SET other c XX', '-QAE Queue Already Exists')
  await peer.expect('SET q', '-MPA Queue or Channel Missing')
})

test('makes a queue once, however many ask for it together', async (t) => {
  const server = await startFloki(t)
  const peers = await Promise.all(Array.from({ length: 8 }, () => server.connect()))
  const replies = await Promise.all(peers.map((peer) => peer.ask('SET q c')))
  assert.deepEqual(
    replies.map((reply) => reply?.[1]).sort(),
    ['OK', ...Array.from({ length: 7 }, () => 'QAE Queue Already Exists')].sort(),
  )
})

test('refuses names that are no identifiers', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-floki-'))
  const { broker, connect: dial } = await startFloki(t, { data })
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const peer = await dial()
  const before = readdirSync(data, { recursive: true })
  const wrong = ['SET q-1 c', 'SET q c.d', "SET '' c", "SET q ''", "SETNX '' ''", `SET ${'q'.repeat(129)} c`]
  for (const words of [...wrong, 'SET __leveret c', 'SETNX __leveret_x c', 'SET __leveret.floki c']) {
    await peer.expect(words, BAD_NAME)
  }
  await peer.expect('INFO queues', '*1\r\n$2\r\n{}')
  assert.ok(broker.listeners.length > 0)
  assert.deepEqual(readdirSync(data, { recursive: true }), before)
})

test('refuses to push where there is no queue, or nothing to push', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('RPUSH q a', NO_QUEUE)
  await peer.expect('RPUSH q', '-MPA Queue or Value Missing')
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q a', ':1')
})

test('brings what was pushed, in order and with ids from 1', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SETNX my_queue channel_1', '+OK')
  await peer.expect('DEL my_queue *', ':0')
  await peer.expect('RPUSH my_queue hello world', ':2')
  const messages = await peer.fetch('HMGET my_queue channel_1 2')
  assert.deepEqual(
    messages.map(({ id, body }) => [id, body]),
    [
      [1, 'hello'],
      [2, 'world'],
    ],
  )
  await peer.expect('HMGET my_queue channel_1 2', '*0')
  await peer.expect(`HDEL my_queue channel_1 ${messages[0]?.ticket} 7`, ':1')
})

test('writes messages as Floki did', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('SET r c', '+OK')
  await peer.expect('RPUSH q hello world', ':2')
  const chunks: Buffer[] = []
  peer.raw.socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await peer.fetch('HMGET q c 2')
  const text = Buffer.concat(chunks).toString()
  assert.match(text, /^\*2\r\n\*3\r\n:1\r\n:\d+\r\n\$5\r\nhello\r\n\*3\r\n:2\r\n:\d+\r\n\$5\r\nworld\r\n$/)
})

test('shows a new channel only what comes after it', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q before', ':1')
  await peer.expect('SETNX q late', '+OK')
  await peer.expect('HMGET q late 10', '*0')
  await peer.expect('RPUSH q after', ':1')
  assert.deepEqual(
    (await peer.fetch('HMGET q late 10')).map(({ id, body }) => [id, body]),
    [[2, 'after']],
  )
  assert.equal((await peer.fetch('HMGET q c 10')).length, 2)
})

test('brings what there is at once, and waits for no more', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  for (const timeout of ['', ' 20']) {
    for (const body of 'abc') await peer.expect(`RPUSH q ${body}`, ':1')
    const messages = await peer.fetch(`HMGET q c 10${timeout}`)
    assert.equal(messages.map(({ body }) => body).join(''), 'abc')
  }
})

test('checks count and timeout before the queue, and the queue before the channel', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  const count = '-IPA Invalid count value'
  const timeout = '-IPA Invalid timeout value'
  await peer.expect('HMGET q c', '-MPA Queue or Channel or Count Missing')
  await peer.expect('HMGET q c 0', '*0')
  await peer.expect('HMGET q none 0', '*0')
  await peer.expect('HMGET none c 0', NO_QUEUE)
  for (const value of ['-1', 'abc', '1.5', "''", '99999999999999999999999']) {
    await peer.expect(`HMGET none c ${value}`, count)
  }
  for (const value of ['1.5', '-1', 'x', '4294967296']) await peer.expect(`HMGET none c 1 ${value}`, timeout)
  await peer.expect('HMGET q c +1', '*0')
})

test('brings no more than its limit, whatever is asked for', async (t) => {
  const peer = await (await startFloki(t, { flokiFetchMax: 3, flokiFetchBytesMax: 2048 })).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q a b c d', ':4')
  assert.equal((await peer.fetch('HMGET q c 1000000000000')).length, 3)
  await peer.expect(`RPUSH q ${'x'.repeat(3000)} e`, ':2')
  assert.deepEqual((await peer.fetch('HMGET q c 18446744073709551615')).map(({ id }) => id).slice(0, 1), [4])
})

test('says what is unknown', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('HMGET none c 1', NO_QUEUE)
  await peer.expect('HMGET q none 1', NO_CHANNEL)
  await peer.expect('HDEL none c 1', NO_QUEUE)
  await peer.expect('HDEL q none 1', ':0')
  await peer.expect('HMSET none c ID 1', NO_QUEUE)
  await peer.expect('HMSET q none ID 1', NO_CHANNEL)
  await peer.expect('SREM none c', ':0')
  await peer.expect('SREM q none', ':0')
  await peer.expect('DEL none', ':0')
  await peer.expect('DEL q none', ':0')
  await peer.expect('DEL', '-MPA Queue Missing')
  await peer.expect('SREM q', '-MPA Queue or Channel Missing')
  await peer.expect('HDEL q c', '-MPA Queue, Channel or Id Missing')
})

test('acknowledges each ticket once, and none when one of them is no number', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q a b c', ':3')
  const [a, b, c] = (await peer.fetch('HMGET q c 3')).map(({ ticket }) => ticket)
  await peer.expect(`HDEL q c ${a} x`, '-IPA Invalid Ticket')
  await peer.expect(`HDEL q c ${a} 9223372036854775808`, '-IPA Invalid Ticket')
  await peer.expect(`HDEL q c ${a} ${a} ${b} -9223372036854775808 9223372036854775807`, ':2')
  await peer.expect(`HDEL q c ${a} ${b}`, ':0')
  await peer.expect(`HDEL q c +${c}`, ':1')
})

test('draws tickets that every client can hold, and none twice', async (t) => {
  const peer = await (await startFloki(t, { respElementsMax: 100_000 })).connect()
  await peer.expect('SET q c', '+OK')
  const bodies = Array.from({ length: 10_000 }, () => 'x')
  const tickets = new Set<number>()
  for (let round = 0; round < 10; round++) {
    await peer.expect(`RPUSH q ${bodies.join(' ')}`, `:${bodies.length}`)
    for (let got = 0; got < bodies.length; ) {
      const messages = await peer.fetch('HMGET q c 1000')
      for (const { ticket } of messages) {
        assert.ok(Number.isSafeInteger(ticket) && ticket >= 1)
        tickets.add(ticket)
      }
      got += messages.length
      await peer.expect(`HDEL q c ${messages.map(({ ticket }) => ticket).join(' ')}`, `:${messages.length}`)
    }
  }
  assert.equal(tickets.size, 100_000)
})

test('refuses a seek in the order of Floki', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('HMSET q c ID', '-MPA Queue or Channel or TS|ID or Value Missing')
  await peer.expect('HMSET q c XX 1', '-IPA Invalid Seek Type Expected TS or ID')
  await peer.expect('HMSET q none TS x', '-IPA Invalid Timestamp')
  await peer.expect('HMSET q none TS 4294967296', '-IPA Invalid Timestamp')
  await peer.expect('HMSET q none ID -1', '-IPA Invalid ID')
  await peer.expect('HMSET q c ts 1', ':2')
})

test('goes on at an id, also at one that is not there yet', async (t) => {
  const peer = await (await startFloki(t)).connect()
  const ids = async (): Promise<number[]> => (await peer.fetch('HMGET q c 10')).map(({ id }) => id)
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q a b c', ':3')
  assert.deepEqual(await ids(), [1, 2, 3])
  await peer.expect('HMSET q c ID 2', ':2')
  assert.deepEqual(await ids(), [2, 3])
  await peer.expect('HMSET q c ID 0', ':2')
  assert.deepEqual(await ids(), [1, 2, 3])
  await peer.expect('HMSET q c ID 4', ':2')
  await peer.expect('RPUSH q d', ':1')
  assert.deepEqual(await ids(), [4])
  await peer.expect('HMSET q c ID 7', ':2')
  await peer.expect('RPUSH q e', ':1')
  await peer.expect('HMGET q c 10', '*0')
  await peer.expect('RPUSH q f g h', ':3')
  assert.deepEqual(await ids(), [7, 8])
})

test('goes on at a time', async (t) => {
  const peer = await (await startFloki(t)).connect()
  const ids = async (): Promise<number[]> => (await peer.fetch('HMGET q c 10')).map(({ id }) => id)
  const now = Math.floor(Date.now() / 1000)
  await peer.expect('SET q c', '+OK')
  await peer.expect('HMSET q c TS 1', ':2')
  await peer.expect('HMGET q c 10', '*0')
  await peer.expect('RPUSH q a b', ':2')
  await peer.expect(`HMSET q c TS ${now}`, ':2')
  assert.deepEqual(await ids(), [1, 2])
  await peer.expect('HMSET q c TS 1', ':2')
  assert.deepEqual(await ids(), [1, 2])
  await peer.expect('HMSET q c TS 4294967295', ':2')
  await peer.expect('RPUSH q c', ':1')
  assert.deepEqual(await ids(), [3])
})

test('passes over what a purged channel has not got, and removes what a purged queue has', async (t) => {
  const peer = await (await startFloki(t)).connect()
  const ids = async (channel: string): Promise<number[]> =>
    (await peer.fetch(`HMGET q ${channel} 10`)).map(({ id }) => id)
  await peer.expect('SET q c', '+OK')
  await peer.expect('SETNX q d', '+OK')
  await peer.expect('RPUSH q a b', ':2')
  const [taken] = await peer.fetch('HMGET q c 1')
  await peer.expect('SREM q c', ':1')
  await peer.expect(`HDEL q c ${taken?.ticket}`, ':0')
  await peer.expect('HMGET q c 10', '*0')
  assert.deepEqual(await ids('d'), [1, 2])
  await peer.expect('SREM q *', ':1')
  await peer.expect('RPUSH q c', ':1')
  assert.deepEqual([await ids('c'), await ids('d')], [[3], [3]])
  await peer.expect('HMSET q c ID 1', ':2')
  assert.deepEqual(await ids('c'), [3])
})

test('begins a queue anew that was deleted', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('SETNX q d', '+OK')
  await peer.expect('CONFIG SET queues.q.message_timeout 7', '+OK')
  await peer.expect('RPUSH q a', ':1')
  await peer.expect('DEL q d', ':1')
  await peer.expect('HMGET q d 1', NO_CHANNEL)
  await peer.expect('DEL q', ':1')
  await peer.expect('HMGET q c 1', NO_QUEUE)
  await peer.expect('SET q c', '+OK')
  await peer.expect('HMGET q d 1', NO_CHANNEL)
  await peer.expect('RPUSH q b', ':1')
  assert.deepEqual(
    (await peer.fetch('HMGET q c 1')).map(({ id, body }) => [id, body]),
    [[1, 'b']],
  )
  const { q } = (await peer.json('CONFIG GET queues')) as { q: { message_timeout: number } }
  assert.equal(q.message_timeout, 30)
})

test('tells its configuration, and keeps what it is told', async (t) => {
  const peer = await (await startFloki(t)).connect()
  const server = await peer.json('CONFIG GET server')
  assert.deepEqual(Object.keys(server), [
    'data_directory',
    'bind_address',
    'max_connections',
    'maintenance_interval',
    'monitor_interval',
    'default_queue_config',
  ])
  await peer.expect('SET old c', '+OK')
  await peer.expect('CONFIG SET server.message_timeout 45s', '+OK')
  await peer.expect('CONFIG SET server.hard_retention_size 64MB', '+OK')
  await peer.expect('SET new c', '+OK')
  await peer.expect('config set queues.new.retention_period 2H', '+OK')
  await peer.expect('CONFIG SET queues.new.message_timeout 500ms', '+OK')
  const configs = (await peer.json('CONFIG GET queues.*')) as Record<string, Record<string, unknown>>
  assert.equal(configs.old?.message_timeout, 30)
  const { data_directory: directory, ...config } = configs.new ?? {}
  assert.equal(directory, server.data_directory)
  assert.deepEqual(config, {
    name: 'new',
    segment_size: 134_217_728,
    message_timeout: 1,
    retention_period: 7200,
    hard_retention_period: 86_400,
    retention_size: 0,
    hard_retention_size: 67_108_864,
    segment_period: 3_600,
    durability: 'async',
  })
  assert.deepEqual(Object.keys(await peer.json('QCONFIG queues.ol')), ['old'])
})

test('refuses what is no option, or no value of it', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  const duration = '-IPA Invalid Duration Value'
  for (const value of ['10x', '1h30m', "''", '-1', '18446744073709551616', '1.5']) {
    await peer.expect(`CONFIG SET queues.q.message_timeout ${value}`, duration)
    await peer.expect(`CONFIG SET queues.q.retention_size ${value}`, '-IPA Invalid Size Value')
  }
  await peer.expect('CONFIG SET server.segment_size 2gb', '-IPA Invalid Size Value')
  for (const key of [
    'server.max_connections',
    'server',
    'server.x.y',
    'queues.q',
    'queues.q.x',
    'queues.q.x.y',
    'x.y',
  ]) {
    await peer.expect(`CONFIG SET ${key} 1`, BAD_KEY)
  }
  await peer.expect('CONFIG SET queues.none.x 1', NO_QUEUE)
  await peer.expect('CONFIG', '-MPA Missing CONFIG Parameter')
  await peer.expect('CONFIG GET', '-MPA Missing CONFIG Parameter')
  await peer.expect('CONFIG SET server.message_timeout', '-MPA Missing CONFIG Parameter')
  await peer.expect('CONFIG RESETSTAT x', '-IPA Invalid CONFIG Parameter')
  await peer.expect('CONFIG GET maxmemory', '-IPA Invalid CONFIG parameter')
  await peer.expect('CONFIG GET *', '-IPA Invalid CONFIG parameter')
})

test('tells how server and queues are', async (t) => {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET empty c', '+OK')
  await peer.expect('SET q_1 c1', '+OK')
  await peer.expect('RPUSH q_1 a b', ':2')
  await peer.fetch('HMGET q_1 c1 2')
  const { clock, ...server } = (await peer.json('INFO server')) as { clock: number }
  assert.ok(Math.abs(clock - Date.now() / 1000) < 10)
  assert.deepEqual(server, { client_count: 1, blocked_client_count: 0, queue_count: 2, thread_count: 1 })
  const { q_1: queue, ...others } = (await peer.json('INFO queues.')) as Record<string, Record<string, unknown>>
  assert.deepEqual(Object.keys(queue ?? {}), ['head', 'tail', 'channels', 'segments_count', 'disk_usage', 'sizes'])
  const channels = queue?.channels as Record<string, Record<string, number>>
  assert.deepEqual([queue?.head, queue?.tail, channels.c1?.tail, channels.c1?.in_flight_count], [3, 1, 3, 2])
  assert.deepEqual(Object.keys(others), ['empty'])
  const { head, tail, segments_count: segments, disk_usage: bytes } = others.empty ?? {}
  assert.deepEqual([head, tail, segments, bytes], [1, 1, 0, 0])
  assert.deepEqual(Object.keys(await peer.json('INFO queues.q_')), ['q_1'])
  assert.deepEqual(Object.keys(await peer.json('QINFO queues')), ['empty', 'q_1'])
  await peer.expect('INFO server.x', '-IPA Invalid INFO parameter')
  await peer.expect('INFO memory', '-IPA Invalid INFO parameter')
  const [type, text] = (await peer.ask('info')) ?? []
  assert.equal(type, '$')
  assert.match(String(text), /redis_version:7[\s\S]*loading:0\r\n/)
})

test('answers a thousand pushes that come together, however they are cut', async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const pushes = Buffer.concat(Array.from({ length: 1000 }, (_, number) => requestOf('RPUSH', 'q', `m${number}`)))
  peer.raw.write(pushes)
  await peer.raw.expect(':1\r\n'.repeat(1000))
  const cut = await server.connect()
  const one = requestOf('rpush', 'q', 'x', 'y')
  for (let at = 1; at < one.length; at++) {
    cut.raw.write(one.subarray(0, at))
    await new Promise((resolve) => setImmediate(resolve))
    cut.raw.write(one.subarray(at))
    await cut.raw.expect(':2\r\n')
  }
  const messages = await peer.fetch('HMGET q c 1000')
  assert.deepEqual(
    messages.map(({ body }) => body),
    Array.from({ length: 1000 }, (_, number) => `m${number}`),
  )
})

test('takes more elements than Floki did, up to its limit', async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect(`RPUSH q ${Array.from({ length: 49 }, () => 'x').join(' ')}`, ':49')
  peer.raw.write('*5000\r\n')
  await peer.raw.expect('-ICOM Invalid Command\r\n')
  await peer.raw.expectEnd()
})

test('answers what is no command, and goes on', async (t) => {
  const peer = await (await startFloki(t)).connect()
  for (const [bytes, text] of [
    ['*0\r\n', 'ICOM Invalid Command'],
    ['*-1\r\n', 'ICOM Invalid Command'],
    ['+PING\r\n', 'ICOM Invalid Command'],
    [':1\r\n', 'ICOM Invalid Command'],
    ['*2\r\n$3\r\nDEL\r\n:1\r\n', 'ICOM Invalid Type'],
    ['*2\r\n$3\r\nDEL\r\n+q\r\n', 'ICOM Invalid Type'],
    ['*2\r\n$3\r\nDEL\r\n$-1\r\n', 'ICOM Invalid Type'],
    ['*2\r\n$3\r\nDEL\r\n*1\r\n$1\r\nq\r\n', 'ICOM Invalid Type'],
    ['*1\r\n$4\r\nMGET\r\n', 'UCOM Unknown Command'],
    ['*1\r\n$4\r\nHGET\r\n', 'UCOM Unknown Command'],
  ]) {
    peer.raw.write(String(bytes))
    await peer.raw.expect(`-${text}\r\n`)
  }
  await peer.expect('SET q c', '+OK')
})

test('keeps bodies as they are, and refuses what is too large with all that came with it', async (t) => {
  const server = await startFloki(t, { maxFrameBytes: 12 * 1024 * 1024 })
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const large = Buffer.alloc(10 * 1024 * 1024, 'a\r\n\0ÿ')
  peer.raw.send('RPUSH', 'q', large)
  await peer.raw.expect(':1\r\n')
  peer.raw.send('RPUSH', 'q', 'small', Buffer.alloc(13 * 1024 * 1024))
  await peer.raw.expect('-Unexpected error Backend(MessageTooBig)\r\n')
  await peer.expect("RPUSH q ''", ':1')
  const messages = await peer.fetch('HMGET q c 10')
  assert.deepEqual(
    messages.map(({ id }) => id),
    [1, 2],
  )
  assert.ok(Buffer.from(messages[0]?.body ?? '', 'latin1').equals(large))
  assert.equal(messages[1]?.body, '')
})

test('shares its records with the native protocol', async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q pushed', ':1')
  const port = server.broker.listeners.find(({ name }) => name === 'native')?.port
  await using client = await connect({ port: port ?? 0 })
  await client.topic('q').publish(Buffer.from('published'))
  assert.deepEqual(
    (await peer.fetch('HMGET q c 10')).map(({ body }) => body),
    ['pushed', 'published'],
  )
})

test('waits for the disk where it is told to', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-floki-'))
  const server = await startFloki(t, { store: 'log', data })
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const peer = await server.connect()
  const durability = async (): Promise<unknown> => {
    const { q } = (await peer.json('CONFIG GET queues.q')) as { q: { durability: string } }
    return q.durability
  }
  await peer.expect('SET q c', '+OK')
  assert.equal(await durability(), 'async')
  await peer.expect('CONFIG SET queues.q.durability sync', '+OK')
  assert.equal(await durability(), 'sync')
  await peer.expect('RPUSH q a', ':1')
  assert.equal((await peer.fetch('HMGET q c 1')).length, 1)
  await peer.expect('CONFIG SET queues.q.durability never', '-ERR durability is async or sync')
})

test('says why it takes no more connections', async (t) => {
  const server = await startFloki(t, { connectionsMax: 2 })
  const peers = [await server.connect(), await server.connect()]
  const refused = await server.connect()
  await refused.raw.expect('-ERR max number of clients reached\r\n')
  await refused.raw.expectEnd()
  for (const peer of peers) await peer.expect('PING', '+PONG')
})

test('has the queues and channels that native clients make, and tells them apart', async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  const port = server.broker.listeners.find(({ name }) => name === 'native')?.port
  await using client = await connect({ port: port ?? 0 })
  await client.createTopic('kept', { retention: KEEP_FOREVER })
  await client.createTopic('wide', { retention: KEEP_FOREVER, partitions: 2 })
  await client.createTopic('light', { retention: 'none' })
  await peer.expect('RPUSH kept a', ':1')
  await peer.expect('SET kept c', '-QAE Queue Already Exists')
  await peer.expect('SETNX kept c', '+OK')
  for (const name of ['wide', 'light', '__leveret.floki', '__leveret']) await peer.expect(`RPUSH ${name} a`, NO_QUEUE)
  await peer.expect(
    'SETNX light c',
    '-ERR topic "light" cannot be a queue: it keeps nothing, or has several partitions',
  )
  await peer.expect('DEL wide', ':0')
  assert.deepEqual(Object.keys(await peer.json('INFO queues')), ['kept'])
})
