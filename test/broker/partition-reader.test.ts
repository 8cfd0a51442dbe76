/**
 * A reader between a ring and an engine that is slow, trims while it is read, and fails. Everything from its start to
 * its end is accounted for once and in order: a record that says its offset, or a loss that names it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartitionReader, type ReaderListener, type ReaderSource } from '../../src/broker/partition-reader.js'
import type { TopicFacts } from '../../src/broker/topic-facts.js'
import { TopicRing } from '../../src/broker/topic-ring.js'
import { AbortedError, UnavailableError } from '../../src/common/errors.js'
import { FIRST_OFFSET, type Offset, toOffset } from '../../src/model/offset.js'
import type { Loss, StoredBatch } from '../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS } from '../../src/model/topic.js'
import type { Chunk, Cursor } from '../../src/storage/engine.js'
import { batchAt, offsetsSaid } from '../helpers/batches.js'
import { fc } from '../helpers/fast-check.js'

/** What the engine brings at once. */
const BATCHES_READ = 4

interface FakeOptions {
  readonly keepsRecords?: boolean
  readonly ageMs?: number | null
  readonly ringRecords?: number
}

/** A partition whose engine answers only when it is told to. */
class FakePartition implements ReaderSource, ReaderListener {
  readonly partition = 0
  readonly topic: TopicFacts
  readonly ring: TopicRing
  readonly kept: StoredBatch[] = []
  readonly readers = new Set<PartitionReader>()
  logStart: Offset = FIRST_OFFSET
  lagging = 0
  opened = 0
  closed = 0
  woken = 0
  fails: Error | null = null
  /** A read from below brings nothing and goes on here. */
  nextOfNothing = 0
  readonly #answers: (() => void)[] = []

  constructor({ keepsRecords = true, ageMs = null, ringRecords = 4 }: FakeOptions = {}) {
    this.ring = new TopicRing(toOffset(0), 1024 * 1024, ringRecords)
    const settings = DEFAULT_TOPIC_SETTINGS
    this.topic = { name: 't', nameBytes: Buffer.from('t'), settings, keepsRecords, retentionAgeMs: ageMs }
  }

  append(count: number, timestampMs = 0): void {
    const batch = batchAt(this.ring.end, count, timestampMs)
    if (this.topic.keepsRecords) this.kept.push(batch)
    this.ring.push(batch)
    for (const reader of this.readers) reader.wake()
  }

  /** Drop whole batches from the front, and then say that the log starts at `offset`. */
  trim(offset: number): void {
    while (this.kept[0] !== undefined && this.kept[0].baseOffset + this.kept[0].count <= offset) this.kept.shift()
    this.logStart = toOffset(Math.max(this.logStart, offset))
  }

  reader(from: number, until: number | null = null): PartitionReader {
    const reader = new PartitionReader(this, toOffset(from), until === null ? null : toOffset(until), this)
    this.readers.add(reader)
    return reader
  }

  /** Let the engine give the answers that it owes, and the reader hear them. */
  async answer(): Promise<void> {
    while (this.#answers.length > 0) {
      for (const answer of this.#answers.splice(0)) answer()
      for (let turn = 0; turn < 8; turn++) await Promise.resolve()
    }
  }

  get owed(): number {
    return this.#answers.length
  }

  async openCursor(from: Offset): Promise<Cursor> {
    await this.#turn()
    this.opened++
    let next: number = from
    return {
      next: async (_maxBytes, signal): Promise<Chunk> => {
        await this.#turn()
        if (signal.aborted) throw new AbortedError('aborted')
        if (this.fails !== null) throw this.fails
        const known = this.logStart
        if (next < known) {
          const loss: Loss = { from: toOffset(next), to: toOffset(known), cause: 'trimmed' }
          next = known
          return { kind: 'lost', loss }
        }
        if (next < this.nextOfNothing) {
          next = this.nextOfNothing
          return { kind: 'batches', batches: [], next: toOffset(next) }
        }
        const batches: StoredBatch[] = []
        for (const batch of this.kept) {
          if (batch.baseOffset + batch.count <= next) continue
          if (batches.length === BATCHES_READ) break
          batches.push(batch)
        }
        next = batches.reduce((_, { baseOffset, count }) => baseOffset + count, next)
        return { kind: 'batches', batches, next: toOffset(next) }
      },
      close: () => {
        this.closed++
      },
    }
  }

  expiredBefore(ageMs: number, nowMs: number): number {
    return nowMs - ageMs
  }

  advanced(): void {}

  lagged({ from, to }: Loss): void {
    this.lagging += to - from
  }

  detach(reader: PartitionReader): void {
    this.readers.delete(reader)
  }

  grown(): void {}

  readable(): void {
    this.woken++
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#answers.push(resolve))
  }
}

interface Account {
  next: number
  readonly delivered: number[]
  readonly lost: Loss[]
}

/** Take until there is nothing to take; every offset is checked against the place where the reader stood. */
function takeAll(reader: PartitionReader, account: Account, recordsMax: number, nowMs: number): string {
  for (let round = 0; ; round++) {
    assert.ok(round < 10_000, 'the reader makes no progress')
    const result = reader.take(recordsMax, 1024 * 1024, nowMs)
    if (result === 'records') {
      const said = offsetsSaid(reader.body.subarray(reader.bodyStart, reader.bodyEnd))
      const expected = Array.from({ length: reader.count }, (_, index) => account.next + index)
      assert.equal(reader.baseOffset, account.next)
      assert.deepEqual(said, expected)
      assert.ok(said.length <= recordsMax && said.length > 0)
      account.delivered.push(...said)
      account.next += said.length
    } else if (result === 'lost') {
      const { loss } = reader
      assert.ok(loss !== null && loss.from === account.next && loss.to > loss.from, JSON.stringify(loss))
      account.lost.push(loss)
      account.next = loss.to
    } else return result
  }
}

const newAccount = (next = 0): Account => ({ next, delivered: [], lost: [] })

test('hands over from the engine to the ring and back without a gap or a duplicate', async () => {
  const partition = new FakePartition()
  for (let batch = 0; batch < 20; batch++) partition.append(3)
  const reader = partition.reader(0)
  const account = newAccount()
  for (let round = 0; round < 30; round++) {
    takeAll(reader, account, 2, 0)
    await partition.answer()
    if (round % 3 === 0) partition.append(2)
  }
  takeAll(reader, account, 2, 0)
  assert.equal(account.next, partition.ring.end)
  assert.deepEqual(account.lost, [])
})

test('tells what was trimmed between two reads, and goes on with the first that is kept', async () => {
  const partition = new FakePartition()
  for (let batch = 0; batch < 20; batch++) partition.append(3)
  const reader = partition.reader(0)
  const account = newAccount()
  takeAll(reader, account, 1, 0)
  partition.trim(10)
  await partition.answer()
  takeAll(reader, account, 100, 0)
  assert.deepEqual(account.lost, [{ from: 0, to: 10, cause: 'trimmed' }])
})

test('passes over what was superseded without a word, and ends there if that is where it is to end', async () => {
  for (const until of [null, 9, 12, 13]) {
    const partition = new FakePartition()
    for (let batch = 0; batch < 20; batch++) partition.append(3)
    partition.kept.splice(1, 3)
    const reader = partition.reader(0, until)
    const account = newAccount()
    takeAll(reader, account, 1, 0)
    await partition.answer()
    assert.equal(reader.take(100, 1024, 0), 'records')
    assert.equal(reader.next, 3)
    account.next = 12
    const end = takeAll(reader, account, 100, 0)
    assert.deepEqual(account.lost, [])
    if (until !== null) assert.equal(end, 'ended')
    assert.equal(account.delivered.length, until === 13 ? 1 : until === null ? account.next - 12 : 0)
  }
})

test('goes on behind a read that brings nothing because all of it was superseded', async () => {
  for (const until of [null, 30, 60]) {
    const partition = new FakePartition()
    for (let batch = 0; batch < 30; batch++) partition.append(3)
    partition.kept.splice(0, 26)
    partition.nextOfNothing = 78
    const reader = partition.reader(0, until)
    const account = newAccount(78)
    assert.equal(takeAll(reader, account, 100, 0), 'waiting')
    for (let read = 0; read < 3; read++) {
      await partition.answer()
      assert.equal(takeAll(reader, account, 100, 0), until === null ? 'waiting' : 'ended')
    }
    assert.equal(account.delivered.length, until === null ? 12 : 0)
    assert.deepEqual(account.lost, [])
  }
})

test('names no offset at or beyond its end in a loss', async () => {
  for (const options of [{}, { keepsRecords: false }]) {
    const partition = new FakePartition(options)
    for (let batch = 0; batch < 20; batch++) partition.append(3)
    partition.trim(40)
    const reader = partition.reader(0, 7)
    const account = newAccount()
    takeAll(reader, account, 10, 0)
    await partition.answer()
    assert.equal(takeAll(reader, account, 10, 0), 'ended')
    assert.deepEqual(
      account.lost.map(({ from, to }) => [from, to]),
      [[0, 7]],
    )
  }
})

test('tells nothing of a loss that a read under way finds when the end has been reached without it', async () => {
  const partition = new FakePartition({ ringRecords: 1 })
  partition.append(1)
  partition.trim(1)
  partition.append(1)
  const reader = partition.reader(0, 1)
  const account = newAccount()
  assert.equal(takeAll(reader, account, 1, 0), 'waiting')
  reader.skipTrimmed()
  partition.trim(2)
  assert.equal(takeAll(reader, account, 1, 0), 'ended')
  await partition.answer()
  assert.equal(takeAll(reader, account, 1, 0), 'ended')
  assert.deepEqual(account.lost, [{ from: 0, to: 1, cause: 'trimmed' }])
})

test('a topic that keeps nothing tells the overrun and counts it', () => {
  const partition = new FakePartition({ keepsRecords: false })
  const reader = partition.reader(0)
  const account = newAccount()
  takeAll(reader, account, 1, 0)
  for (let batch = 0; batch < 10; batch++) partition.append(1)
  takeAll(reader, account, 1, 0)
  assert.deepEqual(account.lost, [{ from: 0, to: 6, cause: 'lagged' }])
  assert.deepEqual(account.delivered, [6, 7, 8, 9])
  assert.equal(partition.lagging, 6)
})

test('is woken once by an append, and not at all while it has something to take', () => {
  const partition = new FakePartition()
  const reader = partition.reader(0)
  assert.equal(reader.take(1, 100, 0), 'waiting')
  partition.append(2)
  partition.append(2)
  assert.equal(partition.woken, 1)
  assert.equal(reader.take(1, 100, 0), 'records')
  partition.append(2)
  assert.equal(partition.woken, 1)
})

test('fails when the engine does, and says so for ever', async () => {
  const partition = new FakePartition()
  for (let batch = 0; batch < 10; batch++) partition.append(1)
  partition.fails = new UnavailableError('the disk is gone')
  const reader = partition.reader(0)
  assert.equal(reader.take(1, 100, 0), 'waiting')
  await partition.answer()
  assert.equal(partition.woken > 0, true)
  assert.equal(reader.take(1, 100, 0), 'failed')
  assert.equal(reader.failure?.code, 'LVT_UNAVAILABLE')
  assert.equal(reader.take(1, 100, 0), 'failed')
})

test('closes every cursor that it opened, also one that opens after the reader is closed', async () => {
  const partition = new FakePartition()
  for (let batch = 0; batch < 10; batch++) partition.append(1)
  const late = partition.reader(0)
  late.take(1, 100, 0)
  late.close()
  await partition.answer()
  const reader = partition.reader(0)
  reader.take(1, 100, 0)
  await partition.answer()
  takeAll(reader, newAccount(), 10, 0)
  reader.close()
  await partition.answer()
  assert.equal(partition.opened, partition.closed)
  assert.equal(partition.readers.size, 0)
})

test('goes on with the right record after a loss of records that expired between loading and taking', async () => {
  const partition = new FakePartition({ ageMs: 100 })
  for (let batch = 0; batch < 10; batch++) partition.append(2, batch * 10)
  const reader = partition.reader(0)
  const account = newAccount()
  takeAll(reader, account, 1, 0)
  await partition.answer()
  assert.equal(reader.take(1, 100, 0), 'records')
  account.next++
  takeAll(reader, account, 1, 115)
  assert.deepEqual(account.lost[0], { from: 1, to: 4, cause: 'expired' })
  assert.equal(account.delivered[0], 4)
})

const arbStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('append'), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take'), count: fc.integer({ min: 1, max: 7 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer'), count: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim'), count: fc.integer({ min: 1, max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('skip'), count: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass'), count: fc.integer({ min: 1, max: 40 }) }) },
)

test('accounts for every offset once and in order, whatever happens in between', async () => {
  const arbRun = fc.record({
    steps: fc.array(arbStep, { minLength: 5, maxLength: 80 }),
    keepsRecords: fc.boolean(),
    ageMs: fc.option(fc.integer({ min: 1, max: 100 })),
    ringRecords: fc.integer({ min: 1, max: 12 }),
    from: fc.integer({ min: 0, max: 20 }),
    length: fc.option(fc.integer({ min: 0, max: 60 })),
  })
  await fc.assert(
    fc.asyncProperty(arbRun, async ({ steps, keepsRecords, ageMs, ringRecords, from, length }) => {
      const partition = new FakePartition({ keepsRecords, ageMs: keepsRecords ? ageMs : null, ringRecords })
      const timestamps: number[] = []
      const until = length === null ? null : from + length
      const reader = partition.reader(from, until)
      const account = newAccount(from)
      let nowMs = 0
      const take = (count: number) => {
        const before = account.delivered.length
        const losses = account.lost.length
        const result = takeAll(reader, account, count, nowMs)
        for (const offset of account.delivered.slice(before)) {
          const limit = partition.topic.retentionAgeMs
          assert.ok(limit === null || (timestamps[offset] as number) + limit > nowMs, `${offset} was delivered expired`)
        }
        for (const { from: first, to, cause } of account.lost.slice(losses)) {
          assert.ok(until === null || to <= until)
          if (cause !== 'expired') continue
          for (let offset = first; offset < to; offset++) {
            assert.ok((timestamps[offset] as number) + (ageMs as number) <= nowMs, `${offset} was not expired`)
          }
        }
        return result
      }
      for (const step of steps) {
        if (step.do === 'append') {
          for (let index = 0; index < step.count; index++) timestamps.push(nowMs)
          partition.append(step.count, nowMs)
        } else if (step.do === 'take') take(step.count)
        else if (step.do === 'answer') await partition.answer()
        else if (step.do === 'trim') partition.trim(Math.min(partition.ring.end, partition.logStart + step.count))
        else if (step.do === 'skip') reader.skipTrimmed()
        else nowMs += step.count
      }
      let result = take(3)
      for (let round = 0; round < 200 && result === 'waiting' && account.next < partition.ring.end; round++) {
        await partition.answer()
        result = take(3)
      }
      const end = Math.max(from, until === null ? partition.ring.end : Math.min(until, partition.ring.end))
      assert.equal(account.next, end, 'the reader stopped before everything was accounted for')
      assert.equal(result, until !== null && account.next >= until ? 'ended' : 'waiting')
      reader.close()
      await partition.answer()
      assert.equal(partition.opened, partition.closed)
    }),
    { numRuns: 3_000 },
  )
})
