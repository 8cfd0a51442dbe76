/**
 * A file of messages as Floki's own server writes it. All numbers are little endian, and nothing is padded; the file is as long as
 * it may become, with zeros behind the last message.
 *
 *   file    = u32 0xf1031311 { message }
 *   message = u32 hash, u64 id, u32 seconds since 1970, u32 body bytes, body
 *   hash    = low 32 bits of xxHash64, seed 0, of all of the message behind it
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import xxhash from 'xxhash-wasm'

export interface FlokiMessage {
  readonly id: number
  readonly seconds: number
  /** Valid until the next message is asked for. */
  readonly body: Buffer
}

/** How a file ended: where, and whether there was more that is no message; `isOdd`: it does not begin as it should. */
export interface SegmentEnd {
  readonly position: number
  readonly isDamaged: boolean
  readonly isOdd: boolean
}

export type FlokiHash = (bytes: Uint8Array) => number

export const SEGMENT_MAGIC = 0xf1031311
export const SEGMENT_HEAD_BYTES = 4
export const MESSAGE_HEAD_BYTES = 20
const READ_BYTES = 1024 * 1024

export async function flokiHash(): Promise<FlokiHash> {
  const { h64Raw } = await xxhash()
  return (bytes) => Number(h64Raw(bytes) & 0xffff_ffffn)
}

/** Messages from `firstId` on as long as each is whole and bears the next id. Throws what the system says. */
export function* messagesOf(path: string, firstId: number, hash: FlokiHash): Generator<FlokiMessage, SegmentEnd> {
  const file = openSync(path, 'r')
  try {
    const window = new FileWindow(file)
    const isOdd = window.at(0, SEGMENT_HEAD_BYTES)?.readUInt32LE(0) !== SEGMENT_MAGIC
    let position = SEGMENT_HEAD_BYTES
    for (let id = firstId; ; id++) {
      const head = window.at(position, MESSAGE_HEAD_BYTES)
      const bodyBytes = head?.readUInt32LE(16) ?? 0
      const bytes = MESSAGE_HEAD_BYTES + bodyBytes
      const message = head?.readBigUInt64LE(4) === BigInt(id) ? window.at(position, bytes) : null
      if (message === null || hash(message.subarray(4)) !== message.readUInt32LE(0)) {
        const isDamaged = head?.some((byte) => byte !== 0) ?? false
        return { position, isDamaged, isOdd }
      }
      yield { id, seconds: message.readUInt32LE(12), body: message.subarray(MESSAGE_HEAD_BYTES) }
      position += bytes
    }
  } finally {
    closeSync(file)
  }
}

/** Part of a file at a time. */
class FileWindow {
  readonly #file: number
  readonly #size: number
  #buffer = Buffer.alloc(0)
  #start = 0

  constructor(file: number) {
    this.#file = file
    this.#size = fstatSync(file).size
  }

  /** A view of these bytes, valid until it is asked again; null if the file does not have them. */
  at(position: number, bytes: number): Buffer | null {
    if (position + bytes > this.#size) return null
    if (position < this.#start || position + bytes > this.#start + this.#buffer.length) {
      const wanted = Math.min(Math.max(bytes, READ_BYTES), this.#size - position)
      const buffer = Buffer.allocUnsafe(wanted)
      let filled = 0
      while (filled < wanted) {
        const read = readSync(this.#file, buffer, filled, wanted - filled, position + filled)
        if (read === 0) break
        filled += read
      }
      this.#buffer = buffer.subarray(0, filled)
      this.#start = position
      // It became shorter while it was read.
      if (filled < bytes) return null
    }
    return this.#buffer.subarray(position - this.#start, position - this.#start + bytes)
  }
}
