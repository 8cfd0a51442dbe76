/**
 * What a store may hold: channels altogether, and in each channel subscriptions, messages, bytes and time, with limits
 * of their own for single channels and for patterns of them.
 *
 * A limit that an entry leaves open comes from the next wider entry that speaks of it, and at the root from the limits
 * of the server. Entries are ordered from wide to narrow: token by token, `>` before `*` before a word. A pattern is
 * matched as if it were a name, as the original does: `foo.>` inherits from `*.*`.
 */
import { ConfigError } from '../../../common/errors.js'
import { DEFAULT_TOPIC_SETTINGS, type TopicSettings } from '../../../model/topic.js'
import { isChannelName, isChannelPattern, matchesChannel } from './channel-names.js'
import { formatGoDuration } from './go-duration.js'

/** Each null is unlimited. */
export interface ChannelLimits {
  readonly subscriptionsMax: number | null
  readonly messagesMax: number | null
  readonly bytesMax: number | null
  readonly ageMsMax: number | null
  /** After so long without a publish and without a subscription the channel is deleted; null is never. */
  readonly inactivityMsMax: number | null
}

export interface StoreLimits {
  readonly channelsMax: number | null
  of(channel: string): ChannelLimits
}

/** As the original has them when it is told nothing. */
export const DEFAULT_CHANNEL_LIMITS: ChannelLimits = {
  subscriptionsMax: 1_000,
  messagesMax: 1_000_000,
  bytesMax: 1_024_000_000,
  ageMsMax: null,
  inactivityMsMax: null,
}
export const DEFAULT_CHANNELS_MAX = 100

export const DEFAULT_STORE_LIMITS: StoreLimits = {
  channelsMax: DEFAULT_CHANNELS_MAX,
  of: () => DEFAULT_CHANNEL_LIMITS,
}

/** The topic of a channel with these limits. Inactivity is not its own: offline durables do not count there. */
export function topicSettingsOf({ messagesMax, bytesMax, ageMsMax }: ChannelLimits): TopicSettings {
  return { ...DEFAULT_TOPIC_SETTINGS, retention: { records: messagesMax, bytes: bytesMax, ageMs: ageMsMax } }
}

/** What an entry sets; what it does not name it inherits. */
export type ChannelOverrides = Partial<ChannelLimits>

export interface ChannelEntry {
  readonly name: string
  readonly limits: ChannelLimits
}

export class LimitsByChannel implements StoreLimits {
  readonly channelsMax: number | null
  readonly global: ChannelLimits
  /** From wide to narrow, as they are listed for people. */
  readonly entries: readonly ChannelEntry[]

  /** Throws ConfigError. */
  constructor(
    channelsMax: number | null,
    global: ChannelLimits,
    overrides: ReadonlyMap<string, ChannelOverrides> = new Map(),
  ) {
    checkGlobal(channelsMax, global)
    checkNames([...overrides.keys()], channelsMax)
    const entries: ChannelEntry[] = []
    for (const name of [...overrides.keys()].sort(byWidth)) {
      const own = Object.entries(overrides.get(name) ?? {}).filter(([, value]) => value !== undefined)
      entries.push({ name, limits: { ...limitsFrom(entries, name, global), ...Object.fromEntries(own) } })
    }
    this.channelsMax = channelsMax
    this.global = global
    this.entries = entries
  }

  of(channel: string): ChannelLimits {
    return limitsFrom(this.entries, channel, this.global)
  }
}

/** Those of the narrowest of `entries`, which go from wide to narrow, that speaks of `name`. */
function limitsFrom(entries: readonly ChannelEntry[], name: string, otherwise: ChannelLimits): ChannelLimits {
  for (let at = entries.length - 1; at >= 0; at--) {
    const entry = entries[at]
    if (entry !== undefined && matchesChannel(entry.name, name)) return entry.limits
  }
  return otherwise
}

function checkGlobal(channelsMax: number | null, limits: ChannelLimits): void {
  const values: readonly [string, number | null, ((value: number) => string)?][] = [
    ['channels', channelsMax],
    ['subscriptions', limits.subscriptionsMax],
    ['messages', limits.messagesMax],
    ['bytes', limits.bytesMax],
    ['age', limits.ageMsMax, formatGoDuration],
    ['inactivity', limits.inactivityMsMax, formatGoDuration],
  ]
  for (const [noun, value, shown = String] of values) {
    if (value !== null && value < 0) throw new ConfigError([`max ${noun} limit cannot be negative (${shown(value)})`])
  }
}

function checkNames(names: readonly string[], channelsMax: number | null): void {
  const wrong = names.find((name) => !isChannelPattern(name))
  if (wrong !== undefined) throw new ConfigError([`invalid channel name ${JSON.stringify(wrong)}`])
  const literal = names.filter(isChannelName).length
  if (channelsMax === null || literal <= channelsMax) return
  throw new ConfigError([`too many channels defined (${literal}). The max channels limit is set to ${channelsMax}`])
}

function byWidth(a: string, b: string): number {
  const others = b.split('.')
  for (const [at, token] of a.split('.').entries()) {
    const other = others[at]
    if (other === undefined) return 1
    if (token === other) continue
    return widthOf(token) - widthOf(other) || (token < other ? -1 : 1)
  }
  return a === b ? 0 : -1
}

function widthOf(token: string): number {
  if (token === '>') return 0
  return token === '*' ? 1 : 2
}
