/**
 * Whoever has to be looked at again, the soonest first: a binary heap in which each one is at most once, so that ten
 * thousand subscriptions need one timer.
 */

/** What is in the heap. Both fields belong to the heap. */
export interface Wakeable {
  wakeMs: number
  /** -1 while it is not in it. */
  wakeIndex: number
}

export class WakeHeap<T extends Wakeable> {
  readonly #items: T[] = []

  get first(): T | null {
    return this.#items[0] ?? null
  }

  /** Look at `item` at `atMs`, whatever was said before. */
  set(item: T, atMs: number): void {
    if (item.wakeIndex < 0) {
      item.wakeMs = atMs
      item.wakeIndex = this.#items.length
      this.#items.push(item)
      this.#up(item)
      return
    }
    const wasMs = item.wakeMs
    item.wakeMs = atMs
    if (atMs < wasMs) this.#up(item)
    else if (atMs > wasMs) this.#down(item)
  }

  delete(item: T): void {
    const index = item.wakeIndex
    if (index < 0) return
    item.wakeIndex = -1
    const last = this.#items.pop() as T
    if (last === item) return
    this.#put(last, index)
    this.#up(last)
    this.#down(last)
  }

  #up(item: T): void {
    let index = item.wakeIndex
    while (index > 0) {
      const above = this.#items[(index - 1) >> 1] as T
      if (above.wakeMs <= item.wakeMs) break
      this.#put(above, index)
      index = (index - 1) >> 1
    }
    this.#put(item, index)
  }

  #down(item: T): void {
    let index = item.wakeIndex
    for (;;) {
      const left = this.#items[2 * index + 1]
      if (left === undefined) break
      const right = this.#items[2 * index + 2]
      const below = right !== undefined && right.wakeMs < left.wakeMs ? right : left
      if (below.wakeMs >= item.wakeMs) break
      const free = index
      index = below.wakeIndex
      this.#put(below, free)
    }
    this.#put(item, index)
  }

  #put(item: T, index: number): void {
    item.wakeIndex = index
    this.#items[index] = item
  }
}
