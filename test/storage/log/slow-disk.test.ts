/**
 * A disk that does a part of what it is asked, or is interrupted, and one that takes its time: the same bytes in the end,
 * publishers that wait, and nobody else who does.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, type Durability, KEEP_FOREVER } from '../../../src/model/topic.js'
import type { LogStore } from '../../../src/storage/log/log-store.js'
import type { PartitionLog } from '../../../src/storage/store.js'
import { batchAt } from '../../helpers/batches.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import type { FaultOptions } from '../../helpers/faulty-machine.js'
import { below, SeededRandom } from '../../helpers/faulty-random.js'
import { outcomes, someTurns } from '../../helpers/faulty-rounds.js'
import { LogPlace } from '../../helpers/log-place.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'

const SETTINGS = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }

async function logOf(store: LogStore, topic: string): Promise<PartitionLog> {
  await store.saveTopic(topic, SETTINGS)
  return await store.partition(topic, 0)
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => 'done',
    ({ code }) => code,
  )
}

function append(log: PartitionLog, durability: Durability = 'disk', padding = 40): Promise<unknown> {
  const how = { timestampMs: log.end, durability, keep: true, producer: { name: 'p', sequence: log.end } }
  return log.append(batchAt(log.end, 2, 0, padding), how)
}

/** What the log files hold after a fixed run on a disk with these faults. */
async function filesAfter(seed: number, faults: FaultOptions): Promise<Map<string, string>> {
  const fs = new FaultyFileSystem({ ...faults, seed })
  const place = LogPlace.over(fs.process(), { segmentBytes: 3_000 }, { random: new SeededRandom(1) })
  const store = await place.open()
  const logs = [await logOf(store, 'orders'), await logOf(store, 'other')]
  const random = new SeededRandom(seed)
  for (let round = 0; round < 30; round++) {
    const padding = below(random, 300)
    await Promise.all(logs.flatMap((log) => [append(log, 'os', padding), append(log, 'disk')]))
  }
  await store.close()
  const again = await place.open()
  assert.equal((await again.partition('orders', 0)).end, 120)
  await again.close()
  const kept = fs.files().filter((path) => !path.endsWith('/lock'))
  return new Map(
    kept.map((path) => [path, /catalog/.test(path) ? linesOf(fs.contents(path)) : fs.contents(path).toString('hex')]),
  )
}

/** Which of two partitions comes first in the catalog is a matter of time. */
function linesOf(catalog: Buffer): string {
  return catalog.toString().split('\n').sort().join('\n')
}

test('short writes and reads, EINTR and EAGAIN leave the same bytes as a disk without them', async () => {
  await outcomes(40, async (seed) => {
    const faults = { shortWrites: 0.4, shortReads: 0.4, interrupted: 0.15, again: 0.15 }
    const [expected, actual] = [await filesAfter(seed, {}), await filesAfter(seed, faults)]
    assert.ok([...expected.keys()].filter((path) => path.endsWith('.log')).length > 4)
    assert.deepEqual(actual, expected)
  })
})

/** A store whose syncs of the files that match wait for `release`. */
async function slowStore(
  path: RegExp,
  besideBytes = 400_000,
): Promise<{ store: LogStore; fs: FaultyFileSystem; release(): void }> {
  const fs = new FaultyFileSystem()
  const config = { unwrittenBytesMax: 20_000, segmentBytes: 10_000_000, syncsInPlace: false, besideBytes }
  const store = await LogPlace.over(fs.process(), config, { clock: new VirtualClock() }).open()
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  fs.beforeSync((synced) => (path.test(synced) ? gate : Promise.resolve()))
  return { store, fs, release }
}

test('publishers wait for a slow sync, and all that came meanwhile goes with the next one', async () => {
  const { store, fs, release } = await slowStore(/orders.*\.log$/)
  const log = await logOf(store, 'orders')
  let acked = 0
  const appends = Array.from({ length: 500 }, () => append(log).then(() => acked++))
  await someTurns()
  const late = Array.from({ length: 500 }, () => append(log).then(() => acked++))
  await someTurns()
  assert.deepEqual([acked, log.end, log.stableEnd], [0, 2_000, 0])
  release()
  await Promise.all([...appends, ...late])
  assert.deepEqual([acked, log.stableEnd], [1_000, 2_000])
  const syncs = fs.ops.filter(({ name, path }) => name === 'sync' && /orders.*\.log$/.test(path))
  assert.ok(syncs.length <= 3, `${syncs.length} syncs for two gatherings`)
})

test('a slow file holds up nobody who publishes to another one, nor readers of what is safe', async () => {
  const { store, fs, release } = await slowStore(/nothing yet/)
  const [orders, other] = [await logOf(store, 'orders'), await logOf(store, 'other')]
  await append(orders)
  let letGo = () => {}
  const gate = new Promise<void>((resolve) => {
    letGo = resolve
  })
  fs.beforeSync((path) => (path.includes('orders') ? gate : Promise.resolve()))
  const waiting = append(orders)
  for (let batch = 0; batch < 200; batch++) await append(other)
  assert.equal(other.stableEnd, 400)
  const { batches } = await orders.read(toOffset(0), 1e6)
  assert.deepEqual([batches.length, orders.stableEnd, orders.end], [1, 2, 4])
  letGo()
  await waiting
  release()
  assert.equal(orders.stableEnd, 4)
})

const isLogWrite = ({ name, path }: { name: string; path: string }) => name === 'write' && /orders.*\.log$/.test(path)

test('what has become much is written beside a slow sync, and acknowledged by the one after it', async () => {
  const { store, fs, release } = await slowStore(/orders.*\.log$/)
  const log = await logOf(store, 'orders')
  const first = append(log)
  await someTurns()
  const writesBefore = fs.ops.filter(isLogWrite).length
  let acked = 0
  const late = Array.from({ length: 20 }, () => append(log, 'disk', 25_000).then(() => acked++))
  await someTurns()
  assert.ok(fs.ops.filter(isLogWrite).length > writesBefore, 'it is written already')
  assert.deepEqual([acked, log.stableEnd], [0, 0])
  release()
  await Promise.all([first, ...late])
  assert.deepEqual([acked, log.stableEnd], [20, 42])
  const { batches } = await log.read(toOffset(0), 10_000_000)
  assert.equal(batches.length, 21)
})

test('who waits for a write only does not wait for a slow sync', async () => {
  const { store, release } = await slowStore(/orders.*\.log$/)
  const log = await logOf(store, 'orders')
  const first = append(log)
  await someTurns()
  await append(log, 'os')
  assert.deepEqual([log.stableEnd, log.end], [0, 4])
  release()
  await first
})

test('when a slow sync fails, what was written beside it is in doubt as well, and the partition takes no more', async () => {
  const { store, fs, release } = await slowStore(/orders.*\.log$/)
  const log = await logOf(store, 'orders')
  fs.plan({ op: 'sync', code: 'EIO', path: /orders.*\.log$/ })
  const first = append(log)
  await someTurns()
  const late = Array.from({ length: 20 }, () => append(log, 'disk', 25_000))
  await someTurns()
  const queued = append(log)
  release()
  const codes = await Promise.all([first, ...late, queued, first.catch(() => append(log))].map(codeOf))
  assert.deepEqual(codes, [...Array(21).fill('LVT_IN_DOUBT'), 'LVT_READ_ONLY', 'LVT_READ_ONLY'])
  assert.deepEqual(
    [log.stableEnd, fs.ops.filter(({ name, path }) => name === 'sync' && /orders.*\.log$/.test(path)).length],
    [0, 1],
  )
})

test('what is acknowledged at level memory waits for the disk when so much is waiting already', async () => {
  const { store, release } = await slowStore(/orders.*\.log$/, Number.POSITIVE_INFINITY)
  const log = await logOf(store, 'orders')
  const first = append(log)
  await someTurns()
  let acked = 0
  const appends = Array.from({ length: 400 }, () => append(log, 'memory', 500).then(() => acked++))
  await someTurns()
  // Two records of 500 bytes each: twenty thousand bytes are less than twenty of them.
  assert.ok(acked > 10 && acked < 25, `${acked} were acknowledged`)
  release()
  await Promise.all([first, ...appends])
  assert.equal(acked, 400)
})
