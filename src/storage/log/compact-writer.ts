/**
 * Writes the file that takes the place of compacted segments: records that stand side by side become one batch again,
 * each with the offset and the time that it had.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import {
  FLAG_CLEAN,
  FLAG_COMPACTED,
  FLAG_END,
  HEADER_BYTES,
  headerBytesOf,
  type NewBatch,
  type SegmentPlace,
  sealBatch,
  writeHeader,
} from './batch-format.js'
import { writeAll } from './file-io.js'
import type { FileSystem, RawFile } from './file-system.js'
import type { Keyring } from './keyring.js'
import { INDEX_INTERVAL_BYTES, type IndexEntry } from './offset-index.js'

/** A batch takes in its neighbours up to this size. */
const BATCH_BYTES_MAX = 256 * 1024
/** Written at once. */
const WRITE_BYTES = 1024 * 1024

export class CompactedFile {
  /** Bytes of whole batches. */
  size = 0
  /** For the index of the new segment. */
  readonly entries: IndexEntry[] = []
  readonly #file: RawFile
  readonly #place: SegmentPlace
  readonly #keyring: Keyring | null
  #written = 0
  #buffers: Uint8Array[] = []
  /** The batch that is being put together: its records, which touch and have one time. */
  #chunks: Buffer[] = []
  #bytes = 0
  #count = 0
  #base = 0
  #timestampMs = 0

  /** Throws the system's error if the file cannot be made. */
  constructor(fs: FileSystem, path: string, place: SegmentPlace, keyring: Keyring | null) {
    if (fs.exists(path)) fs.remove(path)
    this.#file = fs.open(path, 'create')
    this.#place = place
    this.#keyring = keyring
  }

  /** Whether so much waits to be written that `flush` should come first. */
  get isFull(): boolean {
    return this.size - this.#written + this.#bytes >= WRITE_BYTES
  }

  /** Take `count` records, which are copied. */
  add(records: Buffer, count: number, baseOffset: Offset, timestampMs: number): void {
    const touches = this.#base + this.#count === baseOffset && this.#timestampMs === timestampMs
    if (!touches || this.#bytes + records.length > BATCH_BYTES_MAX) this.#endBatch()
    if (this.#count === 0) {
      this.#base = baseOffset
      this.#timestampMs = timestampMs
    }
    this.#chunks.push(Buffer.from(records))
    this.#bytes += records.length
    this.#count += count
  }

  async flush(): Promise<void> {
    this.#endBatch()
    const buffers = this.#buffers
    this.#buffers = []
    await writeAll(this.#file, buffers, this.#written)
    this.#written = this.size
  }

  /** Say where the segment ends, and sync. */
  async finish(end: Offset, timestampMs: number, isClean: boolean): Promise<void> {
    this.#endBatch()
    const flags = FLAG_COMPACTED | FLAG_END | (isClean ? FLAG_CLEAN : 0)
    const mark = { body: Buffer.alloc(0), count: 0, baseOffset: end, timestampMs, flags, producer: null }
    const header = Buffer.alloc(HEADER_BYTES)
    writeHeader(header, 0, this.#place, this.size, mark)
    this.#buffers.push(header)
    this.size += header.length
    await this.flush()
    await this.#file.sync()
  }

  close(): void {
    this.#file.close()
  }

  #endBatch(): void {
    if (this.#count === 0) return
    const batch: NewBatch = {
      body: Buffer.concat(this.#chunks),
      count: this.#count,
      baseOffset: this.#base,
      timestampMs: this.#timestampMs,
      flags: FLAG_COMPACTED,
      producer: null,
    }
    this.#chunks = []
    this.#bytes = 0
    this.#count = 0
    const last = this.entries.at(-1)
    if (last === undefined || this.size - last.position >= INDEX_INTERVAL_BYTES) {
      this.entries.push({
        position: this.size,
        offset: toOffset(batch.baseOffset),
        timestampMs: batch.timestampMs,
      })
    }
    const { header, body } = this.#encode(batch)
    this.#buffers.push(header, body)
    this.size += header.length + body.length
  }

  #encode(batch: NewBatch): { header: Buffer; body: Uint8Array } {
    if (this.#keyring !== null) return sealBatch(this.#keyring, this.#place, this.size, batch)
    const header = Buffer.alloc(headerBytesOf(null))
    writeHeader(header, 0, this.#place, this.size, batch)
    return { header, body: batch.body }
  }
}
