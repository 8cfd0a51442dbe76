/**
 * Whether to wait for a sync in place. Where a device syncs in some ten microseconds, handing the call to a thread and being
 * told of its end takes as long as the sync itself; where it does not, waiting in place would hold up everybody else.
 * So it is done only after a long row of fast syncs, for little data, and the first slow one ends it.
 */

/** What a fast sync takes at most, its way to a thread and back included. */
const FAST_MS = 0.4
/** So many in a row, before one is waited for in place. */
const ROW = 64
/** With more than this to be synced a thread does it, whatever the device. */
export const IN_PLACE_BYTES_MAX = 32 * 1024

export class SyncPace {
  #row = 0

  get isFast(): boolean {
    return this.#row >= ROW
  }

  /** A sync of little data took so long. */
  note(tookMs: number): void {
    this.#row = tookMs <= FAST_MS ? this.#row + 1 : 0
  }
}
