/**
 * Where frames wait for the one write that their connection makes each turn. Small frames are laid one after the
 * other into a slab that all connections share; large bodies are passed on as they are.
 */

const SLAB_BYTES = 64 * 1024
const COPIED_BYTES_MAX = 1024
const LOOP_BYTES_MAX = 24

/** The slab that the connections of one server write small frames to. Never reused: a socket may still hold it. */
export class OutboxSlab {
  buffer: Buffer = Buffer.alloc(0)
  used = 0

  /** Make sure that `bytes` fit behind `used`. */
  reserve(bytes: number): void {
    if (this.buffer.length - this.used >= bytes) return
    this.buffer = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    this.used = 0
  }
}

const NO_BUFFER = Buffer.alloc(0)

export class Outbox {
  bytes = 0
  readonly #slab: OutboxSlab
  #chunks: Buffer[] = []
  /** The stretch of the slab that was written last, as long as nobody else has written behind it. */
  #open: Buffer = NO_BUFFER
  #openStart = 0
  #openEnd = 0

  constructor(slab: OutboxSlab) {
    this.#slab = slab
  }

  /** A slab with room for `bytes` behind `used`; lay the bytes there and say `wrote`. */
  room(bytes: number): OutboxSlab {
    const slab = this.#slab
    slab.reserve(bytes)
    if (slab.buffer !== this.#open || slab.used !== this.#openEnd) {
      this.#closeStretch()
      this.#open = slab.buffer
      this.#openStart = slab.used
      this.#openEnd = slab.used
    }
    return slab
  }

  /** The bytes up to `end` of the slab that `room` gave are part of the stream now. */
  wrote(end: number): void {
    this.bytes += end - this.#openEnd
    this.#openEnd = end
    this.#slab.used = end
  }

  /**
   * Append a buffer; it may not change any more. A large one is not copied. Small ones are laid together: a buffer of
   * its own for each answer of 4 bytes would cost fifty times what the limit of the outbox counts.
   */
  pass(buffer: Buffer): void {
    if (buffer.length <= COPIED_BYTES_MAX) {
      const { length } = buffer
      const { buffer: slab, used } = this.room(length)
      // A call costs more than a few bytes.
      if (length <= LOOP_BYTES_MAX) for (let at = 0; at < length; at++) slab[used + at] = buffer[at] as number
      else buffer.copy(slab, used)
      this.wrote(used + length)
      return
    }
    this.#closeStretch()
    this.#chunks.push(buffer)
    this.bytes += buffer.length
  }

  /** Everything that waits, in order; the outbox is empty then. */
  take(): Buffer[] {
    this.#closeStretch()
    const chunks = this.#chunks
    this.#chunks = []
    this.bytes = 0
    return chunks
  }

  #closeStretch(): void {
    if (this.#openEnd > this.#openStart) this.#chunks.push(this.#open.subarray(this.#openStart, this.#openEnd))
    this.#open = NO_BUFFER
    this.#openStart = 0
    this.#openEnd = 0
  }
}
