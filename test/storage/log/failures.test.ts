/**
 * A disk that is full, and a disk that fails to sync: typed errors, nothing half done, reads that go on, and healing where
 * that is possible. Seeds are printed with what fails.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeveretError } from '../../../src/common/errors.js'
import { toOffset } from '../../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, type Durability, KEEP_FOREVER } from '../../../src/model/topic.js'
import type { LogStore } from '../../../src/storage/log/log-store.js'
import type { PartitionLog } from '../../../src/storage/store.js'
import { batchAt, offsetsSaid } from '../../helpers/batches.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import type { FaultOptions } from '../../helpers/faulty-machine.js'
import { outcomes, someTurns } from '../../helpers/faulty-rounds.js'
import { LogPlace } from '../../helpers/log-place.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'
import { forgetHolder } from './simulation.js'

const SETTINGS = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
const CONFIG = { segmentBytes: 2_000, spareBytes: 4_000 }

class Disk {
  readonly fs: FaultyFileSystem
  readonly clock = new VirtualClock()

  constructor(options: FaultOptions = {}) {
    this.fs = new FaultyFileSystem(options)
  }

  async open(): Promise<LogStore> {
    return await LogPlace.over(this.fs.process(), CONFIG, { clock: this.clock }).open()
  }

  async powerLoss(): Promise<LogStore> {
    this.fs.powerLoss()
    forgetHolder(this.fs)
    return await this.open()
  }

  fill(): void {
    this.fs.capacityBytes = this.fs.usedBytes
  }

  free(): void {
    this.fs.capacityBytes = Number.POSITIVE_INFINITY
  }
}

async function logOf(store: LogStore, topic: string, durability: Durability = 'disk'): Promise<PartitionLog> {
  await store.saveTopic(topic, { ...SETTINGS, durability })
  return await store.partition(topic, 0)
}

async function append(log: PartitionLog, durability: Durability = 'disk', count = 2): Promise<number> {
  const how = { timestampMs: log.end, durability, keep: true, producer: null }
  return (await log.append(batchAt(log.end, count, 0, 30), how)).baseOffset
}

async function readAll(log: PartitionLog): Promise<number[]> {
  const offsets: number[] = []
  for (let next = log.logStart; next < log.stableEnd; ) {
    const { batches, loss, next: after } = await log.read(next, 1e6)
    assert.equal(loss, null)
    assert.ok(after > next)
    for (const { body } of batches) offsets.push(...offsetsSaid(body))
    next = after
  }
  return offsets
}

const upTo = (end: number) => Array.from({ length: end }, (_, offset) => offset)

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    return error instanceof LeveretError ? `${error.code}${error.retryable ? ', retryable' : ''}` : `${error}`
  }
}

const FULL = 'LVT_UNAVAILABLE, retryable'

test('a full disk refuses publishers, serves readers, and takes records again when there is room', async () => {
  await outcomes(60, async (seed) => {
    const disk = new Disk({ seed })
    const store = await disk.open()
    const log = await logOf(store, 'orders')
    for (let batch = 0; batch < 1 + (seed % 30); batch++) await append(log)
    disk.fs.capacityBytes = disk.fs.usedBytes + ((seed * 37) % 700)
    let refused = 0
    for (let batch = 0; batch < 30; batch++) {
      const { end } = log
      const code = await codeOf(append(log))
      assert.ok(code === 'done' || code === FULL, code)
      if (code !== 'done') {
        refused++
        assert.equal(log.end, end, 'what did not happen takes no offset')
        assert.ok(
          store.problems().some(({ kind, topic }) => kind === 'full' && topic === 'orders'),
          'no problem is told',
        )
      }
    }
    assert.ok(refused > 0, 'nothing was refused')
    assert.deepEqual(await readAll(log), upTo(log.end))
    disk.free()
    for (let batch = 0; batch < 10; batch++) await append(log)
    assert.deepEqual(store.problems(), [])
    assert.deepEqual(await readAll(log), upTo(log.end))
    const { end } = log
    const again = await (await disk.powerLoss()).partition('orders', 0)
    assert.equal(again.end, end)
    assert.deepEqual(await readAll(again), upTo(end))
  })
})

test('several publishers at once are refused together, and no batch is torn', async () => {
  await outcomes(60, async (seed) => {
    const disk = new Disk({ seed, shortWrites: 0.3 })
    const log = await logOf(await disk.open(), 'orders')
    for (let batch = 0; batch < 5; batch++) await append(log)
    disk.fs.capacityBytes = disk.fs.usedBytes + 100 + ((seed * 53) % 900)
    for (let round = 0; round < 10; round++) {
      const codes = await Promise.all(
        Array.from({ length: 4 }, () => codeOf(append(log, round % 2 ? 'disk' : 'os', 1))),
      )
      for (const code of codes) assert.ok(code === 'done' || code === FULL, code)
    }
    assert.deepEqual(await readAll(log), upTo(log.stableEnd))
    const { stableEnd } = log
    const again = await (await disk.powerLoss()).partition('orders', 0)
    assert.deepEqual((await readAll(again)).slice(0, stableEnd), upTo(stableEnd))
  })
})

test('what was acknowledged at level memory is kept while the disk is full, and written when it is not', async () => {
  await outcomes(30, async (seed) => {
    const disk = new Disk({ seed })
    const store = await disk.open()
    const log = await logOf(store, 'orders', 'memory')
    await append(log)
    disk.fill()
    const bases = [await append(log, 'memory'), await append(log, 'memory'), await append(log, 'memory')]
    assert.deepEqual(bases, [2, 4, 6])
    await someTurns()
    assert.ok(
      store.problems().some(({ kind }) => kind === 'full'),
      'no problem is told',
    )
    disk.free()
    disk.clock.advance(1_500)
    await someTurns()
    await append(log)
    assert.deepEqual(await readAll(log), upTo(10))
    const again = await (await disk.powerLoss()).partition('orders', 0)
    assert.deepEqual(await readAll(again), upTo(10))
  })
})

test('a topic can be dropped, and records trimmed, on a full disk', async () => {
  await outcomes(60, async (seed) => {
    const disk = new Disk({ seed })
    const store = await disk.open()
    const [orders, other] = [await logOf(store, 'orders'), await logOf(store, 'other')]
    for (let batch = 0; batch < 40; batch++) await Promise.all([append(orders), append(other)])
    disk.fill()
    assert.equal(await codeOf(append(orders)), FULL)
    if (seed % 2 === 0) await store.dropTopic('other')
    else await other.trimTo(toOffset(60))
    // That made room.
    await append(orders)
    assert.deepEqual(await readAll(orders), upTo(82))
    disk.free()
    disk.clock.advance(2_000)
    const again = await disk.powerLoss()
    assert.deepEqual([...(await again.topics()).keys()], seed % 2 === 0 ? ['orders'] : ['orders', 'other'])
    assert.deepEqual(await readAll(await again.partition('orders', 0)), upTo(82))
    if (seed % 2 === 1) assert.equal((await again.partition('other', 0)).logStart, 60)
  })
})

test('a topic is not made on a full disk, and can be made later', async () => {
  await outcomes(40, async (seed) => {
    const disk = new Disk({ seed })
    const store = await disk.open()
    await logOf(store, 'orders')
    disk.fill()
    assert.equal(await codeOf(store.saveTopic('other', SETTINGS)), FULL)
    assert.deepEqual([...(await store.topics()).keys()], ['orders'])
    disk.free()
    await append(await logOf(store, 'other'))
    const again = await disk.powerLoss()
    assert.deepEqual([...(await again.topics()).keys()].sort(), ['orders', 'other'])
  })
})

test('a store opens on a full disk and serves what it has', async () => {
  await outcomes(30, async (seed) => {
    const disk = new Disk({ seed })
    const store = await disk.open()
    const log = await logOf(store, 'orders')
    for (let batch = 0; batch < 20; batch++) await append(log)
    disk.fill()
    const again = await disk.powerLoss()
    assert.deepEqual(await readAll(await again.partition('orders', 0)), upTo(40))
  })
})

test('a sync that fails stops its partition for good: no acknowledgement, no second try, everything else goes on', async () => {
  await outcomes(60, async (seed) => {
    const disk = new Disk({ seed })
    const store = await disk.open()
    const [orders, other] = [await logOf(store, 'orders'), await logOf(store, 'other')]
    for (let batch = 0; batch < 1 + (seed % 12); batch++) await Promise.all([append(orders), append(other)])
    const { end } = orders
    disk.fs.plan({ op: 'sync', code: 'EIO', path: /orders.*\.log$/ })
    const codes = await Promise.all([codeOf(append(orders)), codeOf(append(orders, 'disk', 1))])
    // The two are one group, unless the segment was full.
    assert.ok(
      codes[0]?.startsWith('LVT_IN_DOUBT') || codes.every((code) => code.startsWith('LVT_READ_ONLY')),
      `${codes}`,
    )
    for (const code of codes) assert.match(code, /^LVT_(IN_DOUBT|READ_ONLY)/)
    const failedAt = disk.fs.opCount
    assert.match(await codeOf(append(orders)), /^LVT_READ_ONLY/)
    assert.ok(store.problems().some(({ kind, topic }) => kind === 'read-only' && topic === 'orders'))
    assert.equal(orders.stableEnd, end)
    assert.deepEqual(await readAll(orders), upTo(end))
    await append(other)
    assert.deepEqual(await readAll(other), upTo(other.end))
    disk.clock.advance(5_000)
    await someTurns()
    await store.close()
    const again = disk.fs.ops.filter(
      ({ index, name, path }) => index > failedAt && name === 'sync' && /orders.*log$/.test(path),
    )
    assert.deepEqual(again, [], 'the file is never synced again')
    const reopened = await (await disk.powerLoss()).partition('orders', 0)
    assert.ok(reopened.end >= end)
    assert.deepEqual(await readAll(reopened), upTo(reopened.end))
    await append(reopened)
  })
})

test('a list of topics that fails to sync takes no more changes, and the records go on', async () => {
  const disk = new Disk()
  const store = await disk.open()
  const log = await logOf(store, 'orders')
  disk.fs.plan({ op: 'sync', code: 'EIO', path: /catalog/ })
  assert.match(await codeOf(store.saveTopic('other', SETTINGS)), /^LVT_READ_ONLY/)
  assert.match(await codeOf(store.saveTopic('third', SETTINGS)), /^LVT_READ_ONLY/)
  await append(log)
  const again = await disk.powerLoss()
  assert.ok((await again.topics()).has('orders'))
  assert.ok(!(await again.topics()).has('third'))
})
