/**
 * One client frame to the broker and its answer. Everything that can be done at once is; what needs the engine
 * returns a promise, and the session reads no further frame until it is done, so that answers keep their order.
 */
import type { Broker } from '../broker/broker.js'
import { type PublishSink, plainHow } from '../broker/publish.js'
import type { Topic } from '../broker/topic.js'
import { unreachable } from '../common/assert.js'
import { InvalidArgumentError, ProtocolError, RecordTooLargeError, UnsupportedError } from '../common/errors.js'
import type { GroupState } from '../model/group.js'
import { validateTopicName } from '../model/topic.js'
import {
  type ClientFrame,
  type CommitFrame,
  type DescribeFrame,
  type HelloFrame,
  type ManageGroupFrame,
  PROTOCOL_VERSION,
  type PublishFrame,
  runBytesMax,
  type ServerFrame,
  type SubscribeFrame,
  type UnsubscribeFrame,
} from '../protocol/frames.js'
import type { SubscriptionManager } from './subscription-manager.js'

/** What a session lets its frames do. */
export interface DispatchTarget extends PublishSink {
  readonly broker: Broker
  readonly subscriptions: SubscriptionManager
  readonly identity: ServerIdentity
  reply(frame: ServerFrame): void
  readonly hasSubscriptions: boolean
  /** Whether the buffer of the frame at hand may be kept. */
  readonly ownsFrame: boolean
  /** A request with an id is under way at the broker, and will be answered by the sink. */
  publishing(token: number): void
  greeted(heartbeatMs: number | null): void
  closeRequested(): void
  /** Done with this id follows when it is so, or a failure. */
  answerLater(id: number, pending: Promise<void>): void
}

export interface ServerIdentity {
  /** Name and version, as Welcome says them. */
  readonly server: string
  readonly nodeId: string
  readonly maxFrameBytes: number
}

const FEATURES = [
  'cursor',
  'compaction-window',
  'expected-offset',
  'producer-sequence',
  'shared-group',
  'named-cursor',
  'partitioned-group',
  'manage-group',
] as const
/** Names of producers are remembered. */
const PRODUCER_LENGTH_MAX = 255
/** Names in one Description: at most 255 bytes each, so that they fit any frame limit from 1 MiB up. */
const NAMES_MAX = 1000
/** Groups in one Description, and their partitions and members together: each of those has a name, too. */
const GROUPS_MAX = 500
const GROUP_ROWS_MAX = 2000

/** Throws, or rejects with, the error to answer the frame with. */
export function dispatch(target: DispatchTarget, frame: ClientFrame): Promise<void> | null {
  switch (frame.kind) {
    case 'publish':
      return publish(target, frame)
    case 'commit':
      return commit(target, frame)
    case 'subscribe':
      return subscribe(target, frame)
    case 'unsubscribe':
      return unsubscribe(target, frame)
    case 'create-topic':
      validateTopicName(frame.topic)
      return target.broker.createTopic(frame.topic, frame.settings).then(() => void done(target, frame.id))
    case 'hello':
      return hello(target, frame)
    case 'ping':
      if (frame.id !== 0) target.reply({ kind: 'pong', id: frame.id })
      return null
    case 'describe':
      return describe(target, frame)
    case 'manage-group':
      return manageGroup(target, frame).then(() => void done(target, frame.id))
    case 'close':
      target.closeRequested()
      return null
    case 'unknown':
      if (frame.field === 0) throw new ProtocolError('the frame has no body')
      throw new UnsupportedError(`body ${frame.field} is not known to version ${PROTOCOL_VERSION} of the protocol`)
    default:
      return unreachable(frame, 'session/dispatch')
  }
}

/** What a member of a group says is answered when it is safe, and holds nothing up until then. */
function commit(target: DispatchTarget, frame: CommitFrame): null {
  const settling = target.subscriptions.commit(frame)
  if (settling === null) return done(target, frame.id)
  target.answerLater(frame.id, settling)
  return null
}

function done(target: DispatchTarget, id: number): null {
  if (id !== 0) target.reply({ kind: 'done', id })
  return null
}

function publish(target: DispatchTarget, frame: PublishFrame): Promise<void> | null {
  const topic = target.broker.topicInUse(frame.topic)
  if (topic !== null) {
    return publishTo(target, topic, frame)
  }
  return target.broker.useTopic(frame.topic).then((opened) => publishTo(target, opened, frame) ?? undefined)
}

/** The promise holds the connection back, not the answer: that comes when the records are appended. */
function publishTo(target: DispatchTarget, topic: Topic, frame: PublishFrame): Promise<void> | null {
  const { durability, expectedOffset, producer, sequence } = frame
  const bytesMax = runBytesMax(target.identity.maxFrameBytes)
  if (frame.run.end - frame.run.start > bytesMax) {
    throw new RecordTooLargeError(`the records of one publish have at most ${bytesMax} bytes`, { topic: frame.topic })
  }
  if (sequence !== null && (producer === '' || producer.length > PRODUCER_LENGTH_MAX)) {
    throw new InvalidArgumentError(`a sequence needs a producer of 1 to ${PRODUCER_LENGTH_MAX} characters`)
  }
  const isPlain = expectedOffset === null && sequence === null
  const how = isPlain ? plainHow(durability) : { durability, expectedOffset, producer, sequence }
  target.publishing(frame.id)
  try {
    const run = target.ownsFrame ? { ...frame.run, isOwned: true } : frame.run
    target.broker.publish(topic, frame.partition, run, how, target, frame.id)
  } catch (error) {
    target.publishing(-frame.id)
    throw error
  }
  // A connection that subscribes as well must be read on: its commits may be what makes room.
  return target.hasSubscriptions ? null : topic.room()
}

async function subscribe(target: DispatchTarget, frame: SubscribeFrame): Promise<void> {
  const start = await target.subscriptions.subscribe(frame)
  done(target, frame.id)
  start()
}

function hello(target: DispatchTarget, frame: HelloFrame): null {
  if (frame.version > PROTOCOL_VERSION) {
    throw new UnsupportedError(`version ${frame.version} of the protocol is not spoken here, ${PROTOCOL_VERSION} is`)
  }
  target.greeted(frame.heartbeatMs)
  if (frame.id !== 0) {
    target.reply({ kind: 'welcome', id: frame.id, version: PROTOCOL_VERSION, features: FEATURES, ...target.identity })
  }
  return null
}

function unsubscribe(target: DispatchTarget, frame: UnsubscribeFrame): Promise<void> | null {
  const forgetting = target.subscriptions.unsubscribe(frame)
  return forgetting === null ? done(target, frame.id) : forgetting.then(() => void done(target, frame.id))
}

function manageGroup({ broker }: DispatchTarget, frame: ManageGroupFrame): Promise<void> {
  const { topic, group, action, start, partition } = frame
  switch (action) {
    case 'seek':
      return broker.seekGroup(topic, group, start, partition)
    case 'pause':
    case 'resume':
      return broker.pauseGroup(topic, group, action === 'pause')
    case 'delete':
      return broker.deleteGroup(topic, group)
    default:
      return unreachable(action, 'session/dispatch')
  }
}

async function describe(target: DispatchTarget, frame: DescribeFrame): Promise<void> {
  const { broker } = target
  if (frame.groups) {
    const { groups, more } = await broker.groups(frame.topic, frame.after, GROUPS_MAX)
    const fitting = fittingGroups(groups)
    const hasMore = more || fitting.length < groups.length
    target.reply({ kind: 'description', id: frame.id, topics: [], groups: fitting, more: hasMore })
    return
  }
  if (frame.group !== '') {
    const groups = [await broker.describeGroup(frame.topic, frame.group)]
    target.reply({ kind: 'description', id: frame.id, topics: [], groups, more: false })
    return
  }
  if (frame.topic !== '') {
    const topics = [await broker.describeTopic(frame.topic)]
    target.reply({ kind: 'description', id: frame.id, topics, groups: [], more: false })
    return
  }
  const { names, more } = broker.topicNames(frame.after, NAMES_MAX)
  const topics = names.map((name) => ({ name, settings: null, partitions: [], subscribers: 0 }))
  target.reply({ kind: 'description', id: frame.id, topics, groups: [], more })
}

/** As many as fit into one frame, and one at least. */
function fittingGroups(groups: readonly GroupState[]): readonly GroupState[] {
  let rows = 0
  const end = groups.findIndex(({ partitions, members }) => {
    rows += 1 + partitions.length + members.length
    return rows > GROUP_ROWS_MAX
  })
  return end < 0 ? groups : groups.slice(0, Math.max(1, end))
}
