/**
 * What a queue is told by its options, under the names that Floki has for them, and what a topic makes of it. Limits that
 * hold whether a message was read or not are limits of the topic; the other options are the gateway's own.
 */
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../../model/topic.js'
import { durationMsOf, sizeOf } from './floki-arguments.js'
import { FlokiFault } from './floki-fault.js'

export const DURABILITY_LEVELS = ['async', 'sync'] as const

/** Durations in seconds, sizes in bytes; 0 is off. */
export interface QueueConfig {
  readonly segment_size: number
  readonly message_timeout: number
  readonly retention_period: number
  readonly hard_retention_period: number
  readonly retention_size: number
  readonly hard_retention_size: number
  /** A segment whose oldest message is older is closed, so that it can be removed. */
  readonly segment_period: number
  /** `sync`: a message is on the disk before its push is answered. */
  readonly durability: (typeof DURABILITY_LEVELS)[number]
}

/** What the settings of the server say of new queues: sizes in bytes, times in milliseconds. */
export interface QueueSettings {
  readonly flokiMessageTimeoutMs: number
  readonly flokiSegmentBytes: number
  readonly flokiRetentionMs: number
  readonly flokiRetentionBytes: number
  readonly flokiHardRetentionMs: number
  readonly flokiHardRetentionBytes: number
}

export function configOf(settings: QueueSettings): QueueConfig {
  return {
    segment_size: settings.flokiSegmentBytes,
    message_timeout: timeoutSeconds(settings.flokiMessageTimeoutMs),
    retention_period: wholeSeconds(settings.flokiRetentionMs),
    hard_retention_period: wholeSeconds(settings.flokiHardRetentionMs),
    retention_size: settings.flokiRetentionBytes,
    hard_retention_size: settings.flokiHardRetentionBytes,
    segment_period: 3_600,
    durability: 'async',
  }
}

const SEGMENT_BYTES_MIN = 2 ** 20
const SEGMENT_BYTES_BELOW = 2 ** 31
const KEYS: ReadonlyMap<string, (value: string) => Partial<QueueConfig>> = new Map<
  string,
  (value: string) => Partial<QueueConfig>
>([
  ['segment_size', (value) => ({ segment_size: segmentSizeOf(value) })],
  ['message_timeout', (value) => ({ message_timeout: timeoutSeconds(durationMsOf(value)) })],
  ['retention_period', (value) => ({ retention_period: secondsOf(value) })],
  ['hard_retention_period', (value) => ({ hard_retention_period: secondsOf(value) })],
  ['retention_size', (value) => ({ retention_size: sizeOf(value) })],
  ['hard_retention_size', (value) => ({ hard_retention_size: sizeOf(value) })],
  ['segment_period', (value) => ({ segment_period: secondsOf(value) })],
  ['durability', (value) => ({ durability: durabilityOf(value) })],
])

/** The option that is changed. Throws FlokiFault. */
export function changeOf(key: string, value: string): Partial<QueueConfig> {
  const parse = KEYS.get(key)
  if (parse === undefined) throw new FlokiFault('IPA Invalid CONFIG SET parameter')
  return parse(value)
}

/** What is kept of options may be of another version, or only some of them: the others are as in `defaults`. */
export function readConfig(stored: unknown, defaults: QueueConfig): QueueConfig {
  const config: Record<string, unknown> = { ...defaults }
  for (const [key, value] of Object.entries((stored ?? {}) as object)) {
    if (Object.hasOwn(config, key) && typeof value === typeof config[key]) config[key] = value
  }
  return config as unknown as QueueConfig
}

/** Of a topic that is as it was, or (null) about to be made. */
export function topicSettingsOf(config: QueueConfig, topic: TopicSettings | null): TopicSettings {
  const kept = topic === null || topic.retention === 'none' ? KEEP_FOREVER : topic.retention
  return {
    ...(topic ?? DEFAULT_TOPIC_SETTINGS),
    retention: {
      ...kept,
      ageMs: config.hard_retention_period === 0 ? null : config.hard_retention_period * 1_000,
      bytes: config.hard_retention_size === 0 ? null : config.hard_retention_size,
    },
    durability: config.durability === 'sync' ? 'disk' : 'os',
  }
}

/** The options with what the topic says of them, which others may have changed. */
export function withTopic(config: QueueConfig, { retention, durability }: TopicSettings): QueueConfig {
  const { ageMs, bytes } = retention === 'none' ? KEEP_FOREVER : retention
  return {
    ...config,
    hard_retention_period: ageMs === null ? 0 : Math.ceil(ageMs / 1_000),
    hard_retention_size: bytes ?? 0,
    durability: durability === 'memory' || durability === 'os' ? 'async' : 'sync',
  }
}

function segmentSizeOf(value: string): number {
  const bytes = sizeOf(value)
  if (bytes < SEGMENT_BYTES_MIN || bytes >= SEGMENT_BYTES_BELOW) throw new FlokiFault('IPA Invalid Size Value')
  return bytes
}

function secondsOf(value: string): number {
  return wholeSeconds(durationMsOf(value))
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1_000)
}

/** None at all would bring a message again at once, for ever. */
function timeoutSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}

function durabilityOf(value: string): QueueConfig['durability'] {
  const level = DURABILITY_LEVELS.find((known) => known === value.toLowerCase())
  if (level === undefined) throw new FlokiFault(`ERR durability is ${DURABILITY_LEVELS.join(' or ')}`)
  return level
}
