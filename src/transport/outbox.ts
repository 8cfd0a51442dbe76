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

/** How often others lay their frames in between before a connection takes a part of the slab for itself. */
const BREAKS_MAX = 2
const PART_BYTES_MAX = 16 * 1024

const NO_BUFFER = Buffer.alloc(0)

export class Outbox {
  bytes = 0
  readonly #slab: OutboxSlab
  #chunks: Buffer[] = []
  /** The stretch of the slab that was written last, as long as nobody else has written behind it. */
  #open: Buffer = NO_BUFFER
  #openStart = 0
  #openEnd = 0
  /** How often somebody has, since the last `take`. */
  #breaks = 0
  /** A part of the slab that nobody else writes to: `#open`, up to `#partEnd`. 0 while there is none. */
  #part: OutboxSlab | null = null
  #partEnd = 0

  constructor(slab: OutboxSlab) {
    this.#slab = slab
  }

  /** A slab with room for `bytes` behind `used`; lay the bytes there and say `wrote`. */
  room(bytes: number): OutboxSlab {
    if (this.#partEnd > 0 && this.#part !== null) {
      if (this.#partEnd - this.#openEnd >= bytes) return this.#part
      this.#closeStretch()
    }
    const slab = this.#slab
    slab.reserve(bytes)
    if (slab.buffer !== this.#open || slab.used !== this.#openEnd) {
      this.#closeStretch()
      if (++this.#breaks > BREAKS_MAX) return this.#takePart(bytes)
      this.#open = slab.buffer
      this.#openStart = slab.used
      this.#openEnd = slab.used
    }
    return slab
  }

  /**
   * Several connections lay small frames in turns, as when each message of a chunk goes to all of them. Each gets a part as
   * large as what waits for it already, so that what is left over is never more than what was used.
   */
  #takePart(bytes: number): OutboxSlab {
    const slab = this.#slab
    const partBytes = Math.max(bytes, Math.min(PART_BYTES_MAX, this.bytes))
    slab.reserve(partBytes)
    this.#part ??= new OutboxSlab()
    this.#part.buffer = slab.buffer
    this.#part.used = slab.used
    this.#open = slab.buffer
    this.#openStart = slab.used
    this.#openEnd = slab.used
    slab.used += partBytes
    this.#partEnd = slab.used
    return this.#part
  }

  /** The bytes up to `end` of the slab that `room` gave are part of the stream now. */
  wrote(end: number): void {
    this.bytes += end - this.#openEnd
    this.#openEnd = end
    if (this.#partEnd > 0 && this.#part !== null) this.#part.used = end
    else this.#slab.used = end
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
    this.#breaks = 0
    return chunks
  }

  #closeStretch(): void {
    if (this.#openEnd > this.#openStart) this.#chunks.push(this.#open.subarray(this.#openStart, this.#openEnd))
    if (this.#partEnd > 0) {
      // What nobody has written behind goes back.
      if (this.#slab.buffer === this.#open && this.#slab.used === this.#partEnd) this.#slab.used = this.#openEnd
      this.#partEnd = 0
      if (this.#part !== null) this.#part.buffer = NO_BUFFER
    }
    this.#open = NO_BUFFER
    this.#openStart = 0
    this.#openEnd = 0
  }
}
