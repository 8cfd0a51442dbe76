/**
 * A topic as the local engine holds it: what of it is in use.
 */
import type { TopicSettings } from '../../model/topic.js'
import type { LocalGroups } from './local-groups.js'
import type { LocalPartition } from './local-partition.js'

export interface LocalTopic {
  readonly name: string
  settings: TopicSettings
  /** Null until one is used: a server may hold a million topics. */
  partitions: (LocalPartition | undefined)[] | null
  /** Until the store has it: one of its name that is being dropped may still be there. */
  creating: Promise<void> | null
  /** From the first group that is used. */
  groups: LocalGroups | null
}

export function newTopic(name: string, settings: TopicSettings): LocalTopic {
  return { name, settings, partitions: null, creating: null, groups: null }
}

/** Whoever uses it is told. */
export function closeTopic(topic: LocalTopic, reason: Error): void {
  topic.groups?.close(reason)
  for (const partition of topic.partitions ?? []) partition?.close(reason)
}
