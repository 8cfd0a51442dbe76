/** What becomes of messages in flight when a channel of the Floki dialect goes elsewhere, and in which order they return. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../../src/common/clock.js'
import { type FlokiPeer, type Message, startFloki, untilTimedOut } from '../../helpers/floki-server.js'

async function startQueue(t: TestContext, timeout = '1s'): Promise<FlokiPeer> {
  const peer = await (await startFloki(t)).connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect(`CONFIG SET queues.q.message_timeout ${timeout}`, '+OK')
  return peer
}

function ids(messages: readonly Message[]): number[] {
  return messages.map(({ id }) => id)
}

async function channelState(peer: FlokiPeer): Promise<Record<string, number>> {
  const { q } = (await peer.json('INFO queues.q')) as { q: { channels: { c: Record<string, number> } } }
  return q.channels.c
}

test('F20: a seek goes to an id that is there, was there, is to come, or none', async (t) => {
  const peer = await startQueue(t, '30s')
  const next = async (words: string): Promise<number[]> => {
    await peer.expect('SREM q c', ':1')
    await peer.expect(`HMSET q c ${words}`, ':2')
    return ids(await peer.fetch('HMGET q c 2'))
  }
  await peer.expect('HMSET q c TS 1', ':2')
  await peer.expect('RPUSH q a b', ':2')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 2')), [1, 2])
  await peer.expect('SREM q *', ':1')
  await peer.expect('RPUSH q c d e', ':3')
  assert.deepEqual(await next('ID 4'), [4, 5])
  assert.deepEqual(await next('ID 1'), [3, 4])
  assert.deepEqual(await next('ID 0'), [3, 4])
  assert.deepEqual(await next('ID 6'), [])
  assert.deepEqual(await next('ID 8'), [])
  await peer.expect('RPUSH q f g h', ':3')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 9')), [8])
})

test('F20: a seek goes to a time before, at, between and behind the messages', async (t) => {
  let shiftMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() + shiftMs }
  const peer = await (await startFloki(t, { clock })).connect()
  await peer.expect('SET q c', '+OK')
  const nowSeconds = (): number => Math.floor(clock.now() / 1_000)
  const stamps: number[] = []
  for (let id = 1; id <= 3; id++) {
    stamps.push(nowSeconds())
    await peer.expect('RPUSH q a', ':1')
    shiftMs += 10_000
  }
  const [first = 0, second = 0, third = 0] = stamps
  for (const [seconds, expected] of [
    [1, [1, 2, 3]],
    [first, [1, 2, 3]],
    [second - 3, [2, 3]],
    [second, [2, 3]],
    [third - 3, [3]],
    [nowSeconds() + 60, []],
  ] as const) {
    await peer.expect('SREM q c', ':1')
    await peer.expect(`HMSET q c TS ${seconds}`, ':2')
    assert.deepEqual(ids(await peer.fetch('HMGET q c 9')), expected, `${seconds - first} s`)
  }
})

test('F20: a seek forwards keeps what is in flight: tickets count, and the rest comes back in its time', async (t) => {
  const peer = await startQueue(t, '4s')
  await peer.expect('RPUSH q a b c d e', ':5')
  const taken = await peer.fetch('HMGET q c 2')
  await peer.expect('HMSET q c ID 5', ':2')
  const { tail, in_flight_count: inFlight } = await channelState(peer)
  assert.deepEqual([tail, inFlight], [5, 2])
  const ahead = await peer.fetch('HMGET q c 10')
  assert.deepEqual(ids(ahead), [5])
  // Else it comes back with the other one where a machine is slow.
  await peer.expect(`HDEL q c ${ahead[0]?.ticket}`, ':1')
  await peer.expect(`HDEL q c ${taken[1]?.ticket}`, ':1')
  await peer.expect(`HDEL q c ${taken[1]?.ticket}`, ':0')
  const [again, ...others] = await peer.fetch('HMGET q c 10 15')
  assert.deepEqual([again?.id, ids(others)], [1, []])
  assert.notEqual(again?.ticket, taken[0]?.ticket)
  await peer.expect(`HDEL q c ${taken[0]?.ticket}`, ':0')
  await peer.expect(`HDEL q c ${again?.ticket}`, ':1')
})

test('F20: behind a seek back a message has two tickets, and each counts', async (t) => {
  const peer = await startQueue(t, '30s')
  await peer.expect('RPUSH q a b', ':2')
  const first = await peer.fetch('HMGET q c 2')
  await peer.expect('HMSET q c ID 1', ':2')
  const second = await peer.fetch('HMGET q c 2')
  assert.deepEqual(ids(second), [1, 2])
  await peer.expect('HMSET q c ID 2', ':2')
  const third = await peer.fetch('HMGET q c 2')
  assert.deepEqual(ids(third), [2])
  assert.equal((await channelState(peer)).in_flight_count, 5)
  const tickets = [...second, ...first, ...third].map(({ ticket }) => ticket)
  assert.equal(new Set(tickets).size, 5)
  await peer.expect(`HDEL q c ${tickets.slice(0, 3).join(' ')}`, ':3')
  await peer.expect(`HDEL q c ${tickets.join(' ')}`, ':2')
  assert.equal((await channelState(peer)).in_flight_count, 0)
})

test('F20: a seek to what is not there yet passes over new messages, and not over what was in flight', async (t) => {
  const peer = await startQueue(t)
  await peer.expect('RPUSH q a', ':1')
  await peer.fetch('HMGET q c 1')
  await peer.expect('HMSET q c ID 4', ':2')
  await peer.expect('RPUSH q b c', ':2')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 10 5')), [1])
  await peer.expect('RPUSH q d', ':1')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 10')), [4])
})

test('a purge of the channel drops what a seek has kept', async (t) => {
  const peer = await startQueue(t)
  await peer.expect('RPUSH q a b', ':2')
  const [taken] = await peer.fetch('HMGET q c 1')
  await peer.expect('HMSET q c ID 2', ':2')
  await peer.expect('SREM q c', ':1')
  await peer.expect(`HDEL q c ${taken?.ticket}`, ':0')
  await peer.expect('HMGET q c 10 2', '$-1')
})

test('2.3: what was handed out first comes back first, and before new messages', async (t) => {
  const peer = await startQueue(t, '3s')
  await peer.expect('RPUSH q a b', ':2')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 1')), [1])
  await sleep(1_500)
  assert.deepEqual(ids(await peer.fetch('HMGET q c 1')), [2])
  // The first is handed out anew, after the second.
  assert.deepEqual(ids(await peer.fetch('HMGET q c 1 15')), [1])
  await peer.expect('RPUSH q c', ':1')
  await untilTimedOut(peer)
  assert.deepEqual(ids(await peer.fetch('HMGET q c 10')), [2, 1, 3])
})

test('F12: a thousand waiters are served in the order in which they came', { timeout: 60_000 }, async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const waiters: FlokiPeer[] = []
  for (let number = 0; number < 1_000; number++) {
    const waiter = await server.connect()
    waiter.send('HMGET q c 1 50')
    waiters.push(waiter)
    // Which of two requests comes first is known only when the first is in line.
    while ((await peer.json('INFO server')).blocked_client_count !== number + 1);
  }
  const bodies = Array.from({ length: 1_000 }, (_, index) => `m${index}`)
  await peer.expect(`RPUSH q ${bodies.join(' ')}`, ':1000')
  for (const [index, waiter] of waiters.entries()) assert.deepEqual(ids(await waiter.nextMessages()), [index + 1])
})
