/**
 * Messages that wait for their acks, in the two orders that matter: by sequence within a group, and by the time of the
 * next redelivery within a subscription. Both are linked lists, because both are nearly sorted as they come: sending,
 * acking and sending again cost the same whether ten wait or sixteen thousand.
 */
import type { DeliveryGroup, PendingMessage } from './subscription.js'

export class Pending<Holder> implements PendingMessage {
  readonly group: DeliveryGroup
  readonly sequence: number
  /** Null while its group is offline. */
  holder: Holder | null
  /** When its ack was, or is, to be there; the next deadline counts from here. */
  expiryMs: number
  /** When to send it again, in the order of its list. */
  dueMs: number
  redeliveries = 0
  /** Its record is being looked up, and it is in nobody's list of what is due. */
  isOut = false
  /** It was pending when its subscription came back: it goes there first of all, and new messages wait for it. */
  isPinned = false
  before: Pending<Holder> | null = null
  after: Pending<Holder> | null = null
  sooner: Pending<Holder> | null = null
  later: Pending<Holder> | null = null

  constructor(group: DeliveryGroup, sequence: number, holder: Holder | null, dueMs: number) {
    this.group = group
    this.sequence = sequence
    this.holder = holder
    this.expiryMs = dueMs
    this.dueMs = dueMs
  }
}

/** All of a group, by sequence. Only ever grows at its end. */
export class SequenceList<Holder> {
  readonly #bySequence = new Map<number, Pending<Holder>>()
  #first: Pending<Holder> | null = null
  #last: Pending<Holder> | null = null

  get size(): number {
    return this.#bySequence.size
  }

  get first(): Pending<Holder> | null {
    return this.#first
  }

  get(sequence: number): Pending<Holder> | undefined {
    return this.#bySequence.get(sequence)
  }

  append(entry: Pending<Holder>): void {
    this.#bySequence.set(entry.sequence, entry)
    entry.before = this.#last
    if (this.#last === null) this.#first = entry
    else this.#last.after = entry
    this.#last = entry
  }

  /** False when it was not there. */
  remove(entry: Pending<Holder>): boolean {
    if (this.#bySequence.get(entry.sequence) !== entry) return false
    this.#bySequence.delete(entry.sequence)
    if (entry.before === null) this.#first = entry.after
    else entry.before.after = entry.after
    if (entry.after === null) this.#last = entry.before
    else entry.after.before = entry.before
    entry.before = null
    entry.after = null
    return true
  }
}

/** Those of one subscription, by when they are due; what is due at once by sequence, however often it was taken out and put back. */
export class DueList<Holder> {
  #first: Pending<Holder> | null = null
  #last: Pending<Holder> | null = null
  /** Where the last one went that did not go to an end: its neighbours tend to follow. */
  #finger: Pending<Holder> | null = null

  get first(): Pending<Holder> | null {
    return this.#first
  }

  insert(entry: Pending<Holder>): void {
    const first = this.#first
    if (this.#last === null || isBefore(this.#last, entry)) this.#link(entry, this.#last)
    else if (first === null || isBefore(entry, first)) this.#link(entry, null)
    else {
      let at = this.#finger ?? first
      while (isBefore(entry, at) && at.sooner !== null) at = at.sooner
      while (at.later !== null && isBefore(at.later, entry)) at = at.later
      this.#link(entry, at)
      this.#finger = entry
    }
  }

  remove(entry: Pending<Holder>): void {
    if (this.#finger === entry) this.#finger = entry.sooner ?? entry.later
    if (entry.sooner === null) this.#first = entry.later
    else entry.sooner.later = entry.later
    if (entry.later === null) this.#last = entry.sooner
    else entry.later.sooner = entry.sooner
    entry.sooner = null
    entry.later = null
  }

  #link(entry: Pending<Holder>, sooner: Pending<Holder> | null): void {
    const later = sooner === null ? this.#first : sooner.later
    entry.sooner = sooner
    entry.later = later
    if (sooner === null) this.#first = entry
    else sooner.later = entry
    if (later === null) this.#last = entry
    else later.sooner = entry
  }
}

function isBefore(one: Pending<unknown>, other: Pending<unknown>): boolean {
  return one.dueMs === other.dueMs ? one.sequence < other.sequence : one.dueMs < other.dueMs
}
