/**
 * The lines of a catalog, what they add up to, and how two copies are read as one. No I/O.
 */
import { LeveretError } from '../../common/errors.js'
import type { TopicSettings } from '../../model/topic.js'
import type { Witness } from './directory-lock.js'
import { encodeLine, lineAt } from './sealed-lines.js'

const FORMAT_VERSION = 1

export type CatalogLine =
  /** The first line. `nextId` is above every topic id given out before it. */
  | {
      readonly kind: 'catalog'
      readonly format: number
      readonly data: string
      readonly generation: number
      readonly nextId: number
    }
  | { readonly kind: 'opened' | 'closed'; readonly generation: number }
  | { readonly kind: 'topic'; readonly id: number; readonly name: string; readonly settings: TopicSettings }
  | { readonly kind: 'dropped'; readonly id: number; readonly name: string }
  /** Offsets up to `end` may be given out without a record in the log; with `from`, all that was there then, below that, was dropped. */
  | {
      readonly kind: 'reserved'
      readonly id: number
      readonly partition: number
      readonly end: number
      readonly from?: number
    }
  /** The partition got its first segment, at this offset: from now on it is missed if it has none. */
  | { readonly kind: 'begun'; readonly id: number; readonly partition: number; readonly base: number }
  | { readonly kind: 'key'; readonly id: number }

export interface TopicEntry {
  readonly id: number
  readonly name: string
  readonly settings: TopicSettings
  /** Partition to the end of the offsets given out without a record in the log. */
  readonly reserved: ReadonlyMap<number, number>
  /** Partition to the offset below which all records were dropped, when it had some. */
  readonly dropped: ReadonlyMap<number, number>
  /** Partition to the base of the first segment that it ever had, since all was dropped the last time. */
  readonly begun: ReadonlyMap<number, number>
}

interface Entry extends TopicEntry {
  readonly reserved: Map<number, number>
  readonly dropped: Map<number, number>
  readonly begun: Map<number, number>
}

/** What the lines add up to. */
export class CatalogState {
  readonly topics = new Map<string, TopicEntry>()
  /** Topics that were dropped, and whose directories may still be there. */
  readonly dropped = new Set<number>()
  readonly keys = new Set<number>()
  data = ''
  generation = 0
  nextId = 1
  isClosed = true
  readonly #entries = new Map<number, Entry>()

  apply(line: CatalogLine): void {
    switch (line.kind) {
      case 'catalog':
        this.data = line.data
        this.generation = line.generation
        this.nextId = line.nextId
        break
      case 'opened':
      case 'closed':
        this.generation = line.generation
        this.isClosed = line.kind === 'closed'
        break
      case 'topic': {
        const { id, name, settings } = line
        const none = { reserved: new Map(), dropped: new Map(), begun: new Map() }
        const entry: Entry = { ...none, ...this.#entries.get(id), id, name, settings }
        this.topics.set(name, entry)
        this.#entries.set(id, entry)
        this.nextId = Math.max(this.nextId, id + 1)
        break
      }
      case 'dropped':
        this.topics.delete(line.name)
        this.#entries.delete(line.id)
        this.dropped.add(line.id)
        break
      case 'reserved': {
        const entry = this.#entries.get(line.id)
        entry?.reserved.set(line.partition, line.end)
        if (line.from === undefined) break
        entry?.dropped.set(line.partition, line.from)
        if ((entry?.begun.get(line.partition) ?? 0) <= line.from) entry?.begun.delete(line.partition)
        break
      }
      case 'begun':
        this.#entries.get(line.id)?.begun.set(line.partition, line.base)
        break
      case 'key':
        this.keys.add(line.id)
        break
    }
  }

  /** The fewest lines that add up to the same. */
  lines(): CatalogLine[] {
    const { data, generation, nextId } = this
    const lines: CatalogLine[] = [{ kind: 'catalog', format: FORMAT_VERSION, data, generation, nextId }]
    for (const id of this.keys) lines.push({ kind: 'key', id })
    for (const id of this.dropped) lines.push({ kind: 'dropped', id, name: '' })
    for (const { id, name, settings, reserved, dropped, begun } of this.topics.values()) {
      lines.push({ kind: 'topic', id, name, settings })
      for (const [partition, end] of reserved) {
        const from = dropped.get(partition)
        lines.push({ kind: 'reserved', id, partition, end, ...(from === undefined ? {} : { from }) })
      }
      for (const [partition, base] of begun) lines.push({ kind: 'begun', id, partition, base })
    }
    if (!this.isClosed) lines.push({ kind: 'opened', generation })
    return lines
  }
}

/** Two copies read as one. */
export class CatalogReading {
  readonly state = new CatalogState()
  readonly repairs: string[] = []
  readonly isDamaged: boolean[]
  lines = 0
  readonly #text: Buffer[] = []

  private constructor(copies: number) {
    this.isDamaged = new Array<boolean>(copies).fill(false)
  }

  /** The good lines, as both copies should have them. */
  get text(): Buffer {
    return Buffer.concat(this.#text)
  }

  /** Neither copy there: a new catalog. Throws LVT_DATA_DAMAGED. */
  static of(copies: readonly (Buffer | null)[], newId: string, witness: Witness): CatalogReading {
    const reading = new CatalogReading(copies.length)
    const present = copies.filter((copy) => copy !== null)
    if (present.length === 0) {
      if (witness.generation > 0) throw damaged('both copies of the catalog are missing')
      const head: CatalogLine = { kind: 'catalog', format: FORMAT_VERSION, data: newId, generation: 0, nextId: 1 }
      reading.#take(head, Buffer.from(encodeLine(head)))
      return reading
    }
    reading.#merge(copies)
    const { generation, data } = reading.state
    if (generation < witness.generation) {
      throw damaged(
        `the catalog is of generation ${generation}, and the data has seen generation ${witness.generation}`,
      )
    }
    if (witness.data !== '' && witness.data !== data) throw damaged('the catalog is that of other data')
    return reading
  }

  /**
   * The copies are written together, so that a line begins at the same place in both. A rewriting may have replaced one
   * and not the other: then the one with the higher generation in its first line counts, if it is whole.
   */
  #merge(copies: readonly (Buffer | null)[]): void {
    const heads = copies.map((copy) => headOf(copy))
    const known = heads.filter((head) => head !== null)
    const newest = known.length === 0 ? -1 : Math.max(...known)
    const readable = copies.map((copy, index) => {
      // A copy without a head may still hold lines: its places tell.
      const isOther = heads[index] !== null && heads[index] !== undefined && (heads[index] as number) < newest
      return isOther ? null : copy
    })
    for (const [index, copy] of copies.entries()) {
      if (copy !== null && readable[index] === null) this.#note(index, 'is older than the other copy')
      if (copy === null) this.#note(index, 'is missing')
    }
    for (let at = 0; ; ) {
      const lines = readable.map((copy) => (copy === null ? null : lineAt(copy, at)))
      const index = lines.findIndex((line) => line !== null && line.value !== null)
      const good = lines[index]
      if (good === undefined || good === null) {
        this.#endAt(readable, at)
        return
      }
      const text = (readable[index] as Buffer).subarray(at, good.end)
      for (const [other, line] of lines.entries()) {
        if (line === null) continue
        if (line.value === null) this.#note(other, 'is damaged')
        else if (!readable[other]?.subarray(at, line.end).equals(text)) {
          throw damaged('the two copies of the catalog contradict each other')
        }
      }
      this.#take(good.value as CatalogLine, text)
      at = good.end
    }
  }

  /** No copy has a good line here: the end, an unfinished line, or damage to both. */
  #endAt(copies: readonly (Buffer | null)[], at: number): void {
    // The copies are written one after the other: what one has behind the whole of the other was not finished.
    const hasWhole = copies.some((copy) => copy?.length === at)
    for (const [index, copy] of copies.entries()) {
      if (copy === null || copy.length <= at) continue
      // A line that was not finished is the last thing in its file.
      const newline = copy.indexOf(0x0a, at)
      if (!hasWhole && newline >= 0 && newline < copy.length - 1) {
        throw damaged('both copies of the catalog are damaged in the same place')
      }
      this.#note(index, 'ended with an unfinished line')
    }
    if (this.lines === 0) throw damaged('no copy of the catalog can be read')
  }

  #take(line: CatalogLine, text: Buffer): void {
    if (line.kind === 'catalog' && line.format !== FORMAT_VERSION) {
      throw damaged(`the data directory has format ${line.format}, this version reads format ${FORMAT_VERSION}`)
    }
    if (this.lines === 0 && line.kind !== 'catalog') throw damaged('the first line of the catalog is not its head')
    this.state.apply(line)
    this.lines++
    this.#text.push(text)
  }

  #note(index: number, what: string): void {
    if (this.isDamaged[index] === true) return
    this.isDamaged[index] = true
    this.repairs.push(`copy ${index === 0 ? 'a' : 'b'} of the catalog ${what}; it was made anew from the other one`)
  }
}

/** Generation in the first line, or null if it cannot be read. */
function headOf(copy: Buffer | null): number | null {
  const value = copy === null ? null : (lineAt(copy, 0)?.value as CatalogLine | null | undefined)
  return value?.kind === 'catalog' ? value.generation : null
}

/** A refusal to open, before anything was changed. */
export function damaged(what: string): LeveretError {
  const advice =
    'nothing was changed; restore both copies of the catalog that belong to this data, or run `leveret check`'
  return new LeveretError('LVT_DATA_DAMAGED', `${what}. ${advice}`)
}
