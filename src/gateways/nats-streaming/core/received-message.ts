/**
 * A message as it lies in what a connection sent, or in what was laid out for many of them. Strings and buffers of it are made only when somebody asks: connections
 * copy its bytes, and parts of this process read it. Filled anew for each message; CRLF lies behind its body.
 */
import type { NatsMessage } from './router.js'

const NOTHING = Buffer.alloc(0)

export class ReceivedMessage implements NatsMessage {
  subject = ''
  buffer: Buffer = NOTHING
  /** Without a reply they are the same. */
  replyStart = 0
  replyEnd = 0
  bodyAt = 0
  headerBytes = 0
  bodyBytes = 0
  /** Where `[reply ]lengths CRLF body CRLF` begins, when it lies there just as MSG, or HMSG, would have it; else -1. */
  tailAt = -1

  get reply(): string {
    return this.replyStart === this.replyEnd ? '' : this.buffer.toString('latin1', this.replyStart, this.replyEnd)
  }

  /** Whether this is its reply; no string is made. */
  repliesTo(subject: string): boolean {
    const { buffer, replyStart } = this
    if (subject.length !== this.replyEnd - replyStart) return false
    for (let index = 0; index < subject.length; index++) {
      if (subject.charCodeAt(index) !== buffer[replyStart + index]) return false
    }
    return true
  }

  get headers(): Buffer | null {
    return this.headerBytes === 0 ? null : this.buffer.subarray(this.bodyAt, this.bodyAt + this.headerBytes)
  }

  get payload(): Buffer {
    return this.buffer.subarray(this.bodyAt + this.headerBytes, this.bodyAt + this.bodyBytes)
  }

  /** Between two messages nothing is kept of the last one. */
  clear(): void {
    this.buffer = NOTHING
    this.subject = ''
  }
}
