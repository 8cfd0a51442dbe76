/**
 * What a subscription is told when its records end, whatever the reason is called on this side.
 */
import { LeveretError } from '../common/errors.js'
import type { EndedReason } from '../protocol/frames.js'

export function endedReason(error: Error | null): EndedReason {
  switch (error instanceof LeveretError ? error.code : null) {
    case 'LVT_FENCED':
      return 'taken-over'
    case 'LVT_GROUP_NOT_FOUND':
      return 'group-deleted'
    case 'LVT_TOPIC_NOT_FOUND':
      return 'topic-deleted'
    default:
      return 'failed'
  }
}
