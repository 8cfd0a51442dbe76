/**
 * A disk that is full: whoever asks for something that has to be kept is told so in words, what is there goes on, and all is well
 * when there is room again.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { App } from '../../../src/app.js'
import { configWith } from '../../../src/config/load.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { FIRST, StanPeer } from '../../helpers/stan-peer.js'

const FULL = /ENOSPC|no space|full/i

async function start(t: TestContext) {
  const fs = new FaultyFileSystem()
  const lines: string[] = []
  const note = (line: string): void => {
    lines.push(line)
  }
  const config = configWith({ port: 0, natsStreaming: 0, dialectsOnly: true, store: 'log', data: '/data' })
  const journal = { hasDebug: true, info: note, warn: note, error: note, debug: note }
  const app = new App(config, { fileSystem: fs.process(), streaming: { journal } })
  await app.start()
  const peers: StanPeer[] = []
  t.after(async () => {
    fs.capacityBytes = Number.POSITIVE_INFINITY
    for (const { wire } of peers) wire.close()
    await app.stop({ deadlineMs: 0 })
  })
  const port = app.listeners[0]?.port ?? 0
  return {
    lines,
    open: async (name: string) => {
      const peer = await StanPeer.open(port, name)
      peers.push(peer)
      return peer
    },
    fill: () => {
      fs.capacityBytes = fs.usedBytes
    },
    free: () => {
      fs.capacityBytes = Number.POSITIVE_INFINITY
    },
  }
}

/** As clients do; a disk heals when it is used. */
async function atLast(attempt: () => Promise<string>): Promise<void> {
  for (let count = 0; ; count++) {
    const error = await attempt()
    if (error === '') return
    assert.ok(count < 100, error)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('requests that have to be kept are answered with the failure of the store (TestClientStoreErrors, TestStartPositionFailures, TestCreateChannelError)', {
  timeout: 30_000,
}, async (t) => {
  const disk = await start(t)
  const peer = await disk.open('me')
  assert.equal(await peer.register(), '')
  await peer.fill('foo', 3)
  disk.fill()
  const other = await disk.open('other')
  assert.match(await other.register(), FULL)
  assert.match((await peer.trySubscribe({ subject: 'foo', startPosition: FIRST })).error, FULL)
  assert.match(await peer.publish('foo', 'x'), FULL)
  assert.notEqual(await peer.publish('new', 'x'), '')
  assert.equal(await peer.ping(), '')
  disk.free()
  await atLast(() => other.register())
  await atLast(() => peer.publish('foo', '4'))
  const subscription = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  const messages = await subscription.until(4)
  assert.deepEqual(
    messages.map(({ sequence, data }) => [sequence, data]),
    [1, 2, 3, 4].map((sequence) => [sequence, String(sequence)]),
    'a publish that failed has taken no sequence',
  )
})

test('what is delivered goes on, and what leaves is gone when the store can say so (TestSendMsgToSubStoreFailure, TestDeleteSubFailures, TestUpdateSubFailure, TestCloseClientWithDurableSubs, TestClientStoreError)', {
  timeout: 30_000,
}, async (t) => {
  const disk = await start(t)
  const peer = await disk.open('me')
  assert.equal(await peer.register(), '')
  const fields = { subject: 'foo', durableName: 'dur', startPosition: FIRST, maxInFlight: 2 }
  const durable = await peer.subscribe(fields)
  const plain = await peer.subscribe({ subject: 'foo', startPosition: FIRST })
  await peer.fill('foo', 4)
  await plain.until(4)
  await durable.until(2)
  disk.fill()
  peer.ack(durable, 1)
  // Whatever it is answered with, it is an answer.
  await peer.unsubscribe(plain)
  await peer.close()
  assert.ok(disk.lines.length > 0)
  disk.free()
  const again = await disk.open('me')
  await atLast(() => again.register())
  const resumed = await again.subscribe(fields)
  await resumed.until(2)
  const sequences = resumed.messages.map(({ sequence }) => sequence)
  assert.ok(sequences.includes(2), `${sequences}`)
  again.ack(resumed, ...sequences)
  await resumed.until(4 - (sequences.includes(1) ? 0 : 1))
  assert.equal(await again.ping(), '')
})
