/**
 * The Commits that a subscription sends. Called by the readings.
 */
import type { CommitFrame } from '../src/protocol/frames.js'
import type { Verdict } from './received-record.js'

/** Everything up to `offset` is consumed, itself included. `generation` is that of a partition that was assigned, else 0. */
export function upTo(
  id: number,
  subscription: number,
  partition: number,
  offset: number,
  generation: number,
): CommitFrame {
  const plain = { offsets: [], outcome: 'ack', delayMs: 0, reason: '' } as const
  return { kind: 'commit', id, subscription, partition, offset, generation, ...plain }
}

/** What a member of a group says of single records. */
export function verdictOn(
  id: number,
  subscription: number,
  partition: number,
  offsets: readonly number[],
  { outcome, delayMs, reason }: Verdict,
): CommitFrame {
  const said = { outcome, delayMs, reason, generation: 0 }
  return { kind: 'commit', id, subscription, partition, offset: null, offsets, ...said }
}

/** What the assignment of this generation took away is let go of. */
export function letGo(subscription: number, generation: number): CommitFrame {
  const plain = { offset: null, offsets: [], outcome: 'ack', delayMs: 0, reason: '' } as const
  return { kind: 'commit', id: 0, subscription, partition: 0, generation, ...plain }
}
