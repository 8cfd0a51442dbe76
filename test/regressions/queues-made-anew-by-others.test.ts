/** A queue of the Floki dialect that was deleted and made again by others, without the dialect. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startFloki } from '../helpers/floki-server.js'
import { WireClient } from '../helpers/wire-client.js'

test('what was said of a queue does not come back with a restart for another of its name', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-'))
  const { broker, connect } = await startFloki(t, { data })
  const before = await connect()
  await before.expect('SET q c', '+OK')
  await before.expect('HMSET q c ID 1000', ':2')
  await before.expect('CONFIG SET queues.q.message_timeout 77s', '+OK')
  await broker.deleteTopic('q')
  await using native = await WireClient.connect(broker)
  await native.create('q')
  await broker.stop({ deadlineMs: 0 })
  const again = await startFloki(t, { data })
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const after = await again.connect()
  const { q } = await after.json('CONFIG GET queues.q')
  assert.equal((q as { message_timeout: number }).message_timeout, 30)
  await after.expect('SETNX q c', '+OK')
  await after.expect('RPUSH q a', ':1')
  const messages = await after.fetch('HMGET q c 1 5')
  assert.deepEqual(
    messages.map(({ id, body }) => [id, body]),
    [[1, 'a']],
  )
})
