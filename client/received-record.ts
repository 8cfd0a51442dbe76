/**
 * Delivered records: one small object a record, made when it is asked for, and decoded when it is looked at. The
 * bytes are views of what the socket brought, so a record that is kept pins the frame it came in.
 */
import { CodecError } from '../src/common/errors.js'
import type { Header, NewRecord } from '../src/model/record.js'
import { recordBounds } from '../src/model/run.js'
import type { DeliveryFrame, Outcome } from '../src/protocol/frames.js'
import { decodeRecord } from '../src/protocol/records.js'
import type { Codec } from './codec.js'

const PAYLOAD_TAG = 0x12

/** What a record needs of its subscription. */
export interface RecordSource<T> {
  readonly topicName: string
  readonly codec: Codec<T>
  commitUpTo(delivered: DeliveredRun<T>, offset: number): void
  acknowledge(delivered: DeliveredRun<T>, offset: number): Promise<void>
  /** Of a record of a group. Rejects with LVT_LEASE_LOST, LVT_UNSUPPORTED. */
  settle(delivered: DeliveredRun<T>, offset: number, outcome: Outcome, delayMs: number): Promise<void>
}

/** The records of one delivery that have not been handed out yet. */
export class DeliveredRun<T> {
  readonly source: RecordSource<T>
  /** Counts connections: what an earlier one delivered is not in flight on this one. */
  readonly epoch: number
  readonly partition: number
  readonly timestampMs: number
  readonly deliveryCount: number
  readonly buffer: Buffer
  #position: number
  #nextOffset: number
  #remaining: number

  constructor(source: RecordSource<T>, epoch: number, frame: DeliveryFrame) {
    this.source = source
    this.epoch = epoch
    this.partition = frame.partition
    this.timestampMs = frame.timestampMs
    this.deliveryCount = frame.deliveryCount
    this.buffer = frame.run.buffer
    this.#position = frame.run.start
    this.#nextOffset = frame.baseOffset
    this.#remaining = frame.run.count
  }

  get remaining(): number {
    return this.#remaining
  }

  get nextOffset(): number {
    return this.#nextOffset
  }

  /** Pass over records without handing them out. */
  skip(records: number): void {
    for (let left = records; left > 0; left--) this.#position = recordBounds(this.buffer, this.#position).end
    this.#nextOffset += records
    this.#remaining -= records
  }

  /** The next record; there must be one. */
  take(): ReceivedRecord<T> {
    const { buffer } = this
    // The length of the record stands after its tag; written out, because this is the hottest line of a consumer.
    let start = this.#position + 2
    let length = buffer[start - 1] as number
    if (length >= 0x80) {
      length &= 0x7f
      let factor = 0x80
      let byte = 0
      do {
        byte = buffer[start++] as number
        length += (byte & 0x7f) * factor
        factor *= 0x80
      } while (byte >= 0x80)
    }
    const end = start + length
    this.#position = end
    this.#remaining--
    return new ReceivedRecord(this, this.#nextOffset++, start, end)
  }
}

export class ReceivedRecord<T = Uint8Array> {
  readonly offset: number
  readonly #run: DeliveredRun<T>
  readonly #start: number
  readonly #end: number
  #decoded: NewRecord | null = null

  constructor(run: DeliveredRun<T>, offset: number, start: number, end: number) {
    this.offset = offset
    this.#run = run
    this.#start = start
    this.#end = end
  }

  get topic(): string {
    return this.#run.source.topicName
  }

  get partition(): number {
    return this.#run.partition
  }

  /** When the server took it, in milliseconds since 1970. */
  get timestampMs(): number {
    return this.#run.timestampMs
  }

  /** 0 for the first time. */
  get deliveryCount(): number {
    return this.#run.deliveryCount
  }

  /** Null when it has none; an empty key is a key. */
  get key(): Uint8Array | null {
    return this.#fields().key
  }

  get headers(): readonly Header[] {
    return this.#fields().headers
  }

  get payload(): Uint8Array {
    if (this.#decoded !== null) return this.#decoded.payload
    const { buffer } = this.#run
    const start = this.#start
    const length = buffer[start + 1] as number
    if (buffer[start] === PAYLOAD_TAG && start + 2 + length === this.#end && length < 0x80) {
      return buffer.subarray(start + 2, this.#end)
    }
    return this.#fields().payload
  }

  /** The payload through the codec of the topic, decoded at each call. Throws LVT_CODEC. */
  get value(): T {
    const { source } = this.#run
    try {
      return source.codec.decode(this.payload)
    } catch (cause) {
      const message = `the record at offset ${this.offset} of "${source.topicName}" cannot be decoded`
      throw new CodecError(message, { cause, topic: source.topicName })
    }
  }

  /** Give back the credit of this record and of those before it in its partition; sent soon. For `manualCommit`. */
  commit(): void {
    this.#run.source.commitUpTo(this.#run, this.offset)
  }

  /**
   * As `commit`, at once; resolves when the server has taken it. In a group it is said of this record alone, resolves when it is
   * safe, and rejects with LVT_LEASE_LOST if the record will come again to somebody, or is done with.
   */
  ack(): Promise<void> {
    return this.#run.source.acknowledge(this.#run, this.offset)
  }

  /** Of a group: the record comes again, to whoever is next, after the delay. Rejects as `ack` does. */
  retry({ delayMs = 0 }: { readonly delayMs?: number } = {}): Promise<void> {
    return this.#run.source.settle(this.#run, this.offset, 'retry', delayMs)
  }

  /** Of a group: the record never comes again, and goes to the dead-letter topic if there is one. Rejects as `ack` does. */
  reject(): Promise<void> {
    return this.#run.source.settle(this.#run, this.offset, 'reject', 0)
  }

  /** Of a group: still at it, the ack wait begins anew. Rejects as `ack` does. */
  extend(): Promise<void> {
    return this.#run.source.settle(this.#run, this.offset, 'extend', 0)
  }

  #fields(): NewRecord {
    this.#decoded ??= decodeRecord(this.#run.buffer, this.#start, this.#end)
    return this.#decoded
  }
}
