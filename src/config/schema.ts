/**
 * Every setting of the server, in one table: key, type, default, range, variable, flag, and what it means. The type
 * Config, the flags of `leveret serve`, docs/configuration.md and docs/limits.md are all made from it.
 * Reads no file and no environment: load.ts does. Long because it is one table.
 */
import { PARTITIONS_MAX, type Retention } from '../model/topic.js'

const KIB = 1024
const MIB = 1024 * KIB
const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const DAY_MS = 24 * HOUR_MS

/** A frame length has four bytes of seven bits. */
const FRAME_BYTES_LIMIT = 256 * MIB - 1

interface Common {
  readonly doc: string
  /** Present on limits: what happens to whoever reaches it. */
  readonly atLimit?: string
  /** The environment variable, where it is not made from the key. */
  readonly env?: string
}

interface Numeric<Type extends string> extends Common {
  readonly type: Type
  readonly default: number
  readonly min: number
  readonly max: number
}

interface TextSetting extends Common {
  readonly type: 'text'
  readonly default: string
}

interface SwitchSetting extends Common {
  readonly type: 'switch'
  readonly default: boolean
}

interface ChoiceSetting extends Common {
  readonly type: 'choice'
  readonly default: string
  readonly choices: readonly string[]
  /** Known to the design and not there yet: refused with a sentence that says so. */
  readonly later: readonly string[]
}

interface RetentionSetting extends Common {
  readonly type: 'retention'
  readonly default: Retention
}

/** A listener that is closed unless it is asked for: `on` is its own port. */
interface ListenerSetting extends Common {
  readonly type: 'listener'
  readonly default: null
  readonly port: number
}

/** `count` is a bare whole number; `bytes` reads sizes and `duration` reads times, and both are stored bare. */
export type Setting =
  | Numeric<'count'>
  | Numeric<'bytes'>
  | Numeric<'duration'>
  | TextSetting
  | SwitchSetting
  | ChoiceSetting
  | RetentionSetting
  | ListenerSetting

const SETTINGS_TABLE = {
  host: { type: 'text', default: '127.0.0.1', doc: 'Address to listen on. Another than loopback needs `insecure`.' },
  port: {
    type: 'count',
    default: 8889,
    min: 0,
    max: 65_535,
    env: 'PORT',
    doc: 'Port of the native protocol; 0 picks a free one.',
  },
  meilies: {
    type: 'listener',
    default: null,
    port: 6480,
    doc: 'Port of the MeiliES dialect. What it publishes and reads are topics like all others.',
  },
  meiliesMessages: {
    type: 'switch',
    default: false,
    doc:
      "Answer every subscription of the MeiliES dialect in the frames of Redis' own. For sites without MeiliES' own clients, who " +
      'could not read them: redis-cli 7.2 and later then shows events without an option.',
  },
  meiliesStrictNames: {
    type: 'switch',
    default: false,
    doc: 'Refuse a publish of the MeiliES dialect whose stream or event has a space in its name. What is there can be read.',
  },
  floki: {
    type: 'listener',
    default: null,
    port: 9797,
    doc: 'Port of the Floki dialect. Its queues are topics, and its channels shared groups, like all others.',
  },
  natsStreaming: {
    type: 'listener',
    default: null,
    port: 4222,
    doc: 'Port of the NATS protocol, for clients of NATS and of NATS Streaming. Its channels are topics like all others.',
  },
  dialectsOnly: {
    type: 'switch',
    default: false,
    doc: 'Do not listen for the native protocol, only for the dialects that have a port here.',
  },
  store: {
    type: 'choice',
    default: 'log',
    choices: ['log', 'memory'],
    later: ['postgres', 'nats', 'kafka'],
    doc: 'Where records are kept. `log` writes them to the folder `data`, `memory` keeps them until the process ends.',
  },
  data: {
    type: 'text',
    default: './leveret-data',
    doc: 'Folder of a store that writes files, made if it is missing; `memory` leaves it alone.',
  },
  segmentBytes: {
    type: 'bytes',
    default: 64 * MIB,
    min: 64 * KIB,
    max: 2048 * MIB,
    doc: 'Size of a file of the log. Retention and log compaction work on whole files.',
    atLimit: 'The next records go into a new file.',
  },
  syncIntervalMs: {
    type: 'duration',
    default: SECOND_MS,
    min: 1,
    max: HOUR_MS,
    doc: 'What was acknowledged at level `os` or `memory` is synced to the disk after this time at the latest.',
  },
  syncDelayMs: {
    type: 'duration',
    default: 0,
    min: 0,
    max: SECOND_MS,
    doc: 'How long records that are published at level `disk` wait for others, to be written and synced together. Those that come during a sync share the next one in any case.',
  },
  syncDelayBytes: {
    type: 'bytes',
    default: 1 * MIB,
    min: KIB,
    max: 1024 * MIB,
    doc: 'Bytes of one partition with which nobody waits for `syncDelayMs` any more.',
    atLimit: 'They are written and synced at once.',
  },
  openFilesMax: {
    type: 'count',
    default: 512,
    min: 16,
    max: 1_000_000,
    doc: 'Files of the log that are open at once.',
    atLimit: 'The file that nobody used for longest is closed, and opened again when it is needed.',
  },
  unwrittenBytesMax: {
    type: 'bytes',
    default: 16 * MIB,
    min: KIB,
    max: 1024 * MIB,
    doc: 'Bytes of one partition that are acknowledged at level `memory` and not written yet.',
    atLimit: 'Further such publishes are acknowledged when they are written.',
  },
  encryptionKeys: {
    type: 'text',
    default: '',
    doc:
      'Keys for encryption at rest, separated by commas: 32 bytes each in base64 or hexadecimal, with `aes-256-gcm:` ' +
      '(default) or `chacha20-poly1305:` before it. The first one encrypts, all decrypt. Better in the environment or in ' +
      '`encryptionKeyFile` than on a command line.',
  },
  encryptionKeyFile: { type: 'text', default: '', doc: 'File with such keys, one a line.' },
  insecure: {
    type: 'switch',
    default: false,
    doc: 'Listen on an address that others can reach, although anybody there may read and write everything.',
  },
  drainMs: {
    type: 'duration',
    default: 10 * SECOND_MS,
    min: 0,
    max: HOUR_MS,
    doc: 'How long a stopping server waits for what is under way before it cuts the rest off.',
  },
  defaultRetention: {
    type: 'retention',
    default: 'none',
    doc: 'Retention of topics that a first publish or subscribe creates: `none`, `forever`, or an age like `1h`.',
  },
  defaultCompactionWindowMs: {
    type: 'duration',
    default: 0,
    min: 0,
    max: 365 * DAY_MS,
    doc: 'Compaction window of topics that a first publish or subscribe creates; 0 is off.',
  },
  defaultPartitions: {
    type: 'count',
    default: 1,
    min: 1,
    max: PARTITIONS_MAX,
    doc: 'Partitions of topics that a first publish or subscribe creates.',
  },
  maxFrameBytes: {
    type: 'bytes',
    default: 16 * MIB,
    min: KIB,
    max: FRAME_BYTES_LIMIT,
    doc: 'Size of one frame of the native protocol, and so of one record in every protocol, since every reader can be sent it.',
    atLimit:
      'A larger frame is refused by its announced length, before memory is set aside: `Closing` with ' +
      '`LVT_FRAME_TOO_LARGE`, then the connection ends.',
  },
  connectionsMax: {
    type: 'count',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Connections open at once.',
    atLimit: 'A further connection is told `LVT_CONNECTION_LIMIT`, which may be retried, and is closed.',
  },
  handshakeTimeoutMs: {
    type: 'duration',
    default: 10 * SECOND_MS,
    min: 1,
    max: HOUR_MS,
    doc: 'Time from connecting to the first whole frame. In a dialect of the Redis protocol it begins with the first byte.',
    atLimit: 'The connection ends with `LVT_HANDSHAKE_TIMEOUT`, or the error of its dialect.',
  },
  frameTimeoutMs: {
    type: 'duration',
    default: 60 * SECOND_MS,
    min: 1,
    max: HOUR_MS,
    doc: 'Time from the first byte of a frame, or of a request in a dialect of the Redis protocol, to its last.',
    atLimit: 'The connection ends with `LVT_FRAME_TIMEOUT`, or the error of its dialect.',
  },
  drainTimeoutMs: {
    type: 'duration',
    default: 30 * SECOND_MS,
    min: 1,
    max: HOUR_MS,
    doc: 'Time in which a peer must take what was written to it, at most about `outboxBytesMax`.',
    atLimit: 'The connection ends with `LVT_DRAIN_TIMEOUT`.',
  },
  outboxBytesMax: {
    type: 'bytes',
    default: MIB,
    min: KIB,
    max: 1024 * MIB,
    doc: 'Bytes waiting to be written to one connection.',
    atLimit: 'Nothing is delivered to it, and nothing more is read from it, until its socket has drained.',
  },
  subscriptionsMax: {
    type: 'count',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    doc: 'Subscriptions of one connection.',
    atLimit: 'A further Subscribe fails with `LVT_SUBSCRIPTION_LIMIT`.',
  },
  meiliesSubscriptionsMax: {
    type: 'count',
    default: 1_000_000,
    min: 1,
    max: 100_000_000,
    doc: 'Subscriptions of the MeiliES dialect, of all connections together. Each stream that `$all` follows counts as one more.',
    atLimit:
      'A further `subscribe` is answered with `internal error; too many subscriptions`, and subscribes to nothing. A subscription ' +
      'to `$all` ends with that when a stream appears for which there is no room, and so does the connection where frames are not classic.',
  },
  flokiMessageTimeoutMs: {
    type: 'duration',
    default: 30 * SECOND_MS,
    min: SECOND_MS,
    max: 365 * DAY_MS,
    doc: 'How long a message of a new queue of the Floki dialect is in flight before it comes back, in whole seconds.',
  },
  flokiSegmentBytes: {
    type: 'bytes',
    default: 128 * MIB,
    min: MIB,
    max: 2048 * MIB - 1,
    doc: "The option `segment_size` of new queues of the Floki dialect, which is kept and shown; `segmentBytes` is the log's own.",
  },
  flokiRetentionMs: {
    type: 'duration',
    default: 0,
    min: 0,
    max: 100_000 * DAY_MS,
    doc: 'How long new queues of the Floki dialect keep what all channels have read; 0 is off.',
  },
  flokiRetentionBytes: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    doc: 'Up to which size new queues of the Floki dialect keep what all channels have read; 0 is off.',
  },
  flokiHardRetentionMs: {
    type: 'duration',
    default: DAY_MS,
    min: 0,
    max: 100_000 * DAY_MS,
    doc: 'How long new queues of the Floki dialect keep messages, read or not; 0 is for ever.',
  },
  flokiHardRetentionBytes: {
    type: 'bytes',
    default: 0,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    doc: 'Up to which size new queues of the Floki dialect keep messages, read or not; 0 is any.',
  },
  flokiFetchMax: {
    type: 'count',
    default: 1_000,
    min: 1,
    max: 1_000_000,
    doc: 'Messages that one `HMGET` of the Floki dialect brings.',
    atLimit: 'Who asks for more gets as many, and the others with the next request.',
  },
  flokiFetchBytesMax: {
    type: 'bytes',
    default: 16 * MIB,
    min: KIB,
    max: 1024 * MIB,
    doc: 'About the bytes that one `HMGET` of the Floki dialect brings, and one message at least.',
    atLimit: 'The answer ends with the message that reaches it.',
  },
  flokiWaitersMax: {
    type: 'count',
    default: 10_000,
    min: 1,
    max: 10_000_000,
    doc: 'Connections that wait in an `HMGET` of the Floki dialect, of one channel.',
    atLimit: 'A further one is answered `ERR too many waiting clients` at once.',
  },
  flokiReportBytesMax: {
    type: 'bytes',
    default: 16 * MIB,
    min: KIB,
    max: 512 * MIB,
    doc: 'Size of what `INFO` and `CONFIG GET` of the Floki dialect answer.',
    atLimit: 'The request is answered with an error that says to ask for fewer queues, by `queues.<prefix>`.',
  },
  respElementsMax: {
    type: 'count',
    default: 4096,
    min: 8,
    max: 1_000_000,
    doc: 'Elements of one request in a dialect of the Redis protocol.',
    atLimit: 'A larger array is refused by its announced count, before memory is set aside, and the connection ends.',
  },
  respRequestBytesMax: {
    type: 'bytes',
    default: 64 * MIB,
    min: KIB,
    max: 1024 * MIB,
    doc: 'Size of one request in a dialect of the Redis protocol. An event or a message is at most about `maxFrameBytes`, too.',
    atLimit:
      'A larger request is refused by its announced lengths, before memory is set aside, and the connection ends.',
  },
  respDrainTimeoutMs: {
    type: 'duration',
    default: 0,
    min: 0,
    max: DAY_MS,
    doc:
      'Time in which a peer that speaks a dialect of the Redis protocol must take what was written to it; 0 is for ever. What it ' +
      'costs meanwhile is at most about `outboxBytesMax`.',
    atLimit: 'The connection ends. What was not sent is read again by whoever asks for it.',
  },
  natsMaxPayloadBytes: {
    type: 'bytes',
    default: MIB,
    min: 1,
    max: 64 * MIB,
    doc: 'Size of one message of the NATS protocol, its headers included.',
    atLimit:
      'A larger one is refused by its announced length, before memory is set aside: `Maximum Payload Violation`, then the ' +
      'connection ends.',
  },
  natsControlLineBytesMax: {
    type: 'bytes',
    default: 4 * KIB,
    min: 256,
    max: MIB,
    doc: 'Arguments of one operation of the NATS protocol: subjects, sizes, the options of CONNECT.',
    atLimit: '`maximum control line exceeded`, then the connection ends.',
  },
  natsPendingBytesMax: {
    type: 'bytes',
    default: 64 * MIB,
    min: 64 * KIB,
    max: 16 * 1024 * MIB,
    doc: 'Bytes that wait to be written to one connection of the NATS protocol. From an eighth of it on its publishers are slowed down.',
    atLimit: 'The connection ends as a slow consumer. Its client comes back and subscribes anew.',
  },
  natsWriteDeadlineMs: {
    type: 'duration',
    default: 10 * SECOND_MS,
    min: 1,
    max: HOUR_MS,
    doc: 'Time in which a connection of the NATS protocol must take what was written to it.',
    atLimit: 'The connection ends as a slow consumer. Its client comes back and subscribes anew.',
  },
  natsSubscriptionsMax: {
    type: 'count',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Subscriptions of one connection of the NATS protocol.',
    atLimit: 'A further one is refused with `maximum subscriptions exceeded`.',
  },
  natsPingIntervalMs: {
    type: 'duration',
    default: 120 * SECOND_MS,
    min: 100,
    max: DAY_MS,
    doc: 'A connection of the NATS protocol that was silent for so long is sent PING.',
  },
  natsPingsOutMax: {
    type: 'count',
    default: 2,
    min: 1,
    max: 1_000,
    doc: 'PINGs that may stay without an answer.',
    atLimit: 'With the next one that would be sent the connection ends with `Stale Connection`.',
  },
  natsStreamingCluster: {
    type: 'text',
    default: 'test-cluster',
    doc: 'Cluster ID that clients of NATS Streaming connect to.',
  },
  natsStreamingClientsMax: {
    type: 'count',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Clients of NATS Streaming that are registered at a time.',
    atLimit: 'A further one is refused with `too many clients`, until one closes or answers no heartbeats.',
  },
  natsStreamingRequestsMax: {
    type: 'count',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Requests of clients of NATS Streaming, publishes aside, that are begun and not answered.',
    atLimit: 'A further one is refused with `too many requests at once`.',
  },
  natsStreamingPublishesMax: {
    type: 'count',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Messages that one client of NATS Streaming published and has no answer to. Clients stop at 16384 by themselves.',
    atLimit: 'A further one is refused with `too many publishes without an answer`.',
  },
  windowMax: {
    type: 'count',
    default: 1_000_000,
    min: 1,
    max: 0xffff_ffff,
    doc: 'Records of one subscription that are delivered and not yet committed.',
    atLimit: 'A Subscribe that asks for a larger window fails with `LVT_INVALID_ARGUMENT`.',
  },
  deliveryBytesMax: {
    type: 'bytes',
    default: 256 * KIB,
    min: KIB,
    max: FRAME_BYTES_LIMIT,
    doc: 'Size that a delivery is filled up to; never more than `maxFrameBytes`.',
    atLimit: 'The next records go into the next delivery. A larger record has one of its own.',
  },
  ackWaitMs: {
    type: 'duration',
    default: 30 * SECOND_MS,
    min: 1,
    max: DAY_MS,
    doc: 'How long a member of a shared group may say nothing of a record that it has, unless its Subscribe says.',
    atLimit: 'The record goes to another member, and a late ack of the first one fails with `LVT_LEASE_LOST`.',
  },
  groupInFlightMax: {
    type: 'count',
    default: 65_536,
    min: 1,
    max: 16_777_216,
    doc: 'Records of one shared group in one partition that are given out and not done with, all members together.',
    atLimit: 'Nothing more is given out until something is acked, rejected or comes back.',
  },
  groupSpanMax: {
    type: 'count',
    default: 262_144,
    min: 1,
    max: 16_777_216,
    doc: 'Records between the oldest one of a shared group that is not done with and the newest one that was given out, in one partition.',
    atLimit:
      'Nothing more is given out until the oldest one is done with: one that nobody acks holds its partition up.',
  },
  groupsMax: {
    type: 'count',
    default: 100_000,
    min: 1,
    max: 10_000_000,
    doc: 'Groups and named cursors of one topic, and so channels of one queue.',
    atLimit: 'A further one is refused with `LVT_INVALID_ARGUMENT`; known ones go on.',
  },
  topicsMax: {
    type: 'count',
    default: 1_000_000,
    min: 1,
    max: 100_000_000,
    doc: 'Topics of the server.',
    atLimit: 'A further topic is refused with `LVT_TOPIC_LIMIT`; known topics go on.',
  },
  compactionKeysMax: {
    type: 'count',
    default: 1_000_000,
    min: 1,
    max: 100_000_000,
    doc: 'Keys that the compaction window of one partition remembers. After a restart it is rebuilt from the last so many records that were kept; a topic without retention has nothing to rebuild it from.',
    atLimit: 'The oldest key is forgotten before its window ends, so that a repetition of it is accepted.',
  },
  producersMax: {
    type: 'count',
    default: 1024,
    min: 1,
    max: 10_000_000,
    doc: 'Producers whose last sequences one partition remembers.',
    atLimit: 'The producer that was silent for longest is forgotten, and its retries may be stored twice.',
  },
  publishPendingBytesMax: {
    type: 'bytes',
    default: 64 * MIB,
    min: KIB,
    max: 16 * 1024 * MIB,
    doc: 'Bytes that were published to one partition and are not stored yet.',
    atLimit: 'A further Publish fails with `LVT_OVERLOADED`, which may be retried.',
  },
  publishWaitMs: {
    type: 'duration',
    default: 30 * SECOND_MS,
    min: 0,
    max: HOUR_MS,
    doc: 'How long a publish waits for the slowest subscriber of a topic whose slow-consumer policy is `block`.',
    atLimit: 'The Publish fails with `LVT_OVERLOADED`, which may be retried.',
  },
} as const satisfies Record<string, Setting>

export type ConfigKey = keyof typeof SETTINGS_TABLE

export const SETTINGS: Readonly<Record<ConfigKey, Setting>> = SETTINGS_TABLE

export const CONFIG_KEYS = Object.keys(SETTINGS) as readonly ConfigKey[]

type ValueOf<Entry extends Setting> = Entry extends ChoiceSetting
  ? Entry['choices'][number]
  : Entry extends RetentionSetting
    ? Retention
    : Entry extends SwitchSetting
      ? boolean
      : Entry extends TextSetting
        ? string
        : Entry extends ListenerSetting
          ? number | null
          : number

/** Checked settings: sizes in bytes, times in milliseconds. */
export type Config = { readonly [Key in ConfigKey]: ValueOf<(typeof SETTINGS_TABLE)[Key]> }

/** The file that load.ts reads first. It is no setting, since a file cannot name itself. */
export const CONFIG_FILE = {
  flag: 'config',
  env: 'LEVERET_CONFIG',
  doc: 'JSON file with settings under the keys of this table.',
} as const

/** `maxFrameBytes` is `--max-frame-bytes`; a duration names its own unit, so `drainMs` is `--drain`. */
export function flagOf(key: ConfigKey): string {
  return key.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

export function envOf(key: ConfigKey): string {
  return SETTINGS[key].env ?? `LEVERET_${flagOf(key).replaceAll('-', '_').toUpperCase()}`
}
