/**
 * Events as the subscribers of a stream see them. What a run of events looks like is encoded once for all that get it in the
 * same turn, and their outboxes share the bytes.
 *
 *   classic  "*5" +event +<stream> :<number> +<name> $<data>
 *   push     ">5" and the same
 *   message  "*3" or ">3" $message $<spec> $<JSON: stream, number, name, data or data_base64>
 */
import { isUtf8 } from 'node:buffer'
import type { Turn, TurnTask } from '../../../common/turn.js'
import type { RespVersion } from '../resp-encode.js'
import { EventReader } from './event-record.js'
import { FrameLead } from './frame-lead.js'

/** How a connection wants its events; what it looks like depends on its version, too. */
export type FrameMode = 'classic' | 'push' | 'message'

/** A stretch of a batch: `body[start, end)` holds events `base` and following. */
export interface EventRun {
  readonly body: Buffer
  readonly bodyStart: number
  readonly bodyEnd: number
  readonly baseOffset: number
  readonly count: number
}

/** What the frames of one subscription to one stream have in common. Equal ones have equal keys. */
export interface FrameShape {
  readonly key: string
  readonly isMessage: boolean
  readonly stream: string
  readonly head: Buffer
}

const CRLF = Buffer.from('\r\n')
const LF = 10
const CR = 13
/** Digits of two numbers, the signs around them, and the name of an event that has none. */
const FRAME_ROOM_BYTES = 2 * 16 + 10 + 8
/** Of most runs; what larger ones need is not kept. */
const SCRATCH_BYTES_MAX = 1024 * 1024
/** Frames that are kept until the turn ends, for others who want the same. */
const SHARED_BYTES_MAX = 4 * 1024 * 1024

export function shapeOf(mode: FrameMode, version: RespVersion, stream: string, spec: string): FrameShape {
  const isMessage = mode === 'message'
  const isPush = version === 3 && mode !== 'classic'
  const lead = `${isPush ? '>' : '*'}${isMessage ? 3 : 5}\r\n`
  const head = isMessage
    ? `${lead}$7\r\nmessage\r\n$${Buffer.byteLength(spec)}\r\n${spec}\r\n`
    : `${lead}+event\r\n+${stream}\r\n:`
  // The head of a message does not tell the stream of `$all`.
  return { key: isMessage ? `${stream}\n${head}` : head, isMessage, stream, head: Buffer.from(head) }
}

interface Shared {
  readonly key: string
  readonly start: number
  readonly end: number
  readonly frames: Buffer
}

export class EventFrames implements TurnTask {
  readonly #turn: Turn
  readonly #event = new EventReader()
  readonly #lead = new FrameLead()
  #shared = new Map<Buffer, Shared[]>()
  #sharedBytes = 0
  #scratch: Buffer = Buffer.alloc(0)

  constructor(turn: Turn) {
    this.#turn = turn
  }

  /** The frames of a run. Nobody changes them. */
  of(run: EventRun, shape: FrameShape): Buffer {
    const { body, bodyStart: start, bodyEnd: end } = run
    const known = this.#shared.get(body)
    const found = known?.find((shared) => shared.start === start && shared.end === end && shared.key === shape.key)
    if (found !== undefined) return found.frames
    const frames = shape.isMessage ? this.#messages(run, shape) : this.#events(run, shape)
    this.#share(body, { key: shape.key, start, end, frames }, known)
    return frames
  }

  runTurn(): void {
    this.#shared = new Map()
    this.#sharedBytes = 0
  }

  #share(body: Buffer, shared: Shared, known: Shared[] | undefined): void {
    if (this.#sharedBytes + shared.frames.length > SHARED_BYTES_MAX) return
    if (this.#sharedBytes === 0) this.#turn.atEnd(this)
    this.#sharedBytes += shared.frames.length
    if (known === undefined) this.#shared.set(body, [shared])
    else known.push(shared)
  }

  /**
   * The run is copied to the end of the room, behind the frames, and its pieces are moved from there; what stands before the
   * data is as it was in the frame before, but for the number: both cost a third of what copies from elsewhere do.
   */
  #events({ body, bodyStart, bodyEnd, baseOffset, count }: EventRun, { head }: FrameShape): Buffer {
    const event = this.#event
    const bodyBytes = bodyEnd - bodyStart
    const room = bodyBytes + count * (head.length + FRAME_ROOM_BYTES)
    const frames = this.#room(room + bodyBytes)
    body.copy(frames, room, bodyStart, bodyEnd)
    const lead = this.#lead
    lead.begin(head, baseOffset)
    let to = 0
    for (let at = room; at < room + bodyBytes; ) {
      at = event.read(frames, at)
      frames.set(lead.of(event), to)
      to += lead.length
      frames.copyWithin(to, event.dataStart, event.dataEnd)
      to += event.dataEnd - event.dataStart
      frames[to++] = CR
      frames[to++] = LF
    }
    return Buffer.from(frames.subarray(0, to))
  }

  /** Room for frames until they are copied to a buffer of their size. */
  #room(bytes: number): Buffer {
    if (bytes <= this.#scratch.length) return this.#scratch
    const room = Buffer.allocUnsafeSlow(bytes)
    if (bytes <= SCRATCH_BYTES_MAX) this.#scratch = room
    return room
  }

  #messages({ body, bodyStart, bodyEnd, baseOffset }: EventRun, { head, stream }: FrameShape): Buffer {
    const event = this.#event
    const parts: Buffer[] = []
    let number = baseOffset
    for (let at = bodyStart; at < bodyEnd; number++) {
      at = event.read(body, at)
      const name = event.names.toString('utf8', event.nameStart, event.nameEnd)
      const data = body.subarray(event.dataStart, event.dataEnd)
      const content = isUtf8(data) ? { data: data.toString() } : { data_base64: data.toString('base64') }
      const json = Buffer.from(JSON.stringify({ stream, number, name, ...content }))
      parts.push(head, Buffer.from(`$${json.length}\r\n`), json, CRLF)
    }
    return Buffer.concat(parts)
  }
}
