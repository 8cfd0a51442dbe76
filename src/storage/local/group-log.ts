/**
 * What the groups of one topic remember, on its way to the store: the news of all groups are written together, one batch
 * after the other, and whoever has news waits for the batch that holds them. When the log has grown it is begun anew with
 * what there is to know.
 */
import type { Clock } from '../../common/clock.js'
import { createLog } from '../../common/log.js'
import { type Durability, stronger, weaker } from '../../model/topic.js'
import type { PartitionLog } from '../store.js'
import { decodeFacts, encodeFacts, type GroupFact, type GroupFacts } from './group-facts.js'

const debug = createLog('storage:groups')

/** Bytes read at once. */
const READ_BYTES = 256 * 1024
/** A log up to this size is not worth beginning anew, */
const GROWN_BYTES_MIN = 1024 * 1024
/** nor is one of less than so many times what there is to know. */
const GROWN_TIMES = 4

const NOTHING_TO_WRITE = Promise.resolve()

/** One partition of a group, as the log asks it. */
export interface FactSource {
  readonly group: string
  readonly partition: number
  readonly hasNews: boolean
  /** What is new since the last call. */
  news(): GroupFact[]
  /** Everything, beginning with a seek. */
  everything(): GroupFact[]
}

/** What is being written, and the promise of all who wait for it. */
class Writing {
  /** The best that anybody asks for. */
  level: Durability
  readonly sources = new Set<FactSource>()
  readonly done: Promise<void>
  resolve!: () => void
  reject!: (error: unknown) => void

  constructor(level: Durability) {
    this.level = level
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Perhaps nobody waits.
    this.done.catch((error: unknown) => debug('facts were not written: %O', error))
  }
}

export interface GroupLogSeams {
  readonly clock: Clock
  readonly durability: Durability
  readonly grownBytesMin?: number
}

export class GroupLog {
  readonly #log: PartitionLog
  readonly #seams: GroupLogSeams
  /** All there are, for beginning anew. */
  readonly #sources: () => Iterable<FactSource>
  readonly #dirty = new Set<FactSource>()
  /** What they told last may not have been written: they tell everything. */
  readonly #untold = new Set<FactSource>()
  /** Of groups that are gone, or were never made: nothing more is said of them. */
  readonly #gone = new WeakSet<FactSource>()
  #writing: Writing | null = null
  /** What is written after that; null: there is nothing to write. */
  #next: Writing | null = null
  #flushing: Promise<void> | null = null
  /** Since it was begun anew. */
  #grownBytes = 0
  #everythingBytes = 0

  constructor(log: PartitionLog, seams: GroupLogSeams, sources: () => Iterable<FactSource>) {
    this.#log = log
    this.#seams = seams
    this.#sources = sources
  }

  /** All that was written, oldest first. Throws LVT_DATA_DAMAGED. */
  async read(): Promise<GroupFacts[]> {
    const facts: GroupFacts[] = []
    for (let next = this.#log.logStart; next < this.#log.stableEnd; ) {
      const { batches, loss, next: after } = await this.#log.read(next, READ_BYTES)
      // What was acked by it will be delivered again.
      if (loss !== null) debug('facts of groups are damaged: %o', loss)
      for (const { body } of batches) {
        for (const line of decodeFacts(body)) facts.push(line)
        this.#grownBytes += body.length
      }
      if (after <= next) break
      next = after
    }
    return facts
  }

  /**
   * Resolves when the news of the source are written; rejects when nobody can say so. One promise for everybody whose news
   * are written together: there may be a commit for each record. `level`: at which they are; null: the best.
   */
  commit(source: FactSource, level: Durability | null = null): Promise<void> {
    if (this.#gone.has(source)) return NOTHING_TO_WRITE
    if (!source.hasNews && !this.#untold.has(source)) return this.#written(source)
    this.#dirty.add(source)
    const asked = weaker(level ?? this.#seams.durability, this.#seams.durability)
    this.#next ??= new Writing(asked)
    this.#next.level = stronger(this.#next.level, asked)
    this.#flushing ??= this.#flush()
    return this.#next.done
  }

  /** Say nothing more of it; who waits for its news is told when what others said is written. */
  forget(source: FactSource): void {
    this.#gone.add(source)
    this.#dirty.delete(source)
    this.#untold.delete(source)
  }

  /** Write its news some time; nobody waits for them. */
  note(source: FactSource, level: Durability | null): void {
    // Who waits for them has said how.
    if (source.hasNews && !this.#dirty.has(source)) void this.commit(source, level)
  }

  /** Facts that no source will tell; resolves when they are written. */
  async write(facts: readonly GroupFacts[]): Promise<void> {
    await this.#appendAll(encodeFacts(facts), this.#seams.durability)
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing
  }

  /** Its last news may be on their way. */
  #written(source: FactSource): Promise<void> {
    return this.#writing?.sources.has(source) === true ? this.#writing.done : NOTHING_TO_WRITE
  }

  async #flush(): Promise<void> {
    // What others say in this step goes along.
    await Promise.resolve()
    for (let writing = this.#next; writing !== null; writing = this.#next) {
      this.#next = null
      this.#writing = writing
      await this.#write(writing)
    }
    this.#flushing = null
  }

  async #write({ sources, level, resolve, reject }: Writing): Promise<void> {
    const isGrown = this.#grownBytes > this.#grownBytesMax
    if (isGrown) for (const source of this.#sources()) sources.add(source)
    for (const source of [...this.#dirty, ...this.#untold]) sources.add(source)
    this.#dirty.clear()
    const batches = encodeFacts(Array.from(sources, (source) => this.#told(source, isGrown)))
    try {
      // What stands before it is removed when it is begun anew.
      const { begin, bytes } = await this.#appendAll(batches, isGrown ? this.#seams.durability : level)
      this.#writing = null
      resolve()
      if (isGrown) await this.#begunAnew(begin, bytes)
    } catch (error) {
      this.#writing = null
      for (const source of sources) if (!this.#gone.has(source)) this.#untold.add(source)
      reject(error)
    }
  }

  #told(source: FactSource, isEverything: boolean): GroupFacts {
    const { group, partition } = source
    const news = source.news()
    const isUntold = this.#untold.delete(source)
    return { group, partition, changes: isEverything || isUntold ? source.everything() : news }
  }

  /** Where the first of them is, and how many bytes they have together. There may be none: all groups were forgotten. */
  async #appendAll(
    batches: readonly Buffer[],
    level: Durability,
  ): Promise<{ begin: PartitionLog['end']; bytes: number }> {
    const [begin = this.#log.end] = await Promise.all(batches.map((body) => this.#append(body, level)))
    const bytes = batches.reduce((sum, { length }) => sum + length, 0)
    this.#grownBytes += bytes
    return { begin, bytes }
  }

  async #append(body: Buffer, durability: Durability): Promise<PartitionLog['end']> {
    const timestampMs = Math.max(this.#log.lastTimestampMs, this.#seams.clock.now())
    const how = { timestampMs, durability, keep: true, producer: null }
    return (await this.#log.append({ body, count: 1 }, how)).baseOffset
  }

  async #begunAnew(begin: PartitionLog['end'], bytes: number): Promise<void> {
    this.#grownBytes = bytes
    this.#everythingBytes = bytes
    // What stands before it is read again at the worst.
    await this.#log.trimTo(begin).catch((error: unknown) => debug('the group log was not trimmed: %O', error))
  }

  get #grownBytesMax(): number {
    return Math.max(this.#seams.grownBytesMin ?? GROWN_BYTES_MIN, GROWN_TIMES * this.#everythingBytes)
  }
}
