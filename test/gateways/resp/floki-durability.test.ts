/**
 * What the Floki dialect promises of the disk: F52 and F53, on a file system that loses what was not synced, whose syncs can
 * be held up, and fail.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { cutPower, type FlokiLife, liveOn } from '../../helpers/floki-life.js'
import type { FlokiPeer, Message } from '../../helpers/floki-server.js'

const ROUNDS = Number(process.env.LEVERET_ROUNDS ?? 12)
const SEED = Number(process.env.LEVERET_SEED ?? 1)
const WRITERS = 64
const PUSHES = 20

function syncs({ app }: FlokiLife): number {
  return app.metrics.samples().find(({ name }) => name === 'leveret_storage_syncs_total')?.value ?? 0
}

function ids(messages: readonly Message[]): number[] {
  return messages.map(({ id }) => id)
}

for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
  test(`F52: with sync, what was answered outlives a loss of power (LEVERET_SEED=${seed})`, async (t) => {
    const fs = new FaultyFileSystem({ seed })
    const first = await (await liveOn(t, fs)).connect()
    await first.expect('CONFIG SET server.durability sync', '+OK')
    await first.expect('SET q c', '+OK')
    await first.expect('SETNX q d', '+OK')
    await first.expect('SETNX q e', '+OK')
    await first.expect('SET gone c', '+OK')
    for (let id = 1; id <= 20; id++) await first.expect(`RPUSH q m${id}`, ':1')
    const taken = await first.fetch('HMGET q c 6')
    const acked = [taken[0], taken[3], taken[4]].map((message) => message?.ticket)
    await first.expect(`HDEL q c ${acked.join(' ')}`, ':3')
    await first.fetch('HMGET q d 2')
    await first.expect('HMSET q d ID 15', ':2')
    await first.expect('SREM q e', ':1')
    await first.expect('DEL gone', ':1')
    cutPower(fs)

    const second = await (await liveOn(t, fs)).connect()
    await second.expect('RPUSH gone a', '-QNF Queue Not Found')
    const left = await second.fetch('HMGET q c 100')
    assert.deepEqual(
      left.map(({ id, body }) => `${id} ${body}`),
      [2, 3, ...Array.from({ length: 15 }, (_, index) => index + 6)].map((id) => `${id} m${id}`),
    )
    // What was in flight before the seek comes again, and then what the seek went to.
    assert.deepEqual(ids(await second.fetch('HMGET q d 100')), [1, 2, 15, 16, 17, 18, 19, 20])
    await second.expect('HMGET q e 100', '*0')
    await second.expect('RPUSH q last', ':1')
    assert.deepEqual(ids(await second.fetch('HMGET q e 100')), [21])
  })
}

test('F52: with async, a loss of power may take what was answered, and ids go on behind what is left', async (t) => {
  const fs = new FaultyFileSystem({ seed: SEED })
  const first = await (await liveOn(t, fs)).connect()
  await first.expect('SET q c', '+OK')
  await first.expect('RPUSH q a b c', ':3')
  cutPower(fs)
  const second = await (await liveOn(t, fs)).connect()
  const kept = ids(await second.fetch('HMGET q c 10'))
  assert.deepEqual(kept, [1, 2, 3].slice(0, kept.length))
  await second.expect('RPUSH q d', ':1')
  assert.deepEqual(ids(await second.fetch('HMGET q c 10')), [kept.length + 1])
})

test('F53: with sync, 64 writers share their syncs', { timeout: 60_000 }, async (t) => {
  const fs = new FaultyFileSystem()
  const life = await liveOn(t, fs)
  const peer = await life.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('CONFIG SET queues.q.durability sync', '+OK')
  const writers: FlokiPeer[] = []
  for (let count = 0; count < WRITERS; count++) writers.push(await life.connect())
  const before = syncs(life)
  const write = async (writer: FlokiPeer): Promise<void> => {
    for (let count = 0; count < PUSHES; count++) await writer.expect('RPUSH q a', ':1')
  }
  await Promise.all(writers.map(write))
  const used = syncs(life) - before
  t.diagnostic(`${used} syncs for ${WRITERS * PUSHES} pushes`)
  assert.ok(used >= PUSHES, `${used}`)
  assert.ok(used < (WRITERS * PUSHES) / 4, `${used}`)
})

test('pushes that come one by one share a sync when they are told to wait for others', async (t) => {
  const fs = new FaultyFileSystem()
  const life = await liveOn(t, fs, { syncDelayMs: 400, syncDelayBytes: 64 * 1024 })
  const peer = await life.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('CONFIG SET queues.q.durability sync', '+OK')
  await peer.expect('RPUSH q first', ':1')
  const before = syncs(life)
  const startedMs = performance.now()
  const pushed: Promise<void>[] = []
  for (let count = 0; count < 5; count++) {
    const writer = await life.connect()
    pushed.push(writer.expect('RPUSH q a', ':1'))
    await sleep(10)
  }
  await Promise.all(pushed)
  const tookMs = performance.now() - startedMs
  assert.ok(tookMs >= 395, `${tookMs} ms`)
  assert.equal(syncs(life) - before, 1)
  // With enough to write nobody waits.
  const fullMs = performance.now()
  await peer.expect(`RPUSH q ${'x'.repeat(65 * 1024)}`, ':1')
  assert.ok(performance.now() - fullMs < 300)
})

test('with async, nobody waits for the disk, and with sync everybody does', { timeout: 60_000 }, async (t) => {
  const fs = new FaultyFileSystem()
  const life = await liveOn(t, fs)
  const peer = await life.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('SET safe c', '+OK')
  await peer.expect('CONFIG SET queues.safe.durability sync', '+OK')
  await peer.expect('RPUSH q a b', ':2')
  await peer.expect('RPUSH safe a', ':1')
  const [message] = await peer.fetch('HMGET q c 1')
  const [safe] = await peer.fetch('HMGET safe c 1')
  let goOn = (): void => undefined
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  fs.beforeSync(() => held)
  t.after(() => goOn())
  await peer.expect('RPUSH q c', ':1')
  await peer.expect(`HDEL q c ${message?.ticket}`, ':1')
  await peer.expect('HMGET q c 0', '*0')
  assert.equal((await peer.fetch('HMGET q c 5')).length, 2)
  const [pusher, acker] = [await life.connect(), await life.connect()]
  let answers = 0
  const count = (): void => {
    answers++
  }
  const pushed = pusher.expect('RPUSH safe b', ':1').then(count)
  const acked = acker.expect(`HDEL safe c ${safe?.ticket}`, ':1').then(count)
  // Nor is it shown to anybody.
  await peer.expect('HMGET safe c 1', '*0')
  assert.equal(answers, 0)
  goOn()
  await Promise.all([pushed, acked])
  assert.deepEqual(ids(await peer.fetch('HMGET safe c 1')), [2])
})

test('a sync that fails is told to each request that it was to cover, and the queue takes no more', async (t) => {
  const fs = new FaultyFileSystem()
  const life = await liveOn(t, fs)
  const peer = await life.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('CONFIG SET queues.q.durability sync', '+OK')
  await peer.expect('RPUSH q a', ':1')
  fs.plan({ op: 'sync', code: 'EIO', path: /q@/, times: Number.POSITIVE_INFINITY })
  const pushers = [await life.connect(), await life.connect(), await life.connect()]
  const replies = await Promise.all(pushers.map((pusher) => pusher.ask('RPUSH q lost')))
  for (const reply of replies) {
    assert.equal(reply?.[0], '-', JSON.stringify(reply))
    assert.match(String(reply?.[1]), /^Unexpected error Backend\(Io\(.+\)\)$/)
  }
  fs.forgetPlans()
  const [kind, text] = (await peer.ask('RPUSH q b')) ?? []
  assert.deepEqual([kind, /^Unexpected error Backend\(Io\(.+\)\)$/.test(String(text))], ['-', true])
  assert.deepEqual(ids(await peer.fetch('HMGET q c 10')), [1])
  await peer.expect('SET other c', '+OK')
  await peer.expect('RPUSH other a', ':1')
})

test('a queue whose first channel could not be made is made by the next SET, with what was pushed meanwhile', async (t) => {
  const fs = new FaultyFileSystem({ seed: SEED })
  const peer = await (await liveOn(t, fs)).connect()
  await peer.expect('SET other c', '+OK')
  // Where the topic keeps its groups.
  fs.plan({ op: 'make-directory', code: 'ENOSPC', path: /q@.*4294967295/ })
  const failed = await peer.ask('SET q c')
  assert.equal(failed?.[0], '-', JSON.stringify(failed))
  assert.match(String(failed?.[1]), /^Unexpected error/)
  await peer.expect('RPUSH q a', ':1')
  await peer.expect('SET q c', '+OK')
  await peer.expect('SET q c', '-QAE Queue Already Exists')
  await peer.expect('RPUSH q b', ':1')
  assert.deepEqual(ids(await peer.fetch('HMGET q c 10')), [2])
  // Without channels it is a queue all the same.
  await peer.expect('DEL q c', ':1')
  await peer.expect('SET q c', '-QAE Queue Already Exists')
})
