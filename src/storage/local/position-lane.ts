/**
 * One partition of a group that assigns partitions, as the group log and operators see it: how far its records are done
 * with. Every line that it writes tells all there is to know of it, so that the newest one is enough.
 */
import type { PartitionedGroup } from '../../groups/partitioned/partitioned-group.js'
import type { Mode } from '../../model/group.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { GroupFact } from './group-facts.js'
import type { FactSource } from './group-log.js'
import type { LocalPartition } from './local-partition.js'

/** The group, as a partition of it sees it. */
export interface PositionOwner {
  readonly name: string
  readonly mode: Mode
  readonly machine: PartitionedGroup
}

export class PositionLane implements FactSource {
  readonly partition: number
  readonly records: LocalPartition
  readonly #owner: PositionOwner
  hasNews = false
  /** Since somebody looked, and there were records to be done with; null: since then something was done. */
  lagsSinceMs: number | null = null

  constructor(owner: PositionOwner, partition: number, records: LocalPartition) {
    this.#owner = owner
    this.partition = partition
    this.records = records
  }

  get group(): string {
    return this.#owner.name
  }

  news(): GroupFact[] {
    this.hasNews = false
    return this.everything()
  }

  everything(): GroupFact[] {
    const { mode, machine } = this.#owner
    return [
      { kind: 'seek', offset: this.position },
      { kind: 'mode', mode },
      { kind: 'generation', generation: machine.generation },
    ]
  }

  /** The next record to be read by whoever gets the partition; it may be gone. */
  get position(): Offset {
    return this.#owner.machine.position(this.partition) ?? this.records.log.logStart
  }

  get end(): Offset {
    return this.records.log.stableEnd
  }

  get lag(): number {
    return Math.max(0, this.end - Math.max(this.position, this.records.log.logStart))
  }

  /** Since the first record that is not done with arrived; null if there is none, or nobody can say. */
  async lagsForMs(wallMs: number): Promise<number | null> {
    if (this.lag === 0) return null
    const { log } = this.records
    const { batches } = await log.read(toOffset(Math.max(this.position, log.logStart)), 1)
    const [first] = batches
    return first === undefined ? null : Math.max(0, wallMs - first.timestampMs)
  }
}
