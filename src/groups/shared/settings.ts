/**
 * The settings of a shared group and the words that its machine speaks to a caller.
 */
import type { Offset } from '../../model/offset.js'

export interface SharedSettings {
  /** How long a member may keep a record without a word, 1 or more. A change counts for what is given out after it. */
  readonly ackWaitMs: number
  /** Records given out and not done with, all members together, 1 or more. */
  readonly inFlightMax: number
  /** Records between the floor and the highest one that was given out, `inFlightMax` or more: one record that nobody acks holds up the group when so many lie above it. */
  readonly spanMax: number
  /** A record that was delivered so often is dead. Null: never. */
  readonly maxDeliveries: number | null
  /**
   * How long a record rests after its first, second, ... failed delivery; the last one holds for all further ones.
   * For expired records and for retries without a delay of their own; absent: not at all.
   */
  readonly backoffMs?: readonly number[]
}

/** Offsets [from, to). */
export interface Range {
  readonly from: Offset
  readonly to: Offset
}

/** Records that a member has got. */
export interface Taken extends Range {
  /** Seeks before it that kept leases: with the offset it names the lease. */
  readonly era: number
  /** 0 at the first delivery. */
  readonly deliveryCount: number
}

/** What somebody who takes now gets first. */
export interface Offer {
  readonly from: Offset
  /** Records that there are to be had now, about: what stands in the way of some is seen when they are taken. */
  readonly records: number
}

/** What a member says of records that it has. */
export type Verdict =
  | { readonly kind: 'ack' }
  /** Again, after the delay; null: after what the back-off says. */
  | { readonly kind: 'retry'; readonly delayMs: number | null }
  /** Never again: a dead letter. */
  | { readonly kind: 'reject'; readonly reason: string }
  /** Not looked at: due again at once, and its delivery counts for nothing. */
  | { readonly kind: 'release' }
  /** Still at it: the ack wait begins anew. */
  | { readonly kind: 'extend' }

/** Verdicts without words of their own, so that nobody makes one per record. */
export const ACK: Verdict = { kind: 'ack' }
export const EXTEND: Verdict = { kind: 'extend' }

/** A record for the dead-letter topic. */
export interface DeadRecord {
  readonly offset: Offset
  /** `max-deliveries`, or what the member said that rejected it. */
  readonly reason: string
  /** How often it was given out. */
  readonly deliveries: number
}

export interface MemberFacts {
  readonly member: number
  readonly held: number
  /** Its leases that ran out. */
  readonly expired: number
  /** When a verdict of it last counted; null: never. With `held` this tells who has work and says nothing. */
  readonly lastVerdictMs: number | null
}

/** What happened since the machine was made. */
export interface SharedCounters {
  acked: number
  retried: number
  rejected: number
  released: number
  /** Verdicts on records that the member did not have, counted by record. */
  stale: number
  /** Records given out that had been given out before. */
  redeliveries: number
  /** Leases that ran out. */
  expired: number
  /** Dead letters that were written. */
  deadLetters: number
  /** Takes that got fewer records than they might have because the window was at `spanMax`. */
  spanStalls: number
  /** Records that the limits of the topic removed before they were done with. */
  skipped: number
}

export interface SharedFacts extends Readonly<SharedCounters> {
  readonly paused: boolean
  /** Everything below is done with. */
  readonly floor: Offset
  /** One beyond the highest record that was given out. */
  readonly next: Offset
  /** Given out and not done with: held, due, waiting and dead. */
  readonly inFlight: number
  readonly held: number
  /** To be given out again now. */
  readonly due: number
  /** To be given out again later. */
  readonly waiting: number
  /** Dead letters that are not written yet. */
  readonly dead: number
  /** Records that are not done with, those that were never given out included. */
  readonly lag: number
  /** The lowest record in flight, and when it was first given out (after a restart: first since; null: not yet). */
  readonly oldest: { readonly offset: Offset; readonly sinceMs: number | null } | null
  readonly members: readonly MemberFacts[]
}
