/**
 * Records that carry the moment of their publishing in their first eight bytes: how each peer's publish looks, one
 * record a frame, and how a subscriber finds the moments in what it gets.
 */
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import { DELIVERY_TAG, DeliveryHeader, FRAME_BYTES_MAX, PUBLISH_ID, TOPIC } from './leveret-dialect.js'
import { complaint, DONE, headOf, publish, runOf } from './leveret-frames.js'
import { messageHeader, NatsGreeting, publishMessage } from './nats-dialect.js'
import { payloadOf } from './stream.js'

/** nats-server sends one PING soon after a connection has begun, to learn how far its client is. */
const PING_BYTES = 'PING\r\n'.length
const PING_FIRST_BYTE = 0x50

export type StampedPeer = 'leveret' | 'nats'

/** One publish; write the moment at `stampAt`, then send a copy. */
export interface StampedPublish {
  readonly bytes: Buffer
  readonly stampAt: number
}

export interface StampReader {
  readonly isReady: boolean
  /** Calls back with the moment of each record that became whole. The chunk is reused after the call. */
  feed(chunk: Buffer, onStamp: (ns: number) => void): void
}

export function stampedPublish(peer: StampedPeer, payloadBytes: number): StampedPublish {
  const payload = payloadOf(payloadBytes)
  if (peer === 'nats') {
    const bytes = publishMessage(payload)
    return { bytes, stampAt: bytes.length - 2 - payloadBytes }
  }
  const bytes = publish(PUBLISH_ID, TOPIC, runOf(payload, 1))
  return { bytes, stampAt: bytes.length - payloadBytes }
}

export function stampReader(peer: StampedPeer, payloadBytes: number): StampReader {
  return peer === 'nats' ? new NatsStamps(payloadBytes) : new LeveretStamps(payloadBytes)
}

class LeveretStamps implements StampReader {
  isReady = false
  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX)
  readonly #header = new DeliveryHeader()
  readonly #payloadBytes: number
  readonly #recordBytes: number

  constructor(payloadBytes: number) {
    this.#payloadBytes = payloadBytes
    this.#recordBytes = runOf(payloadOf(payloadBytes), 1).length
  }

  feed(chunk: Buffer, onStamp: (ns: number) => void): void {
    const splitter = this.#splitter
    splitter.push(chunk)
    while (splitter.next()) {
      const { buffer, start, end } = splitter
      if (buffer[start] === DELIVERY_TAG) {
        this.#header.read(buffer, start)
        const first = this.#header.recordsStart + this.#recordBytes
        for (let recordEnd = first; recordEnd <= end; recordEnd += this.#recordBytes) {
          onStamp(buffer.readDoubleLE(recordEnd - this.#payloadBytes))
        }
      } else if (headOf(buffer, start, end).field === DONE) this.isReady = true
      else throw new Error(complaint(buffer, start, end))
    }
  }
}

class NatsStamps implements StampReader {
  readonly #greeting = new NatsGreeting()
  readonly #headerBytes: number
  readonly #messageBytes: number
  #held = Buffer.alloc(0)

  constructor(payloadBytes: number) {
    this.#headerBytes = messageHeader(payloadBytes).length
    this.#messageBytes = this.#headerBytes + payloadBytes + 2
  }

  get isReady(): boolean {
    return this.#greeting.isReady
  }

  feed(chunk: Buffer, onStamp: (ns: number) => void): void {
    if (!this.isReady) {
      this.#greeting.feed(chunk)
      return
    }
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    let position = 0
    while (position < bytes.length) {
      const isPing = bytes[position] === PING_FIRST_BYTE
      const length = isPing ? PING_BYTES : this.#messageBytes
      if (position + length > bytes.length) break
      if (!isPing) onStamp(bytes.readDoubleLE(position + this.#headerBytes))
      position += length
    }
    this.#held = Buffer.from(bytes.subarray(position))
  }
}
