/**
 * What nats-server sends, cut into lines and messages.
 */

const LF = 0x0a
export const SPACE = 0x20
const DIGIT_0 = 0x30
const M_OF_MSG = 0x4d

/** Cuts what nats-server sends into messages; one object, whose fields hold the message found last. */
export class NatsMessages {
  bytes: Buffer = Buffer.alloc(0)
  /** Where its first line begins, and its payload, and what follows. A line without a payload ends where it begins. */
  start = 0
  payload = 0
  end = 0
  isMessage = false
  #next = 0

  push(chunk: Buffer): void {
    this.bytes = this.#next === this.bytes.length ? chunk : Buffer.concat([this.bytes.subarray(this.#next), chunk])
    this.#next = 0
  }

  next(): boolean {
    const { bytes } = this
    const start = this.#next
    let at = start
    while (at < bytes.length && bytes[at] !== LF) at++
    if (at >= bytes.length) return this.#keep()
    this.isMessage = bytes[start] === M_OF_MSG
    let length = 0
    if (this.isMessage) {
      let factor = 1
      for (let digit = at - 2; bytes[digit] !== SPACE; digit--) {
        length += ((bytes[digit] as number) - DIGIT_0) * factor
        factor *= 10
      }
      length += 2
    }
    if (at + 1 + length > bytes.length) return this.#keep()
    this.start = start
    this.payload = at + 1
    this.end = at + 1 + length
    this.#next = this.end
    return true
  }

  /** The payload found last; a view. */
  get body(): Buffer {
    return this.bytes.subarray(this.payload, this.end - 2)
  }

  /** The text of the line or of the payload found last. */
  text(): string {
    return this.bytes.toString('latin1', this.isMessage ? this.payload : this.start, this.end).trim()
  }

  /** The chunk is the caller's: what is left of it is copied. */
  #keep(): false {
    this.bytes = Buffer.from(this.bytes.subarray(this.#next))
    this.#next = 0
    return false
  }
}
