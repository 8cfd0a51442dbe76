/**
 * Makes the replacement of neighbouring segments by one happen as a whole: the journal names them while it is under way,
 * and whoever finds it finishes the job. What is on disk after a crash is the old segments or the new one.
 *
 * The order is: the new file is synced under a name of its own; the journal is written; the new file takes the place of
 * the first segment; the others are removed; all that is synced; the journal goes, and that is synced too, before the
 * next new file is begun. Segments are removed only if the file that stands for them is seen to reach as far as they did.
 */
import { join } from 'node:path'
import { type Offset, toOffset } from '../../model/offset.js'
import { batchBytes, FLAG_END, HEADER_BYTES, type Place, type SegmentPlace } from './batch-format.js'
import { batchAt } from './batch-walk.js'
import { readFile, readFullSync, replaceFile } from './file-io.js'
import { segmentFile } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { decodeLine, encodeLine } from './sealed-lines.js'

export const JOURNAL = 'compaction'
const COMPACTED = '.compacted'

/** The segments `bases`, which reach to `end`, are replaced by the file `<bases[0]>.log.compacted`. */
export interface Replacement {
  readonly bases: readonly Offset[]
  readonly end: Offset
}

export function compactedFile(directory: string, base: Offset): string {
  return `${segmentFile(directory, base, 'log')}${COMPACTED}`
}

/** From here on the replacement will happen, whatever happens. The compacted file is synced. */
export async function beginReplacement(fs: FileSystem, directory: string, replacement: Replacement): Promise<void> {
  await replaceFile(fs, join(directory, JOURNAL), Buffer.from(encodeLine(replacement)))
}

/** Put the new file in the place of the first segment: from here on readers see the new. Throws the system's error. */
export function enterReplacement(fs: FileSystem, directory: string, { bases }: Replacement): void {
  const [first] = bases
  if (first === undefined) return
  removeIfThere(fs, segmentFile(directory, first, 'index'))
  const compacted = compactedFile(directory, first)
  if (fs.exists(compacted)) fs.rename(compacted, segmentFile(directory, first, 'log'))
}

/** Remove what the new file stands for, and the journal. */
export async function endReplacement(fs: FileSystem, directory: string, { bases }: Replacement): Promise<void> {
  for (const base of bases.slice(1)) {
    removeIfThere(fs, segmentFile(directory, base, 'index'))
    removeIfThere(fs, segmentFile(directory, base, 'log'))
  }
  await fs.syncDirectory(directory)
  fs.remove(join(directory, JOURNAL))
  await fs.syncDirectory(directory)
}

/** Nothing was replaced, and nothing shall be. Synced, so that no journal comes back beside another new file. */
export async function cancelReplacement(fs: FileSystem, directory: string): Promise<void> {
  let hasRemoved = false
  for (const name of fs.list(directory)) {
    if (name !== JOURNAL && name !== `${JOURNAL}.new` && !name.endsWith(COMPACTED)) continue
    fs.remove(join(directory, name))
    hasRemoved = true
  }
  if (hasRemoved) await fs.syncDirectory(directory)
}

/** On opening: finish a replacement that was begun, or clean up after one that was not. */
export async function finishCompaction(fs: FileSystem, directory: string, place: Place): Promise<void> {
  const replacement = readyReplacement(fs, directory, place)
  if (replacement !== null) {
    enterReplacement(fs, directory, replacement)
    await endReplacement(fs, directory, replacement)
  }
  await cancelReplacement(fs, directory)
}

/** The replacement that the next opening finishes; null if there is none, and it will drop what is left of one. */
export function readyReplacement(fs: FileSystem, directory: string, place: Place): Replacement | null {
  const content = readFile(fs, join(directory, JOURNAL))
  const replacement = content === null ? null : decodeReplacement(content)
  return replacement !== null && isReady(fs, directory, place, replacement) ? replacement : null
}

function decodeReplacement(content: Buffer): Replacement | null {
  const value = decodeLine(content.subarray(0, -1)) as { bases?: unknown; end?: unknown } | null
  if (value === null || !Array.isArray(value.bases) || !Number.isSafeInteger(value.end)) return null
  return { bases: value.bases.map(toOffset), end: toOffset(value.end as number) }
}

/** Whether the file that stands for all of them is there, under its first name or its last. */
function isReady(fs: FileSystem, directory: string, place: Place, { bases, end }: Replacement): boolean {
  const [first] = bases
  if (first === undefined) return false
  const compacted = compactedFile(directory, first)
  const path = fs.exists(compacted) ? compacted : segmentFile(directory, first, 'log')
  return endMark(fs, path, place.segment(first))?.offset === end
}

/** What the mark at the end of a rewritten segment says; null if the file has none. */
export function endMark(fs: FileSystem, path: string, place: SegmentPlace): { offset: Offset; flags: number } | null {
  if (!fs.exists(path)) return null
  const file = fs.open(path, 'read')
  try {
    const last = Buffer.alloc(HEADER_BYTES)
    const position = file.size() - HEADER_BYTES
    if (position < 0 || readFullSync(file, last, position) < HEADER_BYTES) return null
    const found = batchAt(last, 0, HEADER_BYTES, place, position)
    if (found.kind !== 'batch' || batchBytes(found.header) !== HEADER_BYTES) return null
    const { baseOffset: offset, flags } = found.header
    return (flags & FLAG_END) === 0 ? null : { offset, flags }
  } finally {
    file.close()
  }
}

function removeIfThere(fs: FileSystem, path: string): void {
  if (fs.exists(path)) fs.remove(path)
}
