/**
 * Cuts bytes into values of RESP, version 2, as the tools for MeiliES read them: from leveret or from MeiliES itself. No I/O.
 *
 *   value = ( "+" | "-" ) text CRLF  |  ":" number CRLF  |  "$" length CRLF bytes CRLF  |  "*" count CRLF { value }
 */
import { ProtocolError } from '../../common/errors.js'

export type Reply =
  | { readonly kind: 'line' | 'error'; readonly text: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'nil' }
  | { readonly kind: 'list'; readonly items: readonly Reply[] }

/** More than any event has, or any list of streams. */
const BYTES_MAX = 1024 * 1024 * 1024
const ITEMS_MAX = 10_000_000
const LINE_BYTES_MAX = 1024 * 1024
const DEPTH_MAX = 4
const NUMBER = /^[+-]?\d{1,19}$/
const CRLF = Buffer.from('\r\n')

export class ReplyReader {
  #chunks: Buffer[] = []
  #bytes = 0
  #at = 0
  /** With fewer bytes there is no whole value. */
  #needed = 1

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** The next whole value, or null. Throws ProtocolError: nothing behind it can be read. */
  next(): Reply | null {
    if (this.#bytes - this.#at < this.#needed) return null
    const buffer = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
    const found = this.#valueAt(buffer, this.#at, 0)
    if (found === null) {
      this.#chunks = [buffer]
      return null
    }
    this.#needed = 1
    const isAll = found.end === buffer.length
    this.#chunks = isAll ? [] : [buffer]
    this.#bytes = isAll ? 0 : buffer.length
    this.#at = isAll ? 0 : found.end
    return found.reply
  }

  #valueAt(buffer: Buffer, at: number, depth: number): { reply: Reply; end: number } | null {
    const lineEnd = buffer.indexOf(CRLF, at)
    if (lineEnd < 0) {
      if (buffer.length - at > LINE_BYTES_MAX) throw new ProtocolError('the server sent a line without an end')
      return this.#lacks(buffer.length + 1)
    }
    const line = buffer.toString('utf8', at + 1, lineEnd)
    const end = lineEnd + CRLF.length
    switch (String.fromCharCode(buffer[at] as number)) {
      case '+':
        return { reply: { kind: 'line', text: line }, end }
      case '-':
        return { reply: { kind: 'error', text: line }, end }
      case ':':
        return { reply: { kind: 'number', value: numberOf(line) }, end }
      case '$':
        return this.#bytesAt(buffer, end, numberOf(line))
      case '*':
        return this.#listAt(buffer, end, numberOf(line), depth + 1)
      default:
        throw new ProtocolError('the server does not speak RESP')
    }
  }

  #bytesAt(buffer: Buffer, at: number, length: number): { reply: Reply; end: number } | null {
    if (length < 0) return { reply: { kind: 'nil' }, end: at }
    if (length > BYTES_MAX) throw new ProtocolError(`the server announced ${length} bytes`)
    const end = at + length + CRLF.length
    if (buffer.length < end) return this.#lacks(end)
    // A copy: whoever keeps a little would keep all that it came with.
    return { reply: { kind: 'bytes', bytes: Buffer.from(buffer.subarray(at, at + length)) }, end }
  }

  #listAt(buffer: Buffer, at: number, count: number, depth: number): { reply: Reply; end: number } | null {
    if (count < 0) return { reply: { kind: 'nil' }, end: at }
    if (count > ITEMS_MAX || depth > DEPTH_MAX) throw new ProtocolError(`the server announced ${count} values`)
    const items: Reply[] = []
    let end = at
    for (let index = 0; index < count; index++) {
      const found = this.#valueAt(buffer, end, depth)
      if (found === null) return null
      items.push(found.reply)
      end = found.end
    }
    return { reply: { kind: 'list', items }, end }
  }

  #lacks(end: number): null {
    this.#needed = end - this.#at
    return null
  }
}

function numberOf(text: string): number {
  if (!NUMBER.test(text)) throw new ProtocolError(`the server sent "${text.slice(0, 40)}" for a number`)
  return Number(text)
}
