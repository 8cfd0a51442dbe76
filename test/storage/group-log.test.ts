/** What groups remember: written many at a time, begun anew when it has grown, and never believed of records that are lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SteadyTime } from '../../src/common/steady-time.js'
import { ACK } from '../../src/groups/shared/settings.js'
import { SharedPartition } from '../../src/groups/shared/shared-partition.js'
import { toOffset } from '../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../src/model/topic.js'
import { isChange } from '../../src/storage/local/group-facts.js'
import { type FactSource, GroupLog } from '../../src/storage/local/group-log.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { checkData } from '../../src/storage/log/check.js'
import { nodeFileSystem } from '../../src/storage/log/file-system.js'
import { MemoryPartitionLog } from '../../src/storage/memory/memory-partition-log.js'
import { batchAt } from '../helpers/batches.js'
import { GroupSeat } from '../helpers/group-seat.js'
import { LogPlace } from '../helpers/log-place.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const SETTINGS = { ackWaitMs: 1_000, inFlightMax: 1_000, spanMax: 1_000, maxDeliveries: null }
const KEPT = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
const SEAMS = { clock: new VirtualClock(), durability: 'memory', grownBytesMin: 200 } as const
const END = toOffset(1_000_000)

/** A machine as the log sees it. */
class Source implements FactSource {
  readonly machine = new SharedPartition(toOffset(0), SETTINGS)
  readonly partition = 0
  readonly group: string

  constructor(group: string) {
    this.group = group
    this.machine.seek(toOffset(0))
  }

  get hasNews(): boolean {
    return this.machine.hasChanges
  }

  news() {
    return this.machine.changes()
  }

  everything() {
    return this.machine.snapshot()
  }

  ack(from: number, to: number): void {
    this.machine.take(1, to - from, END, 0)
    this.machine.settle(1, toOffset(from), toOffset(to), ACK, 0)
  }
}

class FailingLog extends MemoryPartitionLog {
  failures = 0
  appends = 0

  override append(...[batch, how]: Parameters<MemoryPartitionLog['append']>) {
    this.appends++
    return this.failures-- > 0 ? Promise.reject(new Error('the disk is full')) : super.append(batch, how)
  }
}

/** Appends once it is let. */
class SlowLog extends FailingLog {
  release: () => void = () => undefined
  readonly #released = new Promise<void>((resolve) => {
    this.release = resolve
  })

  override async append(...[batch, how]: Parameters<MemoryPartitionLog['append']>) {
    await this.#released
    return await super.append(batch, how)
  }
}

async function restored(log: MemoryPartitionLog, group: string): Promise<SharedPartition> {
  const facts = (await new GroupLog(log, SEAMS, () => []).read()).filter((line) => line.group === group)
  return SharedPartition.restore(facts.flatMap(({ changes }) => changes).filter(isChange), SETTINGS)
}

test('the news of many groups in one step are one append', async () => {
  const log = new FailingLog()
  const sources = Array.from({ length: 50 }, (_, index) => new Source(`group ${index}`))
  const groupLog = new GroupLog(log, SEAMS, () => sources)
  await Promise.all(sources.map((source) => groupLog.commit(source)))
  assert.equal(log.appends, 1)
  for (const source of sources) source.ack(0, 3)
  await Promise.all([...sources, ...sources].map((source) => groupLog.commit(source)))
  assert.equal((await restored(log, 'group 7')).floor, 3)
})

test('a log that has grown is begun anew, and says the same', async () => {
  const log = new MemoryPartitionLog()
  const sources = [new Source('busy'), new Source('idle')] as const
  const groupLog = new GroupLog(log, SEAMS, () => sources)
  await groupLog.commit(sources[1])
  for (let offset = 0; offset < 500; offset++) {
    sources[0].ack(offset, offset + 1)
    await groupLog.commit(sources[0])
  }
  assert.ok(log.logStart > 400, `the log begins at ${log.logStart} of ${log.end}`)
  assert.ok(log.bytes < 1_000, `${log.bytes} bytes are kept`)
  assert.equal((await restored(log, 'busy')).floor, 500)
  assert.deepEqual((await restored(log, 'idle')).snapshot(), sources[1].everything())
})

test('what could not be written is told to whoever waits, and written with what comes next', async () => {
  const log = new FailingLog()
  const source = new Source('g')
  const groupLog = new GroupLog(log, SEAMS, () => [source])
  source.ack(0, 5)
  log.failures = 1
  await assert.rejects(groupLog.commit(source), /disk is full/)
  await groupLog.commit(source)
  assert.equal((await restored(log, 'g')).floor, 5)
})

test('who asks for news that are on their way waits for them', async () => {
  const log = new SlowLog()
  const source = new Source('g')
  const groupLog = new GroupLog(log, SEAMS, () => [source])
  const first = groupLog.commit(source)
  await new Promise(setImmediate)
  let isTold = false
  const second = groupLog.commit(source).then(() => {
    isTold = true
  })
  await new Promise(setImmediate)
  assert.equal(isTold, false)
  log.release()
  await Promise.all([first, second])
  await groupLog.commit(source)
  assert.equal(log.appends, 1)
})

test('what is forgotten is not written any more, not even after it could not be', async () => {
  const log = new FailingLog()
  const [gone, other] = [new Source('gone'), new Source('other')]
  const groupLog = new GroupLog(log, SEAMS, () => [other])
  log.failures = 1
  await assert.rejects(groupLog.commit(gone), /disk is full/)
  gone.ack(0, 3)
  const waiting = groupLog.commit(gone)
  groupLog.forget(gone)
  await waiting
  await groupLog.commit(gone)
  await groupLog.commit(other)
  const facts = await new GroupLog(log, SEAMS, () => []).read()
  assert.deepEqual(
    facts.map(({ group }) => group),
    ['other'],
  )
})

test('an ack of records that a crash has lost does not count for others at their places', async () => {
  const clock = new VirtualClock()
  const place = await LogPlace.temporary({}, { clock })
  try {
    const store = await place.open()
    await store.saveTopic('topic', { ...KEPT, durability: 'os' })
    const log = await store.partition('topic', 0)
    await log.append(batchAt(0, 3), { timestampMs: 1, durability: 'disk', keep: true, producer: null })
    const groups = await store.groupLog('topic')
    const body = Buffer.from('["g",0,["seek",0],["acked",0,2],["redelivered",2,4,1],["acked",4,9]]')
    await groups.append({ body, count: 1 }, { timestampMs: 1, durability: 'disk', keep: true, producer: null })
    await store.close()
    // In the first round nobody takes part in the group: others stand in those places nevertheless.
    for (const base of [3, 7]) {
      const engine = new LocalEngine(place.store(), { clock: new SteadyTime(clock), producersMax: 4 })
      await engine.open()
      const how = { durability: null, expectedOffset: null, producer: '', sequence: null }
      await engine.publish('topic', 0, batchAt(base, 4), how)
      if (base === 7) {
        const seat = (await GroupSeat.take(engine, 'g')).ask(100)
        assert.deepEqual(
          (await seat.offsets(9)).toSorted((a, b) => a - b),
          [2, 3, 4, 5, 6, 7, 8, 9, 10],
        )
        assert.deepEqual(seat.got.find(({ offset }) => offset === 2)?.deliveryCount, 1)
      }
      await engine.close()
    }
  } finally {
    place.remove()
  }
})

test('a check of the data knows the log of groups, and finds damage in it', async () => {
  const place = await LogPlace.temporary()
  try {
    const engine = new LocalEngine(place.store(), { clock: new SteadyTime(new VirtualClock()), producersMax: 4 })
    await engine.open()
    await engine.ensureTopic('topic', KEPT)
    await engine.publish('topic', 0, batchAt(0, 2), {
      durability: null,
      expectedOffset: null,
      producer: '',
      sequence: null,
    })
    const seat = (await GroupSeat.take(engine, 'g')).ask(2)
    await seat.offsets(2)
    await seat.settle(0, 1)
    await engine.close()
    const check = () => {
      const { signal } = new AbortController()
      const request = { data: place.data, isRepair: false, signal, onFinding: () => {}, onProgress: () => {} }
      return checkData(request, { fs: nodeFileSystem, keyring: null })
    }
    const sound = await check()
    assert.deepEqual(sound.findings, [])
    assert.deepEqual([sound.isSound, sound.totals.records, sound.totals.partitions], [true, 2, 2])
  } finally {
    place.remove()
  }
})
