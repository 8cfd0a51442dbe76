/**
 * Who is registered, and heartbeats, with time in the hands of the test.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from '../../../src/common/random.js'
import { type NatsMessage, Router } from '../../../src/gateways/nats-streaming/core/router.js'
import { type Client, Clients } from '../../../src/gateways/nats-streaming/streaming/clients.js'
import { MetricsRegistry } from '../../../src/metrics/registry.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

const HEARTBEATS = { intervalMs: 30_000, timeoutMs: 10_000, failuresMax: 10 }

function setUp() {
  const clock = new VirtualClock()
  const router = new Router(systemRandom)
  const failing: boolean[] = []
  const timedOut: string[] = []
  const listener = {
    failing: ({ isFailing }: Client) => {
      failing.push(isFailing)
    },
    timedOut: (client: Client) => {
      timedOut.push(client.id)
      clients.remove(client)
    },
  }
  const clients = new Clients({ router, clock, heartbeats: HEARTBEATS, listener, metrics: new MetricsRegistry() })
  clients.start()
  /** Somebody at an inbox, who answers or does not. */
  const inbox = (subject: string, answers: boolean) => {
    const seen = { count: 0, answers }
    const deliver = (_: unknown, { reply }: NatsMessage): void => {
      seen.count++
      const payload = Buffer.alloc(0)
      if (seen.answers) router.publish({ subject: reply, reply: '', headers: null, payload })
    }
    router.add({ subject, queue: null, sid: '', owner: { deliver } })
    return seen
  }
  const add = (id: string, heartbeatInbox = `hb.${id}`): Client =>
    clients.add({ id, heartbeatInbox, connId: `conn-${id}`, protocol: 1, pingInterval: 5, pingMaxOut: 3 })
  return { clock, clients, failing, timedOut, inbox, add }
}

test('a client is found by its ID and by its connection until it is removed', () => {
  const { clients, add } = setUp()
  const client = add('a')
  assert.equal(clients.size, 1)
  assert.equal(clients.get('a'), client)
  assert.equal(clients.ofConnection('conn-a'), client)
  assert.equal(clients.publisher('b', 'conn-a'), client, 'the connection says who publishes')
  assert.equal(clients.publisher('a', ''), client)
  assert.equal(clients.publisher('a', 'conn-b'), null)
  assert.equal(clients.remove(client), true)
  assert.equal(clients.remove(client), false)
  assert.equal(client.isCastOut, false)
  assert.deepEqual([clients.get('a'), clients.ofConnection('conn-a'), clients.publisher('a', '')], [null, null, null])
})

test('a client that is cast out is removed, and known for it', () => {
  const { clients, add } = setUp()
  const client = add('a')
  assert.equal(clients.castOut(client), true)
  assert.deepEqual([client.isCastOut, clients.size], [true, 0])
  const next = add('a')
  assert.equal(clients.castOut(client), false, 'it is another one')
  assert.deepEqual([next.isCastOut, clients.get('a')], [false, next])
})

test('a client that answers its heartbeats stays, and is asked once an interval', () => {
  const { clock, clients, failing, timedOut, inbox, add } = setUp()
  const seen = inbox('hb.a', true)
  clients.watch(add('a'))
  clock.advance(29_999)
  assert.equal(seen.count, 0)
  clock.advance(1)
  assert.equal(seen.count, 1)
  clock.advance(300_000)
  assert.equal(seen.count, 11)
  assert.deepEqual([failing, timedOut], [[], []])
  clients.stop()
  assert.equal(clock.timers, 0)
})

test('a silent client is closed after the eleventh failure, 440 seconds later', () => {
  const { clock, clients, failing, timedOut, inbox, add } = setUp()
  const seen = inbox('hb.a', false)
  clients.watch(add('a'))
  clock.advance(439_999)
  assert.deepEqual(timedOut, [])
  clock.advance(1)
  assert.deepEqual(timedOut, ['a'])
  assert.equal(seen.count, 11)
  assert.deepEqual(failing, [true], 'told once')
  clock.advance(100_000)
  assert.equal(seen.count, 11)
  assert.equal(clock.timers, 0)
})

test('where nobody listens a heartbeat fails at once, and the client is closed after 330 seconds', () => {
  const { clock, clients, timedOut, add } = setUp()
  clients.watch(add('a'))
  clock.advance(329_999)
  assert.deepEqual(timedOut, [])
  clock.advance(1)
  assert.deepEqual(timedOut, ['a'])
})

test('one answer makes up for all failures', () => {
  const { clock, clients, failing, timedOut, inbox, add } = setUp()
  const seen = inbox('hb.a', false)
  const client = add('a')
  clients.watch(client)
  clock.advance(400_000)
  assert.equal(client.failures, 10)
  seen.answers = true
  clock.advance(40_000)
  assert.equal(client.failures, 0)
  assert.deepEqual(failing, [true, false])
  seen.answers = false
  clock.advance(400_000)
  assert.deepEqual(timedOut, [])
})

test('a failing client that shows itself is asked again at once', () => {
  const { clock, clients, inbox, add } = setUp()
  const seen = inbox('hb.a', false)
  const client = add('a')
  clients.watch(client)
  clients.hurry(client)
  clock.advance(40_000)
  assert.equal(seen.count, 1, 'it was not failing')
  assert.equal(client.isFailing, true)
  seen.answers = true
  clients.hurry(client)
  clock.advance(1)
  assert.equal(client.isFailing, false)
  clock.advance(30_000)
  assert.equal(seen.count, 3)
})

test('no heartbeat is sent to a client that is gone', () => {
  const { clock, clients, inbox, add } = setUp()
  const seen = inbox('hb.a', false)
  const client = add('a')
  clients.watch(client)
  clock.advance(35_000)
  clients.remove(client)
  clients.watch(client)
  clients.hurry(client)
  clock.advance(100_000)
  assert.equal(seen.count, 1)
  assert.equal(client.failures, 0, 'what comes of it later is nobody’s')
  assert.equal(clock.timers, 0)
})

test('whether a client is there takes half a second at most, and is asked once at a time', async () => {
  const { clock, clients, inbox, add } = setUp()
  inbox('hb.live', true)
  inbox('hb.silent', false)
  assert.equal(await clients.isThere(add('live')), true)
  assert.equal(await clients.isThere(add('nobody')), false, 'at once')
  assert.equal(await clients.isThere(add('nowhere', '')), false)
  const silent = add('silent')
  const asked = clients.isThere(silent)
  assert.equal(clients.isThere(silent), null)
  clock.advance(499)
  assert.equal(clients.isThere(silent), null)
  clock.advance(1)
  assert.equal(await asked, false)
  assert.notEqual(clients.isThere(silent), null)
  clients.stop()
})
