/**
 * Whole reads and writes over the seam: what a system call left over is done again, and a file is replaced so that a
 * crash leaves the old one or the new one.
 */
import { dirname } from 'node:path'
import type { FileSystem, RawFile, ReadFile } from './file-system.js'

/** The system was interrupted, or had no room in a queue: the same call may work now. */
const AGAIN = new Set(['EINTR', 'EAGAIN'])
/** A write that makes no progress so often in a row is taken for one that never will. */
const ATTEMPTS_MAX = 100
/** The most buffers that one system call takes. */
const BUFFERS_MAX = 1024

/** The system's code of an error, or the empty string. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Write all of the buffers, blocking. Throws the system's error; what is in the file then is anybody's guess. */
export function writeAllSync(file: RawFile, buffers: readonly Uint8Array[], position: number): void {
  const left = new Remainder(buffers, position)
  while (!left.isEmpty) {
    try {
      left.advance(file.writeSync(left.next(), left.position))
    } catch (error) {
      left.failed(error)
    }
  }
}

export async function writeAll(file: RawFile, buffers: readonly Uint8Array[], position: number): Promise<void> {
  const left = new Remainder(buffers, position)
  while (!left.isEmpty) {
    try {
      left.advance(await file.write(left.next(), left.position))
    } catch (error) {
      left.failed(error)
    }
  }
}

/** Fill the buffer from `position` on; returns the bytes read, fewer only at the end of the file. */
export function readFullSync(file: RawFile, buffer: Uint8Array, position: number): number {
  let filled = 0
  for (let attempts = 0; filled < buffer.length; ) {
    try {
      const bytes = file.readSync(filled === 0 ? buffer : buffer.subarray(filled), position + filled)
      if (bytes === 0) break
      filled += bytes
    } catch (error) {
      if (!AGAIN.has(systemCode(error)) || ++attempts > ATTEMPTS_MAX) throw error
    }
  }
  return filled
}

export async function readFull(file: ReadFile, buffer: Uint8Array, position: number): Promise<number> {
  let filled = 0
  for (let attempts = 0; filled < buffer.length; ) {
    try {
      const bytes = await file.read(filled === 0 ? buffer : buffer.subarray(filled), position + filled)
      if (bytes === 0) break
      filled += bytes
    } catch (error) {
      if (!AGAIN.has(systemCode(error)) || ++attempts > ATTEMPTS_MAX) throw error
    }
  }
  return filled
}

/** The whole file, or null if there is none. For small files. */
export function readFile(fs: FileSystem, path: string): Buffer | null {
  if (!fs.exists(path)) return null
  const file = fs.open(path, 'read')
  try {
    const content = Buffer.alloc(file.size())
    return content.subarray(0, readFullSync(file, content, 0))
  } finally {
    file.close()
  }
}

/** Put `content` in the place of the file, or of none: after a crash there is the old content or the new one. */
export async function replaceFile(fs: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.new`
  if (fs.exists(temporary)) fs.remove(temporary)
  const file = fs.open(temporary, 'create')
  try {
    writeAllSync(file, [content], 0)
    await file.sync()
  } finally {
    file.close()
  }
  fs.rename(temporary, path)
  await fs.syncDirectory(dirname(path))
}

/**
 * Keep what is about to be cut or replaced, at `path` or, if something else is kept there, behind a number at its end.
 * Resolves when it is on the device.
 */
export async function keepAside(fs: FileSystem, path: string, content: Buffer): Promise<void> {
  for (let number = 1; ; number++) {
    const aside = number === 1 ? path : `${path}-${number}`
    const kept = readFile(fs, aside)
    if (kept?.equals(content)) return
    if (kept !== null) continue
    await replaceFile(fs, aside, content)
    return
  }
}

/** What is still to be written of a list of buffers. */
class Remainder {
  position: number
  readonly #buffers: readonly Uint8Array[]
  #index = 0
  /** Bytes of the buffer at `#index` that are written. */
  #within = 0
  #attempts = 0

  constructor(buffers: readonly Uint8Array[], position: number) {
    this.#buffers = buffers
    this.position = position
    this.#skipEmpty()
  }

  get isEmpty(): boolean {
    return this.#index >= this.#buffers.length
  }

  next(): readonly Uint8Array[] {
    if (this.#index === 0 && this.#within === 0 && this.#buffers.length <= BUFFERS_MAX) return this.#buffers
    const next = this.#buffers.slice(this.#index, this.#index + BUFFERS_MAX)
    if (this.#within > 0) next[0] = (next[0] as Uint8Array).subarray(this.#within)
    return next
  }

  advance(bytes: number): void {
    if (bytes === 0 && ++this.#attempts > ATTEMPTS_MAX) throw new Error('a write made no progress')
    if (bytes > 0) this.#attempts = 0
    this.position += bytes
    this.#within += bytes
    this.#skipEmpty()
  }

  failed(error: unknown): void {
    if (!AGAIN.has(systemCode(error)) || ++this.#attempts > ATTEMPTS_MAX) throw error
  }

  #skipEmpty(): void {
    for (let buffer = this.#buffers[this.#index]; buffer !== undefined; buffer = this.#buffers[this.#index]) {
      if (this.#within < buffer.length) return
      this.#within -= buffer.length
      this.#index++
    }
  }
}

/**
 * A directory with all its parents, found again after a loss of power. `isKnown` says that somebody has come to the end of
 * this before; else even what exists may have been made by a process that was killed on the way.
 */
export async function makeDurableDirectories(fs: FileSystem, path: string, isKnown: boolean): Promise<void> {
  fs.makeDirectory(path)
  for (let parent = dirname(path); !isKnown; parent = dirname(parent)) {
    try {
      await fs.syncDirectory(parent)
    } catch (error) {
      // Who may not look at a directory has not made it.
      if (systemCode(error) !== 'EACCES' && systemCode(error) !== 'EPERM') throw error
    }
    if (dirname(parent) === parent) return
  }
}
