/**
 * Sizes and times for people to look at: `17B`, `1.5KiB`, `30.4MiB`, `250ms`, `12s`, `3h`. Rounded, where units.ts is exact.
 */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

export function shortSize(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`
  let scaled = bytes / 1024
  let unit = 0
  // What would be shown as 1024.0 belongs to the next unit.
  while (scaled >= 1023.95 && unit < UNITS.length - 1) {
    scaled /= 1024
    unit++
  }
  return `${scaled.toFixed(1)}${UNITS[unit]}`
}

const TIMES = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const

/** Whole units, rounded down; two of the largest fit at least, so that `90s` is not `1m`. */
export function shortTime(ms: number): string {
  for (const [unit, factor] of TIMES) {
    if (ms >= 2 * factor || (unit === 's' && ms >= factor)) return `${Math.floor(ms / factor)}${unit}`
  }
  return `${Math.floor(ms)}ms`
}
