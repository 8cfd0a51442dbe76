/**
 * The framing of the protocol as `it-length-prefixed` does it, given a length decoder as strict as the contract: the
 * oracle of the frame splitter. Written from docs/protocol.md, not from the splitter.
 */
import { decode } from 'it-length-prefixed'
import { Uint8ArrayList } from 'uint8arraylist'

const LENGTH_BYTES_MAX = 4

export class StrictLengthError extends Error {}

export interface Split {
  readonly frames: readonly string[]
  /** How the stream ended: at a frame boundary, inside a frame, or at bytes that can never be a frame. */
  readonly end: 'boundary' | 'inside' | 'refused'
}

/** A decoder of lengths that throws RangeError, as the package asks, while the length is not whole. */
export function strictLengthDecoder(): { (bytes: Uint8Array | Uint8ArrayList): number; bytes: number } {
  const decoder = (bytes: Uint8Array | Uint8ArrayList): number => {
    let length = 0
    for (let index = 0; ; index++) {
      if (index === LENGTH_BYTES_MAX) throw new StrictLengthError('more than 4 bytes')
      if (index >= bytes.length) throw new RangeError('the length is not whole')
      const byte = bytes instanceof Uint8ArrayList ? bytes.get(index) : (bytes[index] ?? 0)
      length += (byte % 128) * 128 ** index
      if (byte >= 128) continue
      if (byte === 0 && index > 0) throw new StrictLengthError('padded')
      decoder.bytes = index + 1
      return length
    }
  }
  decoder.bytes = 0
  return decoder
}

/** Frames in hexadecimal, up to the end of the stream or to where it cannot be read any further. */
export function splitWithPackage(chunks: readonly Uint8Array[], frameBytesMax: number): Split {
  const frames: string[] = []
  let consumed = 0
  try {
    const options = { lengthDecoder: strictLengthDecoder(), maxLengthLength: 4, maxDataLength: frameBytesMax }
    for (const frame of decode(chunks, options)) {
      const bytes = frame.subarray()
      frames.push(Buffer.from(bytes).toString('hex'))
      consumed += lengthOfLength(bytes.length) + bytes.length
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (error.name === 'UnexpectedEOFError') return { frames, end: 'inside' }
    return { frames, end: 'refused' }
  }
  // The package takes a stream that ends right after a length for one that ends between two frames.
  const total = chunks.reduce((bytes, chunk) => bytes + chunk.length, 0)
  return { frames, end: consumed === total ? 'boundary' : 'inside' }
}

function lengthOfLength(length: number): number {
  return length < 2 ** 7 ? 1 : length < 2 ** 14 ? 2 : length < 2 ** 21 ? 3 : 4
}
