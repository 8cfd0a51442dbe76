/** What `$all` means for the specs beside it, and what following every stream costs of the subscriptions that a server has. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classicEvent, startMeilies, subscribedFrame } from '../../helpers/meilies-server.js'
import type { RespValue } from '../../helpers/resp-values.js'

const TOO_MANY: RespValue = ['-', 'internal error; too many subscriptions']

function unsubscribed(text: string, left: number): RespValue {
  return [
    '*',
    [
      ['$', 'unsubscribe'],
      ['$', text],
      [':', left],
    ],
  ]
}

test('a stream that the end of all streams bounds is another subscription than the same without it', async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 3)
  const peer = await server.connect()
  peer.send('subscribe', '$all:0:4', 'a:2')
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), classicEvent('a', 2)])
  // The same again, as a client does that lost its connection and found it.
  peer.send('subscribe', '$all:0:4', 'a:2')
  assert.deepEqual(await peer.next(), subscribedFrame('a'))
  peer.send('subscribe', 'a:2')
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), classicEvent('a', 2)])
  await server.fill('a', 3, 3)
  const numbers = [3, 3, 4, 5].map((number) => classicEvent('a', number))
  const got = await peer.take(4)
  assert.deepEqual(
    got.map((event) => JSON.stringify(event)).sort(),
    numbers.map((event) => JSON.stringify(event)),
  )
  await peer.expectSilence()
})

test('what the end of all streams bounds is unsubscribed by its own name', async (t) => {
  const server = await startMeilies(t)
  const peer = await server.connect()
  peer.send('subscribe', '$all:0:4', 'a', 'b')
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), subscribedFrame('b')])
  assert.deepEqual(await peer.ask('unsubscribe', 'a'), unsubscribed('a', 2))
  await server.fill('a', 1)
  await peer.expectSilence()
  assert.deepEqual(await peer.ask('unsubscribe', '$all:0:4'), unsubscribed('$all:0:4', 1))
  assert.deepEqual(await peer.ask('unsubscribe', 'b'), unsubscribed('b', 0))
})

test('each stream that all streams are counts, and a subscription that would be too many leaves nothing', async (t) => {
  const server = await startMeilies(t, { meiliesSubscriptionsMax: 4 })
  await server.fill('a', 1)
  await server.fill('b', 1)
  await server.fill('c', 1)
  const readers = (): number | undefined =>
    server.broker.metrics().find(({ name }) => name === 'leveret_broker_readers')?.value
  const [one, other] = [await server.connect(), await server.connect()]
  assert.deepEqual(await one.ask('subscribe', 'a', '$all:0', 'b', 'd'), TOO_MANY)
  assert.equal(readers(), 0)
  assert.deepEqual(await one.ask('subscribe', 'a'), subscribedFrame('a'))
  assert.deepEqual(await other.ask('subscribe', '$all:0'), TOO_MANY)
  assert.equal(readers(), 1)
  assert.deepEqual(await one.ask('unsubscribe', 'a'), unsubscribed('a', 0))
  other.send('subscribe', '$all:1')
  assert.deepEqual(await other.take(3), ['a', 'b', 'c'].map(subscribedFrame))
  assert.deepEqual(await one.ask('subscribe', 'a'), TOO_MANY)
  assert.deepEqual(await other.ask('unsubscribe', '$all:1'), unsubscribed('$all:1', 0))
  one.send('subscribe', 'a', 'b', 'c', 'd')
  assert.deepEqual(await one.take(4), ['a', 'b', 'c', 'd'].map(subscribedFrame))
})

test('streams of all streams whose range is done count no more', async (t) => {
  const server = await startMeilies(t, { meiliesSubscriptionsMax: 3 })
  await server.fill('a', 1)
  const peer = await server.connect()
  peer.send('subscribe', '$all:0:1')
  assert.deepEqual(await peer.take(2), [subscribedFrame('a'), classicEvent('a', 0)])
  for (const stream of ['b', 'c', 'd']) {
    await server.fill(stream, 2)
    assert.deepEqual(await peer.take(2), [subscribedFrame(stream), classicEvent(stream, 0)])
  }
})

test('whoever follows all streams is told when there is one too many, and gets none of them any more', async (t) => {
  const server = await startMeilies(t, { meiliesSubscriptionsMax: 3 })
  await server.fill('a', 1)
  const [classic, library] = [await server.connect(), await server.connect()]
  classic.send('subscribe', '$all:0')
  assert.deepEqual(await classic.take(2), [subscribedFrame('a'), classicEvent('a', 0)])
  await server.fill('b', 1)
  assert.deepEqual(await classic.take(2), [subscribedFrame('b'), classicEvent('b', 0)])
  await server.fill('c', 1)
  assert.deepEqual(await classic.next(), TOO_MANY)
  await server.fill('a', 1, 1)
  await classic.expectSilence()
  // There is room again.
  assert.deepEqual(await classic.ask('subscribe', 'a'), subscribedFrame('a'))
  assert.deepEqual(await library.ask('SUBSCRIBE', '$all:0'), TOO_MANY)
  assert.deepEqual((await library.ask('SUBSCRIBE', 'x:1:1'))?.[0], '*')
})

test('the connection of a library ends when there is one stream too many for all streams', async (t) => {
  const server = await startMeilies(t, { meiliesSubscriptionsMax: 2 })
  const peer = await server.connect()
  assert.deepEqual((await peer.ask('SUBSCRIBE', '$all:5'))?.[0], '*')
  await server.fill('a', 1)
  await server.fill('b', 1)
  assert.equal(await peer.next(), null)
})
