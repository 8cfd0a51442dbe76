/**
 * floki.toml, the file that Floki's own server reads: its options as settings of leveret, under their names in Config. Called by
 * the command line; opens no file itself.
 */
import { isIP } from 'node:net'
import { parse, TomlError } from 'smol-toml'
import { durationMsOf, sizeOf } from './floki-arguments.js'
import { FlokiFault } from './floki-fault.js'

/** The file as Floki shipped it, comments aside. Floki itself has no other defaults. */
export const SHIPPED_OPTIONS: Readonly<Record<string, string | number>> = {
  bind_address: '127.0.0.1:9797',
  max_connections: 1024,
  data_directory: './data/',
  monitor_interval: '1s',
  maintenance_interval: '1s',
  segment_size: '128mb',
  message_timeout: '30s',
  retention_period: '0',
  retention_size: '0',
  hard_retention_period: '24h',
  hard_retention_size: '0',
}

export interface FlokiFile {
  readonly settings: Readonly<Record<string, string | number>>
  /** Options that change nothing here: a line for each that says more than Floki shipped, or that Floki did not have. */
  readonly remarks: readonly string[]
  /** A line for each value that cannot be. */
  readonly mistakes: readonly string[]
}

type Settings = Record<string, string | number>
/** Settings, or what is expected instead. */
type Reader = (value: unknown) => Settings | string

const MIB = 2 ** 20
const DAY_MS = 86_400_000
const ADDRESS = /^(?:\[(?<v6>[^\]]+)\]|(?<v4>[^:]+)):(?<port>\d{1,5})$/
const A_DURATION = 'a duration in quotes: digits and perhaps "s", "ms", "m", "h" or "d", like "30s" or "24h"'
const A_SIZE = 'a size in quotes: digits and perhaps "b", "k", "kb", "m", "mb", "g" or "gb", like "128mb"'
const SHORTEST_TIMEOUT_MS = 1_000
const FOR_EVER_MS = 100_000 * DAY_MS

const READERS: Readonly<Record<string, Reader>> = {
  bind_address: readAddress,
  max_connections: (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 10_000_000
      ? { connectionsMax: value }
      : 'a whole number from 1 to 10000000, not in quotes',
  data_directory: (value) => (typeof value === 'string' && value !== '' ? { data: value } : 'a path in quotes'),
  monitor_interval: (value) => duration(value, 0, FOR_EVER_MS, () => ({})),
  maintenance_interval: (value) => duration(value, 0, FOR_EVER_MS, () => ({})),
  // Floki's files, and so the files of the log.
  segment_size: (value) =>
    size(value, MIB, 2048 * MIB - 1, (bytes) => ({ flokiSegmentBytes: bytes, segmentBytes: bytes })),
  message_timeout: (value) =>
    duration(value, 0, 365 * DAY_MS, (ms) => ({ flokiMessageTimeoutMs: Math.max(SHORTEST_TIMEOUT_MS, ms) })),
  retention_period: (value) => duration(value, 0, FOR_EVER_MS, (ms) => ({ flokiRetentionMs: ms })),
  retention_size: (value) => size(value, 0, Number.MAX_SAFE_INTEGER, (bytes) => ({ flokiRetentionBytes: bytes })),
  hard_retention_period: (value) => duration(value, 0, FOR_EVER_MS, (ms) => ({ flokiHardRetentionMs: ms })),
  hard_retention_size: (value) =>
    size(value, 0, Number.MAX_SAFE_INTEGER, (bytes) => ({ flokiHardRetentionBytes: bytes })),
}

const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  monitor_interval: 'a message comes back when its time is over',
  maintenance_interval: 'retention has a beat of its own',
}

/** `name` is how the file is called in what is said of it. What the file does not say is as Floki shipped it. */
export function readFlokiFile(text: string, name: string): FlokiFile {
  let options: Readonly<Record<string, unknown>>
  try {
    options = parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [reason = ''] = error.message.split('\n')
    return { settings: {}, remarks: [], mistakes: [`${name}:${error.line}: ${reason}`] }
  }
  const settings: Settings = {}
  const remarks: string[] = []
  const mistakes: string[] = []
  for (const [key, value] of Object.entries({ ...SHIPPED_OPTIONS, ...options })) {
    const reader = Object.hasOwn(READERS, key) ? READERS[key] : undefined
    if (reader === undefined && isTable(value)) {
      mistakes.push(`${name}: [${key}]: options stand at the top level, in no table`)
      continue
    }
    if (reader === undefined) {
      remarks.push(`${name}: ${key} is ignored: Floki has no such option`)
      continue
    }
    const read = reader(value)
    const ms = key === 'message_timeout' && typeof value === 'string' ? parsed(value, durationMsOf) : null
    if (ms !== null && ms < SHORTEST_TIMEOUT_MS) {
      remarks.push(`${name}: message_timeout is 1s: with ${shown(value)} a message would come back at once, for ever`)
    }
    if (typeof read === 'string') mistakes.push(`${name}: ${key}: must be ${read}, not ${shown(value)}`)
    else Object.assign(settings, read)
    const why = WITHOUT_EFFECT[key]
    if (why !== undefined && typeof read !== 'string' && value !== SHIPPED_OPTIONS[key]) {
      remarks.push(`${name}: ${key} is ignored: ${why}`)
    }
  }
  return { settings, remarks, mistakes }
}

function readAddress(value: unknown): Settings | string {
  const { v4, v6, port = '' } = (typeof value === 'string' ? ADDRESS.exec(value)?.groups : null) ?? {}
  const host = v4 ?? v6 ?? ''
  const isAddress = isIP(host) === (v6 === undefined ? 4 : 6) && Number(port) <= 65_535
  return isAddress
    ? { host, floki: Number(port) }
    : 'an address with a port in quotes, like "127.0.0.1:9797" or "[::1]:9797"'
}

function duration(value: unknown, min: number, max: number, settings: (ms: number) => Settings): Settings | string {
  return measured(value, durationMsOf, min, max, settings) ?? `${A_DURATION}, up to ${max / DAY_MS}d`
}

function size(value: unknown, min: number, max: number, settings: (bytes: number) => Settings): Settings | string {
  const range = min === 0 ? '' : `, from ${min / MIB}mb to less than ${(max + 1) / MIB / 1024}gb`
  return measured(value, sizeOf, min, max, settings) ?? `${A_SIZE}${range}`
}

function measured(
  value: unknown,
  parseValue: (text: string) => number,
  min: number,
  max: number,
  settings: (value: number) => Settings,
): Settings | null {
  if (typeof value !== 'string') return null
  const number = parsed(value, parseValue)
  return number !== null && number >= min && number <= max ? settings(number) : null
}

/** Null for what is none. */
function parsed(text: string, parseValue: (text: string) => number): number | null {
  try {
    return parseValue(text)
  } catch (error) {
    if (error instanceof FlokiFault) return null
    throw error
  }
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

/** A value of any kind in a message: short, and never a line break. */
function shown(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value))
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}
