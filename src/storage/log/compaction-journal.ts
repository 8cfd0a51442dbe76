/**
 * Makes the replacement of several segments by one happen as a whole: the journal names them while it is under way, and
 * whoever finds it finishes the job.
 */
import { join } from 'node:path'
import { type Offset, toOffset } from '../../model/offset.js'
import { readFile, replaceFile } from './file-io.js'
import { segmentFile } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { decodeLine, encodeLine } from './sealed-lines.js'

const JOURNAL = 'compaction'

/** `bases[0]` is replaced by the file `<base>.log.compacted`, the others are removed. */
export interface Replacement {
  readonly bases: readonly Offset[]
}

export function compactedFile(directory: string, base: Offset): string {
  return `${segmentFile(directory, base, 'log')}.compacted`
}

/** From here on the replacement will happen, whatever happens. The compacted file is synced. */
export async function beginReplacement(fs: FileSystem, directory: string, { bases }: Replacement): Promise<void> {
  await replaceFile(fs, join(directory, JOURNAL), Buffer.from(encodeLine({ bases })))
}

/** Finish a replacement that was begun, or clean up after one that was not: on opening, and in the normal course. */
export function finishCompaction(fs: FileSystem, directory: string): void {
  const journal = join(directory, JOURNAL)
  const content = readFile(fs, journal)
  if (content !== null) {
    const value = decodeLine(content.subarray(0, -1)) as { bases?: unknown } | null
    if (value !== null && Array.isArray(value.bases)) replaceSegments(fs, directory, value.bases.map(toOffset))
    fs.remove(journal)
  }
  for (const name of fs.list(directory)) if (name.endsWith('.compacted')) fs.remove(join(directory, name))
}

function replaceSegments(fs: FileSystem, directory: string, bases: readonly Offset[]): void {
  const [first, ...others] = bases
  if (first === undefined) return
  const compacted = compactedFile(directory, first)
  removeIndex(fs, directory, first)
  if (fs.exists(compacted)) fs.rename(compacted, segmentFile(directory, first, 'log'))
  for (const base of others) {
    removeIndex(fs, directory, base)
    const path = segmentFile(directory, base, 'log')
    if (fs.exists(path)) fs.remove(path)
  }
}

function removeIndex(fs: FileSystem, directory: string, base: Offset): void {
  const path = segmentFile(directory, base, 'index')
  if (fs.exists(path)) fs.remove(path)
}
