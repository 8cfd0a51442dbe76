/**
 * Where a subscription stands in each partition, and from where it goes on when its connection was lost: with no
 * gap, and with what it already has dropped. Pure; called by subscription.ts.
 *
 * The wire has one start for all partitions. So the subscription starts at the smallest of its places, and what lies
 * below the place of its own partition is skipped here.
 */
import type { Start } from '../src/model/topic.js'
import type { TopicDescription } from '../src/protocol/frames.js'

export interface ResetPartition {
  readonly partition: number
  /** The next offset that was expected of the log that is no more. */
  readonly expected: number
}

export class ResumePoint {
  readonly #start: Start
  readonly #startedAtMs: number
  /** The next offset wanted, by partition, where something was read or lost. */
  readonly #places = new Map<number, number>()
  /** What the start meant at the beginning, by partition. */
  readonly #pins = new Map<number, number>()
  /** Partitions that were there at the beginning; one that came later is read from its first record. */
  #firstPartitions: number | null = null

  /** `startedAtMs` is monotonic: an age is counted from the moment of subscribing, whatever happens later. */
  constructor(start: Start, startedAtMs: number) {
    this.#start = start
    this.#startedAtMs = startedAtMs
  }

  /** Records below it are had already. */
  placeOf(partition: number): number {
    return this.#places.get(partition) ?? 0
  }

  /** Everything below `next` is had, or is lost. */
  advance(partition: number, next: number): void {
    if (next > this.placeOf(partition)) this.#places.set(partition, next)
  }

  /**
   * The topic as it was just before subscribing; null when it did not exist. Pins a start that means another place
   * later: without it, what is published while the connection is lost would be missed.
   */
  pin(topic: TopicDescription | null): void {
    if (this.#firstPartitions !== null) return
    this.#firstPartitions = topic?.partitions.length ?? 0
    for (const { partition, end } of topic?.partitions ?? []) {
      const pin = this.#pinOf(end, topic?.settings?.retention === 'none')
      if (pin !== null) this.#pins.set(partition, pin)
    }
  }

  #pinOf(end: number, keepsNothing: boolean): number | null {
    switch (this.#start.kind) {
      case 'latest':
        return end
      case 'last':
        return Math.max(0, end - 1)
      case 'last-n':
        return Math.max(0, end - this.#start.records)
      case 'offset':
        return this.#start.offset
      default:
        return keepsNothing ? end : null
    }
  }

  /**
   * Partitions whose log began again: the server is another one, or the log ends before the place that was reached.
   * They are read from their beginning. `topic` is null when it does not exist any more.
   */
  reset(topic: TopicDescription | null, isOtherServer: boolean): ResetPartition[] {
    const found: ResetPartition[] = []
    const ends = new Map(topic?.partitions.map(({ partition, end }) => [partition, end]))
    for (const partition of new Set([...this.#places.keys(), ...this.#pins.keys(), ...ends.keys()])) {
      const place = this.#places.get(partition)
      const expected = place ?? this.#pins.get(partition) ?? 0
      // A start that was asked for may lie beyond the end: it is waited for, as at the beginning.
      const isAwaited = place === undefined && this.#start.kind === 'offset'
      if (expected === 0 || isAwaited) continue
      if (!isOtherServer && expected <= (ends.get(partition) ?? 0)) continue
      this.#places.set(partition, 0)
      found.push({ partition, expected })
    }
    return found
  }

  /** The start that misses nothing, given the topic as it is now. */
  start(topic: TopicDescription | null, nowMs: number): Start {
    const partitions = topic?.partitions ?? []
    let smallest = Number.POSITIVE_INFINITY
    for (const { partition } of partitions) {
      const isNew = this.#firstPartitions !== null && partition >= this.#firstPartitions
      const place = this.#places.get(partition) ?? this.#pins.get(partition) ?? (isNew ? 0 : null)
      if (place === null) return this.#restart(nowMs)
      smallest = Math.min(smallest, place)
    }
    return partitions.length === 0 ? this.#restart(nowMs) : { kind: 'offset', offset: smallest }
  }

  #restart(nowMs: number): Start {
    const start = this.#start
    return start.kind === 'age' ? { kind: 'age', ageMs: start.ageMs + Math.ceil(nowMs - this.#startedAtMs) } : start
  }
}
