/** A member of a group that assigns partitions: it notes what it is told, and tests can wait for it. */
import { toOffset } from '../../src/model/offset.js'
import type { Assignment, Engine, JoinHow, PartitionMember, Seat } from '../../src/storage/engine.js'

export class PartitionSeat implements PartitionMember {
  readonly name: string
  readonly told: Assignment[] = []
  reason: (Error & { code?: string }) | null = null
  #seat: Seat | null = null
  readonly #waiting: (() => void)[] = []

  private constructor(name: string) {
    this.name = name
  }

  static async take(engine: Engine, group: string, name: string, more: Partial<JoinHow> = {}): Promise<PartitionSeat> {
    const member = new PartitionSeat(name)
    const how: JoinHow = { mode: 'cursor', member: name, takeOver: false, start: { kind: 'earliest' }, ...more }
    return member.#sit(await engine.join('topic', group, how, member))
  }

  #sit(seat: Seat): this {
    this.#seat = seat
    return this
  }

  get newest(): Assignment {
    const newest = this.told.at(-1)
    if (newest === undefined) throw new Error('it was told nothing')
    return newest
  }

  /** What it has now, as [partition, from]. */
  get has(): (readonly [number, number | null])[] {
    return this.newest.partitions.map(({ partition, from }) => [partition, from] as const)
  }

  get partitions(): number[] {
    return this.told.length === 0 ? [] : this.newest.partitions.map(({ partition }) => partition)
  }

  commit(position: number, partition = 0, generation = 0): Promise<void> {
    if (this.#seat === null) throw new Error('there is no seat')
    return this.#seat.commit(partition, toOffset(position), generation)
  }

  confirm(generation = this.newest.generation): void {
    this.#seat?.confirm(generation)
  }

  leave(): void {
    this.#seat?.leave()
  }

  /** Once it was told so often. */
  async assignments(count: number): Promise<this> {
    await this.until(() => this.told.length >= count)
    return this
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  assigned(assignment: Assignment): void {
    if (this.#seat === null) throw new Error('it was told before it had its seat')
    if (this.reason !== null) throw new Error('it was told after it ended')
    this.told.push(assignment)
    this.#look()
  }

  ended(reason: Error): void {
    this.reason = reason
    this.#look()
  }

  #look(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
