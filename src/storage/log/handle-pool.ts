/**
 * Open files, bounded in number: the file that nobody used for longest is closed when another one is opened. A file that
 * is pinned stays open, also when it is removed or replaced meanwhile.
 */
import type { FileSystem, RawFile } from './file-system.js'

/** A file held open until `release`; at most one release each. */
export interface Pinned {
  readonly file: RawFile
  release(): void
}

class Handle implements Pinned {
  readonly file: RawFile
  pins = 0
  /** No longer to be found under its path: closed with the last pin. */
  isForgotten = false

  constructor(file: RawFile) {
    this.file = file
  }

  release(): void {
    this.pins--
    this.closeIfDone()
  }

  closeIfDone(): void {
    if (!this.isForgotten || this.pins > 0) return
    try {
      this.file.close()
    } catch {
      // What a failed close could mean for what was written, the sync before it has said.
    }
  }
}

export class HandlePool {
  readonly #fs: FileSystem
  readonly #openMax: number
  /** By path, the one used last at the end. */
  readonly #handles = new Map<string, Handle>()

  constructor(fs: FileSystem, openMax: number) {
    this.#fs = fs
    this.#openMax = openMax
  }

  /** Files open now, but for those that were forgotten and are still pinned. */
  get open(): number {
    return this.#handles.size
  }

  /** An existing file, open for reading and writing. Throws the system's error. */
  acquire(path: string): Pinned {
    const handle = this.#handles.get(path) ?? new Handle(this.#fs.open(path, 'write'))
    return this.#pin(path, handle)
  }

  /** A file that must not exist yet. */
  create(path: string): Pinned {
    return this.#pin(path, new Handle(this.#fs.open(path, 'create')))
  }

  /** The file was removed or replaced, or is not to be trusted: the next acquire opens it anew. */
  forget(path: string): void {
    const handle = this.#handles.get(path)
    if (handle === undefined) return
    this.#handles.delete(path)
    handle.isForgotten = true
    handle.closeIfDone()
  }

  closeAll(): void {
    for (const path of [...this.#handles.keys()]) this.forget(path)
  }

  #pin(path: string, handle: Handle): Pinned {
    handle.pins++
    this.#handles.delete(path)
    this.#handles.set(path, handle)
    if (this.#handles.size > this.#openMax) this.#evict()
    return handle
  }

  #evict(): void {
    for (const [path, handle] of this.#handles) {
      if (this.#handles.size <= this.#openMax) return
      if (handle.pins === 0) this.forget(path)
    }
  }
}
