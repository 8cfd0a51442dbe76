/**
 * The strings of subjects that were published to lately, found by their bytes: a subject that is named a million times is made
 * into a string once. One for all connections of a listener.
 */

const SLOTS = 4096
/** A longer subject is made anew each time. */
const SUBJECT_BYTES_MAX = 128

export class SubjectNames {
  /** By a hash of the bytes; who comes later has the slot. */
  readonly #names: string[] = new Array<string>(SLOTS).fill('')

  get(buffer: Uint8Array, start: number, end: number): string {
    const length = end - start
    if (length > SUBJECT_BYTES_MAX) return latin1(buffer, start, end)
    let hash = length
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (buffer[at] as number), 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const known = this.#names[slot] as string
    if (known.length === length && isSame(known, buffer, start)) return known
    const name = latin1(buffer, start, end)
    this.#names[slot] = name
    return name
  }
}

function isSame(name: string, buffer: Uint8Array, start: number): boolean {
  for (let index = 0; index < name.length; index++) {
    if (name.charCodeAt(index) !== buffer[start + index]) return false
  }
  return true
}

function latin1(buffer: Uint8Array, start: number, end: number): string {
  return Buffer.from(buffer.buffer, buffer.byteOffset + start, end - start).toString('latin1')
}
