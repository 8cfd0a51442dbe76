/**
 * The limits that the broker obeys; config/schema.ts documents each and what happens at it.
 */
import type { TopicSettings } from '../model/topic.js'

export interface BrokerLimits {
  readonly topicsMax: number
  readonly compactionKeysMax: number
  readonly publishPendingBytesMax: number
  readonly publishWaitMs: number
  readonly maxFrameBytes: number
  readonly groupInFlightMax: number
  readonly groupSpanMax: number
  /** Settings of topics that a publish or a subscription creates. */
  readonly topicDefaults: TopicSettings
}
