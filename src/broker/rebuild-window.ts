/**
 * The compaction window of a partition after a start: the keys that the log accepted less than a window ago, each with
 * its offset and the time that has passed since. Called once for a partition, before anything is published to it.
 */
import type { Clock } from '../common/clock.js'
import { keyText } from '../model/key-text.js'
import { type Offset, toOffset } from '../model/offset.js'
import type { StoredBatch } from '../model/record.js'
import { recordBounds, recordKey } from '../model/run.js'
import type { Engine } from '../storage/engine.js'
import type { CompactionWindow } from './compaction.js'
import type { BrokerLimits } from './limits.js'
import type { TopicFacts } from './topic-facts.js'

/** How much is asked of the engine at once. */
const READ_BYTES = 1024 * 1024

/** Rejects as the engine does; what is lost to damage is not remembered. */
export async function rebuildWindow(
  window: CompactionWindow,
  topic: TopicFacts,
  partition: number,
  { engine, clock, limits }: { readonly engine: Engine; readonly clock: Clock; readonly limits: BrokerLimits },
): Promise<void> {
  const { name, settings } = topic
  const { logStart, end } = await engine.partition(name, partition)
  const young = await engine.resolve(name, partition, { kind: 'age', ageMs: settings.compactionWindowMs })
  // A window forgets what is beyond its bound in keys, and a record has one at most.
  let next = toOffset(Math.max(logStart, young, end - limits.compactionKeysMax))
  if (next >= end) return
  const cursor = await engine.read(name, partition, next)
  const { signal } = new AbortController()
  try {
    while (next < end) {
      const chunk = await cursor.next(READ_BYTES, signal)
      if (chunk.kind === 'batches') for (const batch of chunk.batches) acceptKeys(window, batch, next, clock)
      next = chunk.kind === 'lost' ? chunk.loss.to : chunk.next
    }
  } finally {
    cursor.close()
  }
}

/** Records from offset `from` on. A time in the future, from before the clock was set back, is taken for now. */
function acceptKeys(window: CompactionWindow, batch: StoredBatch, from: Offset, clock: Clock): void {
  const { body, baseOffset, count, timestampMs } = batch
  const acceptedMs = clock.monotonic() - Math.max(0, clock.now() - timestampMs)
  let position = 0
  for (let index = 0; index < count; index++) {
    const bounds = recordBounds(body, position)
    const key = baseOffset + index < from ? null : recordKey(body, bounds.start, bounds.end)
    if (key !== null) window.accept(keyText(key), acceptedMs).offset = baseOffset + index
    position = bounds.end
  }
}
