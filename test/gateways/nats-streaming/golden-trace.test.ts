/**
 * One conversation from beginning to end, byte for byte as `node-nats-streaming` has it with the original server.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NatsWire, type WireMessage, within } from '../../helpers/nats-wire.js'
import { stanBytes, stanFields } from '../../helpers/stan-messages.js'
import { startStan } from '../../helpers/stan-server.js'

test('a client connects, subscribes, publishes, is sent its message twice, acks it and leaves', async (t) => {
  const { port } = await startStan(t)
  const wire = await NatsWire.open(port, { lang: 'node', version: '1.4.12' })
  t.after(() => wire.close())
  const inboxes = ['A', 'B', 'D', 'E'].map((letter) => `_INBOX.${letter.repeat(22)}`)
  const [heartbeats = '', pings = '', replies = '', delivery = ''] = inboxes
  const acks = `_STAN.acks.${'C'.repeat(22)}`
  const arrived: WireMessage[] = []
  const waiting: (() => void)[] = []
  const note = (message: WireMessage): void => {
    arrived.push(message)
    for (const wake of waiting) wake()
  }
  const arrival = async (count: number): Promise<WireMessage> => {
    const here = new Promise<void>((resolve) => {
      const look = (): void => (arrived.length >= count ? resolve() : undefined)
      waiting.push(look)
      look()
    })
    await within(`message ${count}`, here)
    return arrived[count - 1] as WireMessage
  }
  for (const subject of [heartbeats, pings, acks, `${replies}.*`]) wire.subscribe(subject, note)

  const connId = Buffer.from('I'.repeat(22))
  const connect = {
    clientID: 'c1',
    heartbeatInbox: heartbeats,
    protocol: 1,
    connID: connId,
    pingInterval: 5,
    pingMaxOut: 3,
  }
  wire.publish('_STAN.discover.test-cluster', stanBytes('ConnectRequest', connect), `${replies}.t1`)
  const welcome = await arrival(1)
  assert.deepEqual([welcome.subject, welcome.payload.length], [`${replies}.t1`, 170])
  assert.deepEqual(stanFields('ConnectResponse', welcome.payload), {
    pubPrefix: '_STAN.pub.test-cluster',
    subRequests: '_STAN.sub.test-cluster',
    unsubRequests: '_STAN.unsub.test-cluster',
    closeRequests: '_STAN.close.test-cluster',
    subCloseRequests: '_STAN.subclose.test-cluster',
    pingRequests: '_STAN.discover.test-cluster.pings',
    pingInterval: 5,
    pingMaxOut: 3,
    protocol: 1,
  })

  const sid = wire.subscribe(delivery, note)
  const subscribe = {
    clientID: 'c1',
    subject: 'foo',
    inbox: delivery,
    maxInFlight: 2,
    ackWaitInSecs: 1,
    durableName: 'dur',
    startPosition: 4,
  }
  wire.publish('_STAN.sub.test-cluster', stanBytes('SubscriptionRequest', subscribe), `${replies}.t2`)
  const subscribed = await arrival(2)
  assert.deepEqual([subscribed.subject, subscribed.payload.length], [`${replies}.t2`, 31])
  const ackInbox = String(stanFields('SubscriptionResponse', subscribed.payload).ackInbox)
  assert.match(ackInbox, /^_INBOX\.[0-9A-Za-z]{22}$/)

  const guid = 'G'.repeat(22)
  const message = { clientID: 'c1', guid, subject: 'foo', data: Buffer.from('hello'), connID: connId }
  wire.publish('_STAN.pub.test-cluster.foo', stanBytes('PubMsg', message), acks)
  await arrival(4)
  // The message may come before the answer to its publisher, or after it.
  const first = arrived.slice(2, 4).find(({ subject }) => subject === delivery)
  const ack = arrived.slice(2, 4).find(({ subject }) => subject === acks)
  assert.equal(first?.payload.length, 24)
  assert.equal(ack?.payload.toString('latin1'), `\n\x16${guid}`)
  const again = await arrival(5)
  assert.deepEqual([again.subject, again.payload.length], [delivery, 28])
  assert.equal(again.payload.subarray(0, 24).equals(first?.payload ?? Buffer.alloc(0)), true)
  assert.deepEqual([...again.payload.subarray(24)], [0x30, 1, 0x38, 1])

  wire.publish(ackInbox, Buffer.from([0x0a, 3, 0x66, 0x6f, 0x6f, 0x10, 1]))
  wire.unsubscribe(sid)
  const unsubscribe = { clientID: 'c1', subject: 'foo', inbox: ackInbox }
  wire.publish('_STAN.subclose.test-cluster', stanBytes('UnsubscribeRequest', unsubscribe), `${replies}.t3`)
  wire.publish('_STAN.close.test-cluster', Buffer.from([0x0a, 2, 0x63, 0x31]), `${replies}.t4`)
  assert.deepEqual((await arrival(6)).payload.length, 0)
  assert.deepEqual((await arrival(7)).payload.length, 0)
  assert.deepEqual(
    arrived.slice(5).map(({ subject }) => subject),
    [`${replies}.t3`, `${replies}.t4`],
  )
})
