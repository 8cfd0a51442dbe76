/**
 * What a shared group remembers for ever, as plain facts: the ack floor, what is acked above it, how often what is not
 * acked was delivered, what was rejected, and whether it is paused. Who holds what until when is not among them, so after a crash whatever
 * was in flight is given out again.
 *
 * A snapshot is a list of the same facts, told to a machine that knows nothing: one format for a log and its beginning.
 */
import { assert } from '../../common/assert.js'
import { type Offset, toOffset } from '../../model/offset.js'
import { ACKED, NOBODY, READY, type SlotWindow, SPAN_LIMIT } from './slot-window.js'

/** Ranges are [from, to). Each fact may be applied twice: the second time it says nothing new. */
export type Change =
  /** Begin at this offset, and forget everything before this fact. */
  | { readonly kind: 'seek'; readonly offset: Offset }
  /** Records below are gone from the log: there is nothing left to do for them. */
  | { readonly kind: 'purged'; readonly logStart: Offset }
  | { readonly kind: 'acked'; readonly from: Offset; readonly to: Offset }
  /** Given back or expired: the next delivery of these records says `count`. */
  | { readonly kind: 'redelivered'; readonly from: Offset; readonly to: Offset; readonly count: number }
  /** No member gets it any more: a dead letter is to be made of it. */
  | { readonly kind: 'rejected'; readonly offset: Offset; readonly reason: string }
  | { readonly kind: 'paused'; readonly paused: boolean }
  /** In flight when a seek went elsewhere and kept what was: they are given out again, wherever the group is. */
  | { readonly kind: 'aside'; readonly era: number; readonly from: Offset; readonly to: Offset }
  /** Of those: done with. */
  | { readonly kind: 'aside-done'; readonly era: number; readonly from: Offset; readonly to: Offset }

/** Add what happened to slots since the last call, and forget that it was news. */
export function drainSlots(window: SlotWindow, changes: Change[]): void {
  const { floor, next, dirty } = window
  let from = window.nextMarked(floor)
  while (from < next) {
    let to = from + 1
    while (to < next && dirty.has(to) && isAlike(window, from, to)) to++
    changes.push(factOf(window, from, to))
    from = window.nextMarked(to)
  }
  window.unmark()
}

/** Add everything that slots have to remember. */
export function describeSlots(window: SlotWindow, changes: Change[]): void {
  let from = window.floor
  while (from < window.next) {
    let to = from + 1
    while (to < window.next && isAlike(window, from, to)) to++
    if (isAcked(window, from) || countAt(window, from) > 0) changes.push(factOf(window, from, to))
    from = to
  }
}

/** Replay: what lies between the old end of the window and an acked range was given out once, and is due. */
export function applyAcked(window: SlotWindow, from: number, to: number): void {
  if (from <= window.floor && to >= window.next) {
    window.reset(to)
    return
  }
  includeUpTo(window, to)
  for (let offset = Math.max(from, window.floor); offset < to; offset++) window.move(offset, ACKED)
  window.advance()
}

/** Replay. The count of what is acked means nothing. */
export function applyCounts(window: SlotWindow, change: Change & { kind: 'redelivered' }, onCounted: OnCounted): void {
  includeUpTo(window, change.to)
  for (let offset = Math.max(change.from, window.floor); offset < change.to; offset++) {
    window.counts[offset & window.mask] = change.count
    onCounted(offset)
  }
}

type OnCounted = (offset: number) => void

export function includeUpTo(window: SlotWindow, to: number): void {
  assert(to - window.floor <= SPAN_LIMIT, `facts of a shared group span ${to - window.floor} records`)
  if (to > window.next) window.append(to - window.next, READY, NOBODY, 0, Number.NaN)
}

function factOf(window: SlotWindow, from: number, to: number): Change {
  const range = { from: toOffset(from), to: toOffset(to) }
  if (isAcked(window, from)) return { kind: 'acked', ...range }
  return { kind: 'redelivered', ...range, count: countAt(window, from) }
}

/** Whether one fact says it of both. */
function isAlike(window: SlotWindow, one: number, other: number): boolean {
  if (isAcked(window, one)) return isAcked(window, other)
  return !isAcked(window, other) && countAt(window, one) === countAt(window, other)
}

function isAcked(window: SlotWindow, offset: number): boolean {
  return window.states[offset & window.mask] === ACKED
}

function countAt(window: SlotWindow, offset: number): number {
  return window.counts[offset & window.mask] as number
}
