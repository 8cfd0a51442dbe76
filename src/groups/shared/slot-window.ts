/**
 * The records of a shared group between its ack floor and the highest one that was ever given out: one slot each, in
 * typed columns that form a ring. Everything below `floor` is done with, everything from `next` on is new:
 *
 *   done | floor  held, due, waiting, dead or acked out of order  next | new
 *
 * Knows states and where they lie; what may follow what is shared-partition.ts. Its columns are open to the files of
 * this folder, which walk them record by record. Takes no memory worth the name until a record is given out.
 */
import { assert } from '../../common/assert.js'
import { RingBits, WORD } from './ring-bits.js'

/** A member has it until its deadline. */
export const HELD = 0
/** To be given out again, but not before its time. */
export const WAITING = 1
/** To be given out again, now. */
export const READY = 2
/** To be handed over as a dead letter. */
export const DEAD = 3
/** Handed over as a dead letter, and not yet known to be written. */
export const HANDED_OVER = 4
/** Done with, above a floor that is not. */
export const ACKED = 5

export type SlotState = typeof HELD | typeof WAITING | typeof READY | typeof DEAD | typeof HANDED_OVER | typeof ACKED

export const NOBODY = -1

/** The widest window there can be: about 420 MB. A setting or a log that asks for more is a mistake. */
export const SPAN_LIMIT = 2 ** 24

/** What every window without memory of its own has. Never written: nothing is in such a window. */
const NO_STATES = new Uint8Array(0)
const NO_HOLDERS = new Int32Array(0)
const NO_COUNTS = new Uint32Array(0)
const NO_TIMES = new Float64Array(0)
const NO_BITS = new RingBits(WORD)

export class SlotWindow {
  floor: number
  next: number
  /** No record below it is READY. */
  readyFrom: number
  /** How many slots are in each state. */
  readonly tally: number[] = [0, 0, 0, 0, 0, 0]
  /** Column index of an offset: `offset & mask`. */
  mask = -1
  states = NO_STATES
  /** Who has it; after an expiry who had it last; else NOBODY. */
  holders = NO_HOLDERS
  /** Deliveries before this one, or before the next one. */
  counts = NO_COUNTS
  /** Deadline of what is HELD, due time of what is WAITING. */
  timesMs = NO_TIMES
  /** First given out, NaN when nobody remembers. */
  givenMs = NO_TIMES
  ready: RingBits = NO_BITS
  /** Acked or counted since the log was last told; all of them lie in [dirtyFrom, dirtyTo). */
  dirty: RingBits = NO_BITS
  dirtyFrom = Number.POSITIVE_INFINITY
  dirtyTo = 0

  constructor(floor: number) {
    this.floor = floor
    this.next = floor
    this.readyFrom = floor
  }

  get span(): number {
    return this.next - this.floor
  }

  /** Given out and not done with. */
  get inFlight(): number {
    return this.span - this.count(ACKED)
  }

  count(state: SlotState): number {
    return this.tally[state] as number
  }

  /** Null for what is not in the window. */
  stateOf(offset: number): SlotState | null {
    return offset < this.floor || offset >= this.next ? null : (this.states[offset & this.mask] as SlotState)
  }

  /** The log is to be told of this slot. */
  mark(offset: number): void {
    this.dirty.set(offset)
    if (offset < this.dirtyFrom) this.dirtyFrom = offset
    if (offset >= this.dirtyTo) this.dirtyTo = offset + 1
  }

  /** The log knows of all slots. */
  unmark(): void {
    this.dirty.clearRange(Math.max(this.dirtyFrom, this.floor), this.dirtyTo)
    this.dirtyFrom = Number.POSITIVE_INFINITY
    this.dirtyTo = 0
  }

  /** The first slot from `offset` on that the log is to be told of, or `next`. */
  nextMarked(offset: number): number {
    const to = Math.min(this.next, this.dirtyTo)
    const found = this.dirty.next(Math.max(offset, this.dirtyFrom), to)
    return found < to ? found : this.next
  }

  /** Forget everything and begin at `floor`. */
  reset(floor: number): void {
    this.tally.fill(0)
    this.floor = floor
    this.next = floor
    this.readyFrom = floor
    this.dirtyFrom = Number.POSITIVE_INFINITY
    this.dirtyTo = 0
  }

  /** Give the memory back, when nothing is in the window. */
  release(): void {
    if (this.span > 0 || this.mask < 0) return
    this.mask = -1
    this.states = NO_STATES
    this.holders = NO_HOLDERS
    this.counts = NO_COUNTS
    this.timesMs = NO_TIMES
    this.givenMs = NO_TIMES
    this.ready = NO_BITS
    this.dirty = NO_BITS
  }

  /** Take in the next `records` offsets, all in one state and never delivered before. */
  append(records: number, state: SlotState, holder: number, timeMs: number, givenMs: number): void {
    const to = this.next + records
    if (to - this.floor > this.mask + 1) this.#grow(to - this.floor)
    this.dirty.clearRange(this.next, to)
    this.ready.clearRange(this.next, to)
    const { states, holders, counts, timesMs: times, givenMs: given, mask } = this
    let index = this.next & mask
    for (let left = records; left > 0; left--) {
      states[index] = state
      holders[index] = holder
      counts[index] = 0
      times[index] = timeMs
      given[index] = givenMs
      index = (index + 1) & mask
    }
    if (state === READY) for (let offset = this.next; offset < to; offset++) this.ready.set(offset)
    this.tally[state] = this.count(state) + records
    this.next = to
  }

  move(offset: number, state: SlotState): void {
    const index = offset & this.mask
    const old = this.states[index] as SlotState
    this.tally[old] = this.count(old) - 1
    this.tally[state] = this.count(state) + 1
    this.states[index] = state
    if (old === READY) this.ready.clear(offset)
    if (state !== READY) return
    this.ready.set(offset)
    if (offset < this.readyFrom) this.readyFrom = offset
  }

  /** Move the floor over what is acked. */
  advance(): void {
    if (this.count(ACKED) === 0) return
    const { states, mask, next } = this
    let floor = this.floor
    let index = floor & mask
    while (floor < next && states[index] === ACKED) {
      floor++
      index = (index + 1) & mask
    }
    this.tally[ACKED] = this.count(ACKED) - (floor - this.floor)
    this.floor = floor
  }

  #grow(span: number): void {
    assert(span <= SPAN_LIMIT, `a shared group asks for a window of ${span} records`)
    let capacity = Math.max(WORD, this.mask + 1)
    while (capacity < span) capacity *= 2
    const old = { ...this.#columns(), mask: this.mask }
    this.#allocate(capacity)
    for (let offset = this.floor; offset < this.next; offset++) {
      const from = offset & old.mask
      const to = offset & this.mask
      this.states[to] = old.states[from] as number
      this.holders[to] = old.holders[from] as number
      this.counts[to] = old.counts[from] as number
      this.timesMs[to] = old.timesMs[from] as number
      this.givenMs[to] = old.givenMs[from] as number
      if (old.ready.has(offset)) this.ready.set(offset)
      if (old.dirty.has(offset)) this.dirty.set(offset)
    }
  }

  #columns() {
    const { states, holders, counts, timesMs, givenMs, ready, dirty } = this
    return { states, holders, counts, timesMs, givenMs, ready, dirty }
  }

  #allocate(capacity: number): void {
    this.mask = capacity - 1
    this.states = new Uint8Array(capacity)
    this.holders = new Int32Array(capacity)
    this.counts = new Uint32Array(capacity)
    this.timesMs = new Float64Array(capacity)
    this.givenMs = new Float64Array(capacity)
    this.ready = new RingBits(capacity)
    this.dirty = new RingBits(capacity)
  }
}
