/** Seeks of the Floki dialect to what is not there yet: what is passed over then is what a seek that succeeded says, and no more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../client/index.js'
import { App } from '../../src/app.js'
import { configWith } from '../../src/config/load.js'
import { FaultyFileSystem } from '../helpers/faulty-file-system.js'
import { FlokiPeer, startFloki } from '../helpers/floki-server.js'
import { RespPeer } from '../helpers/resp-peer.js'

test('a seek beyond the end that the disk refuses passes over nothing', async (t) => {
  const fs = new FaultyFileSystem()
  const app = new App(configWith({ port: 0, store: 'log', data: '/data', floki: 0 }), { fileSystem: fs.process() })
  await app.start()
  t.after(() => app.stop({ deadlineMs: 0 }).catch(() => undefined))
  using raw = await RespPeer.connect(app.listeners.find(({ name }) => name === 'floki')?.port ?? 0)
  const peer = new FlokiPeer(raw)
  await peer.expect('SET q c', '+OK')
  await peer.expect('RPUSH q a', ':1')
  fs.plan({ op: 'write', code: 'EIO', path: /4294967295/, times: Number.POSITIVE_INFINITY })
  const refusal = await peer.ask('HMSET q c ID 1000')
  assert.equal(refusal?.[0], '-', JSON.stringify(refusal))
  fs.forgetPlans()
  await peer.expect('RPUSH q b', ':1')
  const messages = await peer.fetch('HMGET q c 10 5')
  assert.equal(messages.at(-1)?.body, 'b')
})

test('a channel that others have deleted leaves no place behind for one of its name', async (t) => {
  const { broker, connect: dial } = await startFloki(t)
  const peer = await dial()
  await peer.expect('SET q c', '+OK')
  await peer.expect('HMSET q c ID 1000', ':2')
  await using client = await connect({ port: broker.port })
  await client.deleteGroup('q', 'c')
  await peer.expect('SETNX q c', '+OK')
  await peer.expect('RPUSH q a', ':1')
  const messages = await peer.fetch('HMGET q c 1 5')
  assert.deepEqual(
    messages.map(({ id, body }) => [id, body]),
    [[1, 'a']],
  )
})
