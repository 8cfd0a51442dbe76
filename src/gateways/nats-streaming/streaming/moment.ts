/**
 * One moment on two clocks: the one that waits are measured with, which is another after a restart, and that of the wall, which
 * is the same.
 */
import type { Clock } from '../../../common/clock.js'

export interface Moment {
  readonly ms: number
  readonly wallMs: number
}

/** Where both clocks are the same. */
export const ORIGIN: Moment = { ms: 0, wallMs: 0 }

export function momentOf(clock: Clock): Moment {
  return { ms: clock.monotonic(), wallMs: clock.now() }
}
