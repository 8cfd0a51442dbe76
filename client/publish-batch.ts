/**
 * Records on their way in one Publish frame, and those who wait for their receipts. Records are encoded straight
 * into the bytes of the frame; the head is laid before them when it is sent. Called by publisher.ts.
 */
import { AbortedError, type LeveretError } from '../src/common/errors.js'
import type { NewRecord } from '../src/model/record.js'
import { recordBounds } from '../src/model/run.js'
import type { Durability } from '../src/model/topic.js'
import { type PublishHead, putPublishHead } from '../src/protocol/encode-client.js'
import type { PublishedFrame } from '../src/protocol/frames.js'
import { putRecord } from '../src/protocol/records.js'
import type { BatchBuffers } from './batch-buffers.js'
import { nothing, quiet } from './quiet.js'
import { type Receipt, receiptsOf } from './receipts.js'

/** Where a publish goes: publishes that agree in it may share a frame. */
export interface Lane {
  readonly partition: number | null
  readonly durability: Durability | null
  readonly expectedOffset: number | null
}

/** Somebody who waits for several records at once, perhaps in several batches. */
export class ReceiptGroup {
  readonly promise: Promise<Receipt[]>
  readonly #receipts: Receipt[]
  #missing: number
  #resolve: (receipts: Receipt[]) => void = nothing
  #reject: (error: LeveretError) => void = nothing

  constructor(count: number) {
    this.#receipts = new Array<Receipt>(count)
    this.#missing = count
    this.promise = quiet(
      new Promise((resolve, reject) => {
        this.#resolve = resolve
        this.#reject = reject
      }),
    )
    if (count === 0) this.#resolve([])
  }

  put(index: number, receipt: Receipt): void {
    this.#receipts[index] = receipt
    if (--this.#missing === 0) this.#resolve(this.#receipts)
  }

  fail(error: LeveretError): void {
    this.#reject(error)
  }
}

interface Span {
  readonly first: number
  readonly count: number
  readonly group: ReceiptGroup
  readonly groupFirst: number
}

type ReceiptAt = (index: number) => Receipt

const GONE = -1

export class PublishBatch {
  readonly lane: Lane
  readonly deadline: number
  /** Given when first sent, and kept for each time it is sent again. */
  sequence = -1
  /** The id of the frame that waits for an answer; 0 when none does. */
  id = 0
  /** Refused by the server with an error that may pass; waits to be sent again. */
  refusal: LeveretError | null = null
  isSettled = false

  readonly #buffers: BatchBuffers
  #buffer: Buffer
  readonly #runStart: number
  #end: number
  #count = 0

  /**
   * One promise for the whole batch; each waiting publish has a reaction on it. Reactions run in the order in which
   * they were attached, so they share one function that counts: there is no closure for a record.
   */
  readonly #answer: Promise<ReceiptAt>
  #resolve: (receiptAt: ReceiptAt) => void = nothing
  #reject: (error: LeveretError) => void = nothing
  readonly #pick: (receiptAt: ReceiptAt) => Receipt
  #promises: Promise<Receipt>[] = []
  /** The record of each waiting publish; null while that is simply its number. */
  #indexes: number[] | null = null
  #spans: Span[] | null = null
  #aborted: Set<number> | null = null

  constructor(lane: Lane, buffers: BatchBuffers, firstBytes: number, headBytes: number, deadline: number) {
    this.lane = lane
    this.deadline = deadline
    this.#buffers = buffers
    this.#buffer = buffers.take(headBytes + firstBytes)
    this.#runStart = headBytes
    this.#end = headBytes
    this.#answer = quiet(
      new Promise((resolve, reject) => {
        this.#resolve = resolve
        this.#reject = reject
      }),
    )
    let picked = 0
    this.#pick = (receiptAt) => {
      const publish = picked++
      return receiptAt(this.#indexes === null ? publish : (this.#indexes[publish] as number))
    }
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#end - this.#runStart
  }

  get wasSent(): boolean {
    return this.sequence >= 0
  }

  /** Append a record of `bytes` encoded bytes. */
  add(record: NewRecord, bytes: number): void {
    if (this.#end + bytes > this.#buffer.length) this.#grow(this.#end + bytes)
    this.#end = putRecord(this.#buffer, this.#end, record)
    this.#count++
  }

  #grow(needed: number): void {
    const small = this.#buffer
    this.#buffer = this.#buffers.take(Math.max(needed, small.length * 2))
    small.copy(this.#buffer, this.#runStart, this.#runStart, this.#end)
    this.#buffers.give(small)
  }

  /** The receipt of the record that was just added. */
  waitForLast(signal: AbortSignal | undefined): Promise<Receipt> {
    const promise = this.#answer.then(this.#pick)
    this.#promises.push(promise)
    const index = this.#count - 1
    if (this.#indexes !== null) this.#indexes.push(index)
    return signal === undefined ? promise : this.#abortable(promise, index, signal)
  }

  /** The last `count` records belong to a group, at `groupFirst` and after. */
  waitAsGroup(count: number, group: ReceiptGroup, groupFirst: number): void {
    this.#indexes ??= this.#promises.map((_, index) => index)
    this.#spans ??= []
    this.#spans.push({ first: this.#count - count, count, group, groupFirst })
  }

  /** Lay the head before the run and return the frame: a view, which the next call lays anew. */
  frame(head: Omit<PublishHead, keyof Lane>): Buffer {
    const { partition, durability, expectedOffset } = this.lane
    const whole = { ...head, partition, durability, expectedOffset }
    const start = putPublishHead(this.#buffer, this.#runStart, this.bytes, whole)
    return this.#buffer.subarray(start, this.#end)
  }

  /** Throws ProtocolError, and settles nothing, when the answer does not account for each record. */
  settle(topic: string, answer: PublishedFrame): void {
    const receiptAt = receiptsOf(topic, this.#count, answer)
    this.isSettled = true
    this.#resolve(receiptAt)
    for (const { first, count, group, groupFirst } of this.#spans ?? []) {
      for (let index = 0; index < count; index++) group.put(groupFirst + index, receiptAt(first + index))
    }
    // What is answered has left the socket, so the bytes are free.
    this.#buffers.give(this.#buffer)
    // A batch that was promoted to the old generation would take its promises along, dead as they are.
    this.#promises = []
  }

  /** Fail every record. Nobody has to listen: a failure that is not awaited is no unhandled rejection. */
  fail(error: LeveretError): void {
    this.isSettled = true
    for (const promise of this.#promises) promise.catch(nothing)
    this.#reject(error)
    for (const { group } of this.#spans ?? []) group.fail(error)
  }

  /** Take out the records that were aborted; only before the batch is sent. Returns the bytes that left. */
  dropAborted(): number {
    const aborted = this.#aborted
    if (aborted === null) return 0
    const before = this.#end
    const places = new Map<number, number>()
    let from = this.#runStart
    let to = this.#runStart
    for (let index = 0; index < this.#count; index++) {
      const { end } = recordBounds(this.#buffer, from)
      if (!aborted.has(index)) {
        this.#buffer.copyWithin(to, from, end)
        to += end - from
        places.set(index, places.size)
      }
      from = end
    }
    this.#end = to
    this.#count = places.size
    this.#aborted = null
    const placeOf = (index: number): number => places.get(index) ?? GONE
    this.#indexes = (this.#indexes ?? this.#promises.map((_, index) => index)).map(placeOf)
    this.#spans = this.#spans?.map((span) => ({ ...span, first: placeOf(span.first) })) ?? null
    return before - to
  }

  #abortable(promise: Promise<Receipt>, index: number, signal: AbortSignal): Promise<Receipt> {
    const abortable = new Promise<Receipt>((resolve, reject) => {
      const onAbort = (): void => {
        const where = this.wasSent ? 'after it was sent: it may have been stored' : 'before it was sent'
        reject(new AbortedError(`the publish was aborted ${where}`, { cause: signal.reason }))
        if (this.wasSent) return
        this.#aborted ??= new Set()
        this.#aborted.add(index)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const unlisten = (): void => signal.removeEventListener('abort', onAbort)
      promise.then(resolve, reject).then(unlisten, unlisten)
    })
    return quiet(abortable)
  }
}
