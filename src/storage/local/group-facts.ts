/**
 * What groups remember, as the batches of a group log: one line of JSON for each partition of a group,
 *
 *   ["group",0,["seek",0],["acked",0,17],["redelivered",20,21,1]]
 *
 * Each fact may be told twice. A line that begins with a seek needs nothing that stands before it.
 */
import { LeveretError } from '../../common/errors.js'
import type { Change } from '../../groups/shared/changes.js'
import { type Offset, toOffset } from '../../model/offset.js'

/** What happened to one partition of a group. */
export interface GroupFacts {
  readonly group: string
  readonly partition: number
  readonly changes: readonly Change[]
}

export function encodeFacts(lines: readonly GroupFacts[]): Buffer {
  return Buffer.from(
    lines
      .map(({ group, partition, changes }) => JSON.stringify([group, partition, ...changes.map(wordsOf)]))
      .join('\n'),
  )
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
export function clampedTo(change: Change, end: Offset): Change | null {
  switch (change.kind) {
    case 'seek':
      return change.offset <= end ? change : { kind: 'seek', offset: end }
    case 'purged':
      return change.logStart <= end ? change : { kind: 'purged', logStart: end }
    case 'acked':
    case 'redelivered':
      if (change.to <= end) return change
      return change.from >= end ? null : { ...change, to: end }
    case 'rejected':
      return change.offset < end ? change : null
    case 'paused':
      return change
  }
}

type Words = readonly (string | number | boolean)[]

function wordsOf(change: Change): Words {
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
  }
}

function lineOf(text: string): GroupFacts {
  const line: unknown = JSON.parse(text)
  if (!Array.isArray(line)) throw new TypeError('a line is a list')
  const [group, partition, ...changes] = line as unknown[]
  if (typeof group !== 'string') throw new TypeError('a group has a name')
  return { group, partition: numberOf(partition), changes: changes.map(changeOf) }
}

function changeOf(words: unknown): Change {
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
    default:
      throw new TypeError(`no fact is called ${String(kind)}`)
  }
}

function offsetOf(value: unknown): Offset {
  return toOffset(numberOf(value))
}

function numberOf(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`${String(value)} is no place`)
}
