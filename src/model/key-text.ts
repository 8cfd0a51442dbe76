/**
 * Keys of records as keys of a map, bounded in size. Used by the compaction window and by log compaction.
 */
import { createHash } from 'node:crypto'

/** Longer keys stand there by their digest, so that a bound in keys is one in bytes. */
const KEY_BYTES_MAX = 64

/** Distinct for distinct keys: the mark before a digest is no byte. */
export function keyText(key: Buffer): string {
  if (key.length <= KEY_BYTES_MAX) return key.toString('latin1')
  return `\u0100${createHash('sha256').update(key).digest().toString('latin1')}`
}
