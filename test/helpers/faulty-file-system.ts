/**
 * A file system in memory that fails as real ones do, from a seed: a page cache over a device that loses what was not
 * synced, sector by sector; short and interrupted calls; errors by plan; a device that fills up; crashes at any call.
 *
 *   const fs = new FaultyFileSystem({ seed })         // hand fs.process() to what is tested
 *   fs.beforeOp((op) => { if (op.index === n) throw new Crash() })
 *   fs.powerLoss(); or fs.kill()                      // after it, fs.process() is the view of the next life
 *
 * What a test does directly (`contents`, `flipBit`, ...) is no system call: it is not traced and never fails by chance.
 */
import type { Random } from '../../src/common/random.js'
import type { FileSystem, OpenMode, RawFile } from '../../src/storage/log/file-system.js'
import { systemError } from './faulty-errors.js'
import { FaultyHandle } from './faulty-handle.js'
import { Image, Inode } from './faulty-inode.js'
import {
  atOnce,
  type BeforeOp,
  type BeforeSync,
  type FaultOptions,
  FaultyMachine,
  type Op,
  type PlannedFault,
} from './faulty-machine.js'
import { Directory, filesIn, namesOf, type Place, Tree } from './faulty-tree.js'

/** Files and directories at one moment, what is unsynced included; open handles are not part of it. */
export class Snapshot {
  readonly #tree: Tree

  constructor(tree: Tree) {
    this.#tree = tree.clone()
  }

  /** May be taken any number of times. */
  tree(): Tree {
    return this.#tree.clone()
  }
}

export class FaultyFileSystem implements FileSystem {
  readonly #machine: FaultyMachine
  /** Files that handles are open on, whether or not they still have a name. */
  readonly #open = new Set<Inode>()
  #tree = new Tree()

  constructor(options: FaultOptions = {}) {
    this.#machine = new FaultyMachine(options, () => this.usedBytes)
  }

  // What processes call.

  open(path: string, mode: OpenMode): RawFile {
    this.#machine.enter('open', path)
    const inode = mode === 'create' ? this.#create(path) : this.#tree.findFile(path, 'open')
    inode.path = path
    inode.handles++
    this.#open.add(inode)
    return new FaultyHandle(this.#machine, inode, mode, () => {
      if (--inode.handles === 0) this.#open.delete(inode)
    })
  }

  exists(path: string): boolean {
    this.#machine.enter('exists', path)
    return this.#tree.find(path) !== null
  }

  size(path: string): number {
    this.#machine.enter('size', path)
    return this.#tree.findFile(path, 'stat').cached.size
  }

  list(path: string): string[] {
    this.#machine.enter('list', path)
    const { entries } = this.#tree.findDirectory(path, 'scandir')
    return Array.from(entries, ([name, node]) => (node instanceof Directory ? `${name}/` : name))
  }

  makeDirectory(path: string): void {
    this.#machine.assertRunning()
    let parent = ''
    for (const name of namesOf(path)) {
      parent = `${parent}/${name}`
      const node = this.#tree.find(parent)
      if (node instanceof Directory) continue
      this.#machine.enter('make-directory', parent)
      if (node !== null) throw systemError('ENOTDIR', 'mkdir', parent)
      this.#machine.needEntry('mkdir', parent)
      this.#tree.put(this.#tree.place(parent, 'mkdir'), new Directory())
    }
  }

  async syncDirectory(path: string): Promise<void> {
    const { epoch } = this.#machine
    const planned = this.#machine.begin('sync-directory', path)
    const directory = this.#tree.findDirectory(path, 'open')
    const mark = this.#tree.mark()
    await this.#machine.syncTurns(path)
    this.#machine.assertAlive(epoch, 'fsync', path)
    if (planned !== null) throw planned
    this.#tree.sync(directory, mark)
    await this.#machine.turns()
    this.#machine.assertAlive(epoch, 'fsync', path)
  }

  rename(from: string, to: string): void {
    this.#machine.enter('rename', from, 0, 0, to)
    const node = this.#tree.find(from)
    if (node === null) throw systemError('ENOENT', 'rename', from)
    const target = this.#tree.place(to, 'rename')
    const replaced = target.directory.entries.get(target.name) ?? null
    if (replaced === node) return
    if (node instanceof Directory) {
      if (replaced instanceof Inode) throw systemError('ENOTDIR', 'rename', to)
      if (replaced !== null && replaced.entries.size > 0) throw systemError('ENOTEMPTY', 'rename', to)
      if (`${normal(to)}/`.startsWith(`${normal(from)}/`)) throw systemError('EINVAL', 'rename', to)
    } else {
      if (replaced instanceof Directory) throw systemError('EISDIR', 'rename', to)
      node.path = to
    }
    this.#tree.rename(this.#tree.place(from, 'rename'), target, node)
  }

  remove(path: string): void {
    this.#machine.enter('remove', path)
    this.#tree.findFile(path, 'unlink')
    this.#tree.remove(this.#tree.place(path, 'unlink'))
  }

  removeTree(path: string): void {
    this.#machine.assertRunning()
    const node = this.#tree.find(path)
    if (node instanceof Inode) this.remove(path)
    if (!(node instanceof Directory)) return
    for (const name of [...node.entries.keys()]) this.removeTree(`${path}/${name}`)
    this.#machine.enter('remove-directory', path)
    this.#tree.remove(this.#tree.place(path, 'rmdir'))
  }

  // What tests do to the machine.

  /** The file system as the process of now sees it: all calls fail once that process is dead, whoever still makes them. */
  process(): FileSystem {
    const { epoch } = this.#machine
    const alive = <T>(path: string, call: () => T): T => {
      this.#machine.assertAlive(epoch, 'call', path)
      return call()
    }
    return {
      open: (path, mode) => alive(path, () => this.open(path, mode)),
      exists: (path) => alive(path, () => this.exists(path)),
      size: (path) => alive(path, () => this.size(path)),
      list: (path) => alive(path, () => this.list(path)),
      makeDirectory: (path) => alive(path, () => this.makeDirectory(path)),
      syncDirectory: async (path) => await alive(path, () => this.syncDirectory(path)),
      rename: (from, to) => alive(from, () => this.rename(from, to)),
      remove: (path) => alive(path, () => this.remove(path)),
      removeTree: (path) => alive(path, () => this.removeTree(path)),
    }
  }

  /** The machine loses its power and starts again: what was not synced is kept or lost, all handles are dead. */
  powerLoss(random: Random = this.#machine.random): void {
    this.#machine.die(random)
    this.#tree.powerLost(random)
    this.#open.clear()
  }

  /** The process dies, as by `kill -9`, and the machine goes on: what was written is there, all handles are dead. */
  kill(random: Random = this.#machine.random): void {
    this.#machine.die(random)
    this.#tree.processDied(random)
    this.#open.clear()
  }

  /** Called before each system call takes place. A `Crash` that it throws ends the process; another error fails the call. */
  beforeOp(callback: BeforeOp | null): void {
    this.#machine.beforeOp = callback
  }

  /** Syncs of files and directories wait for what it returns before they take effect. */
  beforeSync(callback: BeforeSync | null): void {
    this.#machine.beforeSync = callback ?? atOnce
  }

  plan(fault: PlannedFault): void {
    this.#machine.plan(fault)
  }

  forgetPlans(): void {
    this.#machine.forgetPlans()
  }

  /** The newest calls, the oldest of them first. */
  get ops(): readonly Op[] {
    return this.#machine.ops
  }

  /** All calls that were ever made. */
  get opCount(): number {
    return this.#machine.opCount
  }

  get openHandles(): number {
    let handles = 0
    for (const inode of this.#open) handles += inode.handles
    return handles
  }

  get capacityBytes(): number {
    return this.#machine.capacityBytes
  }

  set capacityBytes(bytes: number) {
    this.#machine.capacityBytes = bytes
  }

  /** What counts against the capacity: bytes from the beginning of each file to the last one written. */
  get usedBytes(): number {
    const inodes = new Set(this.#open)
    for (const [, inode] of filesIn(this.#tree.root, 'entries')) inodes.add(inode)
    let bytes = 0
    for (const { cached } of inodes) bytes += Math.min(cached.extent, cached.size)
    return bytes
  }

  snapshot(): Snapshot {
    return new Snapshot(this.#tree)
  }

  /** All handles are dead after it; chance and plans go on from where they are. */
  restore(snapshot: Snapshot): void {
    // What is still on its way belongs to files that are given up.
    this.#machine.die(this.#machine.random)
    this.#tree = snapshot.tree()
    this.#open.clear()
  }

  // Direct access to what is stored.

  /** Paths of all files, sorted. */
  files(): string[] {
    return Array.from(filesIn(this.#tree.root, 'entries'), ([path]) => path).sort()
  }

  contents(path: string): Buffer {
    return this.#tree.findFile(path, 'contents').cached.content()
  }

  /** What would be left of a file if the power went away and nothing unsynced were kept; null if the file were gone. */
  durableContents(path: string): Buffer | null {
    const wanted = normal(path)
    for (const [other, inode] of filesIn(this.#tree.root, 'durable')) if (other === wanted) return inode.disk.content()
    return null
  }

  /** Bits count from the lowest of the first byte. */
  flipBit(path: string, bit: number): void {
    const inode = this.#tree.findFile(path, 'flipBit')
    const byte = Buffer.alloc(1)
    if (inode.cached.read(byte, Math.floor(bit / 8)) === 0) throw new RangeError(`${path} has no bit ${bit}`)
    byte[0] = (byte[0] as number) ^ (1 << (bit % 8))
    inode.overwrite(byte, Math.floor(bit / 8))
  }

  /** In the cache and on the device. */
  overwrite(path: string, position: number, bytes: Uint8Array): void {
    this.#tree.findFile(path, 'overwrite').overwrite(bytes, position)
  }

  cut(path: string, size: number): void {
    const inode = this.#tree.findFile(path, 'cut')
    if (size > inode.cached.size) throw new RangeError(`${path} has only ${inode.cached.size} bytes`)
    inode.cut(size)
  }

  /** Replaces `to`, if it is there; the copy is durable. */
  copyFile(from: string, to: string): void {
    this.#plant(to, this.#tree.findFile(from, 'copyFile').cached)
  }

  /** A durable file with this content, in the place of what is there, in durable directories. */
  put(path: string, content: Uint8Array): void {
    const image = new Image()
    image.write(content, 0)
    this.#plant(path, image)
  }

  #plant(path: string, content: Image): void {
    const inode = new Inode(path)
    inode.become(content)
    this.#tree.plant(path, inode)
  }

  #create(path: string): Inode {
    const place: Place = this.#tree.place(path, 'open')
    if (place.directory.entries.has(place.name)) throw systemError('EEXIST', 'open', path)
    this.#machine.needEntry('open', path)
    const inode = new Inode(path)
    this.#tree.put(place, inode)
    return inode
  }
}

function normal(path: string): string {
  return `/${namesOf(path).join('/')}`
}
