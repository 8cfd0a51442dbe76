/**
 * What a timer that comes late says: the process stood still, and what members have sent meanwhile lies unread. Nobody is
 * taken for silent because of it: they get as much longer, and a moment for what they sent to be read.
 */

/** Less is the noise of a busy process. */
export const STALL_MS = 100
export const STALL_GRACE_MS = 250

export class StallGrace {
  #isGiven = false

  /** By how much all waits are to be put off; 0 for a timer that is in time, and for one that is late again. */
  graceFor(lateMs: number): number {
    this.#isGiven = lateMs > STALL_MS && !this.#isGiven
    return this.#isGiven ? lateMs + STALL_GRACE_MS : 0
  }
}
