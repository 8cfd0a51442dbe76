/**
 * The framing of the client: `it-length-prefixed` with explicit limits and a strict length, so that one stream has
 * one reading. Called by connection.ts; knows bytes only.
 */
import { decode, encode, type LengthDecoderFunction } from 'it-length-prefixed'
import type { Uint8ArrayList } from 'uint8arraylist'
import { ProtocolError } from '../src/common/errors.js'
import { decodeLength } from '../src/protocol/frame-splitter.js'

const LENGTH_BYTES_MAX = 4

/** What the package expects when the length itself is cut: it then waits for more. */
const CUT = new RangeError('the length is not whole yet')

/** Cut a stream into frames. Throws ProtocolError on a length that is padded, too long or above the limit. */
export function splitFrames(source: AsyncIterable<Uint8Array>, frameBytesMax: number): AsyncIterable<Uint8ArrayList> {
  return decode(source, {
    lengthDecoder: strictLengthDecoder(frameBytesMax),
    maxLengthLength: LENGTH_BYTES_MAX,
    maxDataLength: frameBytesMax,
  })
}

/** The frame with its length before it, as pieces to be written one after the other. */
export function framePieces(frame: Uint8Array, frameBytesMax: number): Uint8ArrayList {
  return encode.single(frame, { maxDataLength: frameBytesMax })
}

/** A contiguous view of a frame; copied only when it arrived in pieces. */
export function contiguous(frame: Uint8ArrayList): Buffer {
  const view = frame.subarray()
  return Buffer.isBuffer(view) ? view : Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

function strictLengthDecoder(frameBytesMax: number): LengthDecoderFunction {
  const decoder: LengthDecoderFunction = (data) => {
    const lengthBytes = lengthBytesOf(data)
    const length = lengthBytes === 1 ? data.get(0) : decodeLength(data.subarray(0, lengthBytes), 0, lengthBytes)
    if (length > frameBytesMax) {
      const message = `a frame of ${length} bytes is announced, the limit is ${frameBytesMax}`
      throw new ProtocolError(message, 'LVT_FRAME_TOO_LARGE')
    }
    decoder.bytes = lengthBytes
    return length
  }
  decoder.bytes = 0
  return decoder
}

function lengthBytesOf(data: Uint8ArrayList): number {
  for (let index = 0; index < LENGTH_BYTES_MAX; index++) {
    if (index >= data.byteLength) throw CUT
    if (data.get(index) < 0x80) return index + 1
  }
  throw new ProtocolError('a frame length has more than 4 bytes', 'LVT_FRAME_LENGTH_INVALID')
}
