/**
 * What one life of a simulation does: publishes at all levels, reads, trims, drops, creations and changes of topics, time
 * that passes. Nothing waits for its answer unless chance says so; what is answered is noted in the histories.
 */
import assert from 'node:assert/strict'
import { toOffset } from '../../../src/model/offset.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type Retention, type TopicSettings } from '../../../src/model/topic.js'
import { encodeRun } from '../../../src/protocol/records.js'
import { recordSaying } from '../../helpers/batches.js'
import { below, chance, type SeededRandom } from '../../helpers/faulty-random.js'
import type { Entry, PartitionHistory } from '../../helpers/log-history.js'
import { LEVELS, type Life, type Tally } from './simulation-life.js'
import { TopicModel, type TopicModels } from './simulation-topics.js'

const NAMES = ['a', 'b/Ünï']

/** The simulation as its workload sees it. */
export interface SimulatedPlace {
  readonly random: SeededRandom
  readonly topics: TopicModels
  readonly tally: Tally
  /** A number that was not given before. */
  nextTag(): number
}

export class Workload {
  readonly #simulation: SimulatedPlace
  readonly #life: Life
  readonly #random: SeededRandom
  #failure: unknown = null
  /** Calls that have not been answered. */
  #open = 0

  constructor(simulation: SimulatedPlace, life: Life) {
    this.#simulation = simulation
    this.#life = life
    this.#random = simulation.random
  }

  async run(operations: number): Promise<void> {
    for (let operation = 0; operation < operations; operation++) {
      this.#begin(this.#choose())
      const turns = chance(this.#random, 0.5) ? 0 : below(this.#random, chance(this.#random, 0.3) ? 150 : 15)
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      if (chance(this.#random, 0.1)) for (let turn = 0; turn < 2_000 && this.#open > 0; turn++) await Promise.resolve()
      if (this.#failure !== null) throw this.#failure
    }
  }

  #begin(work: Promise<void>): void {
    this.#open++
    work
      .catch((error: unknown) => {
        if (!this.#life.isOver) this.#failure ??= error
      })
      .finally(() => {
        this.#open--
      })
  }

  #choose(): Promise<void> {
    const name = NAMES[below(this.#random, NAMES.length)] as string
    const model = this.#simulation.topics.now.get(name)
    if (model === undefined) return this.#create(name)
    const dice = below(this.#random, 100)
    if (dice < 66) return this.#publish(model)
    if (dice < 80) return this.#read(model)
    if (dice < 85) return this.#trim(model)
    if (dice < 91) return this.#change(model)
    if (dice < 93) return this.#drop(model)
    return this.#pass()
  }

  async #create(name: string): Promise<void> {
    const settings = this.#settings(1 + below(this.#random, 2))
    const model = new TopicModel(name, settings)
    const call = this.#simulation.topics.called(name, model, settings)
    model.changing++
    const found = await this.#life.engine.ensureTopic(name, settings)
    // When a drop failed in the crash, the topic is there as it was.
    if (this.#life.isOver || found.settings !== settings) return
    call.isAnswered = true
    model.changing--
  }

  async #change(model: TopicModel): Promise<void> {
    if (model.changing > 0) return
    const settings = this.#settings(model.settings.partitions)
    const call = this.#simulation.topics.called(model.name, model, settings)
    model.changing++
    noteLimits(model, settings)
    await this.#life.engine.changeTopic(model.name, settings)
    if (this.#life.isOver) return
    model.settings = settings
    call.isAnswered = true
    model.changing--
  }

  async #drop(model: TopicModel): Promise<void> {
    if (model.changing > 0) return
    const call = this.#simulation.topics.called(model.name, null, null)
    await this.#life.engine.dropTopic(model.name)
    if (!this.#life.isOver) call.isAnswered = true
  }

  /** Time. */
  async #pass(): Promise<void> {
    this.#life.clock.advance(below(this.#random, 4) * 400)
    await this.#life.engine.tidy()
  }

  #settings(partitions: number): TopicSettings {
    const random = this.#random
    const limits: Retention[] = [
      { ...KEEP_FOREVER, records: 1 + below(random, 40) },
      { ...KEEP_FOREVER, bytes: 100 + below(random, 3_000) },
      { ...KEEP_FOREVER, ageMs: 1 + below(random, 2_000) },
      'none',
    ]
    const retention = chance(random, 0.6) ? KEEP_FOREVER : (limits[below(random, limits.length)] as Retention)
    const durability = chance(random, 0.6) ? 'disk' : (LEVELS[below(random, 3)] ?? 'disk')
    return { ...DEFAULT_TOPIC_SETTINGS, retention, durability, partitions, ringRecords: this.#simulation.nextTag() }
  }

  async #publish(model: TopicModel): Promise<void> {
    if (model.changing > 0) return
    const { engine, store } = this.#life
    const index = below(this.#random, model.settings.partitions)
    const log = await engine
      .partition(model.name, index)
      .then(() => store.partition(model.name, index))
      .catch((error: unknown) => this.#refusedBy(model, error))
    // The topic may have been dropped or changed while its partition was opened.
    if (log === null || !this.#isNow(model) || model.changing > 0 || this.#life.isOver) return
    const keeps = model.settings.retention !== 'none'
    const history = model.history(index)
    noteLimits(model, model.settings)
    const level = keeps && chance(this.#random, 0.5) ? (LEVELS[below(this.#random, 3)] ?? null) : null
    const producer = this.#producer(model, index)
    const entry: Entry = { ...this.#batch(), base: log.end, producer, timestampMs: 0, acked: null, isFixed: false }
    this.#simulation.tally.appends++
    const how = {
      durability: level,
      expectedOffset: null,
      producer: producer?.name ?? '',
      sequence: producer?.sequence ?? null,
    }
    const publishing = engine.publish(model.name, index, entry, how)
    publishing.catch(() => undefined)
    if (log.end !== entry.base + entry.count) {
      // Only who refuses at once gives no offset.
      await publishing
      assert.fail('the offset is given at once')
    }
    entry.timestampMs = log.lastTimestampMs
    history.asked(entry)
    if (!keeps) history.passed(entry.base + entry.count)
    try {
      const receipt = await publishing
      if (this.#life.isOver) return
      assert.equal(receipt.baseOffset, entry.base)
      assert.equal(receipt.timestampMs, entry.timestampMs)
      this.#acknowledged(model, index, entry, history, receipt.durability)
    } catch (error) {
      this.#refusedBy(model, error)
    }
  }

  #isNow(model: TopicModel): boolean {
    return this.#simulation.topics.now.get(model.name) === model
  }

  /** A topic that was dropped refuses what comes after it; nobody else may. */
  #refusedBy(model: TopicModel, error: unknown): null {
    if (this.#isNow(model)) throw error
    return null
  }

  #acknowledged(
    model: TopicModel,
    index: number,
    entry: Entry,
    history: PartitionHistory,
    level: Entry['acked'],
  ): void {
    this.#simulation.tally.acked++
    history.acknowledged(entry, level ?? 'memory')
    if (level !== 'disk' || entry.producer === null) return
    const { name, sequence } = entry.producer
    const taken = model.sequences.get(name) ?? []
    taken.push({ sequence, base: entry.base, index })
    model.sequences.set(name, taken)
  }

  /** Sequences are counted up over all lives, for one partition each. */
  #producer(model: TopicModel, index: number): Entry['producer'] {
    if (model.settings.retention === 'none' || !chance(this.#random, 0.3)) return null
    return { name: `p${below(this.#random, 2)}-${index}`, sequence: this.#simulation.nextTag() }
  }

  #batch(): { body: Buffer; count: number } {
    const random = this.#random
    const count = 1 + below(random, 4)
    const padding = chance(random, 0.05) ? below(random, 6_000) : below(random, 120)
    const id = this.#simulation.nextTag()
    const records = Array.from({ length: count }, (_, at) => recordSaying(`${id}.${at}`.padEnd(padding, '.')))
    return { body: encodeRun(records), count }
  }

  async #read(model: TopicModel): Promise<void> {
    const index = below(this.#random, model.settings.partitions)
    const history = model.partitions.get(index)
    if (history === undefined || model.settings.retention === 'none' || model.changing > 0) return
    const log = await this.#life.store.partition(model.name, index)
    const { logStart, stableEnd } = log
    if (logStart >= stableEnd) return
    const from = logStart + below(this.#random, stableEnd - logStart)
    const before = model.settings
    let result: Awaited<ReturnType<typeof log.read>>
    try {
      result = await log.read(toOffset(from), 1 + below(this.#random, 2_000))
    } catch (error) {
      if (this.#isNow(model) && from >= log.logStart) throw error
      return
    }
    // What was trimmed or dropped meanwhile says nothing.
    if (this.#life.isOver || !this.#isNow(model)) return
    if (from < log.logStart || model.settings !== before || model.changing > 0) return
    if (result.loss !== null) history.matchLoss(result.loss.from, result.loss.to)
    else assert.ok(result.next > from, `a read at ${from} below ${stableEnd} brought nothing`)
    for (const { baseOffset, body } of result.batches) history.matchBatch(baseOffset, body)
    if (model.settings.durability === 'disk') history.synced(result.next)
  }

  async #trim(model: TopicModel): Promise<void> {
    const index = below(this.#random, model.settings.partitions)
    const history = model.partitions.get(index)
    if (history === undefined || model.changing > 0) return
    const log = await this.#life.store.partition(model.name, index)
    const to = log.logStart + below(this.#random, 3 + Math.max(0, log.stableEnd - log.logStart))
    history.trimWanted = Math.max(history.trimWanted, to)
    const isWhole = to <= log.stableEnd
    try {
      await this.#life.engine.purge(model.name, index, toOffset(to))
    } catch (error) {
      this.#refusedBy(model, error)
      return
    }
    if (this.#life.isOver) return
    history.trimmed = Math.max(
      history.trimmed,
      isWhole && model.settings.durability === 'disk' && !history.hasPassed ? to : 0,
    )
  }
}

function noteLimits(model: TopicModel, { retention }: TopicSettings): void {
  for (const history of model.partitions.values()) {
    if (retention === 'none' || retention.ageMs !== null || retention.bytes !== null || retention.records !== null) {
      history.isLimited = true
    }
  }
}
