/**
 * The directories of the fault-injecting file system. Each has the entries that processes see and those that are on the
 * device; a log of changes lies between the two, until a sync of a directory or a loss of power settles it.
 */
import { posix } from 'node:path'
import type { Random } from '../../src/common/random.js'
import { systemError } from './faulty-errors.js'
import { Inode } from './faulty-inode.js'
import { chance, share } from './faulty-random.js'

export type Node = Inode | Directory

export class Directory {
  entries = new Map<string, Node>()
  durable = new Map<string, Node>()
}

export interface Place {
  readonly directory: Directory
  readonly name: string
}

/** Null: the name is taken away. */
interface Edit extends Place {
  readonly node: Node | null
}

/** What happens in one step, on the device too. */
interface Change {
  readonly sequence: number
  readonly edits: readonly Edit[]
}

export class Tree {
  root = new Directory()
  /** Not on the device yet; the oldest first. */
  #changes: Change[] = []
  #sequence = 0

  find(path: string): Node | null {
    let node: Node | null = this.root
    for (const name of namesOf(path)) {
      if (!(node instanceof Directory)) return null
      node = node.entries.get(name) ?? null
    }
    return node
  }

  findFile(path: string, syscall: string): Inode {
    const node = this.find(path)
    if (node === null) throw systemError('ENOENT', syscall, path)
    if (node instanceof Directory) throw systemError('EISDIR', syscall, path)
    return node
  }

  findDirectory(path: string, syscall: string): Directory {
    const node = this.find(path)
    if (node === null) throw systemError('ENOENT', syscall, path)
    if (node instanceof Inode) throw systemError('ENOTDIR', syscall, path)
    return node
  }

  /** Where an entry is or would be; the directory must exist. */
  place(path: string, syscall: string): Place {
    const normal = posix.normalize(path).replace(/\/$/, '')
    return { directory: this.findDirectory(posix.dirname(normal), syscall), name: posix.basename(normal) }
  }

  put(place: Place, node: Node): void {
    this.#change([{ ...place, node }])
  }

  remove(place: Place): void {
    this.#change([{ ...place, node: null }])
  }

  rename(from: Place, to: Place, node: Node): void {
    this.#change([
      { ...from, node: null },
      { ...to, node },
    ])
  }

  /** A mark for `sync`: changes made after it may stay where they are. */
  mark(): number {
    return this.#sequence
  }

  /**
   * Make the changes in a directory durable, up to the mark. A change brings those with it that were made before to the
   * same names, in whatever directory: they happened in that order.
   */
  sync(directory: Directory, mark: number): void {
    this.#settle((place) => place.directory === directory, mark)
  }

  /** Put a file in place, with its directories, on the device and in the cache, as if all had always been there. */
  plant(path: string, file: Inode): void {
    const names = namesOf(path)
    const name = names.pop() as string
    let directory = this.root
    for (const parent of names) {
      const node = directory.entries.get(parent) ?? new Directory()
      if (node instanceof Inode) throw systemError('ENOTDIR', 'plant', path)
      this.#plantEntry({ directory, name: parent }, node)
      directory = node
    }
    this.#plantEntry({ directory, name }, file)
  }

  processDied(random: Random): void {
    for (const inode of this.inodes()) inode.processDied(random)
  }

  /** Each change that was not synced is kept or dropped; of changes to the same name, the later with the earlier. */
  powerLost(random: Random): void {
    const kept = share(random)
    const dropped = new Names()
    for (const change of this.#changes) {
      if (!change.edits.some((edit) => dropped.has(edit)) && chance(random, kept)) apply(change.edits, 'durable')
      else for (const edit of change.edits) dropped.add(edit)
    }
    this.#changes = []
    walk(this.root, 'durable', (directory) => {
      directory.entries = new Map(directory.durable)
    })
    for (const inode of this.inodes()) inode.powerLost(random)
  }

  /** Every file that is there, or may be there again after a loss of power. */
  inodes(): Inode[] {
    const nodes = new Set<Node>()
    const visit = (node: Node): void => {
      if (nodes.has(node)) return
      nodes.add(node)
      if (node instanceof Inode) return
      for (const entry of node.entries.values()) visit(entry)
      for (const entry of node.durable.values()) visit(entry)
    }
    visit(this.root)
    for (const { edits } of this.#changes) for (const { node } of edits) if (node !== null) visit(node)
    return [...nodes].filter((node) => node instanceof Inode)
  }

  clone(): Tree {
    const clones = new Map<Node, Node>()
    const cloneOf = (node: Node): Node => {
      const known = clones.get(node)
      if (known !== undefined) return known
      if (node instanceof Inode) {
        const inode = node.clone()
        clones.set(node, inode)
        return inode
      }
      return directoryOf(node)
    }
    const directoryOf = (from: Directory): Directory => {
      const known = clones.get(from)
      if (known instanceof Directory) return known
      const directory = new Directory()
      clones.set(from, directory)
      for (const [name, node] of from.entries) directory.entries.set(name, cloneOf(node))
      for (const [name, node] of from.durable) directory.durable.set(name, cloneOf(node))
      return directory
    }
    const tree = new Tree()
    tree.root = directoryOf(this.root)
    tree.#sequence = this.#sequence
    tree.#changes = this.#changes.map(({ sequence, edits }) => ({
      sequence,
      edits: edits.map(({ directory, name, node }) => ({
        directory: directoryOf(directory),
        name,
        node: node === null ? null : cloneOf(node),
      })),
    }))
    return tree
  }

  #change(edits: readonly Edit[]): void {
    apply(edits, 'entries')
    this.#changes.push({ sequence: ++this.#sequence, edits })
  }

  #plantEntry(place: Place, node: Node): void {
    const { directory, name } = place
    if (directory.durable.get(name) === node && directory.entries.get(name) === node) return
    this.#settle((other) => other.directory === directory && other.name === name, this.mark())
    directory.entries.set(name, node)
    directory.durable.set(name, node)
  }

  #settle(isMeant: (place: Place) => boolean, mark: number): void {
    const needed = new Set<Change>()
    const names = new Names()
    for (const change of this.#changes.toReversed()) {
      if (change.sequence > mark || !change.edits.some((edit) => isMeant(edit) || names.has(edit))) continue
      needed.add(change)
      for (const edit of change.edits) names.add(edit)
    }
    if (needed.size === 0) return
    for (const change of this.#changes) if (needed.has(change)) apply(change.edits, 'durable')
    this.#changes = this.#changes.filter((change) => !needed.has(change))
  }
}

/** Every file below a directory, with its path. */
export function* filesIn(directory: Directory, image: 'entries' | 'durable', path = ''): Generator<[string, Inode]> {
  for (const [name, node] of directory[image]) {
    if (node instanceof Inode) yield [`${path}/${name}`, node]
    else yield* filesIn(node, image, `${path}/${name}`)
  }
}

class Names {
  readonly #names = new Map<Directory, Set<string>>()

  add(place: Place): void {
    const names = this.#names.get(place.directory)
    if (names === undefined) this.#names.set(place.directory, new Set([place.name]))
    else names.add(place.name)
  }

  has(place: Place): boolean {
    return this.#names.get(place.directory)?.has(place.name) === true
  }
}

export function namesOf(path: string): string[] {
  return posix
    .normalize(path)
    .split('/')
    .filter((name) => name !== '' && name !== '.')
}

function apply(edits: readonly Edit[], image: 'entries' | 'durable'): void {
  for (const { directory, name, node } of edits) {
    if (node === null) directory[image].delete(name)
    else directory[image].set(name, node)
  }
}

function walk(directory: Directory, image: 'entries' | 'durable', visit: (directory: Directory) => void): void {
  visit(directory)
  for (const node of directory[image].values()) if (node instanceof Directory) walk(node, image, visit)
}
