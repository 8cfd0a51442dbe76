/**
 * Delivered records: one small object a record, made when it is asked for, and decoded when it is looked at. The
 * bytes are views of what the socket brought, so a record that is kept pins the frame it came in.
 */
import { CodecError, InvalidArgumentError } from '../src/common/errors.js'
import type { Header, NewRecord } from '../src/model/record.js'
import { recordBounds } from '../src/model/run.js'
import type { DeliveryFrame } from '../src/protocol/frames.js'
import { decodeRecord } from '../src/protocol/records.js'
import type { Codec } from './codec.js'
import { requireWithin } from './options.js'
import type { Tenure } from './tenure.js'

const PAYLOAD_TAG = 0x12
const DELAY_MS_MAX = 0x7fff_ffff

/** What can be said of a record of a shared group. */
export interface Verdict {
  readonly outcome: 'ack' | 'retry' | 'reject' | 'extend' | 'release'
  readonly delayMs: number
  readonly reason: string
}

/** Of what was fetched and not handed out; users cannot say it. */
export const RELEASE: Verdict = { outcome: 'release', delayMs: 0, reason: '' }
const EXTEND: Verdict = { outcome: 'extend', delayMs: 0, reason: '' }
const RETRY: Verdict = { outcome: 'retry', delayMs: 0, reason: '' }
const REJECT: Verdict = { outcome: 'reject', delayMs: 0, reason: '' }

/** What a record needs of its subscription. */
export interface RecordSource<T> {
  readonly topicName: string
  readonly codec: Codec<T>
  commitUpTo(delivered: DeliveredRun<T>, offset: number): void
  acknowledge(delivered: DeliveredRun<T>, offset: number): Promise<void>
  /** Of a record of a group. Rejects with LVT_LEASE_LOST, LVT_UNSUPPORTED. */
  settle(delivered: DeliveredRun<T>, offset: number, verdict: Verdict): Promise<void>
  /** Aborts when the record is not this reader's any more. */
  signalOf(delivered: DeliveredRun<T>, offset: number): AbortSignal
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
  /** When it came, of a shared group; monotonic. */
  arrivedMs = 0
  /** Of a partition that was assigned; else null. */
  tenure: Tenure | null = null
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

  /** What is left is not to be handed out. */
  abandon(): void {
    this.#remaining = 0
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
   * As `commit`, at once; resolves when the server has taken it. With a name or in a group it resolves when it is safe. In
   * a shared group it is said of this record alone, and rejects with LVT_LEASE_LOST if the record will come again to
   * somebody, or is done with; a partition that was given to another member is LVT_FENCED.
   */
  ack(): Promise<void> {
    return this.#run.source.acknowledge(this.#run, this.offset)
  }

  /** Of a shared group: the record comes again, to whoever is next, after the delay. Rejects as `ack` does; throws InvalidArgumentError. */
  retry({ delayMs = 0 }: { readonly delayMs?: number } = {}): Promise<void> {
    if (delayMs === 0) return this.#settle(RETRY)
    requireWithin('delayMs', delayMs, 0, DELAY_MS_MAX)
    return this.#settle({ ...RETRY, delayMs })
  }

  /**
   * Of a shared group: the record never comes again, and goes to the dead-letter topic if there is one, with the reason.
   * Rejects as `ack` does.
   */
  reject(reason = ''): Promise<void> {
    if (typeof reason !== 'string')
      return Promise.reject(new InvalidArgumentError('the reason of a rejection is a text'))
    return this.#settle(reason === '' ? REJECT : { ...REJECT, reason })
  }

  /** Of a shared group: still at it, the ack wait begins anew. Rejects as `ack` does. */
  extend(): Promise<void> {
    return this.#settle(EXTEND)
  }

  /**
   * Aborts when the record is not this reader's any more, so that working on is in vain: the ack wait is over, the
   * connection is lost, the partition is another's, or the subscription is over. Made when it is asked for.
   */
  get signal(): AbortSignal {
    return this.#run.source.signalOf(this.#run, this.offset)
  }

  #settle(verdict: Verdict): Promise<void> {
    return this.#run.source.settle(this.#run, this.offset, verdict)
  }

  #fields(): NewRecord {
    this.#decoded ??= decodeRecord(this.#run.buffer, this.#start, this.#end)
    return this.#decoded
  }
}
