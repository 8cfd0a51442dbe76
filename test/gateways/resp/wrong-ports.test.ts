/** Who comes to the port of another protocol is told so in a sentence. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { connect } from '../../../client/index.js'
import { createBroker } from '../../../src/index.js'
import { RespPeer } from '../../helpers/resp-peer.js'

test('a native client says of a port that answers in other words that it is none of its own', async (t) => {
  await using broker = await createBroker({ meilies: 0, floki: 0 })
  const http = createServer().listen(0, '127.0.0.1')
  t.after(() => http.close())
  await once(http, 'listening')
  const dialects = broker.listeners.filter(({ name }) => name !== 'native')
  assert.equal(dialects.length, 2)
  for (const { port } of [...dialects, http.address() as AddressInfo]) {
    await assert.rejects(connect({ port, requestTimeoutMs: 5_000 }), {
      code: 'LVT_NOT_LEVERET',
      message: `127.0.0.1:${port} is no native port of leveret`,
    })
  }
})

test('a client of Redis on the native port is told where the dialects listen', async () => {
  await using broker = await createBroker({ meilies: 0, floki: 0 })
  const [meilies, floki] = ['meilies', 'floki'].map((name) => broker.listeners.find((one) => one.name === name)?.port)
  using peer = await RespPeer.connect(broker.port)
  const reply = await peer.ask('PING')
  const where = `this server has meilies on ${meilies}, floki on ${floki}`
  assert.deepEqual(reply, ['-', `ERR this port speaks the native protocol of leveret, not RESP; ${where}`])
  await peer.expectEnd()
})

test('who wants to encrypt a connection of a dialect is told that TLS is not spoken there', async () => {
  await using broker = await createBroker({ meilies: 0, floki: 0 })
  const complaints = { meilies: 'invalid request message; invalid prefix byte: ', floki: 'ERR Protocol error: ' }
  for (const [name, complaint] of Object.entries(complaints)) {
    using peer = await RespPeer.connect(broker.listeners.find((one) => one.name === name)?.port ?? 0)
    peer.write(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]))
    assert.deepEqual(await peer.next(), ['-', `${complaint}22; this port does not speak TLS`])
    await peer.expectEnd()
  }
})
