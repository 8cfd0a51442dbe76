/**
 * The Commits that a subscription sends. Called by subscription.ts.
 */
import type { CommitFrame, Outcome } from '../src/protocol/frames.js'

/** Everything up to `offset` is consumed, itself included. */
export function upTo(id: number, subscription: number, partition: number, offset: number): CommitFrame {
  const plain = { offsets: [], outcome: 'ack', delayMs: 0, generation: 0, reason: '' } as const
  return { kind: 'commit', id, subscription, partition, offset, ...plain }
}

const SAID = { generation: 0, reason: '' } as const

/** What a member of a group says of single records. */
export function verdictOn(
  id: number,
  subscription: number,
  partition: number,
  offsets: readonly number[],
  outcome: Outcome,
  delayMs: number,
): CommitFrame {
  return { kind: 'commit', id, subscription, partition, offset: null, offsets, outcome, delayMs, ...SAID }
}
