/** Streams that came while a subscription to all of them was being made, or while its reader was behind. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { classicEvent, startMeilies, subscribedFrame } from '../helpers/meilies-server.js'
import type { RespValue } from '../helpers/resp-values.js'

const MANY = 50

test('a stream that comes while all are subscribed to sends no event ahead of the confirmations', async (t) => {
  // To make a stream on a disk takes time.
  const data = mkdtempSync(join(tmpdir(), 'leveret-'))
  const server = await startMeilies(t, { data })
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const peer = await server.connect()
  const publisher = await server.connect()
  await peer.ask('HELLO', '3')
  const names = Array.from({ length: MANY }, (_, index) => `n${index}`)
  peer.send('subscribe', '$all:0', ...names)
  for (const name of ['x', 'y']) assert.deepEqual(await publisher.ask('publish', name, 'e', ''), ['+', 'OK'])
  const confirmations = ['$all:0', ...names].map((spec, index): RespValue => {
    return [
      '>',
      [
        ['$', 'subscribe'],
        ['$', spec],
        [':', index + 1],
      ],
    ]
  })
  assert.deepEqual(await peer.take(confirmations.length), confirmations)
  const events = await peer.take(2)
  for (const name of ['x', 'y']) assert.ok(events.some((event) => JSON.stringify(event).includes(`["+","${name}"]`)))
})

test('who follows all streams and is behind gets one that was deleted and made again meanwhile', async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 1)
  const peer = await server.connect()
  peer.send('subscribe', '$all:0')
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), classicEvent('a', 0)])
  peer.socket.pause()
  const publisher = await server.connect()
  const large = Buffer.alloc(1024 * 1024)
  for (let left = 32; left > 0; left--) await publisher.ask('publish', 'large', 'e', large)
  await server.broker.deleteTopic('a')
  await server.fill('a', 2)
  peer.socket.resume()
  const frames: (RespValue | null)[] = []
  while (frames.length < 3) {
    const next = await peer.next()
    if (!JSON.stringify(next).includes('large')) frames.push(next)
  }
  assert.deepEqual(frames, [subscribedFrame('a'), classicEvent('a', 0), classicEvent('a', 1)])
})

test('who does not follow all streams any more hears of no new one', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  await peer.ask('SUBSCRIBE', '$all:0')
  await peer.ask('UNSUBSCRIBE', '$all:0')
  await server.fill('a', 1)
  await peer.expectSilence()
})
