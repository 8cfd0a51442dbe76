/**
 * Cuts standard input into lines without looking at them as text: what stands between two newlines is a payload,
 * byte for byte, a carriage return included. Lines are views into the chunk that they arrived in.
 */
import { InvalidArgumentError } from '../common/errors.js'

const NEWLINE = 0x0a

export class LineSplitter {
  readonly #lineBytesMax: number
  /** The beginning of a line whose end has not arrived. */
  #parts: Buffer[] = []
  #partBytes = 0

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax
  }

  /** The lines that this chunk ends. Throws InvalidArgumentError when one grows beyond the limit. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(this.#finish(chunk.subarray(start, end)))
      start = end + 1
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
    return lines
  }

  /** The last line, when the input does not end with a newline. */
  end(): Buffer[] {
    return this.#partBytes === 0 ? [] : [this.#finish(Buffer.alloc(0))]
  }

  #keep(part: Buffer): void {
    this.#parts.push(part)
    this.#partBytes += part.length
    if (this.#partBytes > this.#lineBytesMax) {
      throw new InvalidArgumentError(`a line of the input is longer than ${this.#lineBytesMax} bytes`)
    }
  }

  #finish(part: Buffer): Buffer {
    if (this.#partBytes === 0) return part
    this.#keep(part)
    const line = Buffer.concat(this.#parts, this.#partBytes)
    this.#parts = []
    this.#partBytes = 0
    return line
  }
}
