/**
 * History of the MeiliES dialect, read from files: it is read as far as somebody takes it, and no further.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { EmbeddedBroker } from '../../../src/index.js'
import { startMeilies } from '../../helpers/meilies-server.js'
import type { RespPeer } from '../../helpers/resp-peer.js'

const MIB = 1024 * 1024
const EVENTS = 512
const DATA = Buffer.alloc(64 * 1024, 'x')
const HISTORY_BYTES = EVENTS * DATA.length
/** What the log reads at once, and a little. */
const ONE_READ_BYTES = 1.5 * MIB

/** A server that has a long stream in its files, and none of it in memory. */
async function startWithHistory(t: TestContext) {
  const data = mkdtempSync(join(tmpdir(), 'leveret-history-'))
  const first = await startMeilies(t, { data })
  const publisher = await first.connect()
  for (let number = 0; number < EVENTS; number++) publisher.send('publish', 's', 'e', DATA)
  await publisher.expect('+OK\r\n'.repeat(EVENTS))
  await first.broker.stop({ deadlineMs: 0 })
  const server = await startMeilies(t, { data })
  // Behind the end of the server, which writes there.
  t.after(() => rmSync(data, { recursive: true, force: true }))
  return server
}

function metric(broker: EmbeddedBroker, name: string): number {
  const sample = broker.metrics().find((one) => one.name === name)
  assert.ok(sample !== undefined, name)
  return sample.value
}

/** So many answers to somebody else: many turns of the event loop, in which a reader would read on. */
async function goOn(witness: RespPeer, answers: number): Promise<void> {
  for (let left = answers; left > 0; left--) assert.deepEqual(await witness.ask('ECHO', 'x'), ['$', 'x'])
}

const FAREWELLS: readonly [string, (peer: RespPeer) => void][] = [
  ['cuts the connection', (peer) => peer.socket.resetAndDestroy()],
  ['closes the connection', (peer) => peer.socket.destroy()],
  ['resets its conversation', (peer) => peer.send('RESET')],
  ['unsubscribes', (peer) => peer.send('UNSUBSCRIBE')],
]
for (const isReading of [true, false]) {
  for (const [title, leave] of FAREWELLS) {
    // A connection that is not read gets no further request through, either.
    if (!isReading && title === 'unsubscribes') continue
    const manner = isReading ? 'reads' : 'has stopped to read'
    test(`nothing more is read for a peer that ${manner} history and ${title}`, async (t) => {
      const { broker, connect } = await startWithHistory(t)
      const witness = await connect()
      const peer = await connect()
      peer.send('subscribe', 's:0')
      await peer.expect('*2\r\n+subscribed\r\n+s\r\n*5\r\n+event\r\n+s\r\n:0\r\n')
      if (!isReading) peer.socket.pause()
      assert.equal(metric(broker, 'leveret_broker_readers'), 1)
      leave(peer)
      for (let asked = 0; metric(broker, 'leveret_broker_readers') > 0; asked++) {
        assert.ok(asked < 1000, 'the reader is still there')
        await goOn(witness, 1)
      }
      // A read that was under way comes to its end, and none is begun.
      const gone = metric(broker, 'leveret_storage_read_bytes_total')
      await goOn(witness, 100)
      const left = metric(broker, 'leveret_storage_read_bytes_total')
      assert.ok(left - gone < ONE_READ_BYTES, `${left - gone} bytes were read for nobody`)
      assert.ok(left < HISTORY_BYTES / 2, `${left} bytes were read`)
      await goOn(witness, 100)
      assert.equal(metric(broker, 'leveret_storage_read_bytes_total'), left)
    })
  }
}

test('history is read no further than its reader takes it', async (t) => {
  const { broker, connect } = await startWithHistory(t)
  const witness = await connect()
  const peer = await connect()
  peer.send('subscribe', 's:0')
  peer.socket.pause()
  await goOn(witness, 500)
  const read = metric(broker, 'leveret_storage_read_bytes_total')
  assert.ok(read > 0 && read < HISTORY_BYTES - 8 * MIB, `${read} bytes were read`)
  await goOn(witness, 200)
  assert.equal(metric(broker, 'leveret_storage_read_bytes_total'), read)
})
