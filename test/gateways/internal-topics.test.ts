/**
 * Topics in which gateways keep what they have to know are for nobody else: not in any listing, not to be named.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../client/index.js'
import { DEFAULT_CHANNEL_LIMITS, LimitsByChannel } from '../../src/gateways/nats-streaming/streaming/store-limits.js'
import { DEFAULT_TOPIC_SETTINGS, isInternalTopic, KEEP_FOREVER } from '../../src/model/topic.js'
import { FlokiPeer } from '../helpers/floki-server.js'
import { ARGUMENT_ERROR, startMeilies } from '../helpers/meilies-server.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { stanServer, startLimitedStan } from '../helpers/stan-server.js'

test('what gateways keep for themselves is in no listing of a dialect and cannot be named there', async (t) => {
  const server = await startMeilies(t, { floki: 0, natsStreaming: 0 })
  const { broker } = server
  const port = broker.listeners.find(({ name }) => name === 'floki')?.port ?? 0
  using raw = await RespPeer.connect(port)
  const floki = new FlokiPeer(raw)
  await floki.expect('SET q c', '+OK')
  const stan = await stanServer(t, broker).connect()
  assert.equal(await stan.publish('channel', 'x'), '')

  await using native = await connect({ port: broker.port })
  const names = (await native.topics()).filter(isInternalTopic)
  assert.deepEqual(names.sort(), ['__leveret.floki', '__leveret.nats-streaming'])

  const meilies = await server.connect()
  await meilies.ask('subscription-frames', 'message')
  meilies.send('stream-names')
  await meilies.expect('*3\r\n+stream-names\r\n+channel\r\n+q\r\n')
  assert.deepEqual(Object.keys(await floki.json('INFO queues')), ['channel', 'q'])

  for (const name of [...names, '__leveret', '__leveret_x']) {
    const refusal = await meilies.ask('publish', name, 'e', '')
    assert.ok(String(refusal?.[1]).startsWith(ARGUMENT_ERROR), JSON.stringify(refusal))
    await floki.expect(`SET ${name} c`, '-IPA Invalid Identifier Name')
    await floki.expect(`SETNX ${name} c`, '-IPA Invalid Identifier Name')
    await floki.expect(`RPUSH ${name} a`, '-QNF Queue Not Found')
    await floki.expect(`HMGET ${name} c 1`, '-QNF Queue Not Found')
    assert.equal(await stan.publish(name, 'x'), 'stan: invalid publish request')
    assert.equal((await stan.trySubscribe({ subject: name })).error, 'stan: invalid subject')
  }
})

test('what gateways keep for themselves counts against no limit of channels', async (t) => {
  const server = await startLimitedStan(t, { limits: new LimitsByChannel(2, DEFAULT_CHANNEL_LIMITS) })
  await server.app.broker.createTopic('__leveret.floki', { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER })
  const peer = await server.connect()
  for (const channel of ['one', 'two']) assert.equal(await peer.publish(channel, 'x'), '')
  assert.equal(await peer.publish('three', 'x'), 'too many channels')
})
