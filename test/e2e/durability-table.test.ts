/**
 * The README's table of what each durability level survives: a test for each of its cells, over the failing file system,
 * where power can be lost. The test of a cell has its words for a name, and the table is read and compared with them.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { LeveretError } from '../../client/index.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import type { Loss } from '../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS, type Durability, KEEP_FOREVER } from '../../src/model/topic.js'
import { LocalPartition } from '../../src/storage/local/local-partition.js'
import { LogStore } from '../../src/storage/log/log-store.js'
import type { PartitionLog } from '../../src/storage/store.js'
import { batchAt, offsetsSaid } from '../helpers/batches.js'
import { Crash } from '../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../helpers/faulty-file-system.js'
import { LOG_DEFAULTS, logSeams } from '../helpers/log-place.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const SEEDS = 24
const FIRST = 5
const LOG_FILE = /\.log$/
const HEAD = '| | `memory` | `os` | `disk` |'
const LEVELS = ['memory', 'os', 'disk'] as const
type Level = (typeof LEVELS)[number]

/** The dead servers of a test are of this very process, and each still holds its directory: the next one gets another. */
let directories = 0

/** A machine with one topic, whose own level is the one in question. */
class Machine {
  readonly seed: number
  readonly fs: FaultyFileSystem
  readonly clock = new VirtualClock()
  readonly level: Level
  store: LogStore | null = null
  #data = ''
  #lives = 0

  constructor(seed: number, level: Level) {
    this.seed = seed
    this.fs = new FaultyFileSystem({ seed })
    this.level = level
  }

  /** The next life of the server. */
  async start(): Promise<PartitionLog> {
    const before = `${this.#data}/`
    this.#data = `/data${++directories}`
    for (const path of this.fs.files()) {
      if (path.startsWith(before)) this.fs.copyFile(path, path.replace(before, `${this.#data}/`))
    }
    const seams = logSeams({ fs: this.fs.process(), clock: this.clock })
    this.store = new LogStore({ ...LOG_DEFAULTS, data: this.#data }, seams)
    await this.store.open()
    const settings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, durability: this.level }
    if (this.#lives++ === 0) await this.store.saveTopic('t', settings)
    return await this.store.partition('t', 0)
  }

  /** Records that say their offsets, acknowledged one after the other at the level. */
  async publish(log: PartitionLog, count = 1): Promise<void> {
    const how = { durability: this.level as Durability, keep: true, producer: null }
    for (let index = 0; index < count; index++) {
      const { durability } = await log.append(batchAt(log.end, 1), { ...how, timestampMs: this.clock.now() })
      assert.equal(durability, this.level)
    }
  }

  /** Let what was begun be done. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  }

  async syncInterval(): Promise<void> {
    await this.settle()
    this.clock.advance(LOG_DEFAULTS.syncIntervalMs)
    await this.settle()
  }

  /** The path of the newest segment of this life. */
  get segment(): string {
    const segments = this.fs.files().filter((path) => path.startsWith(`${this.#data}/`) && LOG_FILE.test(path))
    return segments.at(-1) as string
  }
}

async function readAll(log: PartitionLog): Promise<{ said: number[]; losses: Loss[] }> {
  const said: number[] = []
  const losses: Loss[] = []
  for (let from = log.logStart; from < log.stableEnd; ) {
    const { batches, loss, next } = await log.read(from, 1024 * 1024)
    if (loss !== null) losses.push(loss)
    for (const { body } of batches) said.push(...offsetsSaid(body as Buffer))
    from = next
  }
  return { said, losses }
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

/** What is there is a beginning of what was acknowledged, and at least `least` records of it. Returns how many. */
async function assertBeginning(log: PartitionLog, least: number): Promise<number> {
  const { said, losses } = await readAll(log)
  assert.deepEqual(losses, [])
  assert.deepEqual(said, numbers(said.length))
  assert.ok(said.length >= least, `${said.length} records are there, ${least} were safe`)
  return said.length
}

function refusedWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LeveretError && error.code === code
}

// ---- the cells ----

const cells = new Map<string, string>()

function cell(row: string, level: Level, words: string, run: (machine: Machine) => Promise<unknown>): void {
  cells.set(`${row} / ${level}`, words)
  test(`${row}, ${level}: ${words}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        await run(new Machine(seed, level))
      } catch (error) {
        throw new Error(`seed ${seed}: ${error}`, { cause: error })
      }
    }
  })
}

/** As `cell`, and in one seed at least `run` answers that something was lost: the table does not claim too little. */
function losing(row: string, level: Level, words: string, run: (machine: Machine) => Promise<boolean>): void {
  cells.set(`${row} / ${level}`, words)
  test(`${row}, ${level}: ${words}`, async () => {
    let losses = 0
    for (let seed = 1; seed <= SEEDS; seed++) if (await run(new Machine(seed, level))) losses++
    assert.ok(losses > 0, `nothing was lost in ${SEEDS} seeds`)
  })
}

const KILLED = 'the server crashes, or `kill -9`'
for (const level of ['os', 'disk'] as const) {
  cell(KILLED, level, 'kept', async (machine) => {
    const log = await machine.start()
    await machine.publish(log, FIRST)
    machine.fs.kill()
    await assertBeginning(await machine.start(), FIRST)
  })
}
losing(KILLED, 'memory', 'what was not yet written may be lost', async (machine) => {
  const log = await machine.start()
  await machine.publish(log, FIRST)
  await machine.settle()
  let acked = 0
  const how = { durability: machine.level, keep: true, producer: null, timestampMs: machine.clock.now() }
  for (let index = 0; index < FIRST; index++) void log.append(batchAt(log.end, 1), how).then(() => acked++)
  await Promise.resolve()
  machine.fs.kill()
  assert.equal(acked, FIRST)
  return (await assertBeginning(await machine.start(), FIRST)) < 2 * FIRST
})

const POWER = 'power loss, or the kernel crashes'
cell(POWER, 'disk', 'kept', async (machine) => {
  const log = await machine.start()
  await machine.publish(log, FIRST)
  machine.fs.powerLoss()
  await assertBeginning(await machine.start(), FIRST)
})
for (const level of ['memory', 'os'] as const) {
  losing(POWER, level, 'the last `syncIntervalMs` (1 s) may be lost', async (machine) => {
    const log = await machine.start()
    await machine.publish(log, FIRST)
    await machine.syncInterval()
    await machine.publish(log, FIRST)
    machine.fs.powerLoss()
    return (await assertBeginning(await machine.start(), FIRST)) < 2 * FIRST
  })
}

const FULL = 'the disk is full'
for (const level of ['os', 'disk'] as const) {
  cell(FULL, level, 'kept; publishes are refused until there is room', async (machine) => {
    const log = await machine.start()
    await machine.publish(log, FIRST)
    machine.fs.capacityBytes = machine.fs.usedBytes
    await assert.rejects(machine.publish(log), refusedWith('LVT_UNAVAILABLE'))
    assert.deepEqual((await readAll(log)).said, numbers(FIRST))
    machine.fs.capacityBytes = Number.POSITIVE_INFINITY
    await machine.publish(log)
    machine.fs.kill()
    await assertBeginning(await machine.start(), FIRST + 1)
  })
}
losing(FULL, 'memory', 'kept in memory and written when there is room', async (machine) => {
  const log = await machine.start()
  await machine.publish(log, FIRST)
  await machine.settle()
  machine.fs.capacityBytes = machine.fs.usedBytes
  await machine.publish(log)
  await machine.settle()
  const unwritten = machine.fs.contents(machine.segment).length
  machine.fs.capacityBytes = Number.POSITIVE_INFINITY
  await machine.syncInterval()
  const isLate = machine.fs.contents(machine.segment).length > unwritten
  machine.fs.kill()
  await assertBeginning(await machine.start(), FIRST + 1)
  return isLate
})

const SYNC = 'a sync fails'
cell(SYNC, 'disk', 'kept; the publish is told that it is in doubt, the next ones are refused', async (machine) => {
  const log = await machine.start()
  await machine.publish(log, FIRST)
  machine.fs.plan({ op: 'sync', code: 'EIO', path: LOG_FILE })
  await assert.rejects(machine.publish(log), refusedWith('LVT_IN_DOUBT'))
  await assert.rejects(machine.publish(log), refusedWith('LVT_READ_ONLY'))
  machine.fs.powerLoss()
  await assertBeginning(await machine.start(), FIRST)
})
for (const level of ['memory', 'os'] as const) {
  losing(SYNC, level, 'what was not synced may be lost; the next publishes are refused', async (machine) => {
    const log = await machine.start()
    await machine.publish(log, FIRST)
    await machine.syncInterval()
    await machine.publish(log, FIRST)
    machine.fs.plan({ op: 'sync', code: 'EIO', path: LOG_FILE })
    await machine.syncInterval()
    await assert.rejects(machine.publish(log), refusedWith('LVT_READ_ONLY'))
    const problem = machine.store?.problems().find(({ kind }) => kind === 'read-only')
    assert.deepEqual([problem?.from, problem?.to], [FIRST, 2 * FIRST], 'the range in question is told')
    machine.fs.powerLoss()
    return (await assertBeginning(await machine.start(), FIRST)) < 2 * FIRST
  })
}

const TORN = 'a write is torn'
/** The process dies within the write of one more record. Resolves with what is there in the next life. */
async function tearLast(machine: Machine): Promise<number> {
  const log = await machine.start()
  await machine.publish(log, FIRST)
  await machine.settle()
  machine.fs.beforeOp(({ name, path }) => {
    if (name === 'write' && LOG_FILE.test(path)) throw new Crash('within')
  })
  const last = machine.publish(log)
  last.catch(() => undefined)
  await machine.settle()
  machine.fs.beforeOp(null)
  machine.fs.kill()
  return await assertBeginning(await machine.start(), FIRST)
}
for (const level of ['os', 'disk'] as const) {
  losing(TORN, level, 'kept; what is torn was not acknowledged', async (machine) => (await tearLast(machine)) === FIRST)
}
losing(TORN, 'memory', 'the torn publish is lost', async (machine) => (await tearLast(machine)) === FIRST)

const FLIP = 'a bit flips'
for (const level of LEVELS) {
  cell(FLIP, level, 'detected; that publish alone is lost, and its readers are told the offsets', async (machine) => {
    const log = await machine.start()
    await machine.publish(log, FIRST)
    await machine.store?.close()
    const { segment, fs } = machine
    const size = fs.contents(segment).length
    // Batches of one record each are equally long: somewhere in the third one.
    const bits = (size * 8) / FIRST
    fs.flipBit(segment, 2 * bits + ((machine.seed * 7_919) % bits))
    const { said, losses } = await readAll(await machine.start())
    assert.deepEqual(said, [0, 1, 3, 4])
    assert.deepEqual(losses, [{ from: 2, to: 3, cause: 'corrupt' }])
  })
}

const CLOCK = 'the clock is wrong'
for (const level of LEVELS) {
  cell(CLOCK, level, 'kept, in order; times never go back', async (machine) => {
    const { clock } = machine
    const log = await machine.start()
    const topic = { name: 't', settings: { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, durability: level } }
    const partition = new LocalPartition(log, topic, [], 'disk', { clock: new SteadyTime(clock), producersMax: 1 })
    const times: number[] = []
    for (const jumpMs of [0, -3_600_000, 7_200_000, -clock.now(), 1]) {
      clock.jumpWall(jumpMs)
      const how = { durability: null, expectedOffset: null, producer: '', sequence: null }
      times.push((await partition.publish(batchAt(log.end, 1), how)).timestampMs)
    }
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
    await machine.settle()
    machine.fs.kill()
    const again = await machine.start()
    await assertBeginning(again, times.length)
    assert.equal(again.lastTimestampMs, times.at(-1))
  })
}

test('the table in the README says what these tests say, cell by cell', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const lines = readme.split('\n')
  const first = lines.indexOf(HEAD)
  assert.ok(first >= 0, 'the table is there')
  const end = lines.findIndex((line, index) => index > first && !line.startsWith('|'))
  const body = lines.slice(first + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((text) => text.trim()),
  )
  const told = new Map<string, string>()
  for (const [row = '', ...texts] of body) {
    for (const [index, level] of LEVELS.entries()) told.set(`${row} / ${level}`, texts[index] ?? '')
  }
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(cells))
})
