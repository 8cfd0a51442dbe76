/**
 * NATS Streaming through `kill -9`, with real clients in processes of their own: no publish that was answered is lost, no ack that
 * the server had, and what comes again says so. `npm run soak -- --only stan` is the same at length.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { spread } from '../helpers/kill-server.js'
import { stanRounds } from '../helpers/kill-stan.js'
import { NatsStreamingProcess } from '../helpers/nats-streaming-process.js'
import { SEED as seed } from '../helpers/seed.js'
import { FIRST, StanPeer, StanSubscription } from '../helpers/stan-peer.js'

const KILLS = 6

test('keeps what was acknowledged, either way, however often it is killed', { timeout: 170_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`)
  const { restartsMs, ...counts } = await stanRounds({ seed, publishers: 2, workers: 2, forMs: 0, killsMin: KILLS })
  t.diagnostic(`${JSON.stringify(counts)}, restarts ${spread(restartsMs)}`)
  assert.ok(counts.acked > 0 && counts.redelivered > 0 && counts.serverKills >= KILLS)
})

test('jobs that are at work when it is killed go on, and are given to nobody again', { timeout: 60_000 }, async (t) => {
  const server = await NatsStreamingProcess.startKept(t)
  const open = async () => {
    const peer = await StanPeer.open(Number(new URL(server.url).port), 'me')
    t.after(() => peer.wire.close())
    return peer
  }
  let peer = await open()
  await peer.register()
  const connID = Buffer.from(peer.connId)
  await peer.fill('jobs', 10)
  const kinds = [{ durableName: 'all' }, { durableName: 'one', maxInFlight: 1 }, { qGroup: 'q', maxInFlight: 1 }]
  // Published longer ago than they wait for an ack: it counts when they were sent.
  await pause(2_100)
  const jobs = { subject: 'jobs', startPosition: FIRST, ackWaitInSecs: 2 }
  const begunMs = performance.now()
  const before = await Promise.all(kinds.map((kind) => peer.subscribe({ ...jobs, ...kind })))
  for (const [index, count] of [10, 1, 1].entries()) await before[index]?.until(count)
  await pause(200)
  await server.kill()
  peer.wire.close()
  await server.start()
  peer = await open()
  const after = before.map(({ inbox, ackInbox }) => {
    return Object.assign(new StanSubscription('jobs', inbox, peer.wire), { ackInbox })
  })
  assert.equal(await peer.publish('jobs', '11', { connID }), '')
  const [all, ...others] = after as [StanSubscription, ...StanSubscription[]]
  assert.deepEqual(
    (await all.until(1)).slice(0, 1).map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
    [[11, false]],
  )
  for (const one of others) {
    peer.ack(one, 1)
    assert.deepEqual(
      (await one.until(1)).map(({ sequence, isRedelivered }) => [sequence, isRedelivered]),
      [[2, false]],
    )
  }
  const again = (await all.until(11)).slice(1, 11)
  assert.ok(performance.now() - begunMs > 1_900)
  assert.ok(again.every(({ isRedelivered }) => isRedelivered))
})
