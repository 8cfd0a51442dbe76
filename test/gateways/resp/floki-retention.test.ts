/** What becomes of messages that nobody needs, or that are too old or too many, in the Floki dialect: section 2.10 of it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../../../client/index.js'
import { systemClock } from '../../../src/common/clock.js'
import { removable } from '../../../src/gateways/resp/floki/upkeep.js'
import { toOffset } from '../../../src/model/offset.js'
import { KEEP_FOREVER } from '../../../src/model/topic.js'
import { type FlokiPeer, type FlokiServer, type Message, startFloki } from '../../helpers/floki-server.js'

const BODY = 'x'.repeat(300 * 1024)
const SETTLE_MS = 10_000

interface QueueState {
  head: number
  tail: number
  channels: { c: { tail: number; skipped_count: number } }
  segments_count: number
  disk_usage: number
}

async function startKept(t: TestContext, options = {}): Promise<FlokiServer & { peer: FlokiPeer }> {
  const data = mkdtempSync(join(tmpdir(), 'floki-'))
  const server = await startFloki(t, { data, ...options })
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const peer = await server.connect()
  await peer.expect('SET q c', '+OK')
  await peer.expect('CONFIG SET queues.q.segment_size 1mb', '+OK')
  // The size counts from the next look at the queue on.
  await sleep(1_500)
  return { ...server, peer }
}

async function stateOf(peer: FlokiPeer): Promise<QueueState> {
  return ((await peer.json('INFO queues.q')) as { q: QueueState }).q
}

async function push(peer: FlokiPeer, count: number): Promise<void> {
  for (let number = 0; number < count; number++) await peer.expect(`RPUSH q ${BODY}`, ':1')
}

async function readAll(peer: FlokiPeer, channel: string): Promise<Message[]> {
  const messages = await peer.fetch(`HMGET q ${channel} 100`)
  if (messages.length > 0) {
    await peer.expect(`HDEL q ${channel} ${messages.map(({ ticket }) => ticket).join(' ')}`, `:${messages.length}`)
  }
  return messages
}

/** So it is within the time that two rounds of maintenance take. */
async function until(peer: FlokiPeer, isSo: (state: QueueState) => boolean): Promise<QueueState> {
  const deadlineMs = performance.now() + SETTLE_MS
  for (;;) {
    const state = await stateOf(peer)
    if (isSo(state)) return state
    assert.ok(performance.now() < deadlineMs, JSON.stringify(state))
    await sleep(50)
  }
}

test('a segment goes as soon as every channel is beyond it, and the open one stays', { timeout: 60_000 }, async (t) => {
  const { peer } = await startKept(t)
  await push(peer, 8)
  assert.equal((await stateOf(peer)).segments_count, 3)
  await readAll(peer, 'c')
  const { tail, segments_count: segments, disk_usage: bytes } = await until(peer, (state) => state.segments_count === 1)
  assert.deepEqual([tail, segments], [7, 1])
  assert.ok(bytes > 2 * BODY.length && bytes < 3 * BODY.length, `${bytes}`)
})

test('every queue has its turn, also where there are more than are looked at in one go', {
  timeout: 60_000,
}, async (t) => {
  const peer = await (await startFloki(t)).connect()
  for (let number = 0; number < 150; number++) await peer.expect(`SET other_${number} c`, '+OK')
  await peer.expect('SET q c', '+OK')
  await peer.expect('CONFIG SET queues.q.segment_size 1mb', '+OK')
  await sleep(3_500)
  await push(peer, 8)
  await readAll(peer, 'c')
  await until(peer, (state) => state.segments_count === 1)
})

test('F34: a soft period keeps what all have read until it is over', { timeout: 60_000 }, async (t) => {
  const { peer } = await startKept(t)
  await peer.expect('CONFIG SET queues.q.retention_period 3s', '+OK')
  await push(peer, 8)
  await readAll(peer, 'c')
  await sleep(1_500)
  assert.equal((await stateOf(peer)).tail, 1)
  const { tail, segments_count: segments } = await until(peer, (state) => state.segments_count === 1)
  assert.deepEqual([tail, segments], [7, 1])
  await peer.expect('HMSET q c ID 1', ':2')
  assert.deepEqual(
    (await readAll(peer, 'c')).map(({ id }) => id),
    [7, 8],
  )
})

test('F35: what one channel has not read stays, however old it is', { timeout: 60_000 }, async (t) => {
  const { peer } = await startKept(t)
  await peer.expect('SETNX q behind', '+OK')
  await peer.expect('CONFIG SET queues.q.retention_period 1s', '+OK')
  await push(peer, 8)
  await readAll(peer, 'c')
  const [first] = await peer.fetch('HMGET q behind 1')
  await sleep(3_500)
  assert.deepEqual([(await stateOf(peer)).tail, first?.id], [1, 1])
  await readAll(peer, 'behind')
  await sleep(2_500)
  // One message is in flight still.
  assert.equal((await stateOf(peer)).tail, 1)
  await peer.expect(`HDEL q behind ${first?.ticket}`, ':1')
  await until(peer, ({ tail }) => tail === 7)
})

test('F36: a hard period removes what nobody has read, and the channel goes on behind it', {
  timeout: 60_000,
}, async (t) => {
  const { peer } = await startKept(t)
  await peer.expect('CONFIG SET queues.q.hard_retention_period 2s', '+OK')
  await push(peer, 3)
  await until(peer, ({ tail }) => tail === 4)
  await peer.expect('RPUSH q new', ':1')
  const messages = await peer.fetch('HMGET q c 10')
  assert.deepEqual(
    messages.map(({ id, body }) => [id, body]),
    [[4, 'new']],
  )
  assert.equal((await stateOf(peer)).channels.c.skipped_count, 3)
})

test('F37: sizes keep the newest, whether it was read or not', { timeout: 60_000 }, async (t) => {
  const { peer } = await startKept(t)
  await peer.expect('CONFIG SET queues.q.retention_size 2mb', '+OK')
  await push(peer, 12)
  await readAll(peer, 'c')
  // Without the first segment, of 900 KiB, there are more than 2 MiB, without the second there are less.
  assert.equal((await until(peer, ({ tail }) => tail > 1)).tail, 7)
  await sleep(1_500)
  assert.equal((await stateOf(peer)).tail, 7)
  await peer.expect('CONFIG SET queues.q.hard_retention_size 1mb', '+OK')
  const { tail, disk_usage: bytes } = await until(peer, ({ tail }) => tail > 7)
  assert.equal(tail, 10)
  assert.ok(bytes <= 2 ** 20, `${bytes}`)
})

test('a segment is closed when its oldest message is old, so that it can go', { timeout: 60_000 }, async (t) => {
  const { peer } = await startKept(t)
  await peer.expect('CONFIG SET queues.q.segment_period 1s', '+OK')
  await peer.expect('RPUSH q a b c', ':3')
  await readAll(peer, 'c')
  const { head, segments_count: segments } = await until(peer, ({ tail }) => tail === 4)
  assert.deepEqual([head, segments], [4, 0])
  await peer.expect('RPUSH q d', ':1')
  assert.deepEqual(
    (await readAll(peer, 'c')).map(({ id }) => id),
    [4],
  )
})

test('F38: a clock that is set back makes nothing old, and stamps do not go back', { timeout: 60_000 }, async (t) => {
  let backMs = 0
  const clock = { ...systemClock, now: () => systemClock.now() - backMs }
  const { peer } = await startKept(t, { clock })
  await peer.expect('CONFIG SET queues.q.hard_retention_period 30s', '+OK')
  await peer.expect('CONFIG SET queues.q.retention_period 30s', '+OK')
  await push(peer, 8)
  await readAll(peer, 'c')
  const before = Math.floor(systemClock.now() / 1_000)
  backMs = 3_600_000
  await peer.expect('RPUSH q last', ':1')
  await sleep(2_500)
  assert.equal((await stateOf(peer)).tail, 1)
  await peer.expect(`HMSET q c TS ${before}`, ':2')
  assert.equal((await peer.fetch('HMGET q c 100')).at(-1)?.id, 9)
})

test('F39: a message in flight that retention has removed is passed over when its time is over', {
  timeout: 60_000,
}, async (t) => {
  const { peer } = await startKept(t)
  await peer.expect('CONFIG SET queues.q.message_timeout 1s', '+OK')
  await peer.expect('RPUSH q a b', ':2')
  const [taken] = await peer.fetch('HMGET q c 1')
  await peer.expect('CONFIG SET queues.q.hard_retention_period 2s', '+OK')
  await until(peer, ({ tail }) => tail === 3)
  await peer.expect('RPUSH q c', ':1')
  const messages = await peer.fetch('HMGET q c 10 5')
  assert.deepEqual(
    messages.map(({ id }) => id),
    [3],
  )
  await peer.expect(`HDEL q c ${taken?.ticket}`, ':0')
  await peer.expect(`HDEL q c ${messages[0]?.ticket}`, ':1')
})

test('leaves what others have made alone', { timeout: 60_000 }, async (t) => {
  const { peer, broker } = await startKept(t)
  const native = broker.listeners.find(({ name }) => name === 'native')
  await using client = await connect({ port: native?.port ?? 0 })
  await client.createTopic('theirs', { retention: KEEP_FOREVER })
  await peer.expect('SETNX theirs c', '+OK')
  await peer.expect('CONFIG SET queues.theirs.segment_period 1s', '+OK')
  await peer.expect('RPUSH theirs a', ':1')
  await readAllOf(peer)
  await sleep(3_500)
  const { theirs } = (await peer.json('INFO queues.theirs')) as Record<string, QueueState>
  assert.equal(theirs?.tail, 1)
})

async function readAllOf(peer: FlokiPeer): Promise<void> {
  const [message] = await peer.fetch('HMGET theirs c 1')
  await peer.expect(`HDEL theirs c ${message?.ticket}`, ':1')
}

test('what may go is what the formula says', () => {
  const segments = [1, 2, 3, 4].map((number) => {
    return { end: toOffset(number * 10), bytes: 100, lastMs: number * 1_000 }
  })
  const off = { retention_period: 0, retention_size: 0 }
  assert.equal(removable(segments, off, 100, 9_000), 3)
  assert.equal(removable(segments, off, 20, 9_000), 2)
  assert.equal(removable(segments, off, 19, 9_000), 1)
  assert.equal(removable(segments, off, null, 9_000), 0)
  assert.equal(removable(segments, { ...off, retention_period: 6 }, 100, 8_000), 1)
  assert.equal(removable(segments, { ...off, retention_period: 6 }, 100, -9_000), 0)
  assert.equal(removable(segments, { ...off, retention_size: 250 }, 100, 9_000), 2)
  assert.equal(removable(segments, { retention_size: 350, retention_period: 7 }, 100, 9_000), 1)
})
