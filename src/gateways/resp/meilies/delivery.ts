/**
 * One subscription of a connection to one stream: a place in it, and what its events look like. Has no buffer: what is not
 * sent yet is where the place says.
 */
import type { PartitionReader, ReaderListener } from '../../../broker/partition-reader.js'
import { UnsupportedError } from '../../../common/errors.js'
import type { RespVersion } from '../resp-encode.js'
import { type FrameMode, type FrameShape, shapeOf } from './event-frames.js'

/** Told when a delivery may have something to send. */
export interface DeliveryOwner {
  ready(delivery: Delivery): void
}

/** What was asked for: one spec, with one delivery, or with one for each stream there is. */
export interface SpecFacts {
  /** Equal for specs that ask for the same. */
  readonly key: string
  readonly text: string
  readonly mode: FrameMode
}

export class Delivery implements ReaderListener {
  readonly stream: string
  readonly spec: SpecFacts
  /** Told with the first event that the stream is subscribed to; of `$all`, which does not tell of streams without events. */
  isAnnounced: boolean
  isQueued = false
  isClosed = false
  readonly #owner: DeliveryOwner
  #reader: PartitionReader | null = null
  #shape: FrameShape | null = null
  #shapeVersion: RespVersion = 2

  constructor(stream: string, spec: SpecFacts, isAnnounced: boolean, owner: DeliveryOwner) {
    this.stream = stream
    this.spec = spec
    this.isAnnounced = isAnnounced
    this.#owner = owner
  }

  /** Null before it was opened and after it was closed. */
  get reader(): PartitionReader | null {
    return this.#reader
  }

  open(reader: PartitionReader): void {
    if (this.isClosed) reader.close()
    else this.#reader = reader
  }

  readable(): void {
    this.#owner.ready(this)
  }

  /** The topic is no stream any more; the numbers of the partition that is read stay as they are. */
  grown(reader: PartitionReader): void {
    reader.close()
  }

  shape(version: RespVersion): FrameShape {
    if (this.#shape === null || this.#shapeVersion !== version) {
      this.#shape = shapeOf(this.spec.mode, version, this.stream, this.spec.text)
      this.#shapeVersion = version
    }
    return this.#shape
  }

  close(): void {
    this.isClosed = true
    this.#reader?.close()
    this.#reader = null
  }
}

/** Throws UnsupportedError for a topic of several partitions, and closes what was opened of it. */
export function onlyReader(stream: string, readers: readonly PartitionReader[]): PartitionReader {
  const [reader] = readers
  if (reader !== undefined && readers.length === 1) return reader
  for (const other of readers) other.close()
  throw new UnsupportedError(`topic "${stream}" has ${readers.length} partitions, and a stream has one`)
}
