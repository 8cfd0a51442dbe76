/**
 * Where accepted runs are copied, once, out of the chunk of their connection: what outlives the turn must not pin a
 * socket's memory. Runs copied one after the other are contiguous, and so become one batch without another copy.
 */

const FIRST_BYTES = 512
const SLAB_BYTES_MAX = 256 * 1024

export class Slab {
  buffer: Buffer = Buffer.alloc(0)
  used = 0

  /**
   * Make room for `bytes` and return where they go. A new buffer is as large as the need, or twice the last one:
   * a topic that sees little keeps little alive, a busy one allocates seldom.
   */
  reserve(bytes: number): number {
    if (bytes > this.buffer.length - this.used) {
      const next = Math.min(this.buffer.length * 2, SLAB_BYTES_MAX)
      this.buffer = Buffer.allocUnsafeSlow(Math.max(bytes, next, FIRST_BYTES))
      this.used = 0
    }
    const start = this.used
    this.used += bytes
    return start
  }

  /** Copy `source[start, end)` to the end of the slab. */
  copy(source: Buffer, start: number, end: number): void {
    const at = this.reserve(end - start)
    source.copy(this.buffer, at, start, end)
  }
}
