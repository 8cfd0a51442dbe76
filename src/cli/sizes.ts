/**
 * Sizes for people to look at: `17B`, `1.5KiB`, `30.4MiB`. Rounded, where units.ts is exact.
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
