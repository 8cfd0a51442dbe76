/**
 * What a partition is told about by its topic, and what it tells the catalog of itself.
 */
import { join } from 'node:path'
import type { Durability } from '../../model/topic.js'
import { Place } from './batch-format.js'
import type { Catalog } from './catalog.js'
import type { TopicEntry } from './catalog-lines.js'
import { GROUP_LOG, topicDirectory } from './file-names.js'
import type { PartitionName } from './log-context.js'
import type { SpareRoom } from './spare-room.js'

/** Offsets set aside at once for a partition that keeps nothing. */
const RESERVE_OFFSETS = 1024 * 1024

export interface PartitionPlan {
  readonly name: PartitionName
  readonly place: Place
  readonly directory: string
  /** The level that the topic promises now. */
  durability(): Durability
  /** The topic keeps only the newest record of each key, now. */
  keepsLatest(): boolean
  /** The store was closed cleanly the last time. */
  readonly wasClosed: boolean
  /** Offsets below this may have been given out without a record in the log. */
  reservedEnd(): number
  /** Where the topic began to keep nothing, the last time, or null: what was there then is dropped. */
  droppedFrom(): number | null
  /** Base of its first segment since then, or null if it never had one. */
  begunAt(): number | null
  /** It has its first segment. */
  begin(base: number): void
  /** As `reserve`, for a partition whose records below `from` are dropped with it; resolves when that is certain. */
  reserveInstead(from: number): Promise<void>
  /** Offsets up to here will be given out without a record in the log. */
  reserve(end: number): void
}

interface Surroundings {
  readonly catalog: Catalog
  readonly data: string
  readonly room: SpareRoom
  readonly wasClosed: boolean
}

export function partitionPlan(
  { catalog, data, room, wasClosed }: Surroundings,
  { name: topic, id }: Pick<TopicEntry, 'name' | 'id'>,
  partition: number,
): PartitionPlan {
  // One of this name that came after it is another one.
  const entry = () => {
    const found = catalog.state.topics.get(topic)
    return found?.id === id ? found : undefined
  }
  const isGroupLog = partition === GROUP_LOG
  const reservedNow = () => entry()?.reserved.get(partition) ?? 0
  let reserved = reservedNow()
  let isReserving = false
  const reserve = async (end: number): Promise<void> => {
    isReserving = true
    try {
      await catalog.reserve(id, partition, end)
      reserved = Math.max(reserved, end)
    } catch {
      // It is tried again with the next offset that is given out.
    } finally {
      isReserving = false
    }
  }
  return {
    name: { topic, partition },
    place: new Place(catalog.state.data, id, partition),
    directory: join(topicDirectory(data, topic, id), String(partition)),
    wasClosed,
    // What groups remember is as safe as can be, and none of it is superseded.
    durability: () => (isGroupLog ? 'disk' : (entry()?.settings.durability ?? 'disk')),
    keepsLatest: () => !isGroupLog && entry()?.settings.keepLatestPerKey === true,
    reservedEnd: reservedNow,
    droppedFrom: () => entry()?.dropped.get(partition) ?? null,
    begunAt: () => entry()?.begun.get(partition) ?? null,
    begin: (base) => catalog.begin(id, partition, base),
    reserveInstead: async (from) => {
      const end = Math.max(reserved, from + RESERVE_OFFSETS)
      await room.within(() => catalog.reserveInstead(id, partition, end, from))
      reserved = end
    },
    reserve: (end) => {
      if (end > reserved && !isReserving) void reserve(end + RESERVE_OFFSETS)
    },
  }
}
