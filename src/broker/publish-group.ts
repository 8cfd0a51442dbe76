/**
 * Publishes on their way through one append, and the settling of each with a receipt of its own.
 */
import { LeveretError, UnavailableError } from '../common/errors.js'
import { keyText } from '../model/key-text.js'
import { recordBounds, recordKey } from '../model/run.js'
import type { PublishHow, Receipt } from '../storage/engine.js'
import type { CompactedRun } from './compact-run.js'
import type { CompactionWindow } from './compaction.js'
import type { PublishSink } from './publish.js'
import type { TopicFacts } from './topic-facts.js'

/** One accepted publish: its kept records are `slab[start, end)`. */
export class PendingPublish {
  readonly slab: Buffer
  readonly start: number
  readonly end: number
  /** Records as published, duplicates included. */
  readonly count: number
  readonly how: PublishHow
  readonly sink: PublishSink
  readonly token: number
  readonly compacted: CompactedRun | null
  /** Its sequence was published before to a topic with a compaction window: all records are here, kept or not. */
  readonly isRepeated: boolean

  constructor(
    slab: Buffer,
    start: number,
    end: number,
    count: number,
    how: PublishHow,
    sink: PublishSink,
    token: number,
    compacted: CompactedRun | null,
    isRepeated: boolean,
  ) {
    this.slab = slab
    this.start = start
    this.end = end
    this.count = count
    this.how = how
    this.sink = sink
    this.token = token
    this.compacted = compacted
    this.isRepeated = isRepeated
  }

  get bytes(): number {
    return this.end - this.start
  }

  get kept(): number {
    return this.compacted === null ? this.count : this.compacted.kept
  }
}

/** Publishes appended together. Exactly one of `receipt` and `error` is set once it is settled. */
export interface AppendGroup {
  readonly publishes: readonly PendingPublish[]
  readonly count: number
  readonly bytes: number
  readonly body: Buffer | null
  receipt: Receipt | null
  error: LeveretError | null
}

/** Tell each publisher of the group what became of its records. */
export function settleGroup(
  topic: TopicFacts,
  partition: number,
  { publishes, receipt, error }: AppendGroup,
  window: CompactionWindow | null,
): void {
  let place = 0
  // One receipt for all of the group, filled in anew for each: sinks do not keep it.
  const durability = receipt?.durability ?? 'memory'
  const plain = { partition, baseOffset: 0, count: 0, durability, duplicates: null, keptOffsets: null, parts: null }
  for (const publish of publishes) {
    const { compacted, token } = publish
    if (receipt === null) {
      if (compacted !== null && window !== null) for (const { key } of compacted.accepted) window.reject(key)
      publish.sink.publishFailed(token, topic, error ?? new UnavailableError('the append was given up'))
      continue
    }
    const baseOffset = receipt.baseOffset + place
    place += publish.kept
    if (publish.isRepeated && window !== null) settleRepeated(topic, partition, publish, receipt, window)
    else if (compacted !== null) settleCompacted(topic, partition, publish, compacted, baseOffset, receipt)
    else if (token !== 0) {
      plain.baseOffset = baseOffset
      plain.count = publish.count
      publish.sink.published(token, topic, plain)
    }
  }
}

/**
 * The first receipt again: what was dropped then is told from where the window knows the keys. A record whose key it has
 * forgotten since is taken for one that was kept.
 */
function settleRepeated(
  topic: TopicFacts,
  partition: number,
  { slab, start, count, sink, token }: PendingPublish,
  { baseOffset, durability }: Receipt,
  window: CompactionWindow,
): void {
  if (token === 0) return
  const duplicates: number[] = []
  const keptOffsets: number[] = []
  let kept = 0
  let position = start
  for (let index = 0; index < count; index++) {
    const bounds = recordBounds(slab, position)
    const key = recordKey(slab, bounds.start, bounds.end)
    const offset = key === null ? -1 : (window.known(keyText(key))?.offset ?? -1)
    if (offset >= 0 && offset < baseOffset + kept) {
      duplicates.push(index)
      keptOffsets.push(offset)
    } else kept++
    position = bounds.end
  }
  const hasDuplicates = duplicates.length > 0
  sink.published(token, topic, {
    partition,
    baseOffset,
    count: kept,
    durability,
    duplicates: hasDuplicates ? duplicates : null,
    keptOffsets: hasDuplicates ? keptOffsets : null,
    parts: null,
  })
}

function settleCompacted(
  topic: TopicFacts,
  partition: number,
  publish: PendingPublish,
  { accepted, kept, duplicates, repeated }: CompactedRun,
  baseOffset: number,
  { durability }: Receipt,
): void {
  for (const { key, place } of accepted) key.offset = baseOffset + place
  if (repeated.some((key) => key.failed)) {
    const message = 'a record that this publish repeats could not be appended after all'
    // The records that were no duplicates are appended, so a repetition would not be harmless.
    const code = kept === 0 ? 'LVT_UNAVAILABLE' : 'LVT_IN_DOUBT'
    publish.sink.publishFailed(publish.token, topic, new LeveretError(code, message, { topic: topic.name }))
    return
  }
  if (publish.token === 0) return
  const hasDuplicates = duplicates.length > 0
  publish.sink.published(publish.token, topic, {
    partition,
    baseOffset: kept === 0 ? 0 : baseOffset,
    count: kept,
    durability,
    duplicates: hasDuplicates ? duplicates : null,
    keptOffsets: hasDuplicates ? repeated.map((key) => key.offset) : null,
    parts: null,
  })
}

export function sumBytes(publishes: readonly PendingPublish[]): number {
  let bytes = 0
  for (const publish of publishes) bytes += publish.bytes
  return bytes
}
