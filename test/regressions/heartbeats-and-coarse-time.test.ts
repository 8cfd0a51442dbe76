import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock, Timer } from '../../src/common/clock.js'
import { createBroker } from '../../src/index.js'
import type { HelloFrame } from '../../src/protocol/frames.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { commitFrame, WireClient } from '../helpers/wire-client.js'

/** A process that stands still: time passes and no timer fires meanwhile. */
class StallingClock implements Clock {
  readonly ticking = new VirtualClock()
  stalledMs = 0

  now(): number {
    return this.ticking.now() + this.stalledMs
  }

  monotonic(): number {
    return this.ticking.monotonic() + this.stalledMs
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.ticking.after(delayMs, callback)
  }

  every(intervalMs: number, callback: () => void): Timer {
    return this.ticking.every(intervalMs, callback)
  }
}

function hello(heartbeatMs: number): HelloFrame {
  return { kind: 'hello', id: 0, version: 1, clientName: '', token: '', user: '', password: '', heartbeatMs }
}

test('a peer that beats faster than the server looks is not late', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.askFor('welcome', hello(100))
  for (let beat = 0; beat < 30; beat++) {
    clock.advance(90)
    await client.ping()
  }
})

test('a stall of the server is no silence of its peers', async () => {
  const clock = new StallingClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.askFor('welcome', hello(1_000))
  for (let stall = 0; stall < 5; stall++) {
    clock.ticking.advance(500)
    clock.stalledMs += 60_000
    client.send({ kind: 'ping', id: 0 })
    clock.ticking.advance(500)
    await client.ping()
  }
  const metric = (name: string) => broker.metrics().find((sample) => sample.name === name)?.value
  assert.equal(metric('leveret_transport_stalls_total'), 5)
  assert.equal(metric('leveret_transport_longest_stall_ms'), 60_000)
})

test('a peer that was heard while the process was busy for two of its intervals and more is not closed', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.askFor('welcome', hello(300))
  const until = performance.now() + 2_000
  // Sent before the stall and read after it, when every timer is late.
  client.send({ kind: 'ping', id: 7 })
  await new Promise((resolve) => setImmediate(resolve))
  while (performance.now() < until);
  for (let beat = 0; beat < 6; beat++) {
    await client.ping()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
  const stalls = broker.metrics().find(({ name }) => name === 'leveret_transport_stalls_total')?.value ?? 0
  assert.ok(stalls >= 1, `${stalls} stalls were noticed`)
})

test('a silent peer is still found out', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.askFor('welcome', hello(1_000))
  clock.advance(500)
  await client.ping()
  clock.advance(3_600)
  assert.equal((await client.expect('closing')).code, 'LVT_HEARTBEAT_TIMEOUT')
})

test("a record that was acked while the process stood still is not another member's", async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs')
  await client.publish('jobs', ['a'])
  await client.subscribe('jobs', { mode: 'shared', group: 'workers', ackWaitMs: 500 })
  await client.expect('delivery')
  client.send(commitFrame({ id: 9, offset: 0 }))
  const until = performance.now() + 1_500
  while (performance.now() < until);
  assert.equal((await client.answer(9)).kind, 'done')
  await client.ping()
  assert.deepEqual(client.frames, [])
})
