/** Who stands in the line of a channel gets what it asked for, whatever those before it asked for, got, or did not wait for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type FlokiPeer,
  type FlokiServer,
  type Message,
  startFloki,
  untilTimedOut,
} from '../../helpers/floki-server.js'

const SOON_MS = 5_000

function ids(messages: readonly Message[]): number[] {
  return messages.map(({ id }) => id)
}

async function untilWaiting(server: FlokiServer, count: number): Promise<void> {
  const peer = await server.connect()
  while ((await peer.json('INFO server'))['blocked_client_count'] !== count);
}

/** Two who wait, the first for so many messages and the second for more. */
async function twoInLine(server: FlokiServer, first: number, second: number): Promise<[FlokiPeer, FlokiPeer]> {
  const [ann, bob] = [await server.connect(), await server.connect()]
  ann.send(`HMGET q c ${first} 60`)
  await untilWaiting(server, 1)
  bob.send(`HMGET q c ${second} 60`)
  await untilWaiting(server, 2)
  return [ann, bob]
}

test('whoever is behind one that goes gets all it asked for', { timeout: SOON_MS }, async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const [ann, bob] = await twoInLine(server, 1, 4)
  // Without a word, so that nobody answers it.
  ann.raw.socket.resetAndDestroy()
  await untilWaiting(server, 1)
  await peer.expect('RPUSH q a b c d', ':4')
  assert.deepEqual(ids(await bob.nextMessages()), [1, 2, 3, 4])
})

test('whoever is behind one that got less than it asked for gets all it asked for', { timeout: SOON_MS }, async (t) => {
  const server = await startFloki(t)
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  const [ann, bob] = await twoInLine(server, 2, 3)
  await peer.expect('RPUSH q a', ':1')
  assert.deepEqual(ids(await ann.nextMessages()), [1])
  await peer.expect('RPUSH q b c d', ':3')
  assert.deepEqual(ids(await bob.nextMessages()), [2, 3, 4])
})

test('an answer ends with the message that makes it large', { timeout: SOON_MS }, async (t) => {
  const server = await startFloki(t, { flokiFetchBytesMax: 10 * 1024 })
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  for (let count = 0; count < 8; count++) await peer.expect(`RPUSH q ${'x'.repeat(4096)}`, ':1')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 100')), [1, 2, 3])
  assert.deepEqual(ids(await peer.fetch('HMGET q c 100')), [4, 5, 6])
})

test('what an answer has no room for is there for the next one', { timeout: SOON_MS }, async (t) => {
  const server = await startFloki(t, { flokiFetchBytesMax: 1024, flokiMessageTimeoutMs: 1_000 })
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect(`RPUSH q ${Array.from('abcd', (letter) => letter.repeat(600)).join(' ')}`, ':4')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 2')), [1, 2])
  // They come again, and are another range than those that nobody has had.
  await untilTimedOut(peer)
  assert.deepEqual(ids(await peer.fetch('HMGET q c 4')), [1, 2])
  assert.deepEqual(ids(await peer.fetch('HMGET q c 4 3')), [3, 4])
})
