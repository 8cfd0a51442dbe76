/**
 * Sizes and durations as people write them: `64KiB`, `8MiB`, `500ms`, `10s`, `5m`, `1h`, `7d`, and back again.
 * Used by the configuration and by the command line. Pure text and numbers.
 */

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }

/** Milliseconds, or null when the text is no duration. A unit is needed, since a bare number could mean anything. */
export function parseDuration(text: string): number | null {
  return parse(text, DURATION_UNITS, null)
}

/** Bytes, or null when the text is no size. A bare number counts bytes. */
export function parseSize(text: string): number | null {
  return parse(text, SIZE_UNITS, 'B')
}

/** The shortest exact form: 60000 is `1m`, 1500 is `1500ms`, and 0 needs no unit. */
export function formatDuration(ms: number): string {
  return format(ms, DURATION_UNITS)
}

/** The shortest exact form: 8388608 is `8MiB`. */
export function formatSize(bytes: number): string {
  return format(bytes, SIZE_UNITS)
}

function parse(text: string, units: Readonly<Record<string, number>>, bare: string | null): number | null {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim())
  if (match === null) return null
  const [, amount = '', unit = ''] = match
  const factor = unitOf(units, unit === '' ? bare : unit)
  if (factor === null) return null
  const value = Number(amount) * factor
  return Number.isSafeInteger(value) ? value : null
}

function unitOf(units: Readonly<Record<string, number>>, unit: string | null): number | null {
  if (unit === null) return null
  const name = Object.keys(units).find((known) => known.toLowerCase() === unit.toLowerCase())
  return name === undefined ? null : (units[name] ?? null)
}

function format(value: number, units: Readonly<Record<string, number>>): string {
  if (value === 0) return '0'
  const largest = Object.entries(units)
    .reverse()
    .find(([, factor]) => value % factor === 0)
  const [unit, factor] = largest ?? Object.entries(units)[0] ?? ['', 1]
  return `${value / factor}${unit}`
}
