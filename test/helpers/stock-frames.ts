/**
 * Frames of src/protocol in the words of the published contract, written a second time and by hand: what the stock
 * library is given to encode, so that its bytes can be compared with ours.
 */

import type { RecordRun } from '../../src/model/record.js'
import type { Durability, Start, TopicSettings } from '../../src/model/topic.js'
import type {
  ClientFrame,
  GroupDescription,
  PartitionDescription,
  PublishedPart,
  ServerFrame,
  TopicDescription,
} from '../../src/protocol/frames.js'
import { loadStock, type StockMessage } from './stock-protobuf.js'

const publish = loadStock().type('Publish')

const DURABILITY = {
  memory: 'DURABILITY_MEMORY',
  os: 'DURABILITY_OS',
  disk: 'DURABILITY_DISK',
  replicated: 'DURABILITY_REPLICATED',
}
const SLOW_CONSUMER = {
  lag: 'SLOW_CONSUMER_LAG',
  block: 'SLOW_CONSUMER_BLOCK',
  disconnect: 'SLOW_CONSUMER_DISCONNECT',
}
const MODE = { cursor: 'MODE_CURSOR', shared: 'MODE_SHARED', partitioned: 'MODE_PARTITIONED' }
const OUTCOME = {
  ack: 'OUTCOME_ACK',
  retry: 'OUTCOME_RETRY',
  reject: 'OUTCOME_REJECT',
  extend: 'OUTCOME_EXTEND',
  release: 'OUTCOME_RELEASE',
}
const ACTION = {
  seek: 'GROUP_ACTION_SEEK',
  pause: 'GROUP_ACTION_PAUSE',
  resume: 'GROUP_ACTION_RESUME',
  delete: 'GROUP_ACTION_DELETE',
}
const LOSS = { lagged: 'LOSS_LAGGED', expired: 'LOSS_EXPIRED', trimmed: 'LOSS_TRIMMED', corrupt: 'LOSS_CORRUPT' }

export function stockClientFrame(frame: ClientFrame): StockMessage {
  const { id } = frame
  switch (frame.kind) {
    case 'hello': {
      const { version, clientName, token, user, password, heartbeatMs } = frame
      return { id, hello: { version, clientName, token, user, password, heartbeatMs: heartbeatMs ?? 0 } }
    }
    case 'create-topic':
      return { id, createTopic: { topic: frame.topic, settings: stockSettings(frame.settings) } }
    case 'subscribe': {
      const { subscription, topic, untilOffset, group, window, ackWaitMs, member, takeOver, backoffMs } = frame
      const start = stockStart(frame.start)
      const mode = MODE[frame.mode]
      return {
        id,
        subscribe: {
          ...{ subscription, topic, start, untilOffset, mode, group, window, member, takeOver, backoffMs },
          ackWaitMs: ackWaitMs ?? 0,
        },
      }
    }
    case 'unsubscribe':
      return { id, unsubscribe: { subscription: frame.subscription, forget: frame.forget } }
    case 'publish': {
      const { topic, partition, expectedOffset, producer, sequence } = frame
      const durability = stockDurability(frame.durability)
      const records = stockRecords(frame.run)
      return { id, publish: { topic, partition, durability, expectedOffset, producer, sequence, records } }
    }
    case 'commit': {
      const { subscription, partition, offset, offsets, delayMs, generation, reason } = frame
      const outcome = OUTCOME[frame.outcome]
      return { id, commit: { subscription, partition, offset, offsets, outcome, delayMs, generation, reason } }
    }
    case 'close':
      return { id, close: {} }
    case 'ping':
      return { id, ping: {} }
    case 'describe':
      return { id, describe: { topic: frame.topic, group: frame.group, after: frame.after, groups: frame.groups } }
    case 'manage-group': {
      const { topic, group, partition } = frame
      const action = ACTION[frame.action]
      return { id, manageGroup: { topic, group, action, start: stockStart(frame.start), partition } }
    }
    case 'unknown':
      return { id }
  }
}

export function stockServerFrame(frame: ServerFrame): StockMessage {
  const { id } = frame
  switch (frame.kind) {
    case 'welcome': {
      const { version, server, nodeId, maxFrameBytes, features } = frame
      return { id, welcome: { version, server, nodeId, maxFrameBytes, features } }
    }
    case 'done':
      return { id, done: {} }
    case 'published': {
      const { topic, partition, baseOffset, count, duplicates, keptOffsets, parts } = frame
      const durability = stockDurability(frame.durability)
      const spread = parts.map(({ ...part }: PublishedPart) => part)
      return {
        id,
        published: { topic, partition, baseOffset, count, duplicates, durability, keptOffsets, parts: spread },
      }
    }
    case 'failure': {
      const { code, message, retryable, topic, offsets } = frame
      return { id, failure: { code, message, retryable, topic, offsets } }
    }
    case 'delivery': {
      const { subscription, partition, baseOffset, timestampMs, deliveryCount } = frame
      const records = stockRecords(frame.run)
      return { id, delivery: { subscription, partition, baseOffset, timestampMs, deliveryCount, records } }
    }
    case 'lost-range': {
      const { subscription, partition, from, to, cause } = frame
      return { id, lostRange: { subscription, partition, from, to, cause: LOSS[cause] } }
    }
    case 'ended':
      return { id, ended: { subscription: frame.subscription, reason: frame.reason } }
    case 'pong':
      return { id, pong: {} }
    case 'description': {
      const topics = frame.topics.map(stockTopic)
      const groups = frame.groups.map(stockGroup)
      return { id, description: { topics, groups, more: frame.more } }
    }
    case 'assigned': {
      const { subscription, partitions, generation, started } = frame
      return { id, assigned: { subscription, partitions, generation, started } }
    }
    case 'closing':
      return { id, closing: { code: frame.code, message: frame.message } }
    case 'unknown':
      return { id }
  }
}

function stockDurability(durability: Durability | null): string {
  return durability === null ? 'DURABILITY_DEFAULT' : DURABILITY[durability]
}

function stockGroup({ mode, isPaused, partitions, members, ...group }: GroupDescription): StockMessage {
  return {
    ...group,
    mode: MODE[mode],
    paused: isPaused,
    partitions: partitions.map(({ ...partition }) => partition),
    members: members.map(({ ...member }) => member),
  }
}

/** A run is what the library itself makes of it: field 15 of a Publish that has nothing else. */
function stockRecords(run: RecordRun): unknown {
  return publish.decode(Buffer.from(run.buffer.subarray(run.start, run.end))).records ?? []
}

function stockSettings(settings: TopicSettings): StockMessage {
  const { retention } = settings
  const limits = retention === 'none' ? { ageMs: 0, bytes: 0, records: 0 } : retention
  return {
    retentionTtlMs: limits.ageMs ?? 0,
    compactionWindowMs: settings.compactionWindowMs,
    retentionBytes: limits.bytes ?? 0,
    retentionRecords: limits.records ?? 0,
    retainForever: limits.ageMs === null && limits.bytes === null && limits.records === null,
    partitions: settings.partitions,
    keepLatestPerKey: settings.keepLatestPerKey,
    durability: stockDurability(settings.durability),
    ringBytes: settings.ringBytes,
    ringRecords: settings.ringRecords,
    inactivityMs: settings.inactivityMs ?? 0,
    deadLetterTopic: settings.deadLetterTopic ?? '',
    maxDeliveries: settings.maxDeliveries ?? 0,
    slowConsumer: SLOW_CONSUMER[settings.slowConsumer],
  }
}

function stockStart(start: Start): StockMessage {
  switch (start.kind) {
    case 'offset':
      return { offset: start.offset }
    case 'time':
      return { timeMs: start.timeMs }
    case 'age':
      return { ageMs: start.ageMs }
    case 'last-n':
      return { lastN: start.records }
    default:
      return { [start.kind]: true }
  }
}

function stockTopic(topic: TopicDescription): StockMessage {
  const partitions = topic.partitions.map(({ ...partition }: PartitionDescription) => partition)
  const described = { name: topic.name, partitions, subscribers: topic.subscribers }
  return topic.settings === null ? described : { ...described, settings: stockSettings(topic.settings) }
}
