/**
 * `leveret floki-import` against files as Floki wrote them: whole, torn, damaged and missing.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, test } from 'node:test'
import xxhash from 'xxhash-wasm'
import { runCommandLine } from '../../src/cli/args.js'
import { systemClock } from '../../src/common/clock.js'
import { fc } from '../helpers/fast-check.js'
import {
  positionOf,
  segmentBytes,
  type WrittenMessage,
  writeCheckpoints,
  writeSegment,
} from '../helpers/floki-files.js'
import { type FlokiPeer, startFloki } from '../helpers/floki-server.js'

const SECONDS = 1_490_000_000

interface Folders {
  readonly source: string
  readonly data: string
}

// When all servers have ended, which is after their tests.
const ROOT = mkdtempSync(join(tmpdir(), 'leveret-floki-import-'))
after(() => rmSync(ROOT, { recursive: true, force: true }))

function folders(): Folders {
  const root = mkdtempSync(join(ROOT, 'case-'))
  return { source: join(root, 'floki'), data: join(root, 'leveret') }
}

async function run(words: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const code = await runCommandLine(words, {
    stdin: new PassThrough(),
    stdinBytes: null,
    stdout,
    stderr,
    env: {},
    clock: systemClock,
    interrupted: new AbortController().signal,
    onSignals: () => () => undefined,
  })
  return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

async function bring(
  { source, data }: Folders,
  ...more: readonly string[]
): Promise<{ stdout: string; stderr: string }> {
  const before = contentOf(source)
  const { code, stdout, stderr } = await run(['floki-import', source, '--data', data, ...more])
  assert.equal(code, 0, stderr)
  assert.deepEqual(contentOf(source), before, 'the source was changed')
  return { stdout, stderr }
}

/** Every file below, its bytes and when it was written last. */
function contentOf(folder: string): unknown[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
    .map((path) => [path, statSync(path).mtimeMs, readFileSync(path).toString('base64')])
}

/** All that a channel has, as ids and bodies. */
async function drain(peer: FlokiPeer, queue: string, channel: string): Promise<[number, string][]> {
  const all: [number, string][] = []
  for (;;) {
    const messages = await peer.fetch(`HMGET ${queue} ${channel} 1000`)
    if (messages.length === 0) return all
    for (const { id, body } of messages) all.push([id, body])
  }
}

function written(firstId: number, bodies: readonly string[], seconds = SECONDS): WrittenMessage[] {
  return bodies.map((body, index) => ({ id: firstId + index, seconds: seconds + index, body: Buffer.from(body) }))
}

test('the hash is xxHash64', async () => {
  const { h64Raw } = await xxhash()
  assert.equal(h64Raw(Buffer.from('')), 0xef46db3751d8e999n)
  assert.equal(h64Raw(Buffer.from('abc')), 0x44bc2cf5ad770999n)
})

test('brings messages under their ids, with their times, and channels where they stood', async (t) => {
  const place = folders()
  const first = written(5001, ['a', '', 'c'])
  writeSegment(place.source, 'my_queue', 5001, segmentBytes(first))
  writeSegment(place.source, 'my_queue', 5004, segmentBytes(written(5004, ['d', 'e'], SECONDS + 100), 1000))
  writeCheckpoints(place.source, 'my_queue', { head: 5004, channels: { behind: 5001, done: 5006, middle: 5003 } })
  // An older one after a newer one keeps its times too.
  writeSegment(place.source, 'z', 1, segmentBytes(written(1, ['old'], 1_000_000)))
  writeCheckpoints(place.source, 'z', { head: 2, channels: {} })
  const { stdout, stderr } = await bring(place)
  assert.equal(stderr, '')
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'my_queue: 5 messages, 4 bytes, next id 5006; channels: behind at 5001, done at 5006, middle at 5003',
    'z: 1 messages, 3 bytes, next id 2; channels: none',
  ])

  const server = await startFloki(t, { data: place.data })
  const peer = await server.connect()
  const { my_queue } = (await peer.json('INFO queues')) as Record<string, { head: number; tail: number }>
  assert.deepEqual([my_queue?.head, my_queue?.tail], [5006, 5001])
  assert.deepEqual(await drain(peer, 'my_queue', 'behind'), [
    [5001, 'a'],
    [5002, ''],
    [5003, 'c'],
    [5004, 'd'],
    [5005, 'e'],
  ])
  assert.deepEqual(
    (await drain(peer, 'my_queue', 'middle')).map(([id]) => id),
    [5003, 5004, 5005],
  )
  assert.deepEqual(await drain(peer, 'my_queue', 'done'), [])
  await peer.expect('RPUSH my_queue new', ':1')
  assert.deepEqual(await drain(peer, 'my_queue', 'done'), [[5006, 'new']])
  // Seconds between the messages, and a gap of a hundred of them.
  for (const [seconds, id] of [
    [SECONDS + 1, 5002],
    [SECONDS + 2, 5003],
    [SECONDS + 3, 5004],
    [SECONDS + 101, 5005],
  ]) {
    await peer.expect(`HMSET my_queue middle TS ${seconds}`, ':2')
    assert.equal((await peer.fetch('HMGET my_queue middle 1'))[0]?.id, id)
  }
  await peer.expect('SETNX z c', '+OK')
  await peer.expect('HMSET z c TS 1000000', ':2')
  assert.deepEqual(await drain(peer, 'z', 'c'), [[1, 'old']])
  await peer.expect('HMSET z c TS 1000001', ':2')
  assert.deepEqual(await drain(peer, 'z', 'c'), [])
  // Nothing is dropped for its age unless somebody says so.
  const config = (await peer.json('CONFIG GET queues.my')) as Record<string, Record<string, number>>
  assert.equal(config['my_queue']?.['hard_retention_period'], 0)
})

interface Segment {
  readonly bodies: readonly Uint8Array[]
  readonly spareBytes: number
  readonly fate: 'whole' | 'torn' | 'flipped' | 'missing' | 'odd'
  /** Where it is harmed, as a share of the file. */
  readonly at: number
}

const arbSegment: fc.Arbitrary<Segment> = fc.record({
  bodies: fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 }),
  spareBytes: fc.constantFrom(0, 1, 19, 20, 500),
  fate: fc.oneof(
    { weight: 3, arbitrary: fc.constant('whole' as const) },
    fc.constantFrom('torn' as const, 'flipped' as const, 'missing' as const, 'odd' as const),
  ),
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
})

/** Write it; the messages that can be read of it. */
function writeHarmed(folder: string, messages: readonly WrittenMessage[], { spareBytes, fate, at }: Segment) {
  const whole = segmentBytes(messages, spareBytes)
  const end = positionOf(messages, messages.length)
  const place = 4 + Math.floor(at * (end - 4))
  const hit = messages.findIndex((_, index) => place < positionOf(messages, index + 1))
  const first = messages[0]?.id ?? 0
  switch (fate) {
    case 'whole':
      writeSegment(folder, 'q', first, whole)
      return messages
    case 'odd':
      writeSegment(folder, 'q', first, Buffer.concat([Buffer.from([0]), whole.subarray(1)]))
      return messages
    case 'torn':
      writeSegment(folder, 'q', first, whole.subarray(0, place))
      return messages.slice(0, hit)
    case 'flipped':
      whole[place] = (whole[place] as number) ^ 0x10
      writeSegment(folder, 'q', first, whole)
      return messages.slice(0, hit)
    default:
      return []
  }
}

test('brings what can be read, whatever is torn, damaged or missing', { timeout: 120_000 }, async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 10_000_000 }),
      fc.array(arbSegment, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(30), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (firstId, segments, tails, hasHead) => {
        const place = folders()
        mkdirSync(join(place.source, 'q'), { recursive: true })
        const readable: WrittenMessage[] = []
        let next = firstId
        for (const segment of segments) {
          const messages = segment.bodies.map((body, index) => ({
            id: next + index,
            seconds: SECONDS + Math.floor((next + index) / 3),
            body: Buffer.from(body),
          }))
          readable.push(...writeHarmed(place.source, messages, segment))
          next += messages.length
        }
        const channels = Object.fromEntries(tails.map((tail, index) => [`c${index}`, firstId + tail]))
        writeCheckpoints(place.source, 'q', { head: hasHead ? next : 1, channels })
        await bring(place)

        const head = Math.max(1, hasHead ? next : 1, (readable.at(-1)?.id ?? 0) + 1, ...Object.values(channels))
        const server = await startFloki(t, { data: place.data })
        const peer = await server.connect()
        for (const [channel, tail] of Object.entries(channels)) {
          const expected = readable.filter(({ id }) => id >= tail)
          assert.deepEqual(
            await drain(peer, 'q', channel),
            expected.map(({ id, body }) => [id, body.toString('latin1')]),
          )
        }
        await peer.expect('RPUSH q new', ':1')
        for (const channel of Object.keys(channels)) assert.deepEqual(await drain(peer, 'q', channel), [[head, 'new']])
        peer.raw[Symbol.dispose]()
        await server.broker.stop()
      },
    ),
    { numRuns: 60 },
  )
})

test('leaves out what was being deleted, and what can be no queue', async (t) => {
  const place = folders()
  writeSegment(place.source, 'going', 1, segmentBytes(written(1, ['a'])))
  writeCheckpoints(place.source, 'going', { head: 2, channels: { c: 1 }, state: 'Deleting' })
  writeSegment(place.source, 'no-name', 1, segmentBytes(written(1, ['a'])))
  writeSegment(place.source, 'bare', 1, segmentBytes(written(1, ['a'])))
  mkdirSync(join(place.source, 'empty'))
  writeFileSync(join(place.source, 'file'), '')
  const { stdout, stderr } = await bring(place)
  assert.deepEqual(stdout.trimEnd().split('\n'), [
    'bare: 1 messages, 1 bytes, next id 2; channels: none',
    'going: left out, it was being deleted',
  ])
  assert.match(stderr, /no-name is left out/)
  assert.match(stderr, /queue\.checkpoint was left out: ENOENT/)
  const peer = await (await startFloki(t, { data: place.data })).connect()
  assert.deepEqual(Object.keys(await peer.json('INFO queues')), ['bare'])
})

test('goes on with the ids of a queue that has no messages left', async (t) => {
  const place = folders()
  writeCheckpoints(place.source, 'q', { head: 500, channels: { c: 500 } })
  await bring(place)
  const peer = await (await startFloki(t, { data: place.data })).connect()
  assert.deepEqual(await drain(peer, 'q', 'c'), [])
  await peer.expect('RPUSH q new', ':1')
  assert.deepEqual(await drain(peer, 'q', 'c'), [[500, 'new']])
})

test('gives the queues the options of a floki.toml', async (t) => {
  const place = folders()
  const now = Math.floor(Date.now() / 1_000)
  writeSegment(place.source, 'q', 1, segmentBytes(written(1, ['a'], now - 60)))
  writeCheckpoints(place.source, 'q', { head: 2, channels: { c: 1 } })
  const file = join(place.source, '..', 'floki.toml')
  writeFileSync(file, 'hard_retention_period = "2h"\nhard_retention_size = "1g"\n')
  await bring(place, '--options', file)
  const peer = await (await startFloki(t, { data: place.data })).connect()
  const { q } = (await peer.json('CONFIG GET queues')) as Record<string, Record<string, number>>
  assert.deepEqual([q?.['hard_retention_period'], q?.['hard_retention_size']], [7200, 2 ** 30])
  assert.deepEqual(await drain(peer, 'q', 'c'), [[1, 'a']])
})

test('brings nothing twice, and nothing into its source', async () => {
  const place = folders()
  writeSegment(place.source, 'q', 1, segmentBytes(written(1, ['a'])))
  await bring(place)
  const again = await run(['floki-import', place.source, '--data', place.data])
  assert.equal(again.code, 1)
  assert.match(again.stderr, /has a topic q already/)
  const within = await run(['floki-import', place.source, '--data', join(place.source, 'leveret')])
  assert.equal(within.code, 1)
  assert.match(within.stderr, /is within/)
  const nothing = await run(['floki-import', place.data, '--data', join(place.data, '..', 'other')])
  assert.equal(nothing.code, 1)
  assert.match(nothing.stderr, /holds no queue of Floki/)
  const nowhere = await run(['floki-import', join(place.source, 'none'), '--data', place.data])
  assert.equal(nowhere.code, 1)
  assert.match(nowhere.stderr, /none: there is no such folder\n$/)
  assert.deepEqual(readdirSync(place.source), ['q'])
})
