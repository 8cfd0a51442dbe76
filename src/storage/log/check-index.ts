/**
 * Holds the index file of one segment against the batches of its log, while these are walked, and writes it anew.
 */
import type { Offset } from '../../model/offset.js'
import type { BatchHeader, Place } from './batch-format.js'
import { readFile, replaceFile } from './file-io.js'
import type { FileSystem } from './file-system.js'
import { decodeEntry, encodeEntry, INDEX_ENTRY_BYTES, type IndexEntry, indexSeed, OffsetIndex } from './offset-index.js'

export class IndexCheck {
  /** What is wrong with the file, in words that follow "the index"; null for nothing. */
  fault: string | null = null
  /** Everything in the log before this position was synced once: the newest good entry says so. */
  syncedPosition = 0
  /** The index as it should be. */
  readonly #built = new OffsetIndex()
  readonly #path: string
  readonly #seed: number
  readonly #isThere: boolean
  readonly #entries: readonly IndexEntry[]
  readonly #end: IndexEntry | null
  #next = 0
  #lastTimestampMs = 0

  constructor(fs: FileSystem, path: string, place: Place, base: Offset) {
    this.#path = path
    this.#seed = indexSeed(place, base)
    const content = readFile(fs, path)
    this.#isThere = content !== null
    const { entries, end } = this.#decode(content ?? Buffer.alloc(0))
    this.#entries = entries
    this.#end = end
    this.syncedPosition = entries.at(-1)?.position ?? 0
  }

  /** It says that another segment was begun behind this one. */
  get saysEnded(): boolean {
    return this.#end !== null
  }

  #decode(content: Buffer): { entries: IndexEntry[]; end: IndexEntry | null } {
    const entries: IndexEntry[] = []
    let end: IndexEntry | null = null
    if (content.length % INDEX_ENTRY_BYTES !== 0) this.#faulty('ends within an entry')
    for (let at = 0; at + INDEX_ENTRY_BYTES <= content.length; at += INDEX_ENTRY_BYTES) {
      const decoded = decodeEntry(content, at, this.#seed)
      if (decoded === null) this.#faulty(`has a damaged entry at position ${at}`)
      else if (end !== null) this.#faulty(`has entries behind its end, at position ${at}`)
      else if (decoded.isEnd) end = decoded.entry
      else if (decoded.entry.position <= (entries.at(-1)?.position ?? -1)) {
        this.#faulty(`has entries that go back, at position ${at}`)
      } else entries.push(decoded.entry)
    }
    return { entries, end }
  }

  /** The next batch of the log, in order. */
  visit(header: BatchHeader, position: number): void {
    const { baseOffset: offset, timestampMs } = header
    if (this.#built.isDue(position)) this.#built.push({ position, offset, timestampMs })
    this.#lastTimestampMs = Math.max(this.#lastTimestampMs, timestampMs)
    let entry = this.#entries[this.#next]
    while (entry !== undefined && entry.position <= position) {
      this.#next++
      if (entry.position < position || entry.offset !== offset || entry.timestampMs !== timestampMs) {
        this.#faulty(`has an entry for position ${entry.position} that does not fit the log`)
      }
      entry = this.#entries[this.#next]
    }
  }

  /** The log was walked to its end. `sealed` says where a segment ends that takes no more batches. */
  finish(whole: number, sealed: { readonly size: number; readonly end: number } | null, isExpected: boolean): void {
    if (!this.#isThere) {
      if (isExpected) this.#faulty('is missing')
      return
    }
    const entry = this.#entries[this.#next]
    if (entry !== undefined) this.#faulty(`has an entry for position ${entry.position}, and the log ends at ${whole}`)
    if (sealed === null) {
      if (this.#end !== null) this.#faulty('says that a segment has ended which takes records')
    } else if (this.#end === null) this.#faulty('does not say where its segment ends')
    else if (this.#end.position !== sealed.size || this.#end.offset < sealed.end) {
      this.#faulty('says that its segment ends where it does not')
    } else if (this.#end.timestampMs < this.#lastTimestampMs) this.#faulty('says a wrong time of its end')
  }

  /** Put an index in the place of the file that fits the log, which is synced. `sealed` is as for `finish`. */
  async rewrite(fs: FileSystem, sealed: { readonly size: number; readonly end: Offset } | null): Promise<void> {
    const built = this.#built
    const bytes = Buffer.alloc((built.length + (sealed === null ? 0 : 1)) * INDEX_ENTRY_BYTES)
    for (let index = 0; index < built.length; index++) {
      encodeEntry(bytes, index * INDEX_ENTRY_BYTES, this.#seed, built.at(index), false)
    }
    if (sealed !== null) {
      const end = { position: sealed.size, offset: sealed.end, timestampMs: this.#lastTimestampMs }
      encodeEntry(bytes, built.length * INDEX_ENTRY_BYTES, this.#seed, end, true)
    }
    await replaceFile(fs, this.#path, bytes)
  }

  /** The first fault is told; the others most likely follow from it. */
  #faulty(what: string): void {
    this.fault ??= what
  }
}
