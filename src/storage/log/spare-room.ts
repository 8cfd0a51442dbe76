/**
 * Room that is kept for the worst day: a file of zeros, given back to the disk when it is full, so that topics can still
 * be dropped and limits applied, which takes a few bytes before it frees many.
 */
import { systemCode, writeAllSync } from './file-io.js'
import type { FileSystem } from './file-system.js'

const SPARE_BYTES = 256 * 1024

export class SpareRoom {
  readonly #fs: FileSystem
  readonly #path: string
  readonly #bytes: number
  #isThere = false

  constructor(fs: FileSystem, path: string, bytes: number = SPARE_BYTES) {
    this.#fs = fs
    this.#path = path
    this.#bytes = bytes
  }

  /** Set the room aside, if there is none and the disk has it. */
  make(): void {
    if (this.#isThere || this.#bytes === 0) return
    try {
      if (!this.#fs.exists(this.#path)) this.#write()
      this.#isThere = true
    } catch {
      // No room to spare: it is tried again.
      this.release()
    }
  }

  /** Give it back. True if there was any. */
  release(): boolean {
    this.#isThere = false
    try {
      if (!this.#fs.exists(this.#path)) return false
      this.#fs.remove(this.#path)
      return true
    } catch {
      return false
    }
  }

  /** Do what makes room in the end, if need be in the spare one. What failed must have left nothing behind. */
  async within<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (!isFull(error) || !this.release()) throw error
      return await work()
    }
  }

  #write(): void {
    const file = this.#fs.open(this.#path, 'create')
    try {
      writeAllSync(file, [Buffer.alloc(this.#bytes)], 0)
    } finally {
      file.close()
    }
  }
}

function isFull(error: unknown): boolean {
  return systemCode(error) === 'ENOSPC' || (error instanceof Error && systemCode(error.cause) === 'ENOSPC')
}
