/**
 * Which way to consume the options of a subscription ask for, and what its end means. Called by subscription.ts.
 */
import {
  ClosedError,
  FencedError,
  GroupNotFoundError,
  type LeveretError,
  TopicNotFoundError,
} from '../src/common/errors.js'
import { CursorReading } from './cursor-reading.js'
import { PositionedReading } from './positioned-reading.js'
import type { Reading, ReadingHost } from './reading.js'
import { SharedReading } from './shared-reading.js'

const MEMBER_ID_BYTES = 8

/** The options are known to fit together. */
export function readingOf<T>(host: ReadingHost<T>, isShared: boolean): Reading<T> {
  const { name, group, member: given, takeOver = false } = host.options
  const key = name ?? group
  if (key === undefined) return new CursorReading(host)
  // Kept over reconnects, so that it takes its own place over and waits for nobody.
  const member = given ?? host.context.settings.random.id(MEMBER_ID_BYTES)
  if (isShared) return new SharedReading(host, { mode: 'shared', group: key, member, takeOver })
  const mode = name === undefined ? 'partitioned' : 'cursor'
  return new PositionedReading(host, { mode, group: key, member, takeOver })
}

/** `reason` is what the server said. */
export function endedBy(reason: string, topic: string, group: string): LeveretError {
  switch (reason) {
    case 'topic-deleted':
      return new TopicNotFoundError(topic)
    case 'taken-over':
      return new FencedError(`another one reads "${topic}" as "${group}" now`, { topic })
    case 'group-deleted':
      return new GroupNotFoundError(`"${group}" of topic "${topic}" was deleted`, { topic })
    default:
      return new ClosedError(`the server ended the subscription: ${reason}`)
  }
}
