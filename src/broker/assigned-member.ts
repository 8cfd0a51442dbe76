/**
 * A member of a group that assigns partitions, or the reader of a named cursor: a seat that the engine gave, and a reader of
 * each partition that comes with it. It counts as a use of the topic while it is taken.
 */
import { InvariantError } from '../common/errors.js'
import type { Offset } from '../model/offset.js'
import type { Start } from '../model/topic.js'
import type { Assignment, PartitionMember, Seat } from '../storage/engine.js'
import type { PartitionReader, ReaderListener } from './partition-reader.js'

export interface AssignedHow {
  readonly mode: 'cursor' | 'partitioned'
  /** The same one again takes its own place over. */
  readonly member: string
  /** Of a cursor: whoever else reads it has to go. */
  readonly takeOver: boolean
  /** Where the group begins, if it is new. */
  readonly start: Start
  /** Exclusive, in each partition. */
  readonly untilOffset: number | null
}

/** Whoever is told what a member has. */
export interface AssignedListener {
  /**
   * All that it has from now on. Those `started` are read anew, and their readers follow; the readers of what it has no
   * more, and of what is started again, are closed.
   */
  assigned(generation: number, partitions: readonly number[], started: readonly number[]): void
  opened(reader: PartitionReader): void
  readable(reader: PartitionReader): void
  /** Nothing more comes. */
  ended(reason: Error): void
}

/** What a member needs of the broker. */
export interface AssignedTopic {
  /** Seats that are taken. */
  members: number
  /** A reader of this partition from this offset on. */
  openReader(partition: number, from: Offset, listener: ReaderListener): Promise<PartitionReader>
}

/** A partition that it has; the reader is missing while it is being opened. */
interface Place {
  reader: PartitionReader | null
}

export class AssignedMember implements PartitionMember, ReaderListener {
  readonly isMember = true
  readonly #topic: AssignedTopic
  readonly #listener: AssignedListener
  readonly #places = new Map<number, Place>()
  #seat: Seat | null = null
  /** It ended or left, perhaps before it began. */
  #isOver = false

  constructor(topic: AssignedTopic, listener: AssignedListener) {
    this.#topic = topic
    this.#listener = listener
  }

  /** The engine has given it a seat. */
  sit(seat: Seat): void {
    if (this.#isOver) return
    this.#seat = seat
    this.#topic.members++
  }

  /** It has let go of what the assignment of this generation took from it. */
  confirm(generation: number): void {
    this.#seat?.confirm(generation)
  }

  /** Everything before `position` is done with. Resolves when that is safe; rejects with LVT_FENCED and other typed errors. */
  async commit(partition: number, position: Offset, generation: number): Promise<void> {
    await this.#seat?.commit(partition, position, generation)
  }

  leave(): void {
    this.#seat?.leave()
    this.#stand()
  }

  assigned({ generation, partitions }: Assignment): void {
    if (this.#isOver) return
    const started = partitions.filter(({ from }) => from !== null)
    const kept = new Set(partitions.filter(({ from }) => from === null).map(({ partition }) => partition))
    for (const partition of this.#places.keys()) if (!kept.has(partition)) this.#letGo(partition)
    this.#listener.assigned(
      generation,
      partitions.map(({ partition }) => partition),
      started.map(({ partition }) => partition),
    )
    for (const { partition, from } of started) if (from !== null) void this.#open(partition, from)
    for (const partition of kept) {
      if (!this.#places.has(partition)) this.#fail(new InvariantError(`partition ${partition} has no position`))
    }
  }

  ended(reason: Error): void {
    if (this.#isOver) return
    this.#stand()
    this.#listener.ended(reason)
  }

  readable(reader: PartitionReader): void {
    this.#listener.readable(reader)
  }

  /** A partition that is new goes to whom the group assigns it. */
  grown(reader: PartitionReader): void {
    reader.close()
  }

  async #open(partition: number, from: Offset): Promise<void> {
    const place: Place = { reader: null }
    this.#places.set(partition, place)
    try {
      const reader = await this.#topic.openReader(partition, from, this)
      if (this.#places.get(partition) !== place) return reader.close()
      place.reader = reader
      this.#listener.opened(reader)
    } catch (error) {
      if (this.#places.get(partition) === place) this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(reason: Error): void {
    if (this.#isOver) return
    this.#seat?.leave()
    this.ended(reason)
  }

  #letGo(partition: number): void {
    this.#places.get(partition)?.reader?.close()
    this.#places.delete(partition)
  }

  #stand(): void {
    this.#isOver = true
    for (const partition of this.#places.keys()) this.#letGo(partition)
    if (this.#seat === null) return
    this.#seat = null
    this.#topic.members--
  }
}
