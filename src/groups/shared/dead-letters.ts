/**
 * Records that no member gets any more: delivered too often, or rejected. They wait here for the caller, who writes the
 * dead letter and the ack in one step; until it says so they are in flight.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import type { Change } from './changes.js'
import type { DeadRecord } from './settings.js'
import { ACKED, DEAD, HANDED_OVER, NOBODY, type SlotWindow } from './slot-window.js'

/** The reason of a record that was delivered too often. */
const SPENT = 'max-deliveries'

export class DeadLetters {
  readonly #window: SlotWindow
  /** Oldest death first; some are done with by now. Null as long as nobody died. */
  #queue: number[] | null = null
  /** Of what was rejected and is not done with. */
  #reasons: Map<number, string> | null = null
  /** Rejected since the log was last told; null for none. */
  #news: number[] | null = null

  constructor(window: SlotWindow) {
    this.#window = window
  }

  /** `reason`: null for a record that was delivered too often. */
  bury(offset: number, reason: string | null): void {
    this.#window.move(offset, DEAD)
    this.#queue ??= []
    this.#queue.push(offset)
    if (reason === null) return
    this.#reasons ??= new Map()
    this.#reasons.set(offset, reason)
    this.#news ??= []
    this.#news.push(offset)
  }

  /** There may be something to take. */
  get isWaiting(): boolean {
    return this.#queue !== null
  }

  get hasNews(): boolean {
    return this.#news !== null
  }

  /** Add what was rejected since the last call. */
  drain(changes: Change[]): void {
    for (const offset of this.#news ?? []) this.#describe(offset, changes)
    this.#news = null
  }

  /** Add all that is rejected and not done with. */
  describe(changes: Change[]): void {
    for (const offset of this.#reasons?.keys() ?? []) this.#describe(offset, changes)
  }

  /** Replay: of an offset in the window. */
  apply(offset: Offset, reason: string): void {
    const state = this.#window.stateOf(offset)
    if (state === null || state === ACKED) return
    if (state === DEAD) this.#reasons = (this.#reasons ?? new Map()).set(offset, reason)
    else this.bury(offset, reason)
    this.#news = null
  }

  #describe(offset: number, changes: Change[]): void {
    const state = this.#window.stateOf(offset)
    const reason = this.#reasons?.get(offset)
    if (reason === undefined || (state !== DEAD && state !== HANDED_OVER)) return
    changes.push({ kind: 'rejected', offset: toOffset(offset), reason })
  }

  take(max: number): DeadRecord[] {
    const handed: DeadRecord[] = []
    const queue = this.#queue
    if (queue === null) return handed
    let seen = 0
    for (; seen < queue.length && handed.length < max; seen++) {
      const offset = queue[seen] as number
      if (this.#window.stateOf(offset) === DEAD) handed.push(this.#handOver(offset))
    }
    queue.splice(0, seen)
    if (queue.length === 0) this.#queue = null
    return handed
  }

  /** False if the record was not handed over, or is done with. */
  done(offset: number): boolean {
    if (this.#window.stateOf(offset) !== HANDED_OVER) return false
    this.#reasons?.delete(offset)
    this.#window.mark(offset)
    this.#window.move(offset, ACKED)
    this.#window.advance()
    return true
  }

  failed(offset: number): boolean {
    if (this.#window.stateOf(offset) !== HANDED_OVER) return false
    this.bury(offset, null)
    return true
  }

  /** Records below are gone. */
  forgetBelow(offset: number): void {
    for (const rejected of this.#reasons?.keys() ?? []) if (rejected < offset) this.#reasons?.delete(rejected)
  }

  forgetAll(): void {
    this.#queue = null
    this.#reasons = null
    this.#news = null
  }

  #handOver(offset: number): DeadRecord {
    const index = offset & this.#window.mask
    const reason = this.#reasons?.get(offset)
    const before = this.#window.counts[index] as number
    // From now on the dead letter may be written at any moment: an ack that comes late changes nothing any more.
    this.#window.holders[index] = NOBODY
    this.#window.move(offset, HANDED_OVER)
    // Spent is known when the count is raised for a delivery that is not made; rejected is what was just delivered.
    return { offset: toOffset(offset), reason: reason ?? SPENT, deliveries: reason === undefined ? before : before + 1 }
  }
}
