/**
 * What subscriptions are sent, into the outbox of their connection: deliveries with a small header of their own before a body
 * that all share, losses, assignments and ends.
 */
import type { GroupDelivery } from '../broker/group-member.js'
import type { PartitionReader } from '../broker/partition-reader.js'
import type { Loss } from '../model/record.js'
import { skipRecords } from '../model/run.js'
import { DELIVERY_HEADER_BYTES_MAX, encodeServerFrame, putDeliveryHeader } from '../protocol/encode-server.js'
import type { DeliveryFrame, EndedReason, ServerFrame } from '../protocol/frames.js'
import type { Connection } from '../transport/connection.js'

/** Bodies up to this are copied next to their header: one small write is cheaper than two buffers. */
const COPIED_BYTES_MAX = 4096

type DeliveryFields = Omit<DeliveryFrame, 'kind' | 'id' | 'run'>

export class DeliveryWriter {
  readonly #connection: Connection
  readonly #deliveryBytesMax: number
  /** Where the last run of a group ended: the next one mostly begins there. */
  #cut: { body: Buffer; offset: number; position: number } | null = null

  constructor(connection: Connection, deliveryBytesMax: number) {
    this.#connection = connection
    this.#deliveryBytesMax = deliveryBytesMax
  }

  /** What the reader has at hand. */
  records(subscription: number, reader: PartitionReader): void {
    const { body, bodyStart, bodyEnd, baseOffset, partition, timestampMs } = reader
    this.#run({ subscription, partition, baseOffset, timestampMs, deliveryCount: 0 }, body, bodyStart, bodyEnd)
  }

  /** In as many frames as the limit of a frame wants. */
  groupRecords(subscription: number, { partition, batch, from, to, deliveryCount }: GroupDelivery): void {
    const { body, timestampMs, baseOffset } = batch
    const cut = this.#cut !== null && this.#cut.body === body && this.#cut.offset <= from ? this.#cut : null
    let start = skipRecords(body, cut?.position ?? 0, from - (cut?.offset ?? baseOffset))
    for (let first: number = from; first < to; ) {
      let end = skipRecords(body, start, 1)
      let next = first + 1
      while (next < to) {
        const further = skipRecords(body, end, 1)
        if (further - start > this.#deliveryBytesMax) break
        end = further
        next++
      }
      this.#run({ subscription, partition, baseOffset: first, timestampMs, deliveryCount }, body, start, end)
      start = end
      first = next
    }
    this.#cut = { body, offset: to, position: start }
    this.#connection.flushSoon()
  }

  loss(subscription: number, partition: number, loss: Loss): void {
    this.#frame({ kind: 'lost-range', id: 0, subscription, partition, ...loss })
  }

  assigned(subscription: number, generation: number, partitions: readonly number[], started: readonly number[]): void {
    this.#frame({ kind: 'assigned', id: 0, subscription, generation, partitions, started })
  }

  ended(subscription: number, reason: EndedReason): void {
    this.#frame({ kind: 'ended', id: 0, subscription, reason })
  }

  /** Let go of what was delivered last, so that a connection at rest pins nothing. */
  release(): void {
    this.#cut = null
  }

  #frame(frame: ServerFrame): void {
    this.#connection.outbox.pass(encodeServerFrame(frame))
    this.#connection.flushSoon()
  }

  #run(fields: DeliveryFields, body: Buffer, bodyStart: number, bodyEnd: number): void {
    const { outbox } = this.#connection
    const bytes = bodyEnd - bodyStart
    const isCopied = bytes <= COPIED_BYTES_MAX
    const slab = outbox.room(DELIVERY_HEADER_BYTES_MAX + (isCopied ? bytes : 0))
    let end = putDeliveryHeader(slab.buffer, slab.used, fields, bytes)
    if (isCopied) end += body.copy(slab.buffer, end, bodyStart, bodyEnd)
    outbox.wrote(end)
    if (!isCopied) outbox.pass(bytes === body.length ? body : body.subarray(bodyStart, bodyEnd))
  }
}
