/**
 * The newest offset of each key in a range of the log, as far as the memory for it goes.
 */
import { keyText } from '../../model/key-text.js'

/** About 40 MiB with short keys, 100 MiB at the worst: keys stand there with 64 bytes at most. */
export const COMPACTION_KEYS_MAX = 256 * 1024

export class NewestKeys {
  readonly #offsets = new Map<string, number>()
  readonly #keysMax: number

  constructor(keysMax: number) {
    this.#keysMax = keysMax
  }

  /** Whether so many more keys fit. Some do in any case: a batch is never taken in part. */
  hasRoomFor(keys: number): boolean {
    return this.#offsets.size === 0 || this.#offsets.size + keys <= this.#keysMax
  }

  /** Offsets come in rising order. */
  set(key: Buffer, offset: number): void {
    this.#offsets.set(keyText(key), offset)
  }

  /** Whether the range has a record with this key behind `offset`. */
  hasNewer(key: Buffer, offset: number): boolean {
    const newest = this.#offsets.get(keyText(key))
    return newest !== undefined && newest > offset
  }
}
