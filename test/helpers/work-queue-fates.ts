/** What becomes of the records of the work queue in kill-work-queue.ts: told by their offsets alone. */

export const QUEUE_TOPIC = 'jobs'
export const QUEUE_FAILURES = 'jobs-failed'
export const QUEUE_DELIVERIES_MAX = 5

export type Fate = 'done' | 'retry' | 'reject'

export function fateOf(offset: number, deliveryCount: number): Fate {
  if (offset % 500 === 7) return 'reject'
  if (offset % 500 === 107) return 'retry'
  // Succeeds the second time.
  if (offset % 50 === 3 && deliveryCount === 0) return 'retry'
  return 'done'
}

/** Nobody ever manages to process it. */
export function isDoomed(offset: number): boolean {
  return fateOf(offset, 1) !== 'done'
}
