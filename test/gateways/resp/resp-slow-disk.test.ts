/** Both dialects of RESP on a disk whose syncs take their time: who hears what first, and what is left of who went meanwhile. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { App } from '../../../src/app.js'
import { configWith } from '../../../src/config/load.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { liveOn } from '../../helpers/floki-life.js'
import { classicEvent, subscribedFrame } from '../../helpers/meilies-server.js'
import { holdSyncs } from '../../helpers/partition-work.js'
import { RespPeer } from '../../helpers/resp-peer.js'
import type { RespValue } from '../../helpers/resp-values.js'

const OK: RespValue = ['+', 'OK']

/** A disk whose syncs of some files wait to be let go, at the latest before what is on it is stopped. */
function slowDisk(t: TestContext): { fs: FaultyFileSystem; hold(path: RegExp): () => void } {
  const fs = new FaultyFileSystem()
  let goOn = (): void => undefined
  t.after(() => goOn())
  const hold = (path: RegExp): (() => void) => {
    goOn = holdSyncs(fs, path)
    return goOn
  }
  return { fs, hold }
}

async function startMeilies(t: TestContext, fs: FaultyFileSystem) {
  const config = configWith({ port: 0, store: 'log', data: '/data', meilies: 0, meiliesSubscriptionsMax: 1 })
  const app = new App(config, { fileSystem: fs.process() })
  await app.start()
  t.after(() => app.stop({ deadlineMs: 0 }))
  const port = app.listeners.find(({ name }) => name === 'meilies')?.port ?? 0
  const connect = async (): Promise<RespPeer> => {
    const peer = await RespPeer.connect(port)
    t.after(() => peer[Symbol.dispose]())
    return peer
  }
  const gauge = (name: string): number | undefined =>
    app.metrics.samples().find((sample) => sample.name === name)?.value
  return { connect, gauge }
}

test('an event waits for its OK, also where that waits for the OK of another stream', {
  timeout: 10_000,
}, async (t) => {
  const { fs, hold } = slowDisk(t)
  const { connect } = await startMeilies(t, fs)
  const peer = await connect()
  for (const stream of ['slow', 'quick']) assert.deepEqual(await peer.ask('publish', stream, 'e0', '0'), OK)
  assert.deepEqual(await peer.ask('subscribe', 'quick'), subscribedFrame('quick'))
  const goOn = hold(/slow@/)
  peer.send('publish', 'slow', 'e1', '1')
  peer.send('publish', 'quick', 'e1', '1')
  // The event is there for others by now.
  const other = await connect()
  while (JSON.stringify(await other.ask('last-event-number', 'quick')) !== lastNumber('quick', 1)) await sleep(5)
  await sleep(50)
  assert.equal(peer.pendingBytes, 0)
  goOn()
  assert.deepEqual(await peer.take(3), [OK, OK, classicEvent('quick', 1)])
})

function lastNumber(stream: string, number: number): string {
  return JSON.stringify([
    '*',
    [
      ['+', 'last-event-number'],
      ['+', stream],
      [':', number],
    ],
  ])
}

for (const [what, specs] of [
  ['a stream', ['s']],
  ['all streams', ['$all:0']],
] as const) {
  test(`nothing is left of a connection that went while it subscribed to ${what}`, { timeout: 10_000 }, async (t) => {
    const { fs, hold } = slowDisk(t)
    const { connect, gauge } = await startMeilies(t, fs)
    const [gone, peer] = [await connect(), await connect()]
    assert.deepEqual(await peer.ask('publish', 'first', 'e0', '0'), OK)
    // What has to be made before it can be followed.
    const goOn = hold(/./)
    gone.send('subscribe', ...specs)
    await peer.ask('stream-names')
    gone.socket.resetAndDestroy()
    while ((gauge('leveret_meilies_connections') ?? 0) > 1) await sleep(5)
    goOn()
    // There is room for one subscription, and no more.
    while (JSON.stringify(await peer.ask('subscribe', 'mine')) !== JSON.stringify(subscribedFrame('mine')))
      await sleep(5)
    assert.equal(gauge('leveret_broker_readers'), 1)
  })
}

test('a fetch that waited for a push gets nothing for a connection that went meanwhile', {
  timeout: 10_000,
}, async (t) => {
  const { fs, hold } = slowDisk(t)
  const { connect } = await liveOn(t, fs)
  const [gone, peer] = [await connect(), await connect()]
  await peer.expect('CONFIG SET server.durability sync', '+OK')
  await peer.expect('SET q c', '+OK')
  const goOn = hold(/q@/)
  gone.send('RPUSH q a')
  gone.send('HMGET q c 1 20')
  await sleep(100)
  gone.raw.socket.resetAndDestroy()
  while ((await peer.json('INFO server')).client_count !== 1) await sleep(5)
  goOn()
  const [message] = await peer.fetch('HMGET q c 1 5')
  assert.equal(message?.body, 'a')
  assert.equal((await peer.json('INFO server')).blocked_client_count, 0)
})
