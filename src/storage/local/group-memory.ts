/**
 * What the log of a topic says of its groups: read once, forgotten of records that a crash has lost, and handed to whoever
 * makes the groups of it.
 */
import type { Clock } from '../../common/clock.js'
import type { Change } from '../../groups/shared/changes.js'
import type { SharedSettings } from '../../groups/shared/settings.js'
import { SharedPartition } from '../../groups/shared/shared-partition.js'
import { SPAN_LIMIT } from '../../groups/shared/slot-window.js'
import { FIRST_OFFSET, type Offset } from '../../model/offset.js'
import type { Durability } from '../../model/topic.js'
import type { PartitionLog } from '../store.js'
import { clampedTo, type GroupFact, type GroupFacts, isChange } from './group-facts.js'
import { type FactSource, GroupLog } from './group-log.js'

/** Until somebody takes part in a shared group, and says how. */
export const FORGETFUL: SharedSettings = { ackWaitMs: 1, inFlightMax: 1, spanMax: 1, maxDeliveries: null }

export interface MemoryPorts {
  readonly clock: Clock
  /** The best there is. */
  readonly durability: Durability
  groupLog(): Promise<PartitionLog>
}

/** The log as it was read; the facts go when the groups have them. */
export interface Remembered {
  readonly log: GroupLog
  /** By group, and partition. */
  readonly facts: Map<string, GroupFact[][]>
}

export class GroupMemory {
  readonly #ports: MemoryPorts
  readonly #sources: () => Iterable<FactSource>
  #reading: Promise<Remembered> | null = null
  #log: GroupLog | null = null
  /** By partition: it is known where it ended. */
  readonly #opened = new Map<number, Promise<void>>()

  constructor(ports: MemoryPorts, sources: () => Iterable<FactSource>) {
    this.#ports = ports
    this.#sources = sources
  }

  /**
   * A partition was opened, and ends there. Records that were beyond are lost with their offsets: what is remembered of them
   * is forgotten, for good, before others stand in their places. To be called before anything is appended.
   */
  opened(index: number, end: Offset): Promise<void> {
    const known = this.#opened.get(index)
    if (known !== undefined) return known
    const opening = this.#forgetBeyond(index, end)
    this.#opened.set(index, opening)
    opening.catch(() => this.#opened.delete(index))
    return opening
  }

  read(): Promise<Remembered> {
    this.#reading ??= this.#read().catch((error: unknown) => {
      this.#reading = null
      throw error
    })
    return this.#reading
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await this.#log?.idle()
  }

  async #forgetBeyond(index: number, end: Offset): Promise<void> {
    const { log, facts } = await this.read()
    const lines: GroupFacts[] = []
    for (const [group, partitions] of facts) {
      const told = partitions[index] ?? []
      const kept = told.map((fact) => clampedTo(fact, end)).filter((fact) => fact !== null)
      if (kept.length === told.length && kept.every((fact, place) => fact === told[place])) continue
      const changes = isPositioned(partitions) ? kept : sharedSnapshot(kept)
      partitions[index] = changes
      lines.push({ group, partition: index, changes })
    }
    if (lines.length > 0) await log.write(lines)
  }

  async #read(): Promise<Remembered> {
    const seams = { clock: this.#ports.clock, durability: this.#ports.durability }
    const log = new GroupLog(await this.#ports.groupLog(), seams, this.#sources)
    const facts: Remembered['facts'] = new Map()
    for (const line of await log.read()) note(facts, line)
    this.#log = log
    return { log, facts }
  }
}

/** Whether it assigns partitions. */
export function isPositioned(partitions: readonly (readonly GroupFact[] | undefined)[]): boolean {
  return partitions.some((facts) => facts?.some(({ kind }) => kind === 'mode'))
}

function note(facts: Remembered['facts'], { group, partition, changes }: GroupFacts): void {
  if (changes.some(({ kind }) => kind === 'dropped')) {
    facts.delete(group)
    return
  }
  const partitions = facts.get(group) ?? []
  facts.set(group, partitions)
  const known = partitions[partition] ?? []
  // What stands before a seek says nothing any more.
  partitions[partition] = changes[0]?.kind === 'seek' ? [...changes] : [...known, ...changes]
}

function sharedSnapshot(facts: readonly GroupFact[]): GroupFact[] {
  return SharedPartition.restore(fromTheBeginning(facts, FIRST_OFFSET), FORGETFUL).snapshot()
}

/**
 * What there is to know of one partition of a shared group. Where it begins may be damaged: then it begins at `start`, and
 * what is known of records that are too far from there for one window is forgotten: they come again.
 */
export function fromTheBeginning(facts: readonly GroupFact[], start: Offset): readonly Change[] {
  const changes = facts.filter(isChange)
  if (changes[0]?.kind === 'seek') return changes
  return [{ kind: 'seek', offset: start }, ...changes.filter((change) => endOf(change) - start <= SPAN_LIMIT)]
}

/** One beyond the last record in flight that it makes. */
function endOf(change: Change): number {
  switch (change.kind) {
    case 'acked':
    case 'redelivered':
      return change.to
    case 'rejected':
      return change.offset + 1
    case 'seek':
    case 'purged':
    case 'paused':
    case 'aside':
    case 'aside-done':
      return 0
  }
}
