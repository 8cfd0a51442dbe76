/**
 * What a configuration file says, as values of the parameters (parameters.ts). The block `streaming`, if there is one, holds what
 * concerns streaming; the rest is the NATS server's. Unknown keys are nobody's, as with the original.
 */
import type { ConfigMap, ConfigValue } from './config-syntax.js'
import type { OptionValue } from './flags.js'
import { OptionMistake } from './option-mistake.js'
import type { Kind, Parameter, Section } from './parameter.js'
import { CLUSTERED, parameterOfKey, REFUSED_BLOCKS } from './parameters.js'
import { parseGoDuration } from './values.js'

export interface GivenKey {
  readonly parameter: Parameter
  readonly key: string
  readonly value: OptionValue
}

/** Of one channel or pattern, under the names of the parameters; what is not there is inherited. */
export type GivenLimits = ReadonlyMap<string, number>

export interface StreamingConfig {
  readonly keys: readonly GivenKey[]
  readonly channels: ReadonlyMap<string, GivenLimits>
}

/** Blocks within the one of streaming, with the words of its mistakes. */
const BLOCKS: readonly { readonly keys: readonly string[]; readonly section: Section; readonly shown: string }[] = [
  { keys: ['limits', 'store_limits', 'storelimits'], section: 'limits', shown: 'store limits' },
  { keys: ['file', 'file_options'], section: 'file', shown: 'file options' },
  { keys: ['sql', 'sql_options'], section: 'sql', shown: 'SQL options' },
  { keys: ['cluster'], section: 'cluster', shown: 'cluster' },
  { keys: ['tls'], section: 'tls', shown: 'TLS' },
]
const CHANNELS = ['channels', 'channels_limits', 'channelslimits', 'per_channel', 'per_channel_limits']

/** Of the NATS server. Throws OptionMistake. */
export function natsKeys(config: ConfigMap): readonly GivenKey[] {
  for (const key of config.keys()) {
    const refused = REFUSED_BLOCKS[key.toLowerCase()]
    if (refused !== undefined) throw new OptionMistake(`"${key}": ${refused}`)
  }
  return keysIn(config, 'nats')
}

/** Throws OptionMistake. */
export function streamingConfig(config: ConfigMap): StreamingConfig {
  const block = [...config].find(([key]) => key.toLowerCase() === 'streaming')
  const source = block === undefined ? config : mapOf(block[1], 'streaming section')
  const keys = [...keysIn(source, 'streaming')]
  let channels: ReadonlyMap<string, GivenLimits> = new Map()
  for (const [key, value] of source) {
    const { section, shown } = BLOCKS.find((known) => known.keys.includes(key.toLowerCase())) ?? {}
    if (section === undefined || shown === undefined) continue
    const map = mapOf(value, shown)
    // Of the NATS server, and judged there, unless it stands within the block.
    if (block === undefined && (section === 'cluster' || section === 'tls')) continue
    if (section === 'cluster') keys.push({ parameter: CLUSTERED, key, value: true })
    keys.push(...keysIn(map, section))
    if (section === 'limits') channels = channelLimits(map)
  }
  return { keys, channels }
}

function channelLimits(limits: ConfigMap): ReadonlyMap<string, GivenLimits> {
  const channels = new Map<string, GivenLimits>()
  for (const [key, value] of limits) {
    if (!CHANNELS.includes(key.toLowerCase())) continue
    for (const [channel, block] of mapOf(value, 'per channel limits')) {
      const given = new Map<string, number>()
      for (const { parameter, value: limit } of keysIn(mapOf(block, 'channel limits'), 'limits')) {
        if (parameter.name !== 'maxChannels' && typeof limit === 'number') given.set(parameter.name, limit)
      }
      channels.set(channel, given)
    }
  }
  return channels
}

function keysIn(map: ConfigMap, section: Section): readonly GivenKey[] {
  const given: GivenKey[] = []
  for (const [key, value] of map) {
    const parameter = parameterOfKey(section, key)
    if (parameter !== null) given.push({ parameter, key, value: keyValue(key, parameter, value) })
  }
  return given
}

function keyValue(key: string, { kind, section }: Parameter, value: ConfigValue): OptionValue {
  const wrong = (): OptionMistake =>
    new OptionMistake(
      `parameter ${JSON.stringify(key)} value is expected to be ${expected(kind)}, got ${kindOf(value)}`,
    )
  switch (kind) {
    case 'string':
      // The NATS server takes "host:port" and a bare port for the same keys.
      if (typeof value === 'string') return value
      if (section === 'nats' && typeof value === 'number') return String(value)
      throw wrong()
    case 'int':
    case 'size':
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value
      throw wrong()
    case 'bool':
      if (typeof value === 'boolean') return value
      throw wrong()
    case 'strings':
      if (Array.isArray(value) && value.every((part): part is string => typeof part === 'string')) return value
      throw wrong()
    case 'duration': {
      // Seconds, only there.
      if (section === 'nats' && typeof value === 'number') return value * 1_000
      if (typeof value !== 'string') throw wrong()
      const ms = parseGoDuration(value)
      if (ms === null) throw new OptionMistake(`${key}: time: invalid duration ${JSON.stringify(value)}`)
      return ms
    }
  }
}

function mapOf(value: ConfigValue, shown: string): ConfigMap {
  if (value instanceof Map) return value
  throw new OptionMistake(`expected ${shown} to be a map/struct, got ${String(value)}`)
}

function expected(kind: Kind): string {
  if (kind === 'int' || kind === 'size') return 'int64'
  if (kind === 'bool') return 'bool'
  return kind === 'strings' ? 'slice' : 'string'
}

function kindOf(value: ConfigValue): string {
  if (typeof value === 'string' || typeof value === 'boolean') return typeof value === 'string' ? 'string' : 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64'
  return Array.isArray(value) ? 'slice' : 'map'
}
