/**
 * Where a subscription begins: the sequence after which it gets messages, as its client asked for it.
 */
import type { Broker } from '../../../broker/broker.js'
import type { ReaderListener } from '../../../broker/partition-reader.js'
import type { Clock } from '../../../common/clock.js'
import { EARLIEST, type Start } from '../../../model/topic.js'
import {
  START_FIRST,
  START_LAST_RECEIVED,
  START_SEQUENCE,
  START_TIME_DELTA,
  type SubscriptionRequest,
} from './messages.js'

const LATEST: Start = { kind: 'latest' }
const LAST: Start = { kind: 'last' }
const NS_PER_MS = 1_000_000
const DEAF: ReaderListener = { readable: () => undefined, grown: (reader) => reader.close() }

/** The channel must exist. */
export async function lastSentOf(broker: Broker, clock: Clock, request: SubscriptionRequest): Promise<number> {
  const { channel } = request
  const { partitions } = await broker.describeTopic(channel)
  const { logStart, end } = partitions[0] ?? { logStart: 0, end: 0 }
  const start = startOf(request, logStart, end, clock.now())
  const [reader] = await broker.subscribe(channel, start, null, DEAF)
  const next = reader?.next ?? 0
  reader?.close()
  // The offset of a record is the sequence of the one before it.
  return Math.max(next, logStart)
}

function startOf(request: SubscriptionRequest, logStart: number, end: number, nowMs: number): Start {
  const { startPosition, startSequence, startTimeDeltaNs } = request
  switch (startPosition) {
    case START_FIRST:
      return EARLIEST
    case START_LAST_RECEIVED:
      return LAST
    case START_TIME_DELTA:
      // Now, or later: only what is new.
      return startTimeDeltaNs <= 0
        ? LATEST
        : { kind: 'time', timeMs: Math.max(0, Math.floor(nowMs - startTimeDeltaNs / NS_PER_MS)) }
    case START_SEQUENCE:
      // It does not wait for a message that is not there yet.
      if (startSequence > end) return LATEST
      return startSequence <= logStart ? EARLIEST : { kind: 'offset', offset: startSequence - 1 }
    default:
      return LATEST
  }
}
