/**
 * Cuts a byte stream into frames: synchronous, in place, one per connection of the server. It stands beside
 * `it-length-prefixed`, whose asynchronous iteration costs more than a small frame is worth (docs/decisions/0003),
 * and is held equal to it by a property test.
 *
 *   stream = { length frame }     length: minimal unsigned varint of at most 4 bytes
 */
import { ProtocolError } from '../common/errors.js'

const LENGTH_BYTES_MAX = 4
const FIRST_CAPACITY_BYTES = 1024
const NOTHING = Buffer.alloc(0)

/**
 * Feed it with `push` and take frames with `next` until that says false: then `buffer[start, end)` is the next
 * frame. A frame is valid until the following `push`; what must live longer is copied by the taker.
 */
export class FrameSplitter {
  buffer: Buffer = NOTHING
  start = 0
  end = 0
  /** The frame came in pieces: its buffer holds nothing else and will not be used again. */
  isOwned = false

  readonly #frameBytesMax: number
  #chunk: Buffer = NOTHING
  #position = 0
  /** The beginning of a frame whose rest has not arrived; grows with what arrives, never with what is announced. */
  #partial: Buffer = NOTHING
  #partialBytes = 0

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax
  }

  /** Whether the stream stands inside a frame. */
  get inFrame(): boolean {
    return this.#partialBytes > 0
  }

  /** Take the next bytes of the stream. All frames of the previous ones must have been taken. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#position = 0
  }

  /** Throws ProtocolError (LVT_FRAME_TOO_LARGE, LVT_FRAME_LENGTH_INVALID): the stream cannot be read any further. */
  next(): boolean {
    if (this.#partialBytes > 0) return this.#nextFromPartial()
    const chunk = this.#chunk
    const position = this.#position
    const available = chunk.length - position
    if (available === 0) return this.#exhausted()
    const lengthBytes = lengthBytesAt(chunk, position, chunk.length)
    if (lengthBytes === 0) return this.#keep(available)
    const start = position + lengthBytes
    const end = start + this.#readLength(chunk, position, lengthBytes)
    if (end > chunk.length) return this.#keep(available, end - position)
    this.buffer = chunk
    this.isOwned = false
    this.start = start
    this.end = end
    this.#position = end
    return true
  }

  #nextFromPartial(): boolean {
    const lengthKnown = lengthBytesAt(this.#partial, 0, this.#partialBytes)
    if (lengthKnown === 0) {
      // The length itself is cut: take bytes one by one until it is whole.
      if (this.#position === this.#chunk.length) return this.#exhausted()
      this.#append(1)
      return this.#nextFromPartial()
    }
    const frameEnd = lengthKnown + this.#readLength(this.#partial, 0, lengthKnown)
    this.#append(Math.min(frameEnd - this.#partialBytes, this.#chunk.length - this.#position), frameEnd)
    if (this.#partialBytes < frameEnd) return this.#exhausted()
    this.buffer = this.#partial
    this.isOwned = true
    this.start = lengthKnown
    this.end = frameEnd
    this.#partial = NOTHING
    this.#partialBytes = 0
    return true
  }

  #keep(available: number, expected = 0): false {
    this.#append(available, expected)
    return this.#exhausted()
  }

  /** Let go of the chunk, so that an idle connection pins nothing. */
  #exhausted(): false {
    this.#chunk = NOTHING
    this.#position = 0
    this.buffer = NOTHING
    return false
  }

  /** `expected`: bytes that the frame will have, as far as its length is known. */
  #append(bytes: number, expected = 0): void {
    const needed = this.#partialBytes + bytes
    if (needed > this.#partial.length) {
      // Once an eighth of a frame is there its whole room is made at once: announcing alone still gets nothing.
      const capacity =
        needed * 8 >= expected && expected > 0
          ? Math.max(needed, expected)
          : Math.max(needed, Math.min(FIRST_CAPACITY_BYTES, needed * 2), this.#partial.length * 2)
      const larger = Buffer.allocUnsafeSlow(capacity)
      this.#partial.copy(larger, 0, 0, this.#partialBytes)
      this.#partial = larger
    }
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#position, this.#position + bytes)
    this.#partialBytes = needed
    this.#position += bytes
  }

  #readLength(buffer: Buffer, position: number, lengthBytes: number): number {
    const length = decodeLength(buffer, position, lengthBytes)
    if (length > this.#frameBytesMax) {
      throw new ProtocolError(
        `a frame of ${length} bytes is announced, the limit is ${this.#frameBytesMax}`,
        'LVT_FRAME_TOO_LARGE',
      )
    }
    return length
  }
}

/** How many bytes the length at `position` has; 0 while its last byte has not arrived. Throws on a fifth byte. */
function lengthBytesAt(buffer: Buffer, position: number, end: number): number {
  for (let count = 1; count <= LENGTH_BYTES_MAX; count++) {
    if (position + count > end) return 0
    if ((buffer[position + count - 1] as number) < 0x80) return count
  }
  throw new ProtocolError('a frame length has more than 4 bytes', 'LVT_FRAME_LENGTH_INVALID')
}

/** Decode a whole length. Throws on padding: one length has one encoding. */
export function decodeLength(buffer: Uint8Array, position: number, lengthBytes: number): number {
  let length = 0
  for (let index = lengthBytes - 1; index >= 0; index--) {
    length = length * 0x80 + ((buffer[position + index] as number) & 0x7f)
  }
  if (lengthBytes > 1 && buffer[position + lengthBytes - 1] === 0) {
    throw new ProtocolError('a frame length is padded with zeros', 'LVT_FRAME_LENGTH_INVALID')
  }
  return length
}
