/**
 * A run through a compaction window: what is kept goes to the slab, what repeats a key is listed with the record
 * that it repeats.
 */
import { keyText } from '../model/key-text.js'
import type { RecordRun } from '../model/record.js'
import { recordBounds, recordKey } from '../model/run.js'
import type { AcceptedKey, CompactionWindow } from './compaction.js'
import type { Slab } from './slab.js'

export interface CompactedRun {
  /** Bytes that were copied to the slab, contiguous at its end. */
  readonly bytes: number
  readonly kept: number
  /** Indexes into the run of the records that were dropped, and what each repeats. */
  readonly duplicates: readonly number[]
  readonly repeated: readonly AcceptedKey[]
  /** Keys accepted now, with the place of their record among the kept ones. */
  readonly accepted: readonly { readonly key: AcceptedKey; readonly place: number }[]
}

export function compactRun(run: RecordRun, window: CompactionWindow, slab: Slab, nowMs: number): CompactedRun {
  const { buffer } = run
  const duplicates: number[] = []
  const repeated: AcceptedKey[] = []
  const accepted: { key: AcceptedKey; place: number }[] = []
  // Reserved as a whole first, so that the kept records are contiguous whatever is dropped between them.
  const start = slab.reserve(run.end - run.start)
  let used = start
  let kept = 0
  let position = run.start
  for (let index = 0; index < run.count; index++) {
    const bounds = recordBounds(buffer, position)
    const bytes = recordKey(buffer, bounds.start, bounds.end)
    const key = bytes === null ? null : keyText(bytes)
    const earlier = key === null ? null : window.find(key, nowMs)
    if (earlier !== null) {
      duplicates.push(index)
      repeated.push(earlier)
    } else {
      if (key !== null) accepted.push({ key: window.accept(key, nowMs), place: kept })
      used += buffer.copy(slab.buffer, used, position, bounds.end)
      kept++
    }
    position = bounds.end
  }
  slab.used = used
  return { bytes: used - start, kept, duplicates, repeated, accepted }
}
