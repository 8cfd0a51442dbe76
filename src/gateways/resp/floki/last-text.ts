/**
 * An argument that is mostly the one of the request before: its text is made when it is another.
 */
import type { RespRequest } from '../resp-request.js'

const NOTHING: Buffer = Buffer.alloc(0)
/** What is longer than any name is not kept. */
const KEPT_BYTES_MAX = 128

export class LastText {
  readonly #index: number
  #bytes = NOTHING
  #text = ''

  constructor(index: number) {
    this.#index = index
  }

  of(request: RespRequest): string {
    const index = this.#index
    if (request.is(index, this.#bytes)) return this.#text
    const text = request.shown(index)
    if (request.length(index) > KEPT_BYTES_MAX) return text
    this.#bytes = Buffer.from(request.bytes(index))
    this.#text = text
    return text
  }
}
