/**
 * What Redis speaks, as much of it as a bench needs: commands as arrays of strings, and answers cut into pieces.
 */

const MINUS = 0x2d
export const DOLLAR = 0x24
export const STAR = 0x2a
export const PLUS = 0x2b
export const COLON = 0x3a
const CR = 0x0d
const DIGIT_0 = 0x30

export function command(...words: readonly (string | Buffer)[]): Buffer {
  const parts = [Buffer.from(`*${words.length}\r\n`)]
  for (const word of words) {
    const bytes = Buffer.from(word)
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}

/** Cuts what Redis sends into lines and strings; one object, whose fields hold the piece found last. */
export class RespPieces {
  bytes: Buffer = Buffer.alloc(0)
  kind = 0
  /** Items of an array, or bytes of a string. */
  length = 0
  /** Where the string, or the line after its first byte, begins. */
  start = 0
  #next = 0

  push(chunk: Buffer): void {
    this.bytes = this.#next === this.bytes.length ? chunk : Buffer.concat([this.bytes.subarray(this.#next), chunk])
    this.#next = 0
  }

  next(): boolean {
    const { bytes } = this
    let at = this.#next + 1
    let length = 0
    for (; at < bytes.length && bytes[at] !== CR; at++) length = length * 10 + ((bytes[at] as number) - DIGIT_0)
    const lineEnd = at + 2
    const kind = bytes[this.#next] as number
    const end = kind === DOLLAR ? lineEnd + length + 2 : lineEnd
    if (lineEnd > bytes.length || end > bytes.length) return this.#keep()
    this.kind = kind
    this.start = kind === DOLLAR ? lineEnd : this.#next + 1
    this.length = kind === DOLLAR || kind === STAR ? length : at - this.start
    this.#next = end
    if (kind === MINUS) throw new Error(`Redis answered ${this.text()}`)
    return true
  }

  text(): string {
    return this.bytes.toString('latin1', this.start, this.start + this.length)
  }

  /** The chunk is the caller's: what is left of it is copied. */
  #keep(): false {
    this.bytes = Buffer.from(this.bytes.subarray(this.#next))
    this.#next = 0
    return false
  }
}
