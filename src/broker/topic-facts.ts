/**
 * What the parts of a topic know about it. The topic holds its parts, so they see it through this and not the
 * other way round.
 */
import type { TopicSettings } from '../model/topic.js'

export interface TopicFacts {
  readonly name: string
  /** The name as the wire writes it. */
  readonly nameBytes: Buffer
  readonly settings: TopicSettings
  /** False for retention `none`. */
  readonly keepsRecords: boolean
  readonly retentionAgeMs: number | null
}
