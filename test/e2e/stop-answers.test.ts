/**
 * SIGTERM while publishers of every dialect are at it: what is stored was answered, to everybody who read on. That of the native
 * protocol is in shutdown-under-load.test.ts.
 */
import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import { connect } from '../../client/index.js'
import { freePort } from '../helpers/free-port.js'
import { readAll } from '../helpers/kill-rounds.js'
import { MortalServer, pause } from '../helpers/kill-server.js'
import { RespPeer } from '../helpers/resp-peer.js'
import { StanPeer } from '../helpers/stan-peer.js'

const ROUNDS = Number(process.env['LEVERET_ROUNDS'] ?? 4)
const LOAD_MS = 150
const IN_FLIGHT = 64
const STOP_MAX_MS = 5_000

/** Publishes until its connection ends. Returns how many were taken, by topic. */
type Publisher = (round: number) => Promise<ReadonlyMap<string, number>>

/** To one channel, and now and then to one that is new. */
function stanPublisher(port: number, channel: string): Publisher {
  return async (round) => {
    const peer = await StanPeer.connect(port)
    const topics = new Map<string, string>()
    while (!peer.wire.isClosed) {
      while (topics.size - peer.acks.length < IN_FLIGHT) {
        const number = topics.size
        const topic = number % 500 === 499 ? `${channel}-${round}-${number}` : channel
        topics.set(peer.send(topic, `${round}-${number}`), topic)
      }
      await pause(1)
    }
    const taken = new Map([...topics.values()].map((topic) => [topic, 0]))
    for (const { guid, error } of peer.acks) {
      assert.equal(error, '')
      const topic = topics.get(guid) ?? ''
      taken.set(topic, (taken.get(topic) ?? 0) + 1)
    }
    return taken
  }
}

function respPublisher(port: number, topic: string, words: (data: string) => readonly string[]): Publisher {
  return async (round) => {
    using peer = await RespPeer.connect(port)
    let [sent, taken] = [0, 0]
    for (;;) {
      for (; sent - taken < IN_FLIGHT; sent++) peer.send(...words(`${round}-${sent}`))
      const reply = await peer.next()
      if (reply === null) return new Map([[topic, taken]])
      assert.notEqual(Array.isArray(reply) ? reply[0] : '', '-', JSON.stringify(reply))
      taken++
    }
  }
}

test('an orderly stop leaves nothing stored that its publisher was not told of', async (t) => {
  const [meilies, floki, stan] = [await freePort(), await freePort(), await freePort()]
  const flags = ['--meilies', `${meilies}`, '--floki', `${floki}`, '--nats-streaming', `${stan}`]
  const server = await MortalServer.make(flags)
  t.after(() => server.remove())
  await server.start()
  const peer = await RespPeer.connect(floki)
  assert.deepEqual(await peer.ask('SET', 'queue', 'channel'), ['+', 'OK'])
  peer.socket.destroy()
  const publishers = [
    stanPublisher(stan, 'stan-a'),
    stanPublisher(stan, 'stan-b'),
    respPublisher(meilies, 'stream', (data) => ['publish', 'stream', 'event', data]),
    respPublisher(floki, 'queue', (data) => ['RPUSH', 'queue', data]),
  ]
  const taken = new Map<string, number>()
  const stopsMs: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const load = Promise.all(publishers.map((publish) => publish(round)))
    load.catch(() => undefined)
    await pause(LOAD_MS + round)
    const { code, tookMs, stderr } = await server.stop()
    assert.equal(code, 0, stderr)
    stopsMs.push(Math.round(tookMs))
    for (const counts of await load) {
      for (const [topic, count] of counts) taken.set(topic, (taken.get(topic) ?? 0) + count)
    }
    await server.start()
  }
  const client = await connect({ port: server.port })
  t.after(() => client.close())
  const made = new Set(await client.topics())
  const stored = new Map<string, number>()
  for (const topic of taken.keys()) {
    stored.set(topic, made.has(topic) ? (await readAll(client, topic)).flat().length : 0)
  }
  t.diagnostic(`${[...taken.values()].reduce((sum, count) => sum + count)} answered, stops in ${stopsMs.join(', ')} ms`)
  assert.deepEqual([...stored], [...taken])
  for (const topic of ['stan-a', 'stan-b', 'stream', 'queue']) assert.ok((stored.get(topic) ?? 0) > 0, topic)
  for (const tookMs of stopsMs) assert.ok(tookMs < STOP_MAX_MS, `a stop took ${tookMs} ms`)
})
