/**
 * The seam to the operating system: every file of the log store is touched through it, so that tests can tear writes,
 * lose what was not synced, fill the disk and flip bits. Calls do what one system call does: a write may be short, and
 * errors are the system's, with its `code`. file-io.ts makes whole reads and writes of them.
 */
import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  write,
  writeSync,
  writev,
  writevSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

/** `read` and `write` need the file to exist; `create` needs it not to, and reads and writes. */
export type OpenMode = 'read' | 'write' | 'create'

/** As much of a file as somebody needs who only reads. */
export type ReadFile = Pick<RawFile, 'read'>

export interface RawFile {
  /** Bytes written, perhaps fewer than given. Blocks: for small writes. */
  writeSync(buffers: readonly Uint8Array[], position: number): number
  write(buffers: readonly Uint8Array[], position: number): Promise<number>
  /** Resolves when the data written so far, and the length of the file, are on the device (fdatasync). */
  sync(): Promise<void>
  /** The same, blocking: for devices that are known to be fast. */
  syncNow(): void
  /** Bytes read, perhaps fewer than asked for; 0 at the end of the file. */
  readSync(buffer: Uint8Array, position: number): number
  read(buffer: Uint8Array, position: number): Promise<number>
  size(): number
  truncate(size: number): void
  close(): void
}

export interface FileSystem {
  open(path: string, mode: OpenMode): RawFile
  exists(path: string): boolean
  /** Bytes of the file. */
  size(path: string): number
  /** Names in a directory, in no particular order; with a slash behind those of directories. */
  list(path: string): string[]
  /** With all parents; nothing happens if it exists. */
  makeDirectory(path: string): void
  /** Resolves when creations, renames and removals in the directory are on the device. */
  syncDirectory(path: string): Promise<void>
  /** Replaces `to` if it exists, in one step. */
  rename(from: string, to: string): void
  remove(path: string): void
  /** A directory and all in it; nothing happens if there is none. */
  removeTree(path: string): void
}

const FLAGS = { read: 'r', write: 'r+', create: 'wx+' } as const

const fdatasyncAsync = promisify(fdatasync)
const fsyncAsync = promisify(fsync)

class NodeFile implements RawFile {
  readonly #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  writeSync(buffers: readonly Uint8Array[], position: number): number {
    const [first] = buffers
    if (buffers.length === 1 && first !== undefined) return writeSync(this.#fd, first, 0, first.length, position)
    return writevSync(this.#fd, buffers, position)
  }

  write(buffers: readonly Uint8Array[], position: number): Promise<number> {
    const [first] = buffers
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, bytes: number) => (error === null ? resolve(bytes) : reject(error))
      if (buffers.length === 1 && first !== undefined) write(this.#fd, first, 0, first.length, position, done)
      else writev(this.#fd, buffers, position, done)
    })
  }

  sync(): Promise<void> {
    return fdatasyncAsync(this.#fd)
  }

  syncNow(): void {
    fdatasyncSync(this.#fd)
  }

  readSync(buffer: Uint8Array, position: number): number {
    return readSync(this.#fd, buffer, 0, buffer.length, position)
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, buffer, 0, buffer.length, position, (error, bytes) =>
        error === null ? resolve(bytes) : reject(error),
      )
    })
  }

  size(): number {
    return fstatSync(this.#fd).size
  }

  truncate(size: number): void {
    ftruncateSync(this.#fd, size)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

export const nodeFileSystem: FileSystem = {
  open: (path, mode) => new NodeFile(openSync(path, FLAGS[mode])),
  exists: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
  size: (path) => statSync(path).size,
  list: (path) =>
    readdirSync(path, { withFileTypes: true }).map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)),
  makeDirectory,
  async syncDirectory(path) {
    const fd = openSync(path, 'r')
    try {
      await fsyncAsync(fd)
    } finally {
      closeSync(fd)
    }
  },
  rename: renameSync,
  remove: unlinkSync,
  removeTree: (path) => rmSync(path, { recursive: true, force: true }),
}

/** Each level by itself: Node's own way with several of them never ends below a directory that answers ENOENT, as /proc does. */
function makeDirectory(path: string): void {
  const missing: string[] = []
  for (let at = path; statSync(at, { throwIfNoEntry: false }) === undefined && dirname(at) !== at; at = dirname(at)) {
    missing.push(at)
  }
  if (missing.length === 0) missing.push(path)
  for (const at of missing.reverse()) {
    try {
      mkdirSync(at)
    } catch (error) {
      // It was there, or somebody else was quicker.
      if (!statSync(at, { throwIfNoEntry: false })?.isDirectory()) throw error
    }
  }
}
