/**
 * Log compaction of a store, in the background: one partition at a time. A compaction that fails, for want of room most
 * likely, has left everything as it was and is tried again later.
 */
import { createLog } from '../../common/log.js'
import { COMPACTION_KEYS_MAX } from './compact-keys.js'
import { type CompactedLog, PartitionCompaction } from './compact-partition.js'
import type { LogContext } from './log-context.js'

/** How often the partitions are looked at. */
export const COMPACT_INTERVAL_MS = 10_000

const log = createLog('storage:log:compactor')

export class Compactor {
  readonly #context: LogContext
  /** What is known of the segments of each partition. */
  readonly #compactions = new WeakMap<CompactedLog, PartitionCompaction>()
  readonly #gone = new WeakSet<CompactedLog>()
  #running: Promise<void> | null = null
  #isStopped = false

  constructor(context: LogContext) {
    this.#context = context
  }

  /** Compact all of these that are due; if that is under way already, resolves with it. Never rejects. */
  run(partitions: () => Promise<readonly CompactedLog[]>): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    this.#running ??= this.#run(partitions).finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** The partition is about to go: resolves when nothing of it is being compacted any more. */
  async leave(partition: CompactedLog): Promise<void> {
    this.#gone.add(partition)
    if (this.#compactions.has(partition)) await this.#running
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
  }

  async #run(partitions: () => Promise<readonly CompactedLog[]>): Promise<void> {
    for (const partition of await partitions()) {
      if (!partition.keepsLatest || this.#gone.has(partition)) continue
      try {
        const compaction = this.#compactionOf(partition)
        if (!this.#isStopped && compaction.isDue) await compaction.run()
      } catch (error) {
        this.#context.counters.compactionsFailed.value++
        log('topic %j, partition %d was not compacted: %O', partition.name.topic, partition.name.partition, error)
      }
    }
  }

  #compactionOf(partition: CompactedLog): PartitionCompaction {
    let compaction = this.#compactions.get(partition)
    if (compaction === undefined) {
      compaction = new PartitionCompaction(this.#context, partition, {
        keysMax: this.#context.options.compactedKeysMax ?? COMPACTION_KEYS_MAX,
        isOver: () => this.#isStopped || this.#gone.has(partition),
      })
      this.#compactions.set(partition, compaction)
    }
    return compaction
  }
}
