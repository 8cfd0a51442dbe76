/**
 * Which topics there are: two files with the same lines (sealed-lines.ts), each written and synced before a change counts.
 * A damaged line in one is taken from the other; damage to both refuses to open, and so does a catalog that is older
 * than what stands beside it. Nothing is cleaned up that it cannot explain.
 */
import { join } from 'node:path'
import { LeveretError, UnavailableError } from '../../common/errors.js'
import type { TopicSettings } from '../../model/topic.js'
import { type CatalogLine, CatalogReading, type CatalogState, damaged } from './catalog-lines.js'
import type { Witness } from './directory-lock.js'
import { keepAside, readFile, replaceFile, writeAllSync } from './file-io.js'
import { CATALOGS, TOPICS } from './file-names.js'
import type { FileSystem, RawFile } from './file-system.js'
import { type Keyring, keyIdText } from './keyring.js'
import { encodeLine } from './sealed-lines.js'

/** Rewritten on opening when it has more than twice the lines that it needs, and more than this. */
const LINES_MIN = 1_000

/** What stands beside a catalog, and must agree with it. */
export interface CatalogSurroundings {
  /** Id of the data, if it is new. */
  readonly newId: string
  readonly witness: Witness
  /** Topics that have a directory. */
  readonly present: ReadonlyMap<number, string>
  readonly keyring: Keyring | null
}

export class Catalog {
  readonly state: CatalogState
  /** Told in one sentence each: what was found damaged and put right. */
  readonly repairs: readonly string[]
  readonly #first: RawFile
  readonly #second: RawFile
  /** Bytes of the first copy, and of the second, which lacks `#lag` as yet. */
  #size: number
  #secondSize: number
  #lag: Buffer[] = []
  #pending: { text: string; isSynced: boolean; resolve(): void; reject(error: unknown): void }[] = []
  #isRunning = false
  /** The last change in flight of each topic, by name. */
  readonly #changing = new Map<string, Promise<unknown>>()
  #nextId: number
  #failed: LeveretError | null = null

  private constructor(first: RawFile, second: RawFile, size: number, reading: CatalogReading) {
    this.#first = first
    this.#second = second
    this.#size = size
    this.#secondSize = size
    this.state = reading.state
    this.repairs = reading.repairs
    this.#nextId = this.state.nextId
  }

  /**
   * Create or read. Throws LVT_DATA_DAMAGED and LVT_KEY_MISSING, before it changes anything.
   */
  static async open(
    fs: FileSystem,
    data: string,
    { newId, witness, present, keyring }: CatalogSurroundings,
  ): Promise<Catalog> {
    const paths = CATALOGS.map((name) => join(data, name))
    const contents = paths.map((path) => readFile(fs, path))
    const reading = CatalogReading.of(contents, newId, witness)
    explain(present, reading.state)
    refuseWithoutKeys(keyring, reading.state)
    for (const id of reading.state.dropped) if (!present.has(id)) reading.state.dropped.delete(id)
    // A topic is forgotten only when its directory cannot come back.
    await fs.syncDirectory(join(data, TOPICS))
    const needed = reading.lines > LINES_MIN ? reading.state.lines() : []
    const isCompact = reading.lines <= Math.max(LINES_MIN, 2 * needed.length)
    const text = isCompact ? reading.text : Buffer.from(needed.map(encodeLine).join(''))
    for (const [index, path] of paths.entries()) {
      const content = contents[index] ?? null
      if (content?.equals(text)) continue
      if (content !== null && reading.isDamaged[index] === true)
        await keepCopyAside(fs, path, content, reading.state.generation)
      await replaceFile(fs, path, text)
    }
    const [first, second] = paths.map((path) => fs.open(path, 'write'))
    return new Catalog(first as RawFile, second as RawFile, text.length, reading)
  }

  /** The server opens the data: from here on it is not closed cleanly until `closed`. */
  async opened(): Promise<void> {
    await this.#apply({ kind: 'opened', generation: this.state.generation + 1 })
  }

  saveTopic(name: string, settings: TopicSettings): Promise<void> {
    return this.#inTurn(name, async () => {
      const id = this.state.topics.get(name)?.id ?? this.#nextId++
      await this.#apply({ kind: 'topic', id, name, settings })
    })
  }

  /** The id of the topic, or null if there is none. */
  dropTopic(name: string): Promise<number | null> {
    return this.#inTurn(name, async () => {
      const id = this.state.topics.get(name)?.id
      if (id === undefined) return null
      await this.#apply({ kind: 'dropped', id, name })
      return id
    })
  }

  /** Offsets up to `end` may be given out in a partition that keeps nothing. Written, and synced with the next change. */
  async reserve(id: number, partition: number, end: number): Promise<void> {
    const line: CatalogLine = { kind: 'reserved', id, partition, end }
    await this.#write(line, false)
    this.state.apply(line)
  }

  /** As `reserve`, and all records below `from` are dropped. Resolves when it is on the device: then the files may go. */
  async reserveInstead(id: number, partition: number, end: number, from: number): Promise<void> {
    await this.#apply({ kind: 'reserved', id, partition, end, from })
  }

  /** The partition has its first segment, at `base`. Written, and synced with the next change. */
  begin(id: number, partition: number, base: number): void {
    const line: CatalogLine = { kind: 'begun', id, partition, base }
    this.state.apply(line)
    this.#write(line, false).catch(() => undefined)
  }

  /** Keys that sealed batches may need from now on. */
  async useKey(id: number): Promise<void> {
    await this.#apply({ kind: 'key', id })
  }

  async closed(ends: readonly CatalogLine[]): Promise<void> {
    for (const line of ends) {
      this.state.apply(line)
      this.#write(line, false).catch(() => undefined)
    }
    await this.#apply({ kind: 'closed', generation: this.state.generation + 1 })
  }

  close(): void {
    this.#first.close()
    this.#second.close()
  }

  /** Changes of one topic are made one after the other, and fail together: each was asked for in view of the one before. */
  async #inTurn<Result>(name: string, change: () => Promise<Result>): Promise<Result> {
    const begin = () =>
      change().catch((error: unknown) => {
        // Those that wait fail with it; whoever comes from now on begins anew.
        this.#changing.delete(name)
        throw error
      })
    const before = this.#changing.get(name)
    const changing = before === undefined ? begin() : before.then(begin)
    this.#changing.set(name, changing)
    try {
      return await changing
    } finally {
      if (this.#changing.get(name) === changing) this.#changing.delete(name)
    }
  }

  /** What was promised is on disk before it counts. */
  async #apply(line: CatalogLine): Promise<void> {
    await this.#write(line, true)
    this.state.apply(line)
  }

  #write(line: CatalogLine, isSynced: boolean): Promise<void> {
    if (this.#failed !== null) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => {
      this.#pending.push({ text: encodeLine(line), isSynced, resolve, reject })
      if (this.#isRunning) return
      this.#isRunning = true
      queueMicrotask(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#pending.length > 0) {
      const group = this.#pending
      this.#pending = []
      try {
        await this.#writeGroup(
          Buffer.from(group.map(({ text }) => text).join('')),
          group.some(({ isSynced }) => isSynced),
        )
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#isRunning = false
  }

  /**
   * One copy after the other, so that a crash tears one at most: the second is written when the first is on the device.
   * What nobody waits for is written to the first alone, and to the second with the next change.
   */
  async #writeGroup(text: Buffer, isSynced: boolean): Promise<void> {
    try {
      writeAllSync(this.#first, [text], this.#size)
    } catch (cause) {
      throw await this.#unwritten(cause)
    }
    if (isSynced) await this.#sync(this.#first)
    const missing = [...this.#lag, text]
    if (isSynced) {
      try {
        writeAllSync(this.#second, missing, this.#secondSize)
      } catch (cause) {
        throw await this.#unwritten(cause)
      }
      await this.#sync(this.#second)
    }
    this.#size += text.length
    if (isSynced) this.#secondSize = this.#size
    this.#lag = isSynced ? [] : missing
  }

  async #sync(file: RawFile): Promise<void> {
    try {
      await file.sync()
    } catch (error) {
      // As with a log: after a failed sync nobody can say what is on the device.
      throw this.#fail(error)
    }
  }

  /** Nothing of it happened: what was written is cut off again, and stays away. */
  async #unwritten(cause: unknown): Promise<LeveretError> {
    try {
      if (this.#first.size() > this.#size) this.#first.truncate(this.#size)
      if (this.#second.size() > this.#secondSize) this.#second.truncate(this.#secondSize)
      await this.#first.sync()
    } catch {
      return this.#fail(cause)
    }
    return new UnavailableError('the list of topics could not be written', { cause })
  }

  #fail(cause: unknown): LeveretError {
    this.#failed = new LeveretError('LVT_READ_ONLY', 'the list of topics takes no more changes: its disk failed', {
      cause,
    })
    return this.#failed
  }
}

function refuseWithoutKeys(keyring: Keyring | null, { keys }: CatalogState): void {
  for (const id of keys) {
    if (keyring?.has(id) === true) continue
    const given = keyring === null ? 'none was given' : 'it is not among those given'
    throw new LeveretError('LVT_KEY_MISSING', `the data is encrypted with key ${keyIdText(id)}, and ${given}`)
  }
}

/** Throws for a topic's directory of which the catalog knows nothing. */
function explain(present: ReadonlyMap<number, string>, { topics, dropped }: CatalogState): void {
  const known = new Set([...topics.values()].map(({ id }) => id))
  for (const [id, directory] of present) {
    if (known.has(id) || dropped.has(id)) continue
    throw damaged(`${directory} holds a topic that the catalog does not know: the catalog is older than the data`)
  }
}

/** A copy that is replaced stays beside the new one. */
export function keepCopyAside(fs: FileSystem, path: string, content: Buffer, generation: number): Promise<void> {
  return keepAside(fs, `${path}.damaged-${generation}`, content)
}
