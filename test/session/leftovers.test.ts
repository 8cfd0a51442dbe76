import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { startSlowServer } from '../helpers/slow-engine.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { FLEETING, KEPT, publishFrame, subscribeFrame, WireClient } from '../helpers/wire-client.js'

function gauge(broker: EmbeddedBroker, name: string): number {
  return broker.metrics().find((sample) => sample.name === name)?.value ?? Number.NaN
}

test('connections that come and go, however they go, leave no reader, no connection and no byte behind', async () => {
  await using broker = await createBroker()
  await using witness = await WireClient.connect(broker)
  await witness.create('kept', { ...KEPT, retention: { ageMs: null, bytes: null, records: 10 }, ringRecords: 4 })
  await witness.create('fleeting', { ...FLEETING, ringRecords: 2, slowConsumer: 'block' })
  for (let round = 0; round < 60; round++) {
    const client = await WireClient.connect(broker)
    client.send(
      subscribeFrame('kept', { id: 1, subscription: 1 }),
      subscribeFrame('fleeting', { id: 2, subscription: 2 }),
      publishFrame('kept', ['a', 'b'], { id: 3 }),
      publishFrame('fleeting', ['a'], { id: 4 }),
      publishFrame('fleeting', ['b', 'c', 'd'], { id: 5 }),
    )
    if (round % 4 === 0) client.destroy()
    else if (round % 4 === 1) client.socket.end()
    else if (round % 4 === 2) client.send({ kind: 'close', id: 0 })
    else {
      await client.answer(3)
      client.socket.resetAndDestroy()
    }
    if (round % 4 !== 1) continue
    await client.rest()
  }
  const isClean = () =>
    gauge(broker, 'leveret_transport_connections') === 1 &&
    gauge(broker, 'leveret_broker_readers') === 0 &&
    gauge(broker, 'leveret_broker_publish_pending_bytes') === 0
  for (let round = 0; round < 5_000 && !isClean(); round++) await witness.ping()
  assert.ok(isClean(), JSON.stringify(broker.metrics()))
})

test('a subscription whose connection goes while it is opened is not left behind', async () => {
  await using server = await startSlowServer()
  await using witness = await WireClient.connect(server)
  await witness.create('topic')
  const client = await WireClient.connect(server)
  client.send(subscribeFrame('topic'))
  client.destroy()
  for (let round = 0; round < 50; round++) await witness.ping()
  assert.equal((await server.broker.describeTopic('topic')).subscribers, 0)
})

test('a stopped broker has no timer left', async () => {
  const clock = new VirtualClock()
  const broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.publish('topic', ['a'])
  const stopping = broker.stop()
  await client.rest()
  await stopping
  assert.equal(clock.timers, 0)
})
