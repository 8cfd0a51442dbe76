/**
 * Words of the command line to values: ports, counts, ages, places to start from. A word that is none of what is
 * expected is a usage error, which commander reports beside the name of the flag.
 */
import { isIP } from 'node:net'
import { InvalidArgumentError as UsageError } from 'commander'
import type { From } from '../../client/index.js'
import { parseRetention } from '../config/load.js'
import { parseDuration, parseSize } from '../config/units.js'
import type { Retention } from '../model/topic.js'

export function readPort(text: string): number {
  const port = readWhole(text)
  if (port === null || port < 1 || port > 65_535) throw new UsageError('A port is a number from 1 to 65535.')
  return port
}

/** To listen on: 0 picks a free one. */
export function readListenPort(text: string): number {
  const port = readWhole(text)
  if (port === null || port > 65_535) throw new UsageError('A port is a number from 0 to 65535.')
  return port
}

/** An address, not a name that would have to be looked up. */
export function readAddress(text: string): string {
  if (isIP(text) === 0) throw new UsageError('An address like 127.0.0.1 or ::1 is expected.')
  return text
}

/** `host:port`; an address of version 6 has brackets. */
export function readServer(text: string): { host: string; port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d+)$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) throw new UsageError('A server is a host and a port, like 127.0.0.1:6480.')
  return { host, port: readPort(port) }
}

export function readCount(text: string): number {
  const count = readWhole(text)
  if (count === null || count === 0) throw new UsageError('A whole number from 1 is expected.')
  return count
}

export function readOffset(text: string): number {
  const offset = readWhole(text)
  if (offset === null) throw new UsageError('An offset is a whole number from 0.')
  return offset
}

export function readAge(text: string): number {
  const age = parseDuration(text)
  if (age === null) throw new UsageError('A duration like 500ms, 10s, 5m, 1h or 7d is expected.')
  return age
}

export function readSize(text: string): number {
  const size = parseSize(text)
  if (size === null || size === 0) throw new UsageError('A size like 64KiB or 8MiB is expected.')
  return size
}

export function readRetention(text: string): Retention {
  const retention = parseRetention(text)
  if (retention === null) throw new UsageError('Expected is none, forever, or an age like 1h.')
  return retention
}

/** `earliest`, `latest`, `last`, an offset, an ISO time, or an age. */
export function readStart(text: string): From {
  if (text === 'earliest' || text === 'latest' || text === 'last') return text
  const offset = readWhole(text)
  if (offset !== null) return { offset }
  const ageMs = parseDuration(text)
  if (ageMs !== null) return { ageMs }
  // Date.parse takes much that only looks like a date; a time here begins with its year, month and day.
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (timeMs >= 0) return { timeMs }
  throw new UsageError(
    'Expected is earliest, latest, last, an offset, a time like 2026-01-31T12:00:00Z, or an age like 10m.',
  )
}

function readWhole(text: string): number | null {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : null
}
