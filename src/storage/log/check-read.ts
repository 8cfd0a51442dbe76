/**
 * Reads for a check, which has the process to itself: blocking ones, since a thread for each costs as much as the bytes,
 * with a turn of the loop now and then for signals and the progress.
 */
import { setImmediate } from 'node:timers/promises'
import type { RawFile, ReadFile } from './file-system.js'

const TURN_BYTES = 8 * 1024 * 1024

export class BlockingReads implements ReadFile {
  readonly #file: RawFile
  #bytes = 0

  constructor(file: RawFile) {
    this.#file = file
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    this.#bytes += buffer.length
    if (this.#bytes >= TURN_BYTES) {
      this.#bytes = 0
      await setImmediate()
    }
    return this.#file.readSync(buffer, position)
  }
}
