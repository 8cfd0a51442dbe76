/**
 * Real records, published many times over while the server is killed at random moments, and read back. One publisher with
 * sequences: each record's offset is its place in the input, so any loss, repetition or change of order shows.
 */
import assert from 'node:assert/strict'
import { type Client, connect, KEEP_FOREVER, type RecordInput } from '../../client/index.js'
import { systemClock } from '../../src/common/clock.js'
import { below, SeededRandom } from './faulty-random.js'
import { fileChanges, keyOf } from './file-changes.js'
import { MortalServer, pause } from './kill-server.js'

const TOPIC = 'changes'
const CHUNK = 500
const IN_FLIGHT = 12
const KILL_MIN_MS = 5
const KILL_MAX_MS = 500
const READ_WINDOW = 20_000
const REPORT_EVERY = 100_000

export interface RealInputResult {
  readonly records: number
  readonly kills: number
  readonly publishedMs: number
  readonly readMs: number
  readonly restartsMs: readonly number[]
}

export async function publishRealInput(
  { seed, times, killsMin }: { seed: number; times: number; killsMin: number },
  report: (line: string) => void = () => undefined,
): Promise<RealInputResult> {
  const records = fileChanges().lines.map((line) => ({ value: Buffer.from(line), key: keyOf(line) }))
  const total = records.length * times
  const server = await MortalServer.make()
  try {
    await server.start()
    const client = await connect({
      port: server.port,
      reconnect: { minDelayMs: 5, maxDelayMs: 50 },
      requestTimeoutMs: 300_000,
    })
    await client.createTopic(TOPIC, { retention: KEEP_FOREVER })
    const begunMs = systemClock.monotonic()
    let isPublished = false
    const publishing = publish(client, records, total, report).finally(() => {
      isPublished = true
    })
    const random = new SeededRandom(seed)
    while (!isPublished || server.kills < killsMin) {
      await pause(KILL_MIN_MS + below(random, KILL_MAX_MS - KILL_MIN_MS))
      await server.kill()
      await server.start()
    }
    await publishing
    const publishedMs = systemClock.monotonic() - begunMs
    await client.close()
    report(`published ${total} records in ${Math.round(publishedMs)} ms with ${server.kills} kills; reading back`)
    const readMs = await readBack(server.port, records, total)
    return { records: total, kills: server.kills, publishedMs, readMs, restartsMs: server.restartsMs }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error}`, { cause: error })
  } finally {
    await server.remove()
  }
}

async function publish(
  client: Client,
  records: readonly RecordInput<Uint8Array>[],
  total: number,
  report: (line: string) => void,
): Promise<void> {
  const topic = client.topic(TOPIC)
  const inFlight = new Set<Promise<void>>()
  for (let first = 0; first < total; first += CHUNK) {
    const count = Math.min(CHUNK, total - first)
    const chunk = Array.from(
      { length: count },
      (_, at) => records[(first + at) % records.length] as RecordInput<Uint8Array>,
    )
    const one = topic.publishRecords(chunk).then((receipts) => {
      for (const [at, { offset, durability }] of receipts.entries()) {
        assert.equal(offset, first + at, `record ${first + at} was acknowledged at offset ${offset}`)
        assert.equal(durability, 'disk')
      }
    })
    const entry = one.finally(() => inFlight.delete(entry))
    inFlight.add(entry)
    if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight)
    if (first > 0 && first % REPORT_EVERY === 0) report(`published ${first} of ${total}`)
  }
  await Promise.all(inFlight)
}

async function readBack(port: number, records: readonly RecordInput<Uint8Array>[], total: number): Promise<number> {
  const client = await connect({ port })
  const begunMs = systemClock.monotonic()
  try {
    const { partitions } = await client.describe(TOPIC)
    assert.deepEqual(
      partitions.map(({ logStart, end }) => ({ logStart, end })),
      [{ logStart: 0, end: total }],
      'exactly what was acknowledged is there',
    )
    let next = 0
    const onLost = (lost: unknown) => assert.fail(`lost ${JSON.stringify(lost)}`)
    const subscription = client.topic(TOPIC).subscribe({ until: total, window: READ_WINDOW, onLost })
    for await (const batch of subscription.batches()) {
      for (const { offset, value, key } of batch) {
        const expected = records[next % records.length] as RecordInput<Uint8Array>
        assert.equal(offset, next)
        assert.equal(Buffer.from(key ?? []).toString(), expected.key)
        assert.equal(Buffer.compare(value, expected.value), 0, `record ${next} is another than was published`)
        next++
      }
    }
    assert.equal(next, total)
    return systemClock.monotonic() - begunMs
  } finally {
    await client.close()
  }
}
