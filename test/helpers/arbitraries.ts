/**
 * Arbitrary frames, records, texts and cuts for fast-check: what a peer may send, with the edges of every number and
 * of Unicode drawn often. Run counts are bounded; fast-check prints the seed of a failure.
 */

import { GROUP_ACTIONS, type GroupPartition, type GroupState, MODES } from '../../src/model/group.js'
import { toOffset } from '../../src/model/offset.js'
import type { Header, NewRecord, RecordRun } from '../../src/model/record.js'
import { DURABILITIES, SLOW_CONSUMER_POLICIES, type Start, type TopicSettings } from '../../src/model/topic.js'
import {
  type ClientFrame,
  LOSS_CAUSES,
  OUTCOMES,
  type PublishedPart,
  type ServerFrame,
  type TopicDescription,
} from '../../src/protocol/frames.js'
import { encodeRun } from '../../src/protocol/records.js'
import { fc } from './fast-check.js'

const UINT32_MAX = 0xffff_ffff
const EDGES = [0, 1, 127, 128, 255, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, 0x7fff_ffff]

export const arbUint32 = fc.oneof(fc.constantFrom(...EDGES, 0x8000_0000, UINT32_MAX), fc.nat({ max: UINT32_MAX }))

export const arbUint53 = fc.oneof(
  fc.constantFrom(...EDGES, UINT32_MAX, 2 ** 32, 2 ** 35 - 1, 2 ** 35, 2 ** 42, 2 ** 49, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat(),
)

const atLeastOne = (numbers: fc.Arbitrary<number>) => numbers.map((value) => value || 1)

/** Any Unicode text: every plane, NUL, byte order marks, combining characters; no lone surrogates. */
export const arbText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '\u0000',
    '\ufeff',
    '\ufeffa',
    '\uffff',
    '\u{10ffff}',
    'a\u0301',
    'ключ',
    '漢字',
    '🐇🐇',
    'x'.repeat(200),
  ),
)

export const arbBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(0, 1, 127, 128, 300, 16_384).map((length) => new Uint8Array(length).fill(0x7a)),
)

const arbHeader: fc.Arbitrary<Header> = fc.record({ name: arbText, value: arbBytes })

export const arbRecord: fc.Arbitrary<NewRecord> = fc.record({
  key: fc.option(arbBytes),
  payload: arbBytes,
  headers: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(arbHeader, { maxLength: 3 })),
})

export const arbRecords = fc.array(arbRecord, { maxLength: 6 })

const arbRun: fc.Arbitrary<RecordRun> = arbRecords.map((records) => {
  const buffer = encodeRun(records)
  return { buffer, start: 0, end: buffer.length, count: records.length }
})

const arbStart: fc.Arbitrary<Start> = fc.oneof(
  fc.constantFrom<Start>({ kind: 'earliest' }, { kind: 'latest' }, { kind: 'last' }),
  arbUint53.map((offset): Start => ({ kind: 'offset', offset })),
  arbUint53.map((timeMs): Start => ({ kind: 'time', timeMs })),
  arbUint53.map((ageMs): Start => ({ kind: 'age', ageMs })),
  arbUint53.map((records): Start => ({ kind: 'last-n', records })),
)

const arbLimit = fc.option(atLeastOne(arbUint53))

/** Every settings message that has a meaning, whether or not a topic may have these settings. */
export const arbSettings: fc.Arbitrary<TopicSettings> = fc.record({
  partitions: atLeastOne(arbUint32),
  retention: fc.oneof(fc.constant('none' as const), fc.record({ ageMs: arbLimit, bytes: arbLimit, records: arbLimit })),
  compactionWindowMs: arbUint53,
  keepLatestPerKey: fc.boolean(),
  durability: fc.constantFrom(...DURABILITIES),
  ringBytes: atLeastOne(arbUint53),
  ringRecords: atLeastOne(arbUint53),
  inactivityMs: fc.option(atLeastOne(arbUint53)),
  deadLetterTopic: fc.option(arbText.map((text) => text || 'dead')),
  maxDeliveries: fc.option(atLeastOne(arbUint32)),
  slowConsumer: fc.constantFrom(...SLOW_CONSUMER_POLICIES),
})

/** Every kind that a client sends. */
export const arbClientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    id: arbUint32,
    version: arbUint32,
    clientName: arbText,
    token: arbText,
    user: arbText,
    password: arbText,
    heartbeatMs: fc.option(atLeastOne(arbUint32)),
  }),
  fc.record({ kind: fc.constant('create-topic' as const), id: arbUint32, topic: arbText, settings: arbSettings }),
  fc.record({
    kind: fc.constant('subscribe' as const),
    id: arbUint32,
    subscription: arbUint32,
    topic: arbText,
    start: arbStart,
    untilOffset: fc.option(arbUint53),
    mode: fc.constantFrom(...MODES),
    group: arbText,
    window: atLeastOne(arbUint32),
    ackWaitMs: fc.option(atLeastOne(arbUint32)),
    backoffMs: fc.array(arbUint32, { maxLength: 5 }),
    member: arbText,
    takeOver: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('unsubscribe' as const),
    id: arbUint32,
    subscription: arbUint32,
    forget: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('publish' as const),
    id: arbUint32,
    topic: arbText,
    partition: fc.option(arbUint32),
    durability: fc.option(fc.constantFrom(...DURABILITIES)),
    expectedOffset: fc.option(arbUint53),
    producer: arbText,
    sequence: fc.option(arbUint53),
    run: arbRun,
  }),
  fc.record({
    kind: fc.constant('commit' as const),
    id: arbUint32,
    subscription: arbUint32,
    partition: arbUint32,
    offset: fc.option(arbUint53),
    offsets: fc.array(arbUint53, { maxLength: 40 }),
    outcome: fc.constantFrom(...OUTCOMES),
    delayMs: arbUint53,
    generation: arbUint32,
    reason: arbText,
  }),
  fc.record({ kind: fc.constant('close' as const), id: arbUint32 }),
  fc.record({ kind: fc.constant('ping' as const), id: arbUint32 }),
  fc.record({
    kind: fc.constant('describe' as const),
    id: arbUint32,
    topic: arbText,
    group: arbText,
    after: arbText,
    groups: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('manage-group' as const),
    id: arbUint32,
    topic: arbText,
    group: arbText,
    action: fc.constantFrom(...GROUP_ACTIONS),
    start: arbStart,
    partition: fc.option(arbUint32),
  }),
)

const arbIndexes = fc.array(arbUint32, { maxLength: 20 })
const arbOffsets = fc.array(arbUint53, { maxLength: 20 })

const arbPart: fc.Arbitrary<PublishedPart> = fc.record({
  partition: arbUint32,
  baseOffset: arbUint53,
  count: arbUint32,
  records: arbIndexes,
  duplicates: arbIndexes,
  keptOffsets: arbOffsets,
})

const arbTopic: fc.Arbitrary<TopicDescription> = fc.record({
  name: arbText,
  settings: fc.option(arbSettings),
  partitions: fc.array(fc.record({ partition: arbUint32, logStart: arbUint53, end: arbUint53, bytes: arbUint53 }), {
    maxLength: 3,
  }),
  subscribers: arbUint32,
})

const arbGroupPartition: fc.Arbitrary<GroupPartition> = fc.record({
  partition: arbUint32,
  position: arbUint53.map(toOffset),
  end: arbUint53.map(toOffset),
  lag: arbUint53,
  inFlight: arbUint53,
  member: arbText,
})

const arbGroup: fc.Arbitrary<GroupState> = fc.record({
  name: arbText,
  mode: fc.constantFrom(...MODES),
  isPaused: fc.boolean(),
  generation: arbUint53,
  lag: arbUint53,
  inFlight: arbUint53,
  oldestMs: fc.option(arbUint53),
  redeliveries: arbUint53,
  expired: arbUint53,
  deadLetters: arbUint53,
  rebalances: arbUint53,
  fenced: arbUint53,
  partitions: fc.array(arbGroupPartition, { maxLength: 3 }),
  members: fc.array(
    fc.record({
      name: arbText,
      partitions: arbIndexes,
      held: arbUint53,
      expired: arbUint53,
      silentMs: fc.option(arbUint53),
    }),
    { maxLength: 3 },
  ),
})

/** Every kind that a server sends. */
export const arbServerFrame: fc.Arbitrary<ServerFrame> = fc.oneof(
  fc.record({
    kind: fc.constant('welcome' as const),
    id: arbUint32,
    version: arbUint32,
    server: arbText,
    nodeId: arbText,
    maxFrameBytes: arbUint32,
    features: fc.array(arbText, { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('done' as const), id: arbUint32 }),
  fc.record({
    kind: fc.constant('published' as const),
    id: arbUint32,
    topic: arbText,
    partition: arbUint32,
    baseOffset: arbUint53,
    count: arbUint32,
    duplicates: arbIndexes,
    durability: fc.constantFrom(...DURABILITIES),
    keptOffsets: arbOffsets,
    parts: fc.array(arbPart, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('failure' as const),
    id: arbUint32,
    code: arbText,
    message: arbText,
    retryable: fc.boolean(),
    topic: arbText,
    offsets: arbOffsets,
  }),
  fc.record({
    kind: fc.constant('delivery' as const),
    id: arbUint32,
    subscription: arbUint32,
    partition: arbUint32,
    baseOffset: arbUint53,
    timestampMs: arbUint53,
    deliveryCount: arbUint32,
    run: arbRun,
  }),
  fc.record({
    kind: fc.constant('lost-range' as const),
    id: arbUint32,
    subscription: arbUint32,
    partition: arbUint32,
    from: arbUint53,
    to: arbUint53,
    cause: fc.constantFrom(...LOSS_CAUSES),
  }),
  fc.record({ kind: fc.constant('ended' as const), id: arbUint32, subscription: arbUint32, reason: arbText }),
  fc.record({ kind: fc.constant('pong' as const), id: arbUint32 }),
  fc.record({
    kind: fc.constant('description' as const),
    id: arbUint32,
    topics: fc.array(arbTopic, { maxLength: 3 }),
    groups: fc.array(arbGroup, { maxLength: 3 }),
    more: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('assigned' as const),
    id: arbUint32,
    subscription: arbUint32,
    partitions: arbIndexes,
    generation: arbUint32,
    started: arbIndexes,
  }),
  fc.record({ kind: fc.constant('closing' as const), id: arbUint32, code: arbText, message: arbText }),
)

/** Values for the fields that an extended contract has beyond version 1 (stock-protobuf.ts). */
export const arbUnknownFields = fc.record(
  { x0: arbUint53, x1: arbUint53, x2: arbBytes, x3: fc.nat(), x4: fc.string() },
  { requiredKeys: [] },
)

/** Cut bytes into chunks at arbitrary places; empty chunks are among them. */
export function arbCuts(bytes: Buffer): fc.Arbitrary<Buffer[]> {
  return fc.array(fc.nat({ max: bytes.length }), { maxLength: 30 }).map((places) => {
    const sorted = [...places, bytes.length].sort((a, b) => a - b)
    return sorted.map((place, index) => bytes.subarray(index === 0 ? 0 : sorted[index - 1], place))
  })
}

/** One change to a run of bytes, at a place that is taken modulo its length. */
export interface Change {
  readonly at: number
  readonly how: 'set' | 'insert' | 'remove' | 'flip' | 'pad'
  readonly byte: number
}

/** Bytes that mean something here come up more often than chance would have it. */
export const arbChanges: fc.Arbitrary<Change[]> = fc.array(
  fc.record({
    at: fc.nat({ max: 0xffff }),
    how: fc.constantFrom('set', 'insert', 'remove', 'flip', 'pad'),
    byte: fc.oneof(
      fc.constantFrom(0, 1, 2, 3, 0x0a, 0x0c, 0x10, 0x12, 0x1a, 0x1b, 0x22, 0x7a, 0x7f, 0x80, 0x82, 0x8a, 0xff),
      fc.nat({ max: 255 }),
    ),
  }),
  { minLength: 1, maxLength: 4 },
)

export function changeBytes(original: Buffer, changes: readonly Change[]): Buffer {
  const bytes = [...original]
  for (const { at, how, byte } of changes) {
    const place = at % (bytes.length + 1)
    const old = bytes[place] ?? 0
    if (how === 'insert') bytes.splice(place, 0, byte)
    else if (how === 'remove') bytes.splice(place, 1)
    else if (how === 'pad') bytes.splice(place, 1, old | 0x80, 0)
    else bytes[place] = how === 'set' ? byte : old ^ (1 << (byte % 8))
  }
  return Buffer.from(bytes)
}

/** A frame as plain values that compare deeply: a run by its bytes and count, wherever it stands. */
export function comparable(frame: ClientFrame | ServerFrame): unknown {
  if (!('run' in frame)) return structuredClone(frame)
  const { run, ...rest } = frame
  const records = Buffer.from(run.buffer.subarray(run.start, run.end)).toString('hex')
  return structuredClone({ ...rest, records, count: run.count })
}
