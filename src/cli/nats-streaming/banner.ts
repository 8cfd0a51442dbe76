/**
 * The table of limits that a streaming server prints when it starts, in the shape that people and their tools read. Source: the
 * output of nats-streaming-server 0.23.2.
 */

import { matchesChannel } from '../../gateways/nats-streaming/streaming/channel-names.js'
import { formatGoDuration } from '../../gateways/nats-streaming/streaming/go-duration.js'
import {
  type ChannelLimits,
  DEFAULT_CHANNEL_LIMITS,
  DEFAULT_CHANNELS_MAX,
  type LimitsByChannel,
} from '../../gateways/nats-streaming/streaming/store-limits.js'
import { friendlyBytes } from './values.js'

const VALUE_COLUMNS = 13
const WIDTH = 34
type Limit = keyof ChannelLimits

const SHOWN: readonly (readonly [Limit, string, (value: number) => string])[] = [
  ['subscriptionsMax', 'Subscriptions', String],
  ['messagesMax', 'Messages', String],
  ['bytesMax', 'Bytes', friendlyBytes],
  ['ageMsMax', 'Age', formatGoDuration],
  ['inactivityMsMax', 'Inactivity', formatGoDuration],
]

export function limitLines(limits: LimitsByChannel): readonly string[] {
  const { channelsMax, global } = limits
  const lines = [
    title('Store Limits'),
    `Channels:        ${value(channelsMax, String)}${channelsMax === DEFAULT_CHANNELS_MAX ? ' *' : ''}`,
    title('Channels Limits'),
  ]
  for (const [limit, name, show] of SHOWN) {
    const isDefault = global[limit] === DEFAULT_CHANNEL_LIMITS[limit]
    lines.push(`  ${name.padEnd(13)}: ${value(global[limit], show)}${isDefault ? ' *' : ''}`)
  }
  return [...lines, ...channelLines(limits), '-'.repeat(WIDTH)]
}

/** What differs from the entry that it inherits from, further in than that. */
function channelLines({ entries, global }: LimitsByChannel): readonly string[] {
  if (entries.length === 0) return []
  const lines = [title('List of Channels')]
  const depths = new Map<string, number>()
  for (const [at, { name, limits }] of entries.entries()) {
    const parent = entries.slice(0, at).findLast((wider) => matchesChannel(wider.name, name))
    const depth = parent === undefined ? 0 : (depths.get(parent.name) ?? 0) + 1
    depths.set(name, depth)
    const indent = '  '.repeat(depth)
    lines.push(`${indent}${name}`)
    for (const [limit, shown, show] of SHOWN) {
      if (limits[limit] === (parent?.limits ?? global)[limit]) continue
      lines.push(`${indent} |-> ${shown.padEnd(13)} ${value(limits[limit], show)}`)
    }
  }
  return lines
}

function title(text: string): string {
  const dashes = WIDTH - text.length - 2
  return `${'-'.repeat(Math.ceil(dashes / 2))} ${text} ${'-'.repeat(Math.floor(dashes / 2))}`
}

function value(limit: number | null, show: (value: number) => string): string {
  return (limit === null ? 'unlimited' : show(limit)).padStart(VALUE_COLUMNS)
}
