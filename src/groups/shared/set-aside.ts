/**
 * Leases that a seek has kept: whoever has a record still has it, and it comes back when its time is over, though the group
 * goes on elsewhere and may give the same record out anew. So a lease is known by its offset and its era, which is how many
 * such seeks came before it; those of the present era are in the window.
 *
 * One entry for each, in maps: there are some only after such a seek, and never more than may be in flight.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import type { Change } from './changes.js'
import type { HELD, READY, WAITING } from './slot-window.js'

type AsideState = typeof HELD | typeof WAITING | typeof READY

export interface Aside {
  readonly era: number
  readonly offset: number
  state: AsideState
  /** Who has it; after an expiry who had it last; else NOBODY. */
  holder: number
  /** Deliveries before this one, or before the next one. A log does not keep it. */
  count: number
  /** Deadline of what is HELD, due time of what is WAITING. */
  timeMs: number
  /** First given out, NaN when nobody remembers. */
  readonly givenMs: number
}

interface OpenRange {
  readonly era: number
  readonly from: Offset
  to: Offset
}

export class SetAside {
  /** By era, in the order in which they began. Null as long as there are none. */
  #eras: Map<number, Map<number, Aside>> | null = null
  /** How many are in each state. */
  readonly #tally = [0, 0, 0]
  #size = 0
  /** Done with since the log was last told. */
  #news: OpenRange[] = []
  /** Null when somebody has to look. */
  #lowest: Aside | null = null

  get size(): number {
    return this.#size
  }

  count(state: AsideState): number {
    return this.#tally[state] as number
  }

  /** The newest era that there is something of. */
  get newestEra(): number | null {
    let newest: number | null = null
    for (const era of this.#eras?.keys() ?? []) newest = era
    return newest
  }

  /** The one with the lowest offset. */
  get lowest(): Aside | null {
    if (this.#lowest !== null || this.#size === 0) return this.#lowest
    for (const aside of this.all()) {
      if (this.#lowest === null || aside.offset < this.#lowest.offset) this.#lowest = aside
    }
    return this.#lowest
  }

  put(aside: Aside): void {
    this.#eras ??= new Map()
    let era = this.#eras.get(aside.era)
    if (era === undefined) {
      era = new Map()
      this.#eras.set(aside.era, era)
    }
    if (era.has(aside.offset)) return
    era.set(aside.offset, aside)
    this.#size++
    this.#tally[aside.state] = this.count(aside.state) + 1
    this.#lowest = null
  }

  get(era: number, offset: number): Aside | null {
    return this.#eras?.get(era)?.get(offset) ?? null
  }

  /** The newest one at the offset that the member has, or had last. */
  of(member: number, offset: number): Aside | null {
    let found: Aside | null = null
    for (const era of this.#eras?.values() ?? []) {
      const aside = era.get(offset)
      if (aside?.holder === member) found = aside
    }
    return found
  }

  *all(): IterableIterator<Aside> {
    for (const era of this.#eras?.values() ?? []) yield* era.values()
  }

  move(aside: Aside, state: AsideState): void {
    this.#tally[aside.state] = this.count(aside.state) - 1
    this.#tally[state] = this.count(state) + 1
    aside.state = state
  }

  /** It is done with, and the log is to be told. */
  remove({ era, offset }: Aside): void {
    if (!this.#delete(era, offset)) return
    const last = this.#news.at(-1)
    if (last?.era === era && last.to === offset) last.to = toOffset(offset + 1)
    else this.#news.push({ era, from: toOffset(offset), to: toOffset(offset + 1) })
  }

  clear(): void {
    this.#eras = null
    this.#size = 0
    this.#tally.fill(0)
    this.#news = []
    this.#lowest = null
  }

  get hasNews(): boolean {
    return this.#news.length > 0
  }

  /** The log knows. */
  told(): void {
    this.#news = []
  }

  /** Add those that are done with since the log was told. */
  drain(changes: Change[]): void {
    for (const { era, from, to } of this.#news) changes.push({ kind: 'aside-done', era, from, to })
    this.#news = []
  }

  /** Add all there are, in order. */
  describe(changes: Change[]): void {
    for (const [era, asides] of this.#eras ?? []) {
      const offsets = [...asides.keys()].sort((a, b) => a - b)
      let from = 0
      for (let index = 1; index <= offsets.length; index++) {
        if (offsets[index] === (offsets[index - 1] as number) + 1) continue
        const range = { from: toOffset(offsets[from] as number), to: toOffset((offsets[index - 1] as number) + 1) }
        changes.push({ kind: 'aside', era, ...range })
        from = index
      }
    }
  }

  /** Replay. */
  forget(era: number, from: number, to: number): void {
    for (const offset of [...(this.#eras?.get(era)?.keys() ?? [])]) {
      if (offset >= from && offset < to) this.#delete(era, offset)
    }
  }

  #delete(era: number, offset: number): boolean {
    const asides = this.#eras?.get(era)
    const aside = asides?.get(offset)
    if (asides === undefined || aside === undefined) return false
    asides.delete(offset)
    if (asides.size === 0) this.#eras?.delete(era)
    if (this.#eras?.size === 0) this.#eras = null
    this.#tally[aside.state] = this.count(aside.state) - 1
    this.#size--
    if (this.#lowest === aside) this.#lowest = null
    return true
  }
}
