/**
 * The position of a group in each partition: the offset that its owner is to read next, everything before it is done.
 * Remembers which ones changed since somebody last asked, so that they can be kept. Small while nothing happens: a
 * broker holds thousands of these.
 */
import { type Offset, toOffset } from '../../model/offset.js'

const NEVER_COMMITTED = -1

export class CommittedPositions {
  /** By partition, as far as any was ever set. */
  readonly #positions: number[] = []
  #changed: Set<number> | null = null

  get(partition: number): Offset | null {
    const position = this.#positions[partition] ?? NEVER_COMMITTED
    return position === NEVER_COMMITTED ? null : toOffset(position)
  }

  /** Move it forward. False if it is there already, or beyond. */
  advance(partition: number, position: Offset): boolean {
    if (position <= (this.#positions[partition] ?? NEVER_COMMITTED)) return false
    this.set(partition, position)
    return true
  }

  /** Move it anywhere; null is as if nothing had ever been committed. */
  set(partition: number, position: Offset | null): void {
    this.replay(partition, position)
    this.#changed ??= new Set()
    this.#changed.add(partition)
  }

  /** Take over what was kept: nothing that would have to be kept again. */
  replay(partition: number, position: Offset | null): void {
    while (this.#positions.length <= partition) this.#positions.push(NEVER_COMMITTED)
    this.#positions[partition] = position ?? NEVER_COMMITTED
  }

  /** By partition, as far as any was ever set. */
  all(): (Offset | null)[] {
    return this.#positions.map((position) => (position === NEVER_COMMITTED ? null : toOffset(position)))
  }

  takeChanged(): Iterable<number> {
    const changed = this.#changed ?? []
    this.#changed = null
    return changed
  }
}
