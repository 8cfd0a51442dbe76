/**
 * What a command line and its configuration files ask for, as one checked value: defaults, then the files, then the flags. Says what
 * is ignored, and refuses what leveret cannot do and somebody would miss.
 */

import {
  type ChannelOverrides,
  DEFAULT_CHANNEL_LIMITS,
  DEFAULT_CHANNELS_MAX,
  LimitsByChannel,
} from '../../gateways/nats-streaming/streaming/store-limits.js'
import { type GivenKey, natsKeys, type StreamingConfig, streamingConfig } from './config-options.js'
import { type ConfigMap, parseConfig, type SyntaxSources } from './config-syntax.js'
import { type OptionValue, parseFlags } from './flags.js'
import { OptionMistake } from './option-mistake.js'

export interface ServerOptions {
  readonly clusterId: string
  readonly discoverPrefix: string
  readonly store: 'MEMORY' | 'FILE'
  /** Where the store FILE is; null with MEMORY. */
  readonly dir: string | null
  /** A message is acknowledged when it is on the disk, not when the system has it. */
  readonly isSynced: boolean
  readonly encryption: { readonly cipher: 'aes-256-gcm' | 'chacha20-poly1305'; readonly key: string } | null
  readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number; readonly failures: number }
  readonly replacesDurables: boolean
  readonly limits: LimitsByChannel
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
  readonly serverName: string | null
  /** Null where nothing was asked for. */
  readonly nats: Readonly<Record<NatsLimit, number | null>>
  /** What the parameters that were given are called where they stand, for mistakes in them. */
  readonly shown: ReadonlyMap<string, string>
  readonly log: LogOptions
  readonly pidFile: string | null
  readonly portsFolder: string | null
}

export type NatsLimit =
  | 'maxControlLine'
  | 'maxPayload'
  | 'maxPending'
  | 'maxConnections'
  | 'maxSubscriptions'
  | 'pingInterval'
  | 'pingMax'
  | 'writeDeadline'

export interface LogOptions {
  readonly file: string | null
  readonly hasTime: boolean
  readonly isUtc: boolean
  /** Bytes; 0 is no limit. */
  readonly sizeLimit: number
  /** Of the NATS part, and of streaming: independent of each other. */
  readonly debug: boolean
  readonly trace: boolean
  readonly stanDebug: boolean
  readonly stanTrace: boolean
}

export type Asked =
  | { readonly do: 'help' | 'help-tls' | 'version' }
  | { readonly do: 'signal'; readonly signal: string }
  | { readonly do: 'test-config'; readonly options: ServerOptions; readonly notes: readonly string[] }
  | { readonly do: 'run'; readonly options: ServerOptions; readonly notes: readonly string[] }

export interface OptionSources extends Omit<SyntaxSources, 'include'> {
  /** Throws like readFileSync. `from` is the file that names it, if one does. */
  readFile(path: string, from: string | null): string
}

/** Parameters, and what they limit. */
const LIMITS = [
  ['maxSubs', 'subscriptionsMax'],
  ['maxMsgs', 'messagesMax'],
  ['maxBytes', 'bytesMax'],
  ['maxAge', 'ageMsMax'],
  ['maxInactivity', 'inactivityMsMax'],
] as const
const DEFAULT_PORT = 4222
const KEY_IN_ENVIRONMENT = 'NATS_STREAMING_ENCRYPTION_KEY'
const IMMEDIATE = ['help', 'helpTls', 'version'] as const

/** Throws OptionMistake and ConfigError with the reason for which nothing can be started, and what reading a file throws. */
export function readServerOptions(words: readonly string[], sources: OptionSources): Asked {
  const [first, ...others] = words
  if (others.length === 0 && (first === 'help' || first === 'version')) return { do: first }
  const { flags, rest } = parseFlags(words)
  for (const name of IMMEDIATE) {
    if (flags.some(({ parameter, value }) => parameter.name === name && value === true)) {
      return { do: name === 'helpTls' ? 'help-tls' : name }
    }
  }
  if (rest.length > 0) throw new OptionMistake(`unrecognized command: ${rest[0]}`)
  const values = new Values()
  const flagOf = (name: string): string | null => {
    const value = flags.find(({ parameter }) => parameter.name === name)?.value
    return typeof value === 'string' ? value : null
  }
  const signal = flagOf('signal')
  if (signal !== null) return { do: 'signal', signal }
  const config = flagOf('config') ?? flagOf('streamingConfig')
  const streamingFile = flagOf('streamingConfig') ?? config
  let channels: StreamingConfig['channels'] = new Map()
  if (config !== null) within(config, () => values.addKeys(natsKeys(readConfig(config, sources)), config))
  if (streamingFile !== null) {
    const streaming = within(streamingFile, () => streamingConfig(readConfig(streamingFile, sources)))
    within(streamingFile, () => values.addKeys(streaming.keys, streamingFile))
    channels = streaming.channels
  }
  for (const { parameter, flag, value } of flags) values.add(parameter.name, parameter.fate, `-${flag}`, value)
  const options = optionsOf(values, channels, sources.env)
  return { do: values.flag('testConfig') ? 'test-config' : 'run', options, notes: values.notes }
}

/** What was given, the later over the earlier. */
class Values {
  readonly #values = new Map<string, OptionValue>()
  readonly #notes = new Map<string, string>()
  readonly #shown = new Map<string, string>()

  addKeys(keys: readonly GivenKey[], file: string): void {
    for (const { parameter, key, value } of keys) {
      this.add(parameter.name, parameter.fate, key, value)
      this.#shown.set(parameter.name, `${file}: ${key}`)
    }
  }

  add(name: string, fate: GivenKey['parameter']['fate'], shown: string, value: OptionValue): void {
    this.#values.set(name, value)
    this.#shown.set(name, shown)
    // To switch off what is not there is fine, and so is to name nothing.
    if (value === false || value === '') return
    if ('refused' in fate) throw new OptionMistake(`${shown}: ${fate.refused}`)
    if ('ignored' in fate) this.#notes.set(name, `${shown} is ignored: ${fate.ignored}`)
    else if (fate.butIgnored !== undefined) this.#notes.set(name, `${shown} is honoured but for ${fate.butIgnored}`)
  }

  get notes(): readonly string[] {
    return [...this.#notes.values()]
  }

  get shown(): ReadonlyMap<string, string> {
    return this.#shown
  }

  text(name: string): string | null {
    const value = this.#values.get(name)
    return typeof value === 'string' && value !== '' ? value : null
  }

  number(name: string): number | null {
    const value = this.#values.get(name)
    return typeof value === 'number' ? value : null
  }

  flag(name: string, fallback = false): boolean {
    const value = this.#values.get(name)
    return typeof value === 'boolean' ? value : fallback
  }
}

function optionsOf(values: Values, channels: StreamingConfig['channels'], env: OptionSources['env']): ServerOptions {
  const store = storeOf(values)
  const dir = values.text('dir')
  if (store === 'FILE' && dir === null) throw new OptionMistake('for FILE stores, root directory must be specified')
  return {
    clusterId: clusterIdOf(values),
    discoverPrefix: values.text('discoverPrefix') ?? '_STAN.discover',
    store,
    dir: store === 'FILE' ? dir : null,
    isSynced: values.flag('fileSync', true),
    encryption: encryptionOf(values, env),
    heartbeat: {
      intervalMs: values.number('heartbeatInterval') ?? 30_000,
      timeoutMs: values.number('heartbeatTimeout') ?? 10_000,
      failures: values.number('heartbeatFailures') ?? 10,
    },
    replacesDurables: values.flag('replaceDurable'),
    limits: limitsOf(values, channels),
    ...addressOf(values),
    serverName: values.text('serverName'),
    nats: natsLimits(values),
    shown: values.shown,
    log: logOptions(values),
    pidFile: values.text('pidFile'),
    portsFolder: values.text('portsFileDir'),
  }
}

/** It is part of the subjects that clients publish to. */
function clusterIdOf(values: Values): string {
  const id = values.text('clusterId') ?? 'test-cluster'
  if (/^[^\s.*>]+(\.[^\s.*>]+)*$/.test(id)) return id
  throw new OptionMistake(`cluster ID ${JSON.stringify(id)} cannot be part of a subject`)
}

function storeOf(values: Values): ServerOptions['store'] {
  const store = values.text('store') ?? 'MEMORY'
  switch (store.toUpperCase()) {
    case 'MEMORY':
      return 'MEMORY'
    case 'FILE':
      return 'FILE'
    case 'SQL':
      throw new OptionMistake('store SQL: messages cannot be kept in a database yet; use FILE')
    default:
      throw new OptionMistake(`unknown store type: ${store}`)
  }
}

function encryptionOf(values: Values, env: OptionSources['env']): ServerOptions['encryption'] {
  const key = env[KEY_IN_ENVIRONMENT] || values.text('encryptionKey')
  if (!values.flag('encrypt') && values.text('encryptionKey') === null) return null
  if (!key) throw new OptionMistake('encryption key required')
  switch ((values.text('encryptionCipher') ?? 'AES').toUpperCase()) {
    case 'AES':
      return { cipher: 'aes-256-gcm', key }
    case 'CHACHA':
      return { cipher: 'chacha20-poly1305', key }
    default:
      throw new OptionMistake('encryption cipher not supported')
  }
}

/** 0 is no limit: for the server, and for a channel in its own block. Throws ConfigError. */
function limitsOf(values: Values, channels: StreamingConfig['channels']): LimitsByChannel {
  const maxChannels = values.number('maxChannels')
  const global = { ...DEFAULT_CHANNEL_LIMITS, ...limitsGiven((name) => values.number(name) ?? undefined) }
  return new LimitsByChannel(
    maxChannels === null ? DEFAULT_CHANNELS_MAX : unlessZero(maxChannels),
    global,
    new Map([...channels].map(([name, given]) => [name, limitsGiven((limit) => given.get(limit))])),
  )
}

function unlessZero(limit: number): number | null {
  return limit === 0 ? null : limit
}

function limitsGiven(given: (name: string) => number | undefined): ChannelOverrides {
  const overrides: { -readonly [Limit in keyof ChannelOverrides]: ChannelOverrides[Limit] } = {}
  for (const [name, limit] of LIMITS) {
    const value = given(name)
    if (value !== undefined) overrides[limit] = unlessZero(value)
  }
  return overrides
}

function addressOf(values: Values): { readonly host: string; readonly port: number } {
  const listen = /^(?:(.*):)?(-?\d+)$/.exec(values.text('listen') ?? '')
  const host = values.text('host') ?? listen?.[1]
  // 0 is what was not given, -1 any that is free.
  const port = (values.number('port') ?? Number(listen?.[2] ?? 0)) || DEFAULT_PORT
  if (port > 65_535) throw new OptionMistake(`port ${port} is beyond 65535`)
  return { host: host === undefined || host === '' ? '0.0.0.0' : host, port: port < 0 ? 0 : port }
}

function natsLimits(values: Values): ServerOptions['nats'] {
  const limit = (name: NatsLimit): number | null => values.number(name)
  return {
    maxControlLine: limit('maxControlLine'),
    maxPayload: limit('maxPayload'),
    maxPending: limit('maxPending'),
    maxConnections: limit('maxConnections'),
    maxSubscriptions: limit('maxSubscriptions'),
    pingInterval: limit('pingInterval'),
    pingMax: limit('pingMax'),
    writeDeadline: limit('writeDeadline'),
  }
}

function logOptions(values: Values): LogOptions {
  const both = values.flag('debugTrace')
  const stanBoth = values.flag('stanDebugTrace')
  return {
    file: values.text('logFile'),
    hasTime: values.flag('logTime', true),
    isUtc: values.flag('logTimeUtc'),
    sizeLimit: values.number('logSizeLimit') ?? 0,
    debug: both || values.flag('debug'),
    trace: both || values.flag('trace'),
    stanDebug: stanBoth || values.flag('stanDebug'),
    stanTrace: stanBoth || values.flag('stanTrace'),
  }
}

/** Mistakes in a file are told with its name. */
function within<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof OptionMistake) || error.message.startsWith(`${file}:`)) throw error
    throw new OptionMistake(`${file}: ${error.message}`, { cause: error })
  }
}

function readConfig(path: string, { env, readFile }: OptionSources): ConfigMap {
  return parseConfig(path, readFile(path, null), { env, include: (name) => readFile(name, path) })
}
