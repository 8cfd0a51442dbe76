/**
 * One request as an argument vector: places in the buffer that it arrived in. Reused for every request of a connection; what
 * outlives its handling is copied by whoever keeps it.
 */
import { isUtf8 } from 'node:buffer'

const LF = 10
const PLUS = 43
const MINUS = 45
const NOTHING = Buffer.alloc(0)
/** Room for more arguments than this is not kept for the next request. */
const KEPT_ARGUMENTS = 1024

/** `odd`: a value that is no array, so that it is no request at all; `nil`: an array that is nil. */
export type RequestShape = 'array' | 'inline' | 'nil' | 'odd'

export class RespRequest {
  shape: RequestShape = 'array'
  buffer: Buffer = NOTHING
  /** Arguments, the verb among them. */
  count = 0
  /** Arguments that came as simple strings or errors, and so are text. */
  lines = 0
  /** Arguments that are no strings: nil, integers, arrays. They are counted and empty. */
  oddities = 0
  /** The buffer holds nothing but this request and will not be used again. */
  isOwned = false
  #bounds: number[] = []

  /** For the parser: forget the last request. */
  reset(): void {
    this.shape = 'array'
    this.buffer = NOTHING
    this.count = 0
    this.lines = 0
    this.oddities = 0
    if (this.#bounds.length > 2 * KEPT_ARGUMENTS) this.#bounds = []
  }

  /** For the parser: the next argument is `buffer[start, end)`. */
  add(start: number, end: number): void {
    const at = 2 * this.count++
    this.#bounds[at] = start
    this.#bounds[at + 1] = end
  }

  /** For the parser: the request has moved to another buffer, `bytes` nearer to its beginning. */
  shift(bytes: number): void {
    for (let index = 0; index < 2 * this.count; index++) this.#bounds[index] = (this.#bounds[index] as number) - bytes
  }

  start(index: number): number {
    return index < this.count ? (this.#bounds[2 * index] as number) : 0
  }

  end(index: number): number {
    return index < this.count ? (this.#bounds[2 * index + 1] as number) : 0
  }

  length(index: number): number {
    return this.end(index) - this.start(index)
  }

  /** Whether it is these bytes, of which there are few. */
  is(index: number, bytes: Uint8Array): boolean {
    const start = this.start(index)
    if (this.end(index) - start !== bytes.length) return false
    for (let at = 0; at < bytes.length; at++) if (this.buffer[start + at] !== bytes[at]) return false
    return true
  }

  /** Whether it came as a simple string or an error: what stands before it tells. */
  isLine(index: number): boolean {
    const sign = this.shape === 'inline' ? 0 : this.buffer[this.start(index) - 1]
    return sign === PLUS || sign === MINUS
  }

  /** Whether it came as a bulk string: "$" length CRLF stands before it, and is of no more use. */
  isBulk(index: number): boolean {
    return this.shape === 'array' && this.buffer[this.start(index) - 1] === LF
  }

  /** A view, valid until the next request. */
  bytes(index: number): Buffer {
    return this.buffer.subarray(this.start(index), this.end(index))
  }

  /** Null unless it is UTF-8. */
  text(index: number): string | null {
    const text = this.buffer.toString('utf8', this.start(index), this.end(index))
    return text.includes('\ufffd') && !isUtf8(this.bytes(index)) ? null : text
  }

  /** For logs and messages: what is no UTF-8 is shown with replacement characters. */
  shown(index: number): string {
    return this.buffer.toString('utf8', this.start(index), this.end(index))
  }
}
