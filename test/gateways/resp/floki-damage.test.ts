/** Queues of the Floki dialect after a restart, on files that are whole, damaged or gone: F22 and F30 to F33. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../../src/common/clock.js'
import { type FlokiPeer, type FlokiServer, startFloki } from '../../helpers/floki-server.js'

const BODY_BYTES = 40 * 1024
/** Fills three segments of 1 MiB. */
const MESSAGES = 70
const PER_SECOND = 10

/** A data directory with a queue of three segments, its server stopped; time goes on a second every ten messages. */
class Place {
  readonly data = mkdtempSync(join(tmpdir(), 'floki-'))
  readonly #t: TestContext
  #shiftMs = 0
  /** Seconds since 1970 at which each message arrived, by id. */
  readonly stamps: number[] = [0]

  constructor(t: TestContext) {
    this.#t = t
  }

  /** The directory goes with the last one. */
  async start(isLast = true): Promise<{ server: FlokiServer; peer: FlokiPeer }> {
    const clock = { ...systemClock, now: () => systemClock.now() + this.#shiftMs }
    const server = await startFloki(this.#t, { data: this.data, clock })
    if (isLast) this.#t.after(() => rmSync(this.data, { recursive: true, force: true }))
    return { server, peer: await server.connect() }
  }

  async fill(): Promise<void> {
    const { server, peer } = await this.start(false)
    await peer.expect('SET q c', '+OK')
    await peer.expect('CONFIG SET queues.q.segment_size 1mb', '+OK')
    await sleep(1_500)
    for (let id = 1; id <= MESSAGES; id++) {
      const before = Math.floor((systemClock.now() + this.#shiftMs) / 1_000)
      await peer.expect(`RPUSH q ${bodyOf(id)}`, ':1')
      this.stamps.push(before)
      if (id % PER_SECOND === 0) this.#shiftMs += 5_000
    }
    assert.equal(await segmentsOf(peer), 3)
    await server.broker.stop()
  }

  /** Files of the queue, oldest first. */
  files(ending: string): string[] {
    const topics = join(this.data, 'topics')
    const topic = readdirSync(topics).find((name) => name.startsWith('q@')) ?? ''
    const partition = join(topics, topic, '0')
    const names = readdirSync(partition).filter((name) => name.endsWith(ending))
    return names.sort().map((name) => join(partition, name))
  }
}

function bodyOf(id: number): string {
  return `${id}-`.padEnd(BODY_BYTES, 'x')
}

async function segmentsOf(peer: FlokiPeer): Promise<number> {
  const { q } = (await peer.json('INFO queues.q')) as { q: { segments_count: number } }
  return q.segments_count
}

/** All that the channel brings, each with the body it was pushed with. */
async function readAll(peer: FlokiPeer): Promise<number[]> {
  const ids: number[] = []
  for (;;) {
    const messages = await peer.fetch('HMGET q c 7')
    if (messages.length === 0) return ids
    for (const { id, body } of messages) {
      if (id <= MESSAGES) assert.ok(body === bodyOf(id), `the body of ${id}`)
      ids.push(id)
    }
  }
}

function overwrite(path: string, from: number): void {
  const bytes = readFileSync(path)
  bytes.fill(0x5a, from)
  writeFileSync(path, bytes)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index)
}

async function endsWith(peer: FlokiPeer, id: number): Promise<void> {
  await peer.expect('RPUSH q last', ':1')
  assert.deepEqual(await readAll(peer), [id])
}

test('F30: three segments are three after a restart, and every message comes once', { timeout: 60_000 }, async (t) => {
  const place = new Place(t)
  await place.fill()
  const { peer } = await place.start()
  assert.equal(await segmentsOf(peer), 3)
  assert.deepEqual(await readAll(peer), range(1, MESSAGES + 1))
  await endsWith(peer, MESSAGES + 1)
})

test('F31: behind half a segment and a whole one that are damaged, the rest is there', {
  timeout: 60_000,
}, async (t) => {
  const place = new Place(t)
  await place.fill()
  const [first, second] = place.files('.log') as [string, string]
  overwrite(first, Math.floor(statSync(first).size / 2))
  overwrite(second, 0)
  const { peer } = await place.start()
  const ids = await readAll(peer)
  const hole = ids.findIndex((id, index) => id !== index + 1)
  assert.ok(hole > 5, `${ids}`)
  const rest = ids.slice(hole)
  assert.ok(rest.length > 5)
  assert.deepEqual(rest, range(MESSAGES + 1 - rest.length, MESSAGES + 1))
  await endsWith(peer, MESSAGES + 1)
})

test('F32: a segment that is gone is passed over', { timeout: 60_000 }, async (t) => {
  const place = new Place(t)
  await place.fill()
  const second = place.files('.log')[1] as string
  rmSync(second)
  const { peer } = await place.start()
  const ids = await readAll(peer)
  assert.ok(ids.length < MESSAGES && ids.length > MESSAGES / 3, `${ids}`)
  assert.equal(ids[0], 1)
  assert.equal(ids.at(-1), MESSAGES)
  assert.deepEqual(ids, [...new Set(ids)])
  await endsWith(peer, MESSAGES + 1)
})

for (const [what, damage] of [
  ['gone', (path: string) => rmSync(path)],
  ['damaged', (path: string) => overwrite(path, 0)],
] as const) {
  test(`F33: without checkpoints, which are ${what}, no data is overwritten`, { timeout: 60_000 }, async (t) => {
    const place = new Place(t)
    await place.fill()
    const checkpoints = place.files('checkpoint')
    assert.equal(checkpoints.length, 1)
    for (const path of checkpoints) damage(path)
    const { peer } = await place.start()
    assert.equal(await segmentsOf(peer), 3)
    assert.deepEqual(await readAll(peer), range(1, MESSAGES + 1))
    await endsWith(peer, MESSAGES + 1)
  })
}

test('F22: a seek to a time finds the first message since, and jumps over a hole', { timeout: 60_000 }, async (t) => {
  const place = new Place(t)
  await place.fill()
  const bases = place.files('.log')
  rmSync(bases[1] as string)
  const { peer } = await place.start()
  const there = await readAll(peer)
  const seconds = [...new Set(place.stamps.slice(1))]
  assert.ok(seconds.length >= MESSAGES / PER_SECOND)
  for (const second of [1, ...seconds.flatMap((one) => [one, one + 2])]) {
    const expected = there.find((id) => (place.stamps[id] ?? 0) >= second) ?? null
    await peer.expect('SREM q c', ':1')
    await peer.expect(`HMSET q c TS ${second}`, ':2')
    const [message] = await peer.fetch('HMGET q c 1')
    assert.equal(message?.id ?? null, expected, `since ${second - (seconds[0] as number)} s`)
  }
})
