/**
 * What stands before the data in the frame of an event: nearly the same from one frame to the next.
 *
 *   lead = head <number> CRLF "+" <name> CRLF "$" <bytes of data> CRLF
 */
import { putBytes, putNumber } from '../../../common/put-bytes.js'
import type { EventReader } from './event-record.js'

const LF = 10
const CR = 13
const DOLLAR = 36
const PLUS = 43
const ZERO = 48
const NINE = 57
const FIRST_BYTES = 256
/** Digits of two numbers, and what stands around them and the name. */
const AROUND_BYTES_MAX = 2 * 16 + 8
const NOTHING: Buffer = Buffer.alloc(0)

export class FrameLead {
  #room: Buffer = Buffer.alloc(FIRST_BYTES)
  /** What of the room is the lead of the last event. */
  #lead = NOTHING
  #head = NOTHING
  /** Of the event to come. */
  #number = 0
  /** The last digit of the number, and the name, as they lie in the lead. */
  #lastDigit = 0
  #nameStart = 0
  #nameEnd = 0
  #dataBytes = -1

  get length(): number {
    return this.#lead.length
  }

  /** Events of a run: all have this head, and their numbers go on from `number`. */
  begin(head: Buffer, number: number): void {
    this.#head = head
    this.#number = number
    this.#dataBytes = -1
  }

  /** That of the next event; valid until the one after it. */
  of(event: EventReader): Buffer {
    const dataBytes = event.dataEnd - event.dataStart
    if (dataBytes !== this.#dataBytes || !this.#hasName(event) || !this.#countOn()) this.#write(event, dataBytes)
    this.#number++
    return this.#lead
  }

  #hasName({ names, nameStart, nameEnd }: EventReader): boolean {
    const lead = this.#lead
    const start = this.#nameStart
    if (nameEnd - nameStart !== this.#nameEnd - start) return false
    for (let at = start, from = nameStart; from < nameEnd; at++, from++) if (lead[at] !== names[from]) return false
    return true
  }

  /** The next number in the place of the last one; false if it has more digits. */
  #countOn(): boolean {
    const lead = this.#lead
    const first = this.#head.length
    for (let at = this.#lastDigit; at >= first; at--) {
      const digit = lead[at] as number
      if (digit < NINE) {
        lead[at] = digit + 1
        return true
      }
      lead[at] = ZERO
    }
    return false
  }

  #write({ names, nameStart, nameEnd }: EventReader, dataBytes: number): void {
    const head = this.#head
    const room = this.#roomFor(head.length + nameEnd - nameStart + AROUND_BYTES_MAX)
    let to = putBytes(room, 0, head, 0, head.length)
    to = putNumber(room, to, this.#number)
    this.#lastDigit = to - 1
    room[to++] = CR
    room[to++] = LF
    room[to++] = PLUS
    this.#nameStart = to
    to = putBytes(room, to, names, nameStart, nameEnd)
    this.#nameEnd = to
    room[to++] = CR
    room[to++] = LF
    room[to++] = DOLLAR
    to = putNumber(room, to, dataBytes)
    room[to++] = CR
    room[to++] = LF
    this.#dataBytes = dataBytes
    this.#lead = room.subarray(0, to)
  }

  #roomFor(bytes: number): Buffer {
    if (bytes > this.#room.length) this.#room = Buffer.alloc(2 * bytes)
    return this.#room
  }
}
