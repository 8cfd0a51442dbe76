/**
 * Programs that use `node-nats-streaming`, unchanged, meet leveret: what its own tests hold the original to.
 */
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type LibraryClient,
  type LibraryMessage,
  publish,
  Received,
  startForLibrary,
  withLibrary,
} from '../helpers/stan-library.js'

const GONE = 'client has been replaced or is no longer registered'

/** Errors are no failures here. */
function heard(emitter: EventEmitter, event: string): Promise<unknown> {
  return new Promise((resolve) => emitter.once(event, resolve))
}

async function filled(client: LibraryClient, count: number): Promise<void> {
  for (let number = 1; number <= count; number++) await publish(client, 'foo', `${number}`)
}

test('connects, publishes, subscribes, unsubscribes and closes', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  const guid = client.publish('foo', 'only published')
  assert.equal(typeof guid, 'string')
  assert.notEqual(await publish(client, 'foo', 'hello'), guid)
  const subscription = client.subscribe('foo', client.subscriptionOptions().setDeliverAllAvailable())
  await once(subscription, 'ready')
  const received = new Received(subscription)
  await received.until(2)
  assert.deepEqual(
    received.messages.map((message) => message.getData()),
    ['only published', 'hello'],
  )
  subscription.unsubscribe()
  await once(subscription, 'unsubscribed')
  assert.equal(subscription.isClosed(), true)
  await publish(client, 'foo', 'too late')
  assert.equal(received.messages.length, 2)
  client.close()
  await once(client, 'close')
})

test('a second client of the same name is told so', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  await server.connect('me')
  const second = server.open('me')
  const closed = heard(second, 'close')
  assert.match(String(await heard(second, 'error')), /stan: clientID already registered/)
  await closed
})

test('a message is what was published, whatever its bytes', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me', { stanEncoding: 'binary' })
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
  const subscription = client.subscribe('foo')
  await once(subscription, 'ready')
  const received = new Received(subscription)
  const began = Date.now()
  await publish(client, 'foo', bytes)
  const [message] = await received.until(1)
  assert.deepEqual(message?.getRawData(), bytes)
  assert.equal(message?.getSubject(), 'foo')
  assert.equal(message?.isRedelivered(), false)
  const at = message?.getTimestamp().getTime() ?? 0
  assert.ok(at >= began - 1 && at <= Date.now() + 1)
})

test('unsubscribing twice is an error, and so is anything after the end', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  const subscription = client.subscribe('foo')
  await once(subscription, 'ready')
  subscription.unsubscribe()
  await once(subscription, 'unsubscribed')
  const failed = once(subscription, 'error')
  subscription.unsubscribe()
  assert.match(String((await failed)[0]), /stan: invalid subscription/)
  const other = client.subscribe('foo')
  await once(other, 'ready')
  client.close()
  await once(client, 'close')
  const closed = once(other, 'error')
  other.unsubscribe()
  assert.match(String((await closed)[0]), /stan: Connection closed/)
})

test('an invalid channel is refused', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  await assert.rejects(publish(client, 'foo.>'), /stan: invalid publish request/)
  const subscription = client.subscribe('foo.*')
  const unsubscribed = heard(subscription, 'unsubscribed')
  assert.match(String(await heard(subscription, 'error')), /stan: invalid subject/)
  await unsubscribed
})

test('begins where it is told', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  await filled(client, 3)
  await pause(200)
  const between = new Date()
  await pause(200)
  await publish(client, 'foo', '4')
  const first = async (
    set: (options: ReturnType<LibraryClient['subscriptionOptions']>) => unknown,
  ): Promise<number> => {
    const options = client.subscriptionOptions()
    set(options)
    const subscription = client.subscribe('foo', options)
    const received = new Received(subscription)
    await once(subscription, 'ready')
    await publish(client, 'foo', 'new')
    const [message] = await received.until(1)
    subscription.unsubscribe()
    await once(subscription, 'unsubscribed')
    return message?.getSequence() ?? 0
  }
  assert.equal(await first((options) => options.setStartAtSequence(2)), 2)
  assert.equal(await first((options) => options.setStartTime(between)), 4)
  assert.equal(await first((options) => options.setStartAtTimeDelta(Date.now() - between.getTime())), 4)
  assert.equal(await first((options) => options.setDeliverAllAvailable()), 1)
  assert.equal(await first((options) => options.setStartWithLastReceived()), 8)
  assert.equal(await first(() => undefined), 10, 'new ones only')
})

test('members of a queue share its messages', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  const other = await server.connect('other')
  const one = client.subscribe('foo', 'workers')
  const two = other.subscribe('foo', 'workers')
  await Promise.all([once(one, 'ready'), once(two, 'ready')])
  const [first, second] = [new Received(one), new Received(two)]
  for (let count = 0; count < 100; count++) client.publish('foo', `${count}`)
  while (first.messages.length + second.messages.length < 100) await pause(10)
  assert.deepEqual(
    [...first.sequences, ...second.sequences].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, index) => index + 1),
  )
  assert.ok(first.messages.length > 10 && second.messages.length > 10, 'both had their share')
})

test('a durable goes on where it was closed', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  await filled(client, 5)
  const options = () =>
    client.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true).setDurableName('dur')
  const before = client.subscribe('foo', options())
  const first = new Received(before)
  await first.until(5)
  for (const message of first.messages.slice(0, 3)) message.ack()
  before.close()
  await once(before, 'closed')
  await publish(client, 'foo', '6')
  const after = client.subscribe('foo', options())
  const second = new Received(after)
  await second.until(3)
  assert.deepEqual(
    second.messages.map((message) => [message.getSequence(), message.isRedelivered()]),
    [
      [4, true],
      [5, true],
      [6, false],
    ],
  )
})

test(
  'a durable of a program that closes at once is there when it comes back, and all that it missed',
  withLibrary,
  async (t) => {
    const server = await startForLibrary(t, true)
    const other = await server.connect('other')
    const durable = (client: LibraryClient) =>
      client.subscribe('foo', client.subscriptionOptions().setDurableName('mine').setDeliverAllAvailable())
    const client = await server.connect('me')
    // Nobody listens for errors: one would end the program.
    const ready = heard(durable(client), 'ready')
    client.close()
    await Promise.all([ready, once(client, 'close')])
    await filled(other, 3)
    const again = await server.connect('me')
    const subscription = again.subscribe('foo', again.subscriptionOptions().setDurableName('mine'))
    const received = new Received(subscription)
    await received.until(3)
    assert.deepEqual(received.sequences, [1, 2, 3])
  },
)

test('what a program publishes to a new channel right before it closes is kept', withLibrary, async (t) => {
  const server = await startForLibrary(t, true)
  const client = await server.connect('me')
  client.publish('new', 'last words', () => undefined)
  client.close()
  await once(client, 'close')
  const again = await server.connect('me')
  const subscription = again.subscribe('new', again.subscriptionOptions().setDeliverAllAvailable())
  const [message] = await new Received(subscription).until(1)
  assert.equal(message?.getData(), 'last words')
})

test('a durable goes on when its client comes back', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const before = await server.connect('me')
  const options = before.subscriptionOptions().setDeliverAllAvailable().setDurableName('dur')
  await filled(before, 2)
  await new Received(before.subscribe('foo', options)).until(2)
  before.close()
  await once(before, 'close')
  const after = await server.connect('me')
  await publish(after, 'foo', '3')
  const received = new Received(after.subscribe('foo', options))
  assert.deepEqual(
    (await received.until(1)).map((message) => message.getSequence()),
    [3],
  )
})

test('what is not acked comes again, counted', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me')
  await publish(client, 'foo')
  const options = client.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true).setAckWait(1_000)
  const subscription = client.subscribe('foo', options.setMaxInFlight(1))
  const received = new Received(subscription)
  await received.until(3)
  const counts = received.messages.map((message: LibraryMessage) => message.isRedelivered())
  assert.deepEqual(counts, [false, true, true])
  received.messages[0]?.ack()
  await publish(client, 'foo')
  await received.until(4)
  assert.deepEqual(received.sequences, [1, 1, 1, 2])
})

test('a limit of publishes in flight is the client’s own', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me', { maxPubAcksInflight: 1 })
  const errors: string[] = []
  const publishing = (): void => {
    client.publish('foo', 'x', (error) => errors.push(error?.message ?? ''))
  }
  publishing()
  publishing()
  assert.deepEqual(errors, [])
  publishing()
  assert.deepEqual(errors, ['stan: max in flight reached.'])
  assert.throws(() => client.publish('foo', 'x'), /stan: max in flight reached/)
  while (errors.length < 4) await pause(10)
  assert.deepEqual(errors.slice(1), ['', '', ''], 'what was sent is stored all the same')
})

test('another cluster is not there', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = server.open('me', { connectTimeout: 300 }, 'another')
  assert.match(String((await once(client, 'error'))[0]), /stan: connect request timeout/)
})

test('a program goes on by itself after a restart', withLibrary, async (t) => {
  const server = await startForLibrary(t, true)
  const client = await server.connect('me', { reconnectTimeWait: 100, maxReconnectAttempts: -1 })
  const lost: unknown[] = []
  client.on('connection_lost', (error) => lost.push(error))
  const options = client.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true).setAckWait(3_000)
  const subscription = client.subscribe('foo', options)
  const received = new Received(subscription)
  await filled(client, 3)
  await received.until(3)
  received.messages[0]?.ack()
  await publish(client, 'bar', 'the ack is done with')
  const reconnected = once(client, 'reconnect')
  await server.restart()
  await reconnected
  await publish(client, 'foo', '4')
  await received.until(6)
  const after = received.messages.slice(3).map((message) => [message.getSequence(), message.isRedelivered()] as const)
  assert.deepEqual(
    // What is new does not wait for the ack waits of the others.
    after.sort(([one], [other]) => one - other),
    [
      [2, true],
      [3, true],
      [4, false],
    ],
  )
  for (const message of received.messages.slice(3)) message.ack()
  subscription.unsubscribe()
  await once(subscription, 'unsubscribed')
  assert.deepEqual(lost, [])
})

test('a program whose server forgot it hears of that by its next ping', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const pings = { stanPingInterval: 1_000, stanMaxPingOut: 10, reconnectTimeWait: 100, maxReconnectAttempts: -1 }
  const client = await server.connect('me', pings)
  const lost = once(client, 'connection_lost')
  await server.restart()
  assert.match(String((await lost)[0]), new RegExp(GONE))
})

test('a program whose server is away hears of that when its pings stay without an answer', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const pings = { stanPingInterval: 1_000, stanMaxPingOut: 2, reconnectTimeWait: 100, maxReconnectAttempts: -1 }
  const client = await server.connect('me', pings)
  const lost = once(client, 'connection_lost')
  const began = performance.now()
  await server.stop()
  assert.match(String((await lost)[0]), /stan: connection lost due to PING failure/)
  assert.ok(performance.now() - began > 1_500)
})

test('a program that was replaced hears of that by its next ping', withLibrary, async (t) => {
  const server = await startForLibrary(t)
  const client = await server.connect('me', {
    stanPingInterval: 1_000,
    stanMaxPingOut: 10,
    reconnect: true,
    reconnectTimeWait: 1_500,
  })
  const lost = once(client, 'connection_lost')
  const stream = Reflect.get(client.nc ?? {}, 'stream') as { destroy(): void }
  stream.destroy()
  await server.connect('me')
  assert.match(String((await lost)[0]), new RegExp(GONE))
})
