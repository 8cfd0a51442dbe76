/**
 * Bytes for publish batches. Large ones are used again: allocating and clearing a quarter of a megabyte for each
 * frame would cost a busy publisher more than encoding into it. Called by publisher.ts and publish-batch.ts.
 */

/** Below this a buffer is cheaper to make than to keep. */
const POOLED_BYTES_MIN = 16 * 1024
const SPARES_MAX = 32

export class BatchBuffers {
  /** What a full batch with its head needs. */
  readonly #fullBytes: number
  readonly #spares: Buffer[] = []

  constructor(fullBytes: number) {
    this.#fullBytes = fullBytes
  }

  /** At least `bytes`. */
  take(bytes: number): Buffer {
    if (bytes < POOLED_BYTES_MIN) return Buffer.allocUnsafe(bytes)
    if (bytes > this.#fullBytes) return Buffer.allocUnsafeSlow(bytes)
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(this.#fullBytes)
  }

  /** Hand a buffer back. Nobody may hold any part of it: neither a socket nor a batch. */
  give(buffer: Buffer): void {
    if (buffer.length === this.#fullBytes && this.#spares.length < SPARES_MAX) this.#spares.push(buffer)
  }
}
