/**
 * A small log store to damage, and a survey of what it still answers: every batch that comes must be one that was
 * appended, unchanged and at its offset; what does not come must be told as lost.
 */
import assert from 'node:assert/strict'
import { type Offset, toOffset } from '../../src/model/offset.js'
import type { StoredBatch } from '../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../src/model/topic.js'
import type { EngineProblem } from '../../src/storage/engine.js'
import type { LogStore, LogStoreConfig } from '../../src/storage/log/log-store.js'
import type { PartitionLog } from '../../src/storage/store.js'
import { batchAt } from './batches.js'
import { FaultyFileSystem, type Snapshot } from './faulty-file-system.js'
import { below, SeededRandom } from './faulty-random.js'
import { LogPlace } from './log-place.js'

export const SETTINGS = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, partitions: 2 }

export interface Shape {
  /** Topic and partition, as `orders/0`, to the batches it gets. */
  readonly batches: Readonly<Record<string, number>>
  readonly paddingMax?: number
  readonly config?: Partial<LogStoreConfig>
}

export interface Lost {
  readonly from: number
  readonly to: number
}

/** What one partition answers. */
export interface Answer {
  readonly logStart: number
  readonly end: number
  readonly offsets: readonly number[]
  readonly lost: readonly Lost[]
}

export class DamagedLog {
  readonly fs: FaultyFileSystem
  readonly random: SeededRandom
  /** What was appended and acknowledged, by partition. */
  readonly appended = new Map<string, StoredBatch[]>()
  readonly #config: Partial<LogStoreConfig>
  #open: LogStore | null = null

  constructor(seed: number, config: Partial<LogStoreConfig> = {}) {
    this.fs = new FaultyFileSystem({ seed, turnsMax: 0 })
    this.random = new SeededRandom(seed)
    this.#config = config
  }

  static async of(seed: number, shape: Shape): Promise<DamagedLog> {
    const log = new DamagedLog(seed, shape.config)
    const store = await log.open()
    for (const [name, count] of Object.entries(shape.batches))
      await log.fill(store, name, count, shape.paddingMax ?? 20)
    return log
  }

  /** Whoever had it open is dead. */
  async open(config: Partial<LogStoreConfig> = {}): Promise<LogStore> {
    await this.leave()
    const store = LogPlace.over(this.fs.process(), { ...this.#config, ...config }, { random: this.random }).store()
    this.#open = store
    await store.open()
    return store
  }

  async fill(store: LogStore, name: string, count: number, paddingMax: number): Promise<void> {
    const [topic = '', partition = ''] = name.split('/')
    if (!(await store.topics()).has(topic)) await store.saveTopic(topic, SETTINGS)
    const log = await store.partition(topic, Number(partition))
    const batches = this.appended.get(name) ?? []
    this.appended.set(name, batches)
    for (let index = 0; index < count; index++) {
      const records = 1 + below(this.random, 3)
      const batch = batchAt(
        log.end,
        records,
        log.lastTimestampMs + below(this.random, 20),
        below(this.random, paddingMax),
      )
      const { body, timestampMs } = batch
      const how = { durability: 'disk', keep: true, producer: null, timestampMs } as const
      await log.append({ body, count: records }, how)
      batches.push(batch)
    }
  }

  async closeCleanly(): Promise<void> {
    const store = this.#open
    this.#open = null
    await store?.close()
  }

  /** The process that has it open dies, and lets go of what it held in this one. */
  async leave(): Promise<void> {
    const store = this.#open
    this.#open = null
    this.fs.kill()
    await store?.close().catch(() => undefined)
  }

  /** Back to an earlier state of the disk. */
  async restore(snapshot: Snapshot): Promise<void> {
    await this.leave()
    this.fs.restore(snapshot)
  }

  files(pattern: RegExp): string[] {
    return this.fs.files().filter((path) => pattern.test(path))
  }

  /** Read every partition from its start to its end. */
  async survey(store: LogStore): Promise<Map<string, Answer>> {
    const answers = new Map<string, Answer>()
    for (const [name, appended] of this.appended) {
      const [topic = '', partition = ''] = name.split('/')
      answers.set(name, await answerOf(name, await store.partition(topic, Number(partition)), appended))
    }
    return answers
  }
}

/** Throws for a record that was never appended, or is not as it was. */
export async function answerOf(name: string, log: PartitionLog, appended: readonly StoredBatch[]): Promise<Answer> {
  const byOffset = new Map(appended.map((batch) => [batch.baseOffset as number, batch]))
  const offsets: number[] = []
  const lost: Lost[] = []
  let next: Offset = log.logStart
  while (next < log.stableEnd) {
    const result = await log.read(next, 512)
    assert.ok(result.next > next, `${name}: a read at ${next} went nowhere`)
    if (result.loss !== null) {
      assert.equal(result.loss.cause, 'corrupt')
      assert.equal(result.loss.from, next)
      assert.equal(result.loss.to, result.next)
      lost.push({ from: next, to: result.next })
    }
    let at: number = result.batches[0]?.baseOffset ?? next
    for (const batch of result.batches) {
      const wanted = byOffset.get(batch.baseOffset)
      assert.ok(wanted !== undefined, `${name}: nothing was ever appended at ${batch.baseOffset}`)
      assert.equal(batch.baseOffset, at, `${name}: offsets were passed over in silence`)
      assert.ok(batch.body.equals(wanted.body), `${name}: the batch at ${batch.baseOffset} was changed`)
      assert.equal(batch.count, wanted.count)
      assert.equal(batch.timestampMs, wanted.timestampMs)
      for (let index = 0; index < batch.count; index++) offsets.push(batch.baseOffset + index)
      at = batch.baseOffset + batch.count
    }
    if (result.batches.length > 0) assert.equal(result.next, at)
    next = toOffset(result.next)
  }
  return { logStart: log.logStart, end: log.end, offsets, lost: merged(lost) }
}

/** Losses that touch are one. */
function merged(lost: readonly Lost[]): Lost[] {
  const all: Lost[] = []
  for (const { from, to } of lost) {
    const last = all.at(-1)
    if (last !== undefined && last.to === from) all[all.length - 1] = { from: last.from, to }
    else all.push({ from, to })
  }
  return all
}

export function kindsOf(problems: readonly EngineProblem[]): string[] {
  return [...new Set(problems.map(({ kind }) => kind))].sort()
}

/** The seed of a run: counted from the environment's, so that a failure can be run again. */
export const SEED = Number(process.env['LEVERET_SEED'] ?? 20_240_501)
/** How often the long rounds are done; CI does one. */
export const ROUNDS = Number(process.env['LEVERET_ROUNDS'] ?? 1)
