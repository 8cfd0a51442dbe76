/** What the Floki dialect keeps for itself is in a topic, which followers of the MeiliES dialect are not to see. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlokiPeer } from '../helpers/floki-server.js'
import { ARGUMENT_ERROR, startMeilies } from '../helpers/meilies-server.js'
import { RespPeer } from '../helpers/resp-peer.js'

test('the settings of queues are no stream', async (t) => {
  const { broker, connect } = await startMeilies(t, { floki: 0 })
  const port = broker.listeners.find(({ name }) => name === 'floki')?.port ?? 0
  using raw = await RespPeer.connect(port)
  await new FlokiPeer(raw).expect('SET q c', '+OK')
  const peer = await connect()
  await peer.ask('subscription-frames', 'message')
  peer.send('stream-names')
  await peer.expect('*2\r\n+stream-names\r\n+q\r\n')
  peer.send('subscribe', '$all:0')
  await peer.expect('*3\r\n$9\r\nsubscribe\r\n$6\r\n$all:0\r\n:1\r\n')
  await peer.expectSilence()
  const refusal = await peer.ask('publish', '__leveret.floki', 'e', '')
  assert.ok(String(refusal?.[1]).startsWith(ARGUMENT_ERROR), JSON.stringify(refusal))
})
