/**
 * One file of the fault-injecting file system: what processes see of it, what is on the device, and the sectors in
 * which the two may differ. Images are copied only when they are written to, so that a fork costs nothing.
 */
import type { Random } from '../../src/common/random.js'
import { between, chance, share } from './faulty-random.js'

/** What a device writes whole or not at all, in bytes. */
export const SECTOR_BYTES = 512

export class Image {
  size = 0
  /** Bytes that were ever written; from here to `size` the file is a hole, and reads as zeros. */
  extent = 0
  #bytes: Buffer = Buffer.alloc(0)
  #isShared = false

  fork(): Image {
    const fork = new Image()
    fork.size = this.size
    fork.extent = this.extent
    fork.#bytes = this.#bytes
    fork.#isShared = this.#isShared = true
    return fork
  }

  read(target: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.size - position))
    const end = Math.max(position, Math.min(position + length, this.extent))
    if (end > position) target.set(this.#bytes.subarray(position, end))
    target.fill(0, end - position, length)
    return length
  }

  write(source: Uint8Array, position: number): void {
    const end = position + source.length
    this.#own(end)
    if (position > this.extent) this.#bytes.fill(0, this.extent, position)
    this.#bytes.set(source, position)
    this.extent = Math.max(this.extent, end)
    this.size = Math.max(this.size, end)
  }

  resize(size: number): void {
    this.size = size
    this.extent = Math.min(this.extent, size)
  }

  /** All of a sector, with zeros for what lies behind the end. */
  readSector(sector: number, target: Buffer, at: number): void {
    const start = sector * SECTOR_BYTES
    const length = Math.max(0, Math.min(SECTOR_BYTES, this.extent - start, this.size - start))
    if (length > 0) this.#bytes.copy(target, at, start, start + length)
    target.fill(0, at + length, at + SECTOR_BYTES)
  }

  /** Leaves the size alone: until `resize` is called, content may stand behind the end. */
  putSector(sector: number, source: Buffer, at: number): void {
    const { size } = this
    this.write(source.subarray(at, at + SECTOR_BYTES), sector * SECTOR_BYTES)
    this.size = size
  }

  content(): Buffer {
    const content = Buffer.allocUnsafe(this.size)
    this.read(content, 0)
    return content
  }

  #own(capacity: number): void {
    if (!this.#isShared && this.#bytes.length >= capacity) return
    let length = Math.max(1_024, this.#bytes.length)
    while (length < capacity) length *= 2
    const bytes = Buffer.allocUnsafe(length)
    this.#bytes.copy(bytes, 0, 0, this.extent)
    this.#bytes = bytes
    this.#isShared = false
  }
}

/** A sync on its way to the device: what the file held when it was called. */
export interface PendingSync {
  readonly sectors: readonly number[]
  readonly bytes: Buffer
  /** Null if the length was on the device already. */
  readonly size: number | null
}

const scratch = Buffer.alloc(SECTOR_BYTES)

export class Inode {
  /** Where it was opened last or renamed to: for traces and for faults that are meant for some files. */
  path: string
  cached = new Image()
  disk = new Image()
  handles = 0
  /** Settles when the syncs that were called so far have ended: the next one waits for it. */
  lastSync: Promise<unknown> = Promise.resolve()
  readonly #dirty = new Set<number>()
  readonly #syncs = new Set<PendingSync>()
  #isSizeDirty = false

  constructor(path: string) {
    this.path = path
  }

  /** As it is now, its unsynced state included; a sync that is on its way has not begun in the clone. */
  clone(): Inode {
    const clone = new Inode(this.path)
    clone.cached = this.cached.fork()
    clone.disk = this.disk.fork()
    clone.#isSizeDirty = this.#isSizeDirty
    for (const sector of this.#dirty) clone.#dirty.add(sector)
    for (const sync of this.#syncs) clone.#redo(sync)
    return clone
  }

  write(source: Uint8Array, position: number): void {
    if (source.length === 0) return
    const end = position + source.length
    if (end > this.cached.size || end > this.disk.size) this.#isSizeDirty = true
    this.cached.write(source, position)
    this.#touch(position, end)
  }

  truncate(size: number): void {
    if (size !== this.cached.size || size !== this.disk.size) this.#isSizeDirty = true
    // What is cut off reads as zeros if the file grows again.
    this.#touch(size, this.cached.extent)
    this.cached.resize(size)
  }

  /** What was written after this call is not part of the sync. */
  beginSync(): PendingSync {
    const sectors = [...this.#dirty]
    const bytes = Buffer.allocUnsafe(sectors.length * SECTOR_BYTES)
    for (const [index, sector] of sectors.entries()) this.cached.readSector(sector, bytes, index * SECTOR_BYTES)
    const sync: PendingSync = { sectors, bytes, size: this.#isSizeDirty ? this.cached.size : null }
    this.#dirty.clear()
    this.#isSizeDirty = false
    this.#syncs.add(sync)
    return sync
  }

  endSync(sync: PendingSync): void {
    if (!this.#syncs.delete(sync)) return
    this.#keepSectors(sync, null)
    this.disk.resize(sync.size ?? this.disk.size)
  }

  /** As Linux does: the pages count as clean, though they are not on the device, and no later sync writes them. */
  failSync(sync: PendingSync): void {
    this.#syncs.delete(sync)
  }

  /** The machine goes on, the process does not: syncs that were on their way may have ended. */
  processDied(random: Random): void {
    for (const sync of this.#syncs) {
      if (chance(random, 0.5)) this.endSync(sync)
      else this.#redo(sync)
    }
    this.#syncs.clear()
    this.#detach()
  }

  /** Of what was not synced, each sector is kept or dropped; the length ends between the old one and the new one. */
  powerLost(random: Random): void {
    let { size } = this.disk
    for (const sync of this.#syncs) {
      this.#keepSectors(sync, random)
      if (sync.size !== null) size = between(random, size, sync.size)
    }
    const kept = share(random)
    for (const sector of this.#dirty) {
      if (!chance(random, kept)) continue
      this.cached.readSector(sector, scratch, 0)
      this.disk.putSector(sector, scratch, 0)
    }
    if (this.#isSizeDirty) size = between(random, size, this.cached.size)
    this.disk.resize(size)
    this.cached = this.disk.fork()
    this.#clean()
  }

  /** Put content in place on the device and in the cache, as if it had always been there. */
  become(content: Image): void {
    this.cached = content.fork()
    this.disk = content.fork()
    this.#clean()
  }

  /** Bytes rot in the cache and on the device alike; what only one of them has changes only there. */
  overwrite(bytes: Uint8Array, position: number): void {
    const onDisk =
      this.disk.size === this.cached.size ? bytes.length : Math.min(bytes.length, this.disk.size - position)
    this.cached.write(bytes, position)
    if (onDisk > 0) this.disk.write(bytes.subarray(0, onDisk), position)
  }

  cut(size: number): void {
    this.cached.resize(size)
    this.disk.resize(Math.min(size, this.disk.size))
  }

  #touch(from: number, to: number): void {
    for (let sector = Math.floor(from / SECTOR_BYTES); sector * SECTOR_BYTES < to; sector++) this.#dirty.add(sector)
  }

  /** Without chance: all of them. */
  #keepSectors(sync: PendingSync, random: Random | null): void {
    const kept = random === null ? 1 : share(random)
    for (const [index, sector] of sync.sectors.entries()) {
      if (random === null || chance(random, kept)) this.disk.putSector(sector, sync.bytes, index * SECTOR_BYTES)
    }
  }

  #redo(sync: PendingSync): void {
    for (const sector of sync.sectors) this.#dirty.add(sector)
    if (sync.size !== null) this.#isSizeDirty = true
  }

  #clean(): void {
    this.#dirty.clear()
    this.#syncs.clear()
    this.#isSizeDirty = false
    this.#detach()
  }

  #detach(): void {
    this.handles = 0
    this.lastSync = Promise.resolve()
  }
}
