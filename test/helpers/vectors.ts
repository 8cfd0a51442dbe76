/**
 * The golden vectors of the wire, as meanings: what `npm run vectors` has a stock library turn into the bytes of
 * test/vectors/. They are a promise to clients in any language, so entries are added and never changed.
 */
import { loadStock, type StockMessage } from './stock-protobuf.js'

export interface Vector {
  readonly name: string
  /** The frame with its length in front. */
  readonly hex: string
  /** What a stock library makes of it, in the JSON mapping of proto3. */
  readonly meaning: StockMessage
  /** The vector with every default written out that means the same. */
  readonly sameAs?: string
}

export interface RefusedVector {
  readonly name: string
  /** What is sent, lengths included. */
  readonly hex: string
  /** The code of the Failure, or of the Closing when the stream cannot be read any further. */
  readonly code: string
  readonly closes: boolean
}

export interface VectorFile {
  readonly path: string
  readonly text: string
}

type Samples = Readonly<Record<string, StockMessage>>

const UINT32_MAX = 4_294_967_295
const OFFSET_MAX = '9007199254740991'
const HEADERS = [{ name: 'content-type', value: 'dGV4dA==' }, { name: '', value: '' }, { name: 'content-type' }]
const EMPTY_KEY = { key: '', payload: 'ZW1wdHkga2V5' }
const RECORDS = [
  { key: 'azE=', payload: 'b25l' },
  { payload: 'bm8ga2V5' },
  EMPTY_KEY,
  {},
  { payload: 'aA==', headers: HEADERS },
]

const EVERY_SETTING = {
  retentionTtlMs: '3600000',
  compactionWindowMs: '600000',
  retentionBytes: '1099511627776',
  retentionRecords: OFFSET_MAX,
  partitions: 3,
  keepLatestPerKey: true,
  durability: 'DURABILITY_OS',
  ringBytes: '65536',
  ringRecords: '100',
  inactivityMs: '86400000',
  deadLetterTopic: 'dead/letters',
  maxDeliveries: 5,
  slowConsumer: 'SLOW_CONSUMER_BLOCK',
}
const DEFAULT_SETTINGS = { partitions: 1, durability: 'DURABILITY_DISK', ringBytes: '8388608', ringRecords: '10000' }
const FOREVER = { ...DEFAULT_SETTINGS, retainForever: true }

const START = { earliest: { earliest: true }, latest: { latest: true }, last: { last: true }, zero: { offset: '0' } }
const MANAGED = { topic: 'orders', group: 'billing', start: { earliest: true } }
const GROUP = {
  ...{ name: 'billing', mode: 'MODE_PARTITIONED', lag: '5', inFlight: '1', paused: true, oldestMs: '0' },
  ...{ generation: '3', redeliveries: '4', expired: '6', deadLetters: '7', rebalances: '8', fenced: '9' },
  partitions: [{ partition: 1, position: '15', end: '20', lag: '5', inFlight: '1', member: 'worker-1' }, {}],
  members: [{ name: 'worker-1', partitions: [1, 300], held: '1', expired: '2', silentMs: '0' }, {}],
}
const SUBSCRIBE = { subscription: 1, topic: 'orders', start: START.earliest, window: 1 }

const CLIENT: Samples = {
  hello: {
    id: 1,
    hello: { version: 1, clientName: 'probe', token: 't', user: 'u', password: 'p', heartbeatMs: 30_000 },
  },
  'hello, every field at its default': { id: 1, hello: {} },
  'create a topic, every default written out': { id: 2, createTopic: { topic: 'orders', settings: DEFAULT_SETTINGS } },
  'create a topic, every setting': { id: 3, createTopic: { topic: 'заказы 🐇', settings: EVERY_SETTING } },
  'create a topic that keeps for ever': { id: 4, createTopic: { topic: 'log', settings: FOREVER } },
  'subscribe from the earliest': { id: 5, subscribe: SUBSCRIBE },
  'subscribe from the latest': { id: 5, subscribe: { ...SUBSCRIBE, start: START.latest } },
  'subscribe from the last': { id: 5, subscribe: { ...SUBSCRIBE, start: START.last } },
  'subscribe from offset 0, which differs from none': { id: 5, subscribe: { ...SUBSCRIBE, start: START.zero } },
  'subscribe from the largest offset': { id: 5, subscribe: { ...SUBSCRIBE, start: { offset: OFFSET_MAX } } },
  'subscribe from a time': { id: 5, subscribe: { ...SUBSCRIBE, start: { timeMs: '1735689600000' } } },
  'subscribe from an age': { id: 5, subscribe: { ...SUBSCRIBE, start: { ageMs: '60000' } } },
  'subscribe to the last ten': { id: 5, subscribe: { ...SUBSCRIBE, start: { lastN: '10' } } },
  'subscribe until offset 0': { id: 5, subscribe: { ...SUBSCRIBE, untilOffset: '0' } },
  'subscribe as a group, every field': {
    id: UINT32_MAX,
    subscribe: {
      ...{ subscription: UINT32_MAX, topic: 'orders', start: START.earliest, untilOffset: '1000', mode: 'MODE_SHARED' },
      ...{ group: 'billing', window: 256, ackWaitMs: 30_000, member: 'worker-1', takeOver: true },
      backoffMs: [0, 1_000, 60_000],
    },
  },
  'subscribe as a member': { id: 6, subscribe: { ...SUBSCRIBE, mode: 'MODE_PARTITIONED', group: 'g' } },
  unsubscribe: { id: 7, unsubscribe: { subscription: 1 } },
  'unsubscribe and forget': { id: 7, unsubscribe: { subscription: 1, forget: true } },
  publish: { id: 8, publish: { topic: 'orders', records: RECORDS } },
  'publish with no answer wanted': { publish: { topic: 'orders', records: [{ payload: 'eA==' }] } },
  'publish nothing': { id: 9, publish: { topic: 'orders' } },
  'publish, every field': {
    id: 10,
    publish: {
      ...{ topic: 'orders', partition: 0, durability: 'DURABILITY_MEMORY', expectedOffset: '0' },
      ...{ producer: 'p-1', sequence: OFFSET_MAX, records: [{ key: 'aw==', payload: 'dg==' }] },
    },
  },
  'commit up to an offset': { id: 11, commit: { subscription: 1, partition: 2, offset: '0' } },
  'commit single offsets': { id: 12, commit: { subscription: 1, offsets: ['0', '127', '128', OFFSET_MAX] } },
  'commit with a retry': {
    id: 13,
    commit: { subscription: 1, offset: '9', outcome: 'OUTCOME_RETRY', delayMs: '5000' },
  },
  'commit with a rejection': { id: 13, commit: { subscription: 1, offset: '9', outcome: 'OUTCOME_REJECT' } },
  'commit with a rejection and a reason': {
    id: 13,
    commit: { subscription: 1, offsets: ['9'], outcome: 'OUTCOME_REJECT', reason: 'no such order' },
  },
  'commit under a generation': { id: 13, commit: { subscription: 1, partition: 2, offset: '9', generation: 7 } },
  'an assignment is taken note of': { commit: { subscription: 1, generation: 300 } },
  'commit with an extension': { id: 13, commit: { subscription: 1, offset: '9', outcome: 'OUTCOME_EXTEND' } },
  'commit with a release': { id: 13, commit: { subscription: 1, offsets: ['9', '10'], outcome: 'OUTCOME_RELEASE' } },
  close: { id: 14, close: {} },
  ping: { id: 15, ping: {} },
  'describe all': { id: 16, describe: {} },
  'describe, every field': { id: 17, describe: { topic: 'orders', group: 'billing', after: 'a', groups: true } },
  'seek a group': {
    id: 18,
    manageGroup: { ...MANAGED, start: { offset: '0' }, partition: 0 },
  },
  'seek a group to the newest record': { id: 18, manageGroup: { ...MANAGED, start: { last: true } } },
  'seek a group to the end': { id: 18, manageGroup: { ...MANAGED, start: { latest: true } } },
  'seek a group in time': { id: 18, manageGroup: { ...MANAGED, start: { timeMs: '1700000000000' } } },
  'seek a group to an age': { id: 18, manageGroup: { ...MANAGED, start: { ageMs: '60000' } } },
  'seek a group to the last records': { id: 18, manageGroup: { ...MANAGED, start: { lastN: '10' } } },
  'pause a group': { id: 18, manageGroup: { ...MANAGED, action: 'GROUP_ACTION_PAUSE' } },
  'resume a group': { id: 18, manageGroup: { ...MANAGED, action: 'GROUP_ACTION_RESUME' } },
  'delete a group': { id: 18, manageGroup: { ...MANAGED, action: 'GROUP_ACTION_DELETE' } },
}

/** Frames that leave out a default, by the frame that writes it out. */
const SPARSE: Readonly<Record<string, readonly [same: string, frame: StockMessage]>> = {
  'create a topic with no settings': [
    'create a topic, every default written out',
    { id: 2, createTopic: { topic: 'orders' } },
  ],
  'create a topic with empty settings': [
    'create a topic, every default written out',
    { id: 2, createTopic: { topic: 'orders', settings: {} } },
  ],
  'create a topic, only kept for ever': [
    'create a topic that keeps for ever',
    { id: 4, createTopic: { topic: 'log', settings: { retainForever: true } } },
  ],
  'subscribe with no start and no window': [
    'subscribe from the earliest',
    { id: 5, subscribe: { subscription: 1, topic: 'orders' } },
  ],
  'subscribe with an empty start': [
    'subscribe from the earliest',
    { id: 5, subscribe: { subscription: 1, topic: 'orders', start: {} } },
  ],
}

const PART = { partition: 1, baseOffset: '7', count: 2, records: [0, 2, 3], duplicates: [3], keptOffsets: ['5'] }

const SERVER: Samples = {
  welcome: {
    id: 1,
    welcome: { version: 1, server: 'leveret', nodeId: 'n1', maxFrameBytes: 8_388_608, features: ['compaction', ''] },
  },
  done: { id: 2, done: {} },
  published: { id: 3, published: { topic: 'orders', count: 3, durability: 'DURABILITY_DISK' } },
  'published with duplicates': {
    id: 4,
    published: {
      ...{ topic: 'orders', partition: 2, baseOffset: OFFSET_MAX, count: 1, duplicates: [0, 200] },
      ...{ durability: 'DURABILITY_REPLICATED', keptOffsets: ['3', '300'] },
    },
  },
  'published over several partitions': {
    id: 5,
    published: { topic: 'orders', durability: 'DURABILITY_OS', parts: [{ count: 1, records: [1] }, PART] },
  },
  failure: {
    id: 6,
    failure: { code: 'LVT_OVERLOADED', message: 'too much is waiting', retryable: true, topic: 'orders' },
  },
  'failure for some of the records': { id: 8, failure: { code: 'LVT_LEASE_LOST', offsets: ['3', OFFSET_MAX] } },
  'failure of nothing in particular': { failure: { code: 'LVT_PROTOCOL' } },
  delivery: { delivery: { subscription: 1, records: [{ payload: 'eA==' }], timestampMs: '1735689600000' } },
  'delivery, every field': {
    delivery: {
      ...{ subscription: UINT32_MAX, partition: 3, baseOffset: OFFSET_MAX, timestampMs: '1735689600000' },
      ...{ deliveryCount: 2, records: RECORDS },
    },
  },
  'lost, lagged': { lostRange: { subscription: 1, from: '0', to: '10' } },
  'lost, expired': { lostRange: { subscription: 1, partition: 1, from: '1', to: '2', cause: 'LOSS_EXPIRED' } },
  'lost, trimmed': { lostRange: { subscription: 1, from: '1', to: OFFSET_MAX, cause: 'LOSS_TRIMMED' } },
  'lost, corrupt': { lostRange: { subscription: 1, from: '1', to: '2', cause: 'LOSS_CORRUPT' } },
  ended: { ended: { subscription: 1, reason: 'until-reached' } },
  pong: { id: 7, pong: {} },
  'description of nothing': { id: 8, description: {} },
  'description of names': { id: 8, description: { topics: [{ name: 'a' }, { name: 'b' }], more: true } },
  'description of a topic': {
    id: 9,
    description: {
      topics: [
        {
          ...{ name: 'orders', settings: EVERY_SETTING, subscribers: 2 },
          partitions: [{}, { partition: 1, logStart: '10', end: '20', bytes: '4096' }],
        },
        { name: 'log', settings: FOREVER },
      ],
      groups: [GROUP, { name: 'one' }],
    },
  },
  assigned: { assigned: { subscription: 1, partitions: [0, 1, 300], generation: 4, started: [300] } },
  closing: { closing: { code: 'LVT_SHUTTING_DOWN', message: 'the server is stopping' } },
}

/** After a good first frame; each is sent with id 7 where it has one. */
const REFUSED: readonly RefusedVector[] = [
  ...(
    [
      ['a body longer than its frame', '0807 4a01'],
      ['a body that is a number', '0807 4801'],
      ['a field with the number 0', '0807 0200'],
      ['a padded tag', '0807 ca0000'],
      ['a number of 11 bytes', `0807 2a0c08${'80'.repeat(10)}01`],
      ['an offset of 2^53', `0807 320920${'80'.repeat(7)}10`],
      ['a subscription of 2^32', `0807 2a0608${'80'.repeat(4)}10`],
      ['a topic that is not UTF-8', '0807 32030a01ff'],
      ['a durability that does not exist', '0807 32021805'],
      ['a record longer than its frame', '0807 32047a050a01'],
      ['a field after the records', '0807 32047a000a00'],
      ['a record with a group', '0807 32047a021b1c'],
    ] as const
  ).map(([name, hex]) => ({ name, hex: framed(hex.replaceAll(' ', '')), code: 'LVT_PROTOCOL', closes: false })),
  { name: 'a body of a newer version', hex: framed('0807f201020801'), code: 'LVT_UNSUPPORTED', closes: false },
  { name: 'a padded length', hex: '8000', code: 'LVT_FRAME_LENGTH_INVALID', closes: true },
  { name: 'a length of five bytes', hex: '8080808001', code: 'LVT_FRAME_LENGTH_INVALID', closes: true },
  { name: 'a length of 2^31 - 1', hex: 'ffffffff07', code: 'LVT_FRAME_LENGTH_INVALID', closes: true },
  { name: 'a length of 2^32 - 1', hex: 'ffffffff0f', code: 'LVT_FRAME_LENGTH_INVALID', closes: true },
  { name: 'a length of 2^28 - 1', hex: 'ffffff7f', code: 'LVT_FRAME_TOO_LARGE', closes: true },
]

/** A short frame, which has a length of one byte. */
function framed(hex: string): string {
  return Buffer.from([hex.length / 2]).toString('hex') + hex
}

export function vectorFiles(): VectorFile[] {
  const client = vectorsOf('ClientFrame', CLIENT)
  const sparse = Object.entries(SPARSE).flatMap(([name, [sameAs, frame]]) =>
    vectorsOf('ClientFrame', { [name]: frame }).map((vector) => ({ ...vector, sameAs })),
  )
  return [
    file('client-frames', client),
    file('client-frames-sparse', sparse),
    file('server-frames', vectorsOf('ServerFrame', SERVER)),
    file('refused', REFUSED),
  ]
}

function vectorsOf(message: string, samples: Samples): Vector[] {
  const type = loadStock().type(message)
  return Object.entries(samples).map(([name, sample]) => {
    const meaning = type.toJson(type.encode(sample))
    return { name, hex: type.encodeDelimited(sample).toString('hex'), meaning }
  })
}

function file(name: string, vectors: readonly object[]): VectorFile {
  return { path: `test/vectors/${name}.json`, text: `${JSON.stringify(vectors, null, 2)}\n` }
}
