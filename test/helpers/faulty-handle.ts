/**
 * An open file of the fault-injecting file system. It works on the file, not on its name, so it outlives renames and
 * removals; it does not outlive the process.
 */
import type { OpenMode, RawFile } from '../../src/storage/log/file-system.js'
import { Crash, systemError } from './faulty-errors.js'
import type { Inode } from './faulty-inode.js'
import { type FaultyMachine, lengthOf } from './faulty-machine.js'

export class FaultyHandle implements RawFile {
  readonly #machine: FaultyMachine
  readonly #inode: Inode
  readonly #mode: OpenMode
  readonly #epoch: number
  readonly #closed: (inode: Inode) => void
  #isOpen = true

  constructor(machine: FaultyMachine, inode: Inode, mode: OpenMode, closed: (inode: Inode) => void) {
    this.#machine = machine
    this.#inode = inode
    this.#mode = mode
    this.#epoch = machine.epoch
    this.#closed = closed
  }

  writeSync(buffers: readonly Uint8Array[], position: number): number {
    const planned = this.#beginWrite(buffers, position)
    return this.#machine.write(this.#inode, buffers, position, planned)
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<number> {
    const planned = this.#beginWrite(buffers, position)
    const flight = this.#machine.takeOff(this.#inode, buffers, position)
    await this.#machine.turns()
    // After a crash it stays in the air: what becomes of the machine decides what becomes of it.
    if (this.#machine.crash === null) this.#machine.land(flight)
    this.#assertUsable('write')
    const bytes = this.#machine.write(this.#inode, buffers, position, planned)
    await this.#rest('write')
    return bytes
  }

  async sync(): Promise<void> {
    this.#assertUsable('sync')
    const planned = this.#machine.begin('sync', this.#inode.path)
    const sync = this.#inode.beginSync()
    const previous = this.#inode.lastSync
    const end = async (): Promise<void> => {
      await this.#machine.syncTurns(this.#inode.path)
      await previous
      this.#machine.assertAlive(this.#epoch, 'sync', this.#inode.path)
      if (planned === null) return this.#inode.endSync(sync)
      this.#inode.failSync(sync)
      throw planned
    }
    const ended = end()
    this.#inode.lastSync = ended.catch(() => {})
    await ended
    await this.#rest('sync')
  }

  syncNow(): void {
    this.#assertUsable('sync')
    const planned = this.#machine.begin('sync', this.#inode.path)
    const sync = this.#inode.beginSync()
    if (planned !== null) {
      this.#inode.failSync(sync)
      throw planned
    }
    this.#inode.endSync(sync)
  }

  readSync(buffer: Uint8Array, position: number): number {
    this.#beginRead(buffer, position)
    return this.#readNow(buffer, position)
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    this.#beginRead(buffer, position)
    await this.#machine.turns()
    this.#assertUsable('read')
    const bytes = this.#readNow(buffer, position)
    await this.#rest('read')
    return bytes
  }

  size(): number {
    this.#assertUsable('size')
    this.#machine.enter('size', this.#inode.path)
    return this.#inode.cached.size
  }

  truncate(size: number): void {
    this.#assertUsable('truncate')
    this.#machine.enter('truncate', this.#inode.path, size)
    if (this.#mode === 'read' || !isPlace(size)) throw systemError('EINVAL', 'truncate', this.#inode.path)
    this.#inode.truncate(size)
  }

  close(): void {
    this.#assertUsable('close')
    this.#machine.enter('close', this.#inode.path)
    this.#isOpen = false
    this.#closed(this.#inode)
  }

  #beginWrite(buffers: readonly Uint8Array[], position: number): Error | null {
    const { path } = this.#inode
    this.#assertUsable('write')
    if (this.#mode === 'read') throw systemError('EBADF', 'write', path)
    if (!isPlace(position)) throw systemError('EINVAL', 'write', path)
    try {
      return this.#machine.begin('write', path, position, lengthOf(buffers))
    } catch (error) {
      if (error instanceof Crash && error.moment === 'within') {
        this.#machine.tearWrite(this.#inode, buffers, position, this.#machine.random)
      }
      throw error
    }
  }

  #beginRead(buffer: Uint8Array, position: number): void {
    this.#assertUsable('read')
    if (!isPlace(position)) throw systemError('EINVAL', 'read', this.#inode.path)
    this.#machine.enter('read', this.#inode.path, position, buffer.length)
  }

  #readNow(buffer: Uint8Array, position: number): number {
    const { path, cached } = this.#inode
    this.#machine.interrupt('read', path)
    const available = Math.max(0, Math.min(buffer.length, cached.size - position))
    return cached.read(buffer.subarray(0, this.#machine.readLength(path, available)), position)
  }

  /** Before the caller learns of the result: the process may die in between. */
  async #rest(syscall: string): Promise<void> {
    await this.#machine.turns()
    this.#machine.assertAlive(this.#epoch, syscall, this.#inode.path)
  }

  #assertUsable(syscall: string): void {
    if (!this.#isOpen) throw systemError('EBADF', syscall, this.#inode.path)
    this.#machine.assertAlive(this.#epoch, syscall, this.#inode.path)
  }
}

function isPlace(position: number): boolean {
  return Number.isSafeInteger(position) && position >= 0
}
