/**
 * What groups remember, as the batches of a group log: one line of JSON for each partition of a group,
 *
 *   ["group",0,["seek",0],["acked",0,17],["redelivered",20,21,1]]
 *   ["cursor",0,["seek",17],["mode","cursor"],["generation",3]]
 *
 * Each fact may be told twice. A line that begins with a seek needs nothing that stands before it. The group of a line that
 * says `dropped` is gone, with all its partitions.
 */
import { LeveretError } from '../../common/errors.js'
import type { Change } from '../../groups/shared/changes.js'
import { MODES, type Mode } from '../../model/group.js'
import { type Offset, toOffset } from '../../model/offset.js'

/** What is said of one partition of a group; of a shared one, just what its machine says. */
export type GroupFact =
  | Change
  /** Of the group as a whole. It is shared if nothing else is said. */
  | { readonly kind: 'mode'; readonly mode: Mode }
  /** Of the group as a whole: the highest one counts. */
  | { readonly kind: 'generation'; readonly generation: number }
  | { readonly kind: 'dropped' }

/** What happened to one partition of a group. */
export interface GroupFacts {
  readonly group: string
  readonly partition: number
  readonly changes: readonly GroupFact[]
}

export function isChange(fact: GroupFact): fact is Change {
  return fact.kind !== 'mode' && fact.kind !== 'generation' && fact.kind !== 'dropped'
}

/** A batch of about so many bytes, or of one line. There may be a hundred thousand groups, and a batch has a limit. */
const BATCH_BYTES = 1024 * 1024

/** In as many batches as it takes. */
export function encodeFacts(lines: readonly GroupFacts[]): Buffer[] {
  const batches: Buffer[] = []
  let texts: string[] = []
  let length = 0
  for (const { group, partition, changes } of lines) {
    const text = JSON.stringify([group, partition, ...changes.map(wordsOf)])
    if (length > 0 && length + text.length > BATCH_BYTES) {
      batches.push(Buffer.from(texts.join('\n')))
      texts = []
      length = 0
    }
    texts.push(text)
    length += text.length + 1
  }
  if (texts.length > 0) batches.push(Buffer.from(texts.join('\n')))
  return batches
}

/** Throws LVT_DATA_DAMAGED: the bytes are those that were written, so another version wrote them. */
export function decodeFacts(body: Buffer): GroupFacts[] {
  try {
    return body.toString().split('\n').map(lineOf)
  } catch (cause) {
    throw damaged(cause)
  }
}

function damaged(cause: unknown): LeveretError {
  return new LeveretError('LVT_DATA_DAMAGED', 'what the groups of a topic remember cannot be understood', { cause })
}

/** What is left of a fact when only the records below `end` are there; null: nothing. */
export function clampedTo(change: GroupFact, end: Offset): GroupFact | null {
  switch (change.kind) {
    case 'seek':
      return change.offset <= end ? change : { kind: 'seek', offset: end }
    case 'purged':
      return change.logStart <= end ? change : { kind: 'purged', logStart: end }
    case 'acked':
    case 'redelivered':
    case 'aside':
    case 'aside-done':
      if (change.to <= end) return change
      return change.from >= end ? null : { ...change, to: end }
    case 'rejected':
      return change.offset < end ? change : null
    case 'paused':
    case 'mode':
    case 'generation':
    case 'dropped':
      return change
  }
}

type Words = readonly (string | number | boolean)[]

function wordsOf(change: GroupFact): Words {
  switch (change.kind) {
    case 'seek':
      return ['seek', change.offset]
    case 'purged':
      return ['purged', change.logStart]
    case 'acked':
      return ['acked', change.from, change.to]
    case 'redelivered':
      return ['redelivered', change.from, change.to, change.count]
    case 'rejected':
      return ['rejected', change.offset, change.reason]
    case 'paused':
      return ['paused', change.paused]
    case 'aside':
    case 'aside-done':
      return [change.kind, change.era, change.from, change.to]
    case 'mode':
      return ['mode', change.mode]
    case 'generation':
      return ['generation', change.generation]
    case 'dropped':
      return ['dropped']
  }
}

function lineOf(text: string): GroupFacts {
  const line: unknown = JSON.parse(text)
  if (!Array.isArray(line)) throw new TypeError('a line is a list')
  const [group, partition, ...changes] = line as unknown[]
  if (typeof group !== 'string') throw new TypeError('a group has a name')
  return { group, partition: numberOf(partition), changes: changes.map(changeOf) }
}

function changeOf(words: unknown): GroupFact {
  if (!Array.isArray(words)) throw new TypeError('a fact is a list')
  const [kind, first, second, third] = words as unknown[]
  switch (kind) {
    case 'seek':
      return { kind, offset: offsetOf(first) }
    case 'purged':
      return { kind, logStart: offsetOf(first) }
    case 'acked':
      return { kind, from: offsetOf(first), to: offsetOf(second) }
    case 'redelivered':
      return { kind, from: offsetOf(first), to: offsetOf(second), count: numberOf(third) }
    case 'rejected':
      return { kind, offset: offsetOf(first), reason: String(second) }
    case 'paused':
      return { kind, paused: first === true }
    case 'aside':
    case 'aside-done':
      return { kind, era: numberOf(first), from: offsetOf(second), to: offsetOf(third) }
    case 'mode':
      return { kind, mode: modeOf(first) }
    case 'generation':
      return { kind, generation: numberOf(first) }
    case 'dropped':
      return { kind }
    default:
      throw new TypeError(`no fact is called ${String(kind)}`)
  }
}

function modeOf(value: unknown): Mode {
  const mode = MODES.find((known) => known === value)
  if (mode === undefined) throw new TypeError(`no mode is called ${String(value)}`)
  return mode
}

function offsetOf(value: unknown): Offset {
  return toOffset(numberOf(value))
}

function numberOf(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`${String(value)} is no place`)
}
