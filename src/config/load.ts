/**
 * From text to a checked Config: file, then environment, then flags, the later one winning. Whoever starts a
 * server calls it: the command line with all three, createBroker with typed values. All mistakes are told at once.
 */
import { readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { ConfigError } from '../common/errors.js'
import { KEEP_FOREVER, type Retention } from '../model/topic.js'
import {
  CONFIG_FILE,
  CONFIG_KEYS,
  type Config,
  type ConfigKey,
  envOf,
  flagOf,
  SETTINGS,
  type Setting,
} from './schema.js'
import { formatDuration, formatSize, parseDuration, parseSize } from './units.js'

export interface ConfigSources {
  /** In the place of defaults: whatever else is given counts instead. */
  readonly usual?: Readonly<Partial<Config>>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Under the keys of Config, and `config` for the file; what was not given is absent. */
  readonly flags: Readonly<Record<string, unknown>>
  /** Throws like readFileSync. */
  readFile?(path: string): string
}

type Values = Partial<Record<ConfigKey, unknown>>

/** A value that was read, or what is wrong with it: a clause that follows the name of the setting. */
type Read = { readonly value: unknown } | { readonly mistake: string }

/** Throws ConfigError with one line for each mistake. */
export function loadConfig(sources: ConfigSources): Config {
  const mistakes: string[] = []
  const { env, flags } = sources
  const path = flags[CONFIG_FILE.flag] ?? given(env[CONFIG_FILE.env])
  const values: Values = {}
  collectKeys('', sources.usual ?? {}, values, mistakes)
  if (typeof path === 'string') {
    const readFile = sources.readFile ?? ((name: string) => readFileSync(name, 'utf8'))
    collectFile(path, readFile, values, mistakes)
  }
  for (const key of CONFIG_KEYS) {
    const text = given(env[envOf(key)])
    if (text !== undefined) collect(key, envOf(key), text, values, mistakes)
    if (flags[key] !== undefined) collect(key, `--${flagOf(key)}`, flags[key], values, mistakes)
  }
  return finish(values, mistakes)
}

/** An empty variable is how a shell or a compose file leaves one out. */
function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

export function defaultConfig(): Config {
  return finish({}, [])
}

/** Defaults with some typed values in their place, each checked as if it came from a file. Throws ConfigError. */
export function configWith(overrides: Partial<Config>): Config {
  const mistakes: string[] = []
  const values: Values = {}
  collectKeys('', overrides, values, mistakes)
  return finish(values, mistakes)
}

/** Whether only this machine can reach the address. A name other than `localhost` may lead anywhere. */
export function isLoopback(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host.toLowerCase() === 'localhost'
  const loopback = new BlockList()
  loopback.addSubnet('127.0.0.0', 8, 'ipv4')
  loopback.addAddress('::1', 'ipv6')
  return loopback.check(host, family === 4 ? 'ipv4' : 'ipv6')
}

function finish(values: Values, mistakes: string[]): Config {
  const defaults = CONFIG_KEYS.map((key) => [key, SETTINGS[key].default])
  // The one place where the table and the type meet: each value was read by the entry that types it.
  const config = { ...Object.fromEntries(defaults), ...values } as Config
  if (!config.insecure && !isLoopback(config.host)) {
    mistakes.push(
      `host: "${config.host}" can be reached from other machines, and anybody there could read and write ` +
        'everything; say --insecure if that is what you want',
    )
  }
  if (config.dialectsOnly && !hasDialect(config)) {
    mistakes.push('dialectsOnly: no dialect has a port, so there would be nothing to listen on')
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return Object.freeze(config)
}

function hasDialect(config: Config): boolean {
  return CONFIG_KEYS.some((key) => SETTINGS[key].type === 'listener' && config[key] !== null)
}

function collectFile(path: string, readFile: (path: string) => string, values: Values, mistakes: string[]): void {
  let content: unknown
  try {
    content = JSON.parse(readFile(path))
  } catch (error) {
    mistakes.push(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    return
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    mistakes.push(`${path}: must hold a JSON object`)
    return
  }
  collectKeys(`${path}: `, content, values, mistakes)
}

function collectKeys(prefix: string, content: object, values: Values, mistakes: string[]): void {
  for (const [name, value] of Object.entries(content)) {
    if (value === undefined) continue
    if (isConfigKey(name)) collect(name, `${prefix}${name}`, value, values, mistakes)
    else mistakes.push(`${prefix}${name}: there is no such setting${suggestion(name)}`)
  }
}

function collect(key: ConfigKey, origin: string, value: unknown, values: Values, mistakes: string[]): void {
  const read = readValue(SETTINGS[key], value)
  if ('mistake' in read) mistakes.push(`${origin}: ${read.mistake}`)
  else values[key] = read.value
}

function isConfigKey(name: string): name is ConfigKey {
  return Object.hasOwn(SETTINGS, name)
}

/** The setting that differs only in case, dashes or the unit at its end. */
function suggestion(name: string): string {
  const plain = (text: string): string => text.toLowerCase().replace(/[-_]/g, '')
  const near = CONFIG_KEYS.find((key) => [plain(key), plain(flagOf(key)), plain(envOf(key))].includes(plain(name)))
  return near === undefined ? '' : `; "${near}" is meant, perhaps`
}

function readValue(setting: Setting, value: unknown): Read {
  switch (setting.type) {
    case 'text':
      return typeof value === 'string' && value !== '' ? { value } : wrong('some text', value)
    case 'switch':
      return readSwitch(value)
    case 'choice':
      return readChoice(setting, value)
    case 'retention':
      return readRetention(value)
    case 'listener':
      return readListener(setting, value)
    case 'count':
      return readNumber(setting, value, (text) => (/^\d+$/.test(text) ? Number(text) : null), String, 'a whole number')
    case 'bytes':
      return readNumber(setting, value, parseSize, formatSize, 'a size like 64KiB or 8MiB')
    default:
      return readNumber(setting, value, readDuration, formatDuration, 'a duration like 500ms, 10s or 1h')
  }
}

function readNumber(
  { min, max }: { readonly min: number; readonly max: number },
  value: unknown,
  parse: (text: string) => number | null,
  format: (value: number) => string,
  what: string,
): Read {
  const number = typeof value === 'string' ? parse(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= min && number <= max) {
    return { value: number }
  }
  return wrong(`${what}, from ${format(min)} to ${format(max)}`, value)
}

/** `0` needs no unit: it is how a wait or a window is switched off. */
function readDuration(text: string): number | null {
  return text === '0' ? 0 : parseDuration(text)
}

function readSwitch(value: unknown): Read {
  if (value === true || value === 'true' || value === '1' || value === 'yes' || value === 'on') return { value: true }
  if (value === false || value === 'false' || value === '0' || value === 'no' || value === 'off')
    return { value: false }
  return wrong('true or false', value)
}

/** A port, or whether there is a listener at all. */
function readListener({ port }: { readonly port: number }, value: unknown): Read {
  if (value === null) return { value }
  // A bare 1 or 0 is a port here.
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (typeof number === 'number') {
    const isPort = Number.isInteger(number) && number >= 0 && number <= 65_535
    return isPort ? { value: number } : wrong('a port from 0 to 65535, on or off', value)
  }
  const wanted = readSwitch(value)
  return 'mistake' in wanted ? wrong('a port from 0 to 65535, on or off', value) : { value: wanted.value ? port : null }
}

function readChoice(setting: Setting & { type: 'choice' }, value: unknown): Read {
  if (typeof value === 'string' && setting.choices.includes(value)) return { value }
  const [scheme = ''] = typeof value === 'string' ? value.split('://') : []
  if (setting.later.includes(scheme)) {
    return { mistake: `"${scheme}" is planned but not in this version; what there is: ${setting.choices.join(', ')}` }
  }
  return wrong(`one of ${setting.choices.join(', ')}`, value)
}

/** `none`, `forever` or an age; typed values may also limit bytes and records. */
function readRetention(value: unknown): Read {
  const retention = typeof value === 'string' ? parseRetention(value) : limitsOf(value)
  return retention === null ? wrong('none, forever, or an age like 1h', value) : { value: retention }
}

/** Null when the text is none of `none`, `forever` and an age. */
export function parseRetention(text: string): Retention | null {
  if (text === 'none' || text === '0') return 'none'
  if (text === 'forever') return KEEP_FOREVER
  const ageMs = parseDuration(text)
  return ageMs === null || ageMs === 0 ? null : { ...KEEP_FOREVER, ageMs }
}

function limitsOf(value: unknown): Retention | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const limits: Record<string, unknown> = { ...KEEP_FOREVER, ...value }
  const { ageMs, bytes, records, ...others } = limits
  if (Object.keys(others).length > 0 || !isLimit(ageMs) || !isLimit(bytes) || !isLimit(records)) return null
  return { ageMs, bytes, records }
}

function isLimit(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)
}

/** Values of any kind in a message: short, and never a line break. */
function wrong(expected: string, value: unknown): Read {
  const shown = JSON.stringify(value) ?? String(value)
  return { mistake: `must be ${expected}, not ${shown.length > 60 ? `${shown.slice(0, 60)}...` : shown}` }
}
