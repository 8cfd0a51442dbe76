/**
 * Real input for whole-process tests: 3,265 changes of 133 files, one JSON object a line. Lies beside the checkout; where it
 * does not, an input with the same counts is made up, and the test says so.
 */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const REAL = fileURLToPath(new URL('../../../shared/data/file-changes.ndjson', import.meta.url))

export const FILE_CHANGES_RECORDS = 3265
export const FILE_CHANGES_KEYS = 133

export interface FileChanges {
  readonly bytes: Buffer
  /** Without their newlines. */
  readonly lines: readonly string[]
  readonly isReal: boolean
}

export function fileChanges(): FileChanges {
  const isReal = existsSync(REAL)
  const bytes = isReal ? readFileSync(REAL) : Buffer.from(madeUp())
  return { bytes, lines: bytes.toString().trimEnd().split('\n'), isReal }
}

export function keyOf(line: string): string {
  return (JSON.parse(line) as { key: string }).key
}

/** The first line of each key, in order. */
export function firstOfEachKey(lines: readonly string[]): string[] {
  const seen = new Set<string>()
  return lines.filter((line) => {
    const key = keyOf(line)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function madeUp(): string {
  let state = 1
  const next = (below: number): number => {
    state = (state * 48_271) % 0x7fff_ffff
    return state % below
  }
  let text = ''
  for (let index = 0; index < FILE_CHANGES_RECORDS; index++) {
    // The first ones show every key once; after that they repeat in no order.
    const file = index < FILE_CHANGES_KEYS ? index : next(FILE_CHANGES_KEYS)
    const change = { key: `src/файл-${file}.go`, time: 1_453_304_943_000 + index, added: next(200), deleted: next(50) }
    text += `${JSON.stringify(change)}\n`
  }
  return text
}
