/**
 * The only builder and parser of names in a data directory:
 *
 *   <data>/lock  catalog.a  catalog.b  spare
 *   <data>/topics/<escaped name>@<topic id>/<partition>/<base offset, 20 digits>.log  .index   checkpoint
 *
 * What the groups of a topic remember stands in a partition with a number that no topic can have. Names are escaped so that they are legal, and distinct, on every file system; a long one is cut, since the topic id
 * alone tells topics apart and the catalog knows the whole name.
 */
import { join } from 'node:path'
import { type Offset, toOffset } from '../../model/offset.js'

const NAME_CHARS_MAX = 120
const OFFSET_DIGITS = 20

export const LOCK = 'lock'
export const SPARE = 'spare'
export const CATALOGS = ['catalog.a', 'catalog.b'] as const
export const TOPICS = 'topics'
export const CHECKPOINT = 'checkpoint'

/** The partition, as far as files go, that holds what the groups of a topic remember. */
export const GROUP_LOG = 0xffff_ffff

/** Lower-case letters, digits, `_` and `-` stay; every other byte of the UTF-8 name becomes `%` and two digits. */
export function escapeName(name: string): string {
  let escaped = ''
  for (const byte of Buffer.from(name)) {
    const char = String.fromCharCode(byte)
    const next = /[a-z0-9_-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`
    if (escaped.length + next.length > NAME_CHARS_MAX) break
    escaped += next
  }
  return escaped
}

export function topicDirectory(data: string, name: string, id: number): string {
  return join(data, TOPICS, `${escapeName(name)}@${id}`)
}

/** The topic id in the name of a directory, or null if no topic has such a directory. */
export function topicIdOf(directory: string): number | null {
  const match = /^(?:[a-z0-9_-]|%[0-9a-f]{2})+@(0|[1-9][0-9]{0,15})$/.exec(directory)
  return match === null ? null : Number(match[1])
}

/** The partition in the name of a directory, or null. */
export function partitionOf(directory: string): number | null {
  return /^(0|[1-9][0-9]{0,9})$/.test(directory) ? Number(directory) : null
}

export type SegmentFile = 'log' | 'index'

export function segmentFile(directory: string, base: Offset, kind: SegmentFile): string {
  return join(directory, `${String(base).padStart(OFFSET_DIGITS, '0')}.${kind}`)
}

/** What a file in a partition's directory is, or null for one that is not of the store's making. */
export function parseSegmentFile(name: string): { base: Offset; kind: SegmentFile } | null {
  const match = /^([0-9]{20})\.(log|index)$/.exec(name)
  if (match === null || !Number.isSafeInteger(Number(match[1]))) return null
  return { base: toOffset(Number(match[1])), kind: match[2] as SegmentFile }
}
