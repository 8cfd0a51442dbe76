/** Programs of Floki's users as a whole: its example, a stream of requests cut at every byte, options that outlive a restart. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type FlokiPeer, messagesOf, startFloki } from '../../helpers/floki-server.js'
import { requestOf } from '../../helpers/resp-values.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

// When all servers have ended, which is after their tests.
const FOLDER = mkdtempSync(join(tmpdir(), 'leveret-floki-whole-'))
after(() => rmSync(FOLDER, { recursive: true, force: true }))

test('answers a thousand pushes in their order, sent byte by byte', { timeout: 60_000 }, async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  peer.raw.socket.setNoDelay(true)
  // Counts from 1 to 3, so that replies out of order would be seen.
  const counts = Array.from({ length: 1000 }, (_, number) => (number % 3) + 1)
  const pushes = counts.map((count, number) =>
    requestOf('RPUSH', 'q', ...Array.from({ length: count }, () => `${number}`)),
  )
  const bytes = Buffer.concat(pushes)
  for (let at = 0; at < bytes.length; at++) {
    peer.raw.write(bytes.subarray(at, at + 1))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await peer.raw.expect(counts.map((count) => `:${count}\r\n`).join(''))
  const bodies = (await peer.fetch('HMGET q c 1000')).map(({ body }) => body)
  assert.deepEqual(
    bodies,
    counts.flatMap((count, number) => Array.from({ length: count }, () => `${number}`)).slice(0, 1000),
  )
})

test('brings messages again after the time that CONFIG SET says, also after a restart', async (t) => {
  const data = join(FOLDER, 'options')
  const clock = new VirtualClock()
  for (const isFirst of [true, false]) {
    const server = await startFloki(t, { data, clock })
    const peer = await server.connect()
    if (isFirst) {
      await peer.expect('SET q c', '+OK')
      await peer.expect('CONFIG SET queues.q.message_timeout 5s', '+OK')
      await peer.expect('RPUSH q a', ':1')
    }
    const { q } = (await peer.json('CONFIG GET queues.q')) as Record<string, Record<string, unknown>>
    assert.equal(q?.['message_timeout'], 5)
    const [taken] = await peer.fetch('HMGET q c 1')
    assert.equal(taken?.id, 1)
    clock.advance(4_999)
    await peer.expect('HMGET q c 1', '*0')
    clock.advance(1)
    const [again] = await peer.fetch('HMGET q c 1')
    assert.equal(again?.id, 1)
    assert.notEqual(again?.ticket, taken?.ticket)
    await peer.expect(`HDEL q c ${taken?.ticket}`, ':0')
    peer.raw[Symbol.dispose]()
    await server.broker.stop({ deadlineMs: 0 })
  }
})

test('carries the example of Floki: two producers, two consumers of a channel and one of another', async (t) => {
  const server = await startFloki(t)
  const [one, two] = [await server.connect(), await server.connect()]
  await one.expect('SETNX q shared', '+OK')
  await two.expect('SETNX q alone', '+OK')
  const consume = async (channel: string): Promise<number[]> => {
    const peer = await server.connect()
    const ids: number[] = []
    for (;;) {
      peer.send(`HMGET q ${channel} 10 5`)
      const reply = await peer.raw.next()
      if (reply?.[0] === 'nil') return ids
      const messages = messagesOf(reply)
      ids.push(...messages.map(({ id }) => id))
      const tickets = messages.map(({ ticket }) => ticket).join(' ')
      await peer.expect(`HDEL q ${channel} ${tickets}`, `:${messages.length}`)
    }
  }
  const produce = async (peer: FlokiPeer, name: string): Promise<void> => {
    for (let batch = 0; batch < 10; batch++) await peer.expect(`RPUSH q ${name}_${batch}_0 ${name}_${batch}_1`, ':2')
  }
  const consuming = [consume('shared'), consume('shared'), consume('alone')]
  await Promise.all([produce(one, 'one'), produce(two, 'two')])
  const [first = [], second = [], alone = []] = await Promise.all(consuming)
  const all = Array.from({ length: 40 }, (_, index) => index + 1)
  assert.deepEqual(
    [...first, ...second].sort((a, b) => a - b),
    all,
  )
  assert.deepEqual(alone, all)
  // All of it is acked: nothing is in flight.
  const { q } = (await one.json('INFO queues')) as Record<
    string,
    { channels: Record<string, { in_flight_count: number }> }
  >
  assert.deepEqual(
    Object.values(q?.channels ?? {}).map((channel) => channel.in_flight_count),
    [0, 0],
  )
})
