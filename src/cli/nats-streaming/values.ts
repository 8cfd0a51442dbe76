/**
 * Sizes and durations as NATS Streaming's flags and configuration files write them.
 */

const KIBI = 1024
const KILO = 1000
const POWERS = 'kmgtpe'
/** In milliseconds; as Go writes them. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}
const DURATION = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const DURATION_PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/** In bytes, null when the word is no size: `10`, `10k` (thousands), `10kb`, `10ki`, `10KiB` (1024), and so for m, g, t, p, e. */
export function parseNatsSize(word: string): number | null {
  const match = /^(-?\d+)([kmgtpe])?(b|ib|i)?$/i.exec(word)
  if (match === null) return null
  const [, digits = '', letter, rest] = match
  // "10b" is no size: only a power can be in units of 1024.
  if (letter === undefined) return rest === undefined ? wholeNumber(Number(digits)) : null
  const base = rest === undefined ? KILO : KIBI
  return wholeNumber(Number(digits) * base ** (POWERS.indexOf(letter.toLowerCase()) + 1))
}

/** In milliseconds, with fractions; null when the word is none: `300ms`, `1m30s`, `0`. Source: Go's time.ParseDuration. */
export function parseGoDuration(word: string): number | null {
  if (/^[+-]?0$/.test(word)) return 0
  if (!DURATION.test(word)) return null
  let ms = 0
  for (const [, amount, unit] of word.matchAll(DURATION_PART)) ms += Number(amount) * (UNITS[unit ?? ''] ?? 0)
  return word.startsWith('-') ? -ms : ms
}

/** As the banner shows bytes: `976.56 MB`, by powers of 1024. */
export function friendlyBytes(bytes: number): string {
  if (bytes < KIBI) return `${bytes} B`
  const power = Math.min(POWERS.length, Math.floor(Math.log(bytes) / Math.log(KIBI)))
  return `${(bytes / KIBI ** power).toFixed(2)} ${POWERS[power - 1]?.toUpperCase()}B`
}

function wholeNumber(value: number): number | null {
  return Number.isSafeInteger(value) ? value : null
}
