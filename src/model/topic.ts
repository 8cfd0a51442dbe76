/**
 * What a topic is: its name and its settings, with the rules both obey.
 */
import { InvalidArgumentError } from '../common/errors.js'

/** Limits of what is kept; each null is unlimited, and all null keeps for ever. */
export interface RetentionLimits {
  readonly ageMs: number | null
  readonly bytes: number | null
  readonly records: number | null
}

/** `none`: only the subscribers of the moment see a record. */
export type Retention = 'none' | RetentionLimits

/** Levels of safety, weakest first. */
export const DURABILITIES = ['memory', 'os', 'disk', 'replicated'] as const
export type Durability = (typeof DURABILITIES)[number]

export function weaker(a: Durability, b: Durability): Durability {
  return DURABILITIES.indexOf(a) <= DURABILITIES.indexOf(b) ? a : b
}

export function stronger(a: Durability, b: Durability): Durability {
  return weaker(a, b) === a ? b : a
}

export const SLOW_CONSUMER_POLICIES = ['lag', 'block', 'disconnect'] as const
export type SlowConsumerPolicy = (typeof SLOW_CONSUMER_POLICIES)[number]

export interface TopicSettings {
  /** 1 to PARTITIONS_MAX; may only grow. */
  readonly partitions: number
  readonly retention: Retention
  /** A keyed record is dropped if its key was accepted less than this ago. 0 is off. */
  readonly compactionWindowMs: number
  /** Rewrite old data so that only the newest record of each key stays. */
  readonly keepLatestPerKey: boolean
  /** What a publish waits for if it asks for nothing. */
  readonly durability: Durability
  readonly ringBytes: number
  readonly ringRecords: number
  /** Delete the topic after so long without a publish and without a subscription; null is never. */
  readonly inactivityMs: number | null
  readonly deadLetterTopic: string | null
  readonly maxDeliveries: number | null
  readonly slowConsumer: SlowConsumerPolicy
}

export const KEEP_FOREVER: RetentionLimits = { ageMs: null, bytes: null, records: null }

export const DEFAULT_TOPIC_SETTINGS: TopicSettings = {
  partitions: 1,
  retention: 'none',
  compactionWindowMs: 0,
  keepLatestPerKey: false,
  durability: 'disk',
  ringBytes: 8 * 1024 * 1024,
  ringRecords: 10_000,
  inactivityMs: null,
  deadLetterTopic: null,
  maxDeliveries: null,
  slowConsumer: 'lag',
}

export const TOPIC_NAME_BYTES_MAX = 255
export const PARTITIONS_MAX = 1024
export const RING_BYTES_MAX = 1024 * 1024 * 1024
export const RING_RECORDS_MAX = 10_000_000

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/
const LONE_SURROGATE = /\p{Surrogate}/u

/** Names are printed and stand in lists: nothing in them may act on a terminal. */
export function hasControls(name: string): boolean {
  return CONTROL_CHARACTER.test(name)
}

/** What gateways keep for themselves has such a name: no dialect has it among its own. */
const INTERNAL = '__leveret'

export function isInternalTopic(name: string): boolean {
  return name.startsWith(INTERNAL)
}

/** Throws InvalidArgumentError unless the name is 1 to 255 bytes of UTF-8 with no control characters. */
export function validateTopicName(name: string): void {
  const bytes = Buffer.byteLength(name)
  if (bytes === 0) throw new InvalidArgumentError('a topic name cannot be empty')
  if (bytes > TOPIC_NAME_BYTES_MAX) {
    throw new InvalidArgumentError(`a topic name has at most ${TOPIC_NAME_BYTES_MAX} bytes, this one has ${bytes}`)
  }
  if (hasControls(name)) throw new InvalidArgumentError('a topic name cannot hold control characters')
  if (LONE_SURROGATE.test(name)) throw new InvalidArgumentError('a topic name must be well-formed Unicode')
}

/** Throws InvalidArgumentError on settings that no topic can have. */
export function validateTopicSettings(settings: TopicSettings): void {
  requireWithin('partitions', settings.partitions, 1, PARTITIONS_MAX)
  requireWithin('ring_bytes', settings.ringBytes, 1024, RING_BYTES_MAX)
  requireWithin('ring_records', settings.ringRecords, 1, RING_RECORDS_MAX)
  requireWithin('compaction_window_ms', settings.compactionWindowMs, 0, Number.MAX_SAFE_INTEGER)
  requirePositive('inactivity_ms', settings.inactivityMs)
  requirePositive('max_deliveries', settings.maxDeliveries)
  validateRetention(settings.retention)
  requireOneOf('durability', settings.durability, DURABILITIES)
  requireOneOf('slow_consumer', settings.slowConsumer, SLOW_CONSUMER_POLICIES)
  if (settings.deadLetterTopic !== null) validateTopicName(settings.deadLetterTopic)
  if (settings.slowConsumer === 'block' && settings.retention !== 'none') {
    throw new InvalidArgumentError('slow_consumer "block" is for topics that keep nothing: others lag on storage')
  }
  if (settings.slowConsumer === 'disconnect' && settings.retention !== 'none') {
    throw new InvalidArgumentError('slow_consumer "disconnect" is for topics that keep nothing: others lag on storage')
  }
  if (settings.keepLatestPerKey && settings.retention === 'none') {
    throw new InvalidArgumentError('keep_latest_per_key is for topics that keep records: this one keeps nothing')
  }
}

function validateRetention(retention: Retention): void {
  if (retention === 'none') return
  if (typeof retention !== 'object' || retention === null) {
    throw new InvalidArgumentError('retention is "none" or an object of ageMs, bytes and records')
  }
  requirePositive('retention ageMs', retention.ageMs)
  requirePositive('retention bytes', retention.bytes)
  requirePositive('retention records', retention.records)
}

/** Null is unlimited or never; 0 would mean neither. */
function requirePositive(name: string, value: number | null): void {
  if (value !== null) requireWithin(name, value, 1, Number.MAX_SAFE_INTEGER)
}

function requireOneOf(name: string, value: string, known: readonly string[]): void {
  if (!known.includes(value)) throw new InvalidArgumentError(`${name} is one of ${known.join(', ')}, not "${value}"`)
}

function requireWithin(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`${name} must be a whole number from ${min} to ${max}, not ${value}`)
  }
}

export function sameSettings(a: TopicSettings, b: TopicSettings): boolean {
  return settingsKey(a) === settingsKey(b)
}

/** Why records below the log start of such a topic are gone: for age alone if nothing else limits it. */
export function trimCause({ retention }: TopicSettings): 'expired' | 'trimmed' {
  const isByAgeOnly =
    retention !== 'none' && retention.ageMs !== null && retention.bytes === null && retention.records === null
  return isByAgeOnly ? 'expired' : 'trimmed'
}

/** The names of the settings in which two topics differ, for a message. */
export function differingSettings(a: TopicSettings, b: TopicSettings): string[] {
  const names = Object.keys(a) as (keyof TopicSettings)[]
  return names.filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]))
}

function settingsKey(settings: TopicSettings): string {
  const { retention, ...rest } = settings
  const kept = retention === 'none' ? 'none' : [retention.ageMs, retention.bytes, retention.records]
  return JSON.stringify([kept, Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1))])
}

/** Where a reader begins. */
export type Start =
  | { readonly kind: 'earliest' | 'latest' | 'last' }
  | { readonly kind: 'offset'; readonly offset: number }
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'age'; readonly ageMs: number }
  | { readonly kind: 'last-n'; readonly records: number }

export const EARLIEST: Start = { kind: 'earliest' }
