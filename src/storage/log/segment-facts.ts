/**
 * The segments of a partition as those see them who decide what is kept: where each begins and ends, in offsets and in time.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import type { SegmentInfo } from '../../model/segment-info.js'
import type { LogReader } from './log-reader.js'
import type { Segment } from './segment.js'
import type { SegmentList } from './segment-list.js'

interface Described {
  readonly segments: SegmentList
  readonly reader: LogReader
  readonly end: Offset
  readonly lastTimestampMs: number
}

/** Of its first batch; null when there is none. */
export async function firstTimestamp(segment: Segment, reader: LogReader): Promise<number | null> {
  segment.firstTimestampMs ??= (await reader.find(segment, 0, () => true))?.header.timestampMs ?? null
  return segment.firstTimestampMs
}

/** What is dropped meanwhile is missing, or was there. */
export async function describeSegments(log: Described): Promise<SegmentInfo[]> {
  const all = [...log.segments.all]
  const infos: SegmentInfo[] = []
  for (const [index, segment] of all.entries()) {
    const next = all[index + 1]
    try {
      const isEmpty = segment.size === 0
      const firstMs = isEmpty ? null : await firstTimestamp(segment, log.reader)
      const lastMs = next === undefined ? log.lastTimestampMs : (await segment.end()).timestampMs
      const end = toOffset(next?.base ?? log.end)
      infos.push({ base: segment.base, end, bytes: segment.size, firstMs, lastMs: isEmpty ? null : lastMs })
    } catch (error) {
      if (!segment.isRetired) throw error
    }
  }
  return infos
}
