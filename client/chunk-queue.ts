/**
 * The chunks of a socket as an async iterable for the framing. Chunks are taken in the same turn that brings them,
 * so the queue holds hardly more than one. Called by connection.ts.
 */

type Result = IteratorResult<Uint8Array, undefined>

const DONE: Result = { value: undefined, done: true }

export class ChunkQueue implements AsyncIterableIterator<Uint8Array> {
  readonly #chunks: Uint8Array[] = []
  #resolve: ((result: Result) => void) | null = null
  #hasEnded = false

  push(chunk: Uint8Array): void {
    if (this.#hasEnded) return
    const resolve = this.#resolve
    if (resolve === null) {
      this.#chunks.push(chunk)
      return
    }
    this.#resolve = null
    resolve({ value: chunk, done: false })
  }

  /** No more chunks; those waiting are still handed out. */
  end(): void {
    this.#hasEnded = true
    this.#resolve?.(DONE)
    this.#resolve = null
  }

  next(): Promise<Result> {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) return Promise.resolve({ value: chunk, done: false })
    if (this.#hasEnded) return Promise.resolve(DONE)
    return new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  return(): Promise<Result> {
    this.end()
    return Promise.resolve(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
