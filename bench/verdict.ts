/**
 * A figure held against its bound.
 */
import type { Spread } from './harness/statistics.js'

export interface Verdict {
  readonly what: string
  /** Null when it could not be measured; `note` then says why. */
  readonly figure: number | null
  readonly bound: number
  readonly isAtLeast: boolean
  readonly unit: string
  readonly verdict: 'PASS' | 'MISS' | 'NOT MEASURED'
  /** The runs of a row behind it lie so far apart that the machine was disturbed: to be measured again, not believed. */
  readonly isUnsteady?: boolean
}

/** The fastest run of a row over its slowest, from which on it is not believed. */
const UNSTEADY_FROM = 2

export function steadied(verdict: Verdict, ...rows: readonly (Spread | null)[]): Verdict {
  const isUnsteady =
    verdict.figure !== null && rows.some((spread) => spread !== null && spread.max >= spread.min * UNSTEADY_FROM)
  return { ...verdict, isUnsteady }
}

export function atLeast(what: string, figure: number | null, bound: number): Verdict {
  const verdict = figure === null ? 'NOT MEASURED' : figure >= bound ? 'PASS' : 'MISS'
  return { what, figure, bound, isAtLeast: true, unit: 'x', verdict }
}

export function atMost(what: string, figure: number | null, bound: number, unit: string): Verdict {
  const verdict = figure === null ? 'NOT MEASURED' : figure <= bound ? 'PASS' : 'MISS'
  return { what, figure, bound, isAtLeast: false, unit, verdict }
}

export function ratio(ours: number | null, theirs: number | null): number | null {
  return ours === null || theirs === null ? null : ours / theirs
}

export function scaled(bytes: number | undefined, unit: number): number | null {
  return bytes === undefined ? null : bytes / unit
}
