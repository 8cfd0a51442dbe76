/**
 * A sealed segment is damaged while records are published and read: readers are told the exact offsets and go on behind
 * them, writers notice nothing; through the engine's cursor, and from end to end through a broker and its client.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, type LostRange } from '../../../client/index.js'
import { SteadyTime } from '../../../src/common/steady-time.js'
import { createBroker } from '../../../src/index.js'
import { toOffset } from '../../../src/model/offset.js'
import { LocalEngine } from '../../../src/storage/local/local-engine.js'
import { batchAt, offsetsSaid } from '../../helpers/batches.js'
import { SETTINGS } from '../../helpers/damaged-log.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { LogPlace } from '../../helpers/log-place.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

const PLAIN = { durability: null, expectedOffset: null, producer: '', sequence: null } as const

test('a cursor tells what is lost and goes on, while appends go on', async () => {
  const fs = new FaultyFileSystem({ seed: 5 })
  const clock = new VirtualClock()
  const store = LogPlace.over(fs.process(), { segmentBytes: 2_000 }, { clock }).store()
  const engine = new LocalEngine(store, { clock: new SteadyTime(clock), producersMax: 4 })
  await engine.open()
  await engine.ensureTopic('topic', SETTINGS)
  for (let offset = 0; offset < 60; offset += 2) await engine.publish('topic', 0, batchAt(offset, 2, 0, 100), PLAIN)
  const path = fs.files().filter((file) => file.endsWith('.log'))[1] ?? ''
  const base = Number(/(\d+)\.log$/.exec(path)?.[1])
  const bytes = 48 + batchAt(base, 2, 0, 100).body.length
  const cursor = await engine.read('topic', 0, toOffset(0))
  const { signal } = new AbortController()
  const seen: number[] = []
  const lost: unknown[] = []
  for (let round = 0; (seen.at(-1) ?? 0) < 99; round++) {
    // The damage comes while the reader is before it.
    if (round === 1) fs.flipBit(path, (bytes + 60) * 8)
    if (round < 20) await engine.publish('topic', 0, batchAt(60 + 2 * round, 2, 0, 100), PLAIN)
    const chunk = await cursor.next(300, signal)
    if (chunk.kind === 'lost') lost.push(chunk.loss)
    else seen.push(...chunk.batches.flatMap(({ body }) => offsetsSaid(body)))
  }
  assert.deepEqual(lost, [{ from: base + 2, to: base + 4, cause: 'corrupt' }])
  const wanted = Array.from({ length: 100 }, (_, offset) => offset).filter((at) => at < base + 2 || at >= base + 4)
  assert.deepEqual(seen, wanted)
  assert.deepEqual(
    engine.problems().map(({ kind, from, to }) => [kind, from, to]),
    [['corrupt', base + 2, base + 4]],
  )
  cursor.close()
  await engine.close()
})

test('a subscriber on a real disk is told of a damaged range, and gets all the rest', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-live-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const topicOf = (client: Awaited<ReturnType<typeof connect>>) => client.topic('orders')
  const first = await createBroker({ data, segmentBytes: 1024 * 1024 })
  const publisher = await connect({ port: first.port })
  await publisher.createTopic('orders', { retention: { ageMs: null, bytes: null, records: null } })
  for (let index = 0; index < 40; index++) await topicOf(publisher).publish(Buffer.alloc(100, index))
  await publisher.close()
  await first.stop()
  const folder = readdirSync(join(data, 'topics'))[0] ?? ''
  const path = join(data, 'topics', folder, '0', '00000000000000000000.log')
  const content = readFileSync(path)
  content[Math.floor(content.length / 2)] = (content[Math.floor(content.length / 2)] as number) ^ 1
  writeFileSync(path, content)
  await using second = await createBroker({ data, segmentBytes: 1024 * 1024 })
  await using client = await connect({ port: second.port })
  await topicOf(client).publish(Buffer.from('after'))
  const lost: LostRange[] = []
  const offsets: number[] = []
  const subscription = topicOf(client).subscribe({ from: 'earliest', onLost: (range) => void lost.push(range) })
  for await (const record of subscription) {
    offsets.push(record.offset)
    if (record.offset === 40) break
  }
  assert.equal(lost.length, 1)
  const [range] = lost
  assert.ok(range !== undefined && range.cause === 'corrupt' && range.to > range.from)
  assert.deepEqual(
    offsets,
    Array.from({ length: 41 }, (_, at) => at).filter((at) => at < range.from || at >= range.to),
  )
})
