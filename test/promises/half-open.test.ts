/** Peers that vanish without a word: found within two of their heartbeats, and what they had goes to others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import type { HelloFrame } from '../../src/protocol/frames.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { commitFrame, payloadsIn, WireClient } from '../helpers/wire-client.js'

const HEARTBEAT_MS = 1_000
/** The server looks twice a second, and its time is as coarse. */
const COARSE_MS = 1_000

function hello(): HelloFrame {
  const plain = { clientName: '', token: '', user: '', password: '' }
  return { kind: 'hello', id: 0, version: 1, heartbeatMs: HEARTBEAT_MS, ...plain }
}

test('a member behind a half-open socket is found within two heartbeats, and its records go to the others', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using proxy = await TcpProxy.start(broker.port)
  await using stays = await WireClient.connect(broker)
  await stays.create('jobs')
  await stays.publish('jobs', ['a', 'b'])
  await using vanishes = await WireClient.connect(proxy)
  await vanishes.askFor('welcome', hello())
  // An ack wait that cannot be what brings them back.
  const place = { mode: 'shared', group: 'workers', window: 10, ackWaitMs: 3_600_000 } as const
  await vanishes.subscribe('jobs', place)
  assert.deepEqual(payloadsIn(await vanishes.expect('delivery')), ['a', 'b'])
  await stays.subscribe('jobs', place)
  proxy.swallow()
  vanishes.send(commitFrame({ id: 5, offset: 1 }))
  for (let passedMs = 0; passedMs < 2 * HEARTBEAT_MS + COARSE_MS; passedMs += 500) {
    clock.advance(500)
    await stays.ping()
  }
  const delivery = await stays.expect('delivery')
  assert.deepEqual([payloadsIn(delivery), delivery.deliveryCount], [['a', 'b'], 1])
  await stays.commit({ offset: 1 })
})
