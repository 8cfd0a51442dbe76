/**
 * The batches of one sealed segment for log compaction, opened if they are sealed, with a look at whether all of the
 * segment is there: one that is damaged is left as it is, and so is the gap between two that do not touch.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import { recordBounds } from '../../model/run.js'
import {
  type BatchHeader,
  batchBytes,
  batchEnd,
  FLAG_COMPACTED,
  FLAG_END,
  FLAG_SEALED,
  HEADER_BYTES,
  sealedFacts,
} from './batch-format.js'
import { scanBatches } from './batch-walk.js'
import { type Keyring, SEAL_BYTES, UnsealError } from './keyring.js'
import type { Segment } from './segment.js'

/** A batch while it is looked at: `body` is void afterwards. */
export interface OpenBatch {
  readonly header: BatchHeader
  readonly body: Buffer
}

export interface WalkedSegment {
  /** Everything from its base offset to `end` is there, or was superseded. */
  readonly isIntact: boolean
  /** One beyond the last offset; where a walk stopped early, of the last batch that was visited. */
  readonly end: Offset
  readonly lastTimestampMs: number
}

/** `pause` waits for the other callback before it goes on, `stop` ends the walk before the batch. */
export type Visited = 'on' | 'pause' | 'stop'

/**
 * Visit the batches of a segment whose last offset is below `next`, the base offset of its neighbour. Rejects with the
 * system's error.
 */
export async function walkSegment(
  segment: Segment,
  keyring: Keyring | null,
  next: Offset,
  visit: (batch: OpenBatch) => Visited,
  paused: () => Promise<void>,
): Promise<WalkedSegment> {
  let end = segment.base
  let lastTimestampMs = 0
  let position = 0
  let state = 'on' as Visited | 'damaged'
  const pinned = segment.pin()
  try {
    while (position < segment.size && (state === 'on' || state === 'pause')) {
      if (state === 'pause') await paused()
      state = 'on' as Visited | 'damaged'
      const stop = await scanBatches(pinned.file, segment.place, position, segment.size, (header, _, buffer, at) => {
        const isSuperseded = (header.flags & (FLAG_COMPACTED | FLAG_END)) !== 0
        const isNext = header.baseOffset === end || (isSuperseded && header.baseOffset > end)
        const body = isNext && batchEnd(header) <= next ? openBody(buffer, at, header, keyring) : null
        state = body === null ? 'damaged' : visit({ header, body })
        if (state === 'damaged' || state === 'stop') return false
        end = batchEnd(header)
        lastTimestampMs = Math.max(lastTimestampMs, header.timestampMs)
        return state === 'on'
      })
      position = stop.position
      if (stop.kind === 'bad') state = 'damaged'
      // Space set aside that was not cut, most likely; where the batches end decides.
      if (stop.kind === 'zeros') break
    }
  } finally {
    pinned.release()
  }
  return { isIntact: state !== 'damaged' && (state === 'stop' || end === next), end, lastTimestampMs }
}

/** Told of each record of a run: where it stands in the body, and where its content begins. */
export type VisitRecord = (offset: Offset, start: number, contentStart: number, end: number) => void

export function eachRecord({ header, body }: OpenBatch, visit: VisitRecord): void {
  let position = 0
  for (let index = 0; index < header.count; index++) {
    const { start, end } = recordBounds(body, position)
    visit(toOffset(header.baseOffset + index), position, start, end)
    position = end
  }
}

/** Null for a body that its key does not open. */
function openBody(buffer: Buffer, at: number, header: BatchHeader, keyring: Keyring | null): Buffer | null {
  const body = buffer.subarray(at + header.headerBytes, at + batchBytes(header))
  if ((header.flags & FLAG_SEALED) === 0) return body
  if (keyring === null) return null
  try {
    const extension = buffer.subarray(at + HEADER_BYTES, at + HEADER_BYTES + SEAL_BYTES)
    return keyring.open(extension, body, sealedFacts(buffer, at))
  } catch (error) {
    if (error instanceof UnsealError) return null
    throw error
  }
}
