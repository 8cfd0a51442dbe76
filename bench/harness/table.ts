/**
 * Tables in Markdown that also read well on a terminal, and figures as people read them.
 */
import type { Spread } from './statistics.js'

const PROBLEM_CHARACTERS_MAX = 200

/** A column that is empty in every row is left out. */
export function section(title: string, table: readonly (readonly string[])[]): string {
  const used = (table[0] ?? []).map((_, column) => table.some((row) => row[column] !== ''))
  const rows = table.map((row) => row.filter((_, column) => used[column]))
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  const [head = [], ...body] = rows
  return [`## ${title}`, '', line(head), rule, ...body.map(line)].join('\n')
}

export function thousands(value: number | undefined): string {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en')
}

export function times(ours: number | undefined, theirs: number | undefined): string {
  return ours === undefined || theirs === undefined ? '-' : `${(ours / theirs).toFixed(2)}x`
}

export function rangeOf(spread: Spread | null, show: (value: number) => string): string {
  return spread === null ? '-' : `${show(spread.min)}-${show(spread.max)}`
}

export function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

export function kib(bytes: number): string {
  return `${(bytes / 1024).toFixed(2)} KiB`
}

/** The first line of each that differs: a table has no room for what a server said before it ended. */
export function invalid(problems: readonly string[]): string {
  const lines = new Set(problems.map((problem) => problem.split('\n')[0]?.slice(0, PROBLEM_CHARACTERS_MAX)))
  return lines.size === 0 ? '' : `INVALID: ${[...lines].join('; ')}`
}
